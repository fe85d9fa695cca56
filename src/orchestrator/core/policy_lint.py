"""What is wrong with a policy's condition, said before it is in force (`docs/reference/policies.md`).

pySHACL passes over what it does not know, so a misspelt constraint would hold for every message, and it
fails on some malformed shapes only when a message comes. So the terms of conditions are a closed list,
each with the kind of value that it takes, and every condition is tried once on a specimen.
"""

import contextlib
import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from re import _parser  # type: ignore[attr-defined]  # the only account of what a pattern means to `re`
from typing import Any, Final, Literal

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import ConfigurationError
from orchestrator.core.rdf import RDF, RDFS, SH, BNode, Graph, URIRef, list_items, new_graph, parse_turtle
from orchestrator.core.rdf import Literal as RdfLiteral
from orchestrator.core.rdf import Node as RdfNode
from orchestrator.core.shacl import focused, run

_PAIRS: Final = ("equals", "disjoint", "lessThan", "lessThanOrEquals")
_NOTES: Final = ("name", "description", "message", "severity", "order", "group")
_KINDS: Final = {
    name: kind
    for kind, names in {
        "iri": ("class", "datatype", *_PAIRS),
        "count": ("minCount", "maxCount", "minLength", "maxLength", "qualifiedMinCount", "qualifiedMaxCount"),
        "literal": ("minExclusive", "minInclusive", "maxExclusive", "maxInclusive"),
        "boolean": ("closed", "uniqueLang", "qualifiedValueShapesDisjoint"),
        "shape": ("property", "node", "not", "qualifiedValueShape"),
        "shapes": ("and", "or", "xone"),
        "term": ("hasValue",),
        "terms": ("in",),
        "text": ("pattern",),
        "texts": ("languageIn",),
        "iris": ("ignoredProperties",),
        "kind": ("nodeKind",),
        "flags": ("flags",),
        "path": ("path",),
        "note": _NOTES,
    }.items()
    for name in names
}
"""Every term of SHACL that a condition may use, and the kind of its value."""
_NEEDS: Final = {
    "flags": ("pattern",),
    "ignoredProperties": ("closed",),
    "qualifiedMinCount": ("qualifiedValueShape",),
    "qualifiedMaxCount": ("qualifiedValueShape",),
    "qualifiedValueShapesDisjoint": ("qualifiedValueShape",),
    "qualifiedValueShape": ("qualifiedMinCount", "qualifiedMaxCount"),
}
_QUALIFIED: Final = tuple(name for name in _NEEDS if name.startswith("qualified"))
_OF_PROPERTIES: Final = {"minCount", "maxCount", "uniqueLang", "lessThan", "lessThanOrEquals", *_QUALIFIED}
_SHAPES: Final = ("property", "node", "not", "and", "or", "xone")
_REPEATABLE: Final = {"class", "hasValue", "pattern", *_PAIRS, *_SHAPES, *_NOTES}
# What holds of everything if it is alone: always, and when it is 0 or false.
_SILENT: Final = {"path", *_NOTES, *_NEEDS} - {"qualifiedMinCount", "qualifiedMaxCount"}
_SILENT_AT_ZERO: Final = {"minCount", "minLength", "qualifiedMinCount", "closed", "uniqueLang"}
# True when the property is absent, which is rarely what an editor means.
_VACUOUS: Final = ("pattern", "class", "disjoint", "nodeKind", "datatype", "in")
_NODE_KINDS: Final = ("IRI", "Literal", "BlankNode", "BlankNodeOrIRI", "BlankNodeOrLiteral", "IRIOrLiteral")
_ANNOTATIONS: Final = frozenset((RDFS.label, RDFS.comment, RDFS.seeAlso, RDFS.isDefinedBy))
_FLAGS: Final = re.compile("[imsx]+")
_INTEGER: Final = URIRef(v.XSD + "integer")
_MAX_DEPTH: Final = 20  # pySHACL fails at 30
_MAX_SHAPES: Final = 500
_MAX_STEPS: Final = 8  # pySHACL fails at 10
_MAX_PATTERN: Final = 500
# The property by which `core.shacl.run` marks the focus.
_FOCUS: Final = URIRef(v.SHAPE_TERMS + "focus")
_REPEATS: Final = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_SPECIMEN: Final = f"""
@prefix as: <{v.AS}> .
@prefix pol: <{v.POLICY}> .
<urn:x-specimen> a as:Announce , pol:Unsolicited ;
    as:actor <https://sender.example/> ; as:origin <https://sender.example/> ; as:summary "A review"@en ;
    as:published "2026-01-01T00:00:00Z"^^<{v.XSD}dateTime> ;
    as:object <https://sender.example/review> ; as:context <https://pod.example/article> .
<https://sender.example/> a as:Service , pol:UnknownSender .
<https://pod.example/article> a pol:MyArtefact .
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something wrong with a condition."""

    owner: RdfNode
    """The named subject under which it stands."""
    message: str
    term: str = ""
    """What the offending line holds: a prefixed name, whose prefix may be empty for any."""
    first: bool = False
    """Whether the first such line offends, even if there are several."""
    severity: Literal["error", "warning"] = "error"


class Condition:
    """What one `pol:when` can reach."""

    def __init__(self, graph: Graph, policy: RdfNode, when: RdfNode) -> None:
        """Follow `when` through `graph` to every shape below it."""
        self._graph = graph
        self.when = when
        self.shapes: dict[RdfNode, RdfNode] = {}
        """Each shape, and the named subject under which it stands."""
        self._knots = list(self._follow(policy))

    def troubles(self) -> list[Trouble]:
        """Return everything that is wrong; what seems sound is also tried on a specimen."""
        found = [*self._knots, *(trouble for shape in self.shapes for trouble in self._check(shape))]
        if all(trouble.severity == "warning" for trouble in found):
            found += self._try()
        return list(dict.fromkeys(found))

    def graph(self) -> Graph:
        """Return the condition alone: what else is in the file can neither break it nor aim elsewhere."""
        alone = new_graph()
        stack: list[RdfNode] = [self.when]
        while stack:
            node = stack.pop()
            for triple in self._graph.triples((node, None, None)):
                value = triple[2]
                inner = isinstance(value, BNode) or value in self.shapes or self._is_list(value)
                if inner and triple not in alone:
                    stack.append(value)
                alone.add(triple)
        # The mark of the focus is no property of the message: a closed shape must not object to it.
        for shape in list(alone.subjects(SH.closed)):
            cell = BNode()
            alone.add((shape, SH.ignoredProperties, cell))
            alone.add((cell, RDF.first, _FOCUS))
            alone.add((cell, RDF.rest, RDF.nil))
        return alone

    def _is_list(self, node: RdfNode) -> bool:
        return (node, RDF.first, None) in self._graph

    def _follow(self, policy: RdfNode) -> Iterator[Trouble]:
        stack: list[tuple[RdfNode, RdfNode, tuple[RdfNode, ...]]] = [(self.when, policy, ())]
        visits = 0
        while stack:
            shape, owner, above = stack.pop()
            visits += 1
            if shape in above:
                yield Trouble(owner=owner, message=f"{_shown(shape)} refers to itself, so it would never end")
            elif len(above) >= _MAX_DEPTH or visits > _MAX_SHAPES:
                yield Trouble(owner=owner, message="the condition is too large or too deep")
                return
            elif (shape, None, None) in self._graph:
                owner = shape if isinstance(shape, URIRef) else owner
                self.shapes.setdefault(shape, owner)
                stack += [(child, owner, (*above, shape)) for _, child in self._children(shape)]
            else:
                yield Trouble(owner=owner, message=_missing(shape), term=_term(shape), first=True)

    def _children(self, shape: RdfNode) -> Iterator[tuple[str, RdfNode]]:
        for name, kind in _KINDS.items():
            for value in self._graph.objects(shape, SH[name]) if kind in {"shape", "shapes"} else ():
                if kind == "shape":
                    yield name, value
                else:
                    with contextlib.suppress(ConfigurationError):  # which the check of its value tells
                        yield from ((name, item) for item in list_items(self._graph, value))

    def _check(self, shape: RdfNode) -> Iterator[Trouble]:
        owner = self.shapes[shape]
        has_path = (shape, SH.path, None) in self._graph
        names: list[str] = []
        for predicate, value in self._graph.predicate_objects(shape):
            iri = str(predicate)
            if predicate == RDF.type:
                message, term = _type_trouble(value, has_path=has_path), _term(value)
            elif iri.startswith(v.SH):
                names.append(iri.removeprefix(v.SH))
                message, term = self._value_trouble(names[-1], value), f"sh:{names[-1]}"
            else:
                message, term = _foreign_trouble(iri), _term(predicate)
            if message:
                known = term.removeprefix("sh:") in _KINDS
                yield Trouble(owner=owner, message=message, term=term, first=not known)
        for name in dict.fromkeys(names):
            if names.count(name) > 1 and name in _KINDS and name not in _REPEATABLE:
                yield Trouble(owner=owner, message=f"one shape has several sh:{name}", term=f"sh:{name}")
            if name in _OF_PROPERTIES and not has_path:
                yield Trouble(owner=owner, message=f"sh:{name} needs sh:path beside it", term=f"sh:{name}")
            if name in _NEEDS and not set(_NEEDS[name]) & set(names):
                needed = " or ".join(f"sh:{other}" for other in _NEEDS[name])
                yield Trouble(owner=owner, message=f"sh:{name} needs {needed} beside it", term=f"sh:{name}")
        yield from self._check_meaning(shape, has_path=has_path)

    def _check_meaning(self, shape: RdfNode, *, has_path: bool) -> Iterator[Trouble]:
        """Look for what would hold of too much, and for shapes of the wrong kind below."""
        owner = self.shapes[shape]
        said = {str(predicate).removeprefix(v.SH) for predicate in self._telling(shape)}
        if not said - _SILENT:
            path = f" on {self._path_name(shape)}" if has_path else ""
            yield Trouble(owner=owner, message=f"a shape{path} without a constraint holds of everything")
        for name, child in self._children(shape):
            child_has_path = (child, SH.path, None) in self._graph
            if (
                child in self.shapes
                and child_has_path != (name == "property")
                and name in {"property", "node"}
            ):
                message = f"sh:{name} needs a shape {'with' if name == 'property' else 'without'} sh:path"
                yield Trouble(owner=owner, message=message, term=f"sh:{name}")
        for name in _VACUOUS if has_path and "minCount" not in said else ():
            if name in said:
                path = self._path_name(shape)
                message = f"sh:{name} on {path} holds when the property is absent; add sh:minCount 1"
                yield Trouble(owner=owner, message=message, term=f"sh:{name}", severity="warning")
        flags = "".join(str(value) for value in self._graph.objects(shape, SH.flags))
        for flag in sorted({"s", "x"} & set(flags)):
            message = f"pySHACL does not heed the flag {flag}; begin the pattern with (?{flag}) instead"
            yield Trouble(owner=owner, message=message, term="sh:flags", severity="warning")

    def _telling(self, shape: RdfNode) -> Iterator[RdfNode]:
        """Yield the SHACL terms of a shape, without those whose value makes them mean nothing."""
        for predicate, value in self._graph.predicate_objects(shape):
            name = str(predicate).removeprefix(v.SH)
            nothing = name in _SILENT_AT_ZERO and not getattr(value, "value", True)
            if str(predicate).startswith(v.SH) and not nothing:
                yield predicate

    def _path_name(self, shape: RdfNode) -> str:
        path = self._graph.value(shape, SH.path)
        return local(path) if isinstance(path, URIRef) else "its path"

    def _value_trouble(self, name: str, value: RdfNode) -> str | None:
        kind = _KINDS.get(name)
        if kind is None:
            return _unknown(name)
        if kind == "path":
            return self._path_trouble(value)
        values = [value]
        if kind in _LISTS:
            try:
                values = list_items(self._graph, value)
            except ConfigurationError:
                return f"sh:{name} must be a list: ( … )"
            if not values and name != "ignoredProperties":
                return f"the list of sh:{name} is empty"
        wanted, fits = _FITS.get(_LISTS.get(kind, kind), _ANYTHING)
        for item in values:
            if not fits(item):
                return f"sh:{name} must be {wanted}, not {_shown(item)}"
        return _pattern_trouble(str(value)) if name == "pattern" else None

    def _path_trouble(self, path: RdfNode) -> str | None:
        steps = [path]
        if self._is_list(path) and isinstance(path, BNode):
            try:
                steps = list_items(self._graph, path)
            except ConfigurationError:
                return "the list of sh:path must end"
        if len(steps) > _MAX_STEPS or (len(steps) == 1 and steps != [path]) or path == RDF.nil:
            return f"a list in sh:path has 2 to {_MAX_STEPS} steps"
        for step in steps:
            said = list(self._graph.predicate_objects(step)) if isinstance(step, BNode) else []
            # pySHACL walks the inverse of a sequence in the wrong order.
            inverse = [predicate for predicate, to in said if isinstance(to, URIRef)] == [SH.inversePath]
            if not isinstance(step, URIRef) and not (inverse and len(said) == 1):
                return "sh:path must be an IRI, [ sh:inversePath IRI ], or a list of these"
        return None

    def _try(self) -> Iterator[Trouble]:
        """Run every shape on a specimen, for what only pySHACL objects to."""
        try:
            report = run(parse_turtle(_SPECIMEN), focused(self.graph(), self.shapes), "urn:x-specimen")
            if not isinstance(report, Graph):
                raise TypeError(str(report))  # noqa: TRY301  (pySHACL returns one of its errors)
        except Exception as error:  # noqa: BLE001  (whatever it is, it would befall every notification)
            yield Trouble(
                owner=self.shapes[self.when],
                message=f"pySHACL fails on it: {type(error).__name__}: {str(error)[:200]}",
            )


def unused(graph: Graph, used: set[RdfNode]) -> Iterator[Trouble]:
    """Yield what the named subjects of a file say in SHACL's terms although no condition uses it."""
    policies = set(graph.subjects(RDF.type, URIRef(v.POLICY + "Policy")))
    for subject in sorted({one for one in graph.subjects() if isinstance(one, URIRef)} - used):
        names = [
            str(term).removeprefix(v.SH) for term in graph.predicates(subject) if str(term).startswith(v.SH)
        ]
        if subject in policies and names:
            message = f"{local(subject)}: sh:{names[0]} belongs into pol:when [ … ]"
            yield Trouble(owner=subject, message=message, term=f"sh:{names[0]}")
        elif set(names) - set(_NOTES):
            yield Trouble(owner=subject, message=f"no pol:when uses {local(subject)}", severity="warning")


def local(node: object) -> str:
    """Return the last part of an IRI."""
    return re.split(r"[#/]", str(node))[-1]


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` that `name` is probably meant to be."""
    lower = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.75)
    return lower[near[0]] if near else None


def _value(node: RdfNode) -> object:
    return getattr(node, "value", None)


_ANYTHING: Final = ("anything", lambda _: True)  # shapes are followed, and notes mean nothing to us
_LISTS: Final = {"terms": "term", "texts": "text", "iris": "iri", "shapes": "shape"}
_FITS: Final[dict[str, tuple[str, Callable[[RdfNode], bool]]]] = {
    "iri": ("an IRI", lambda node: isinstance(node, URIRef)),
    "count": ("a whole number", lambda node: _is_count(node)),
    "literal": ("a number, a date or a text", lambda node: _value(node) is not None),
    "boolean": ("true or false", lambda node: isinstance(_value(node), bool)),
    "term": ("an IRI or a literal", lambda node: not isinstance(node, BNode)),
    "text": ("a text", lambda node: isinstance(_value(node), str)),
    "flags": ("some of the letters imsx", lambda node: _FLAGS.fullmatch(str(node)) is not None),
    "kind": (
        f"one of sh:{', sh:'.join(_NODE_KINDS)}",
        lambda node: str(node).removeprefix(v.SH) in _NODE_KINDS,
    ),
}


def _is_count(node: RdfNode) -> bool:
    value = _value(node)
    # pySHACL takes no integer of another type for most counts.
    return isinstance(value, int) and value >= 0 and getattr(node, "datatype", None) == _INTEGER


def _shown(node: RdfNode) -> str:
    if isinstance(node, BNode):
        return "[ … ]"
    if isinstance(node, RdfLiteral):
        return f'"{node[:80]}"'
    iri = str(node)
    for prefix, namespace in (("sh", v.SH), ("pol", v.POLICY)):
        if iri.startswith(namespace):
            return f"{prefix}:{iri.removeprefix(namespace)}"
    # The base of a file is an IRI that its editors never see.
    return f"<#{local(iri)}>" if iri.startswith(v.POLICY.replace("#", "/")) else f"<{iri}>"


def _term(node: RdfNode) -> str:
    """Return how a file most probably writes a node, for `Trouble.term`."""
    if not isinstance(node, URIRef):
        return ""
    return f"sh:{node.removeprefix(v.SH)}" if node.startswith(v.SH) else f":{local(node)}"


def _missing(shape: RdfNode) -> str:
    if isinstance(shape, BNode):
        return "an empty shape holds of everything"
    return f"{_shown(shape)} is no shape in this file"


def _unknown(name: str) -> str:
    if name.startswith("target"):
        return f"sh:{name} has no place in a condition: its focus is the activity"
    near = nearest(name, _KINDS)
    if near is None and URIRef(v.SH + name) in SH:
        return f"sh:{name} is not supported"
    return f"unknown term sh:{name}" + (f"; did you mean sh:{near}?" if near else "")


def _type_trouble(kind: RdfNode, *, has_path: bool) -> str | None:
    if kind == SH.NodeShape:
        return "a sh:NodeShape has no sh:path; call it a sh:PropertyShape" if has_path else None
    if kind == SH.PropertyShape:
        return None if has_path else "a sh:PropertyShape needs sh:path"
    return f"a shape is a sh:NodeShape or a sh:PropertyShape, not a {_shown(kind)}"


def _foreign_trouble(predicate: str) -> str | None:
    if URIRef(predicate) in _ANNOTATIONS:
        return None
    if predicate.startswith(v.POLICY):
        return f"{_shown(URIRef(predicate))} belongs to the policy, not into its condition"
    return f"<{predicate}> is no constraint: ask for a property with sh:property [ sh:path … ]"


def _pattern_trouble(pattern: str) -> str | None:
    """Say what keeps a pattern from being matched in bounded time, as `re` understands it."""
    if len(pattern) > _MAX_PATTERN:
        return f"a pattern has at most {_MAX_PATTERN} characters"
    try:
        re.compile(pattern)
        stack = [(_parser.parse(pattern), False)]
    except (re.error, OverflowError, RecursionError) as error:
        return f"{pattern}: {error}"
    while stack:
        part, repeated = stack.pop()
        for operation, argument in part:
            name = str(operation)
            if name in {"GROUPREF", "GROUPREF_EXISTS", "GROUPREF_IGNORE"}:
                return f"the pattern {pattern} refers back to a group and may never end"
            varies = name == "BRANCH" or (name in _REPEATS and argument[0] != argument[1])
            if repeated and varies:
                return f"the pattern {pattern} nests quantifiers, or alternatives in one, and may never end"
            again = repeated or (name in _REPEATS and argument[1] > 1)
            stack += [(inner, again) for inner in _parts(argument)]
    return None


def _parts(argument: Any) -> Iterator[Any]:  # noqa: ANN401  (the parser's own tree)
    """Yield the patterns inside of an operation."""
    if isinstance(argument, _parser.SubPattern):
        yield argument
    elif isinstance(argument, tuple | list):
        for inner in argument:
            yield from _parts(inner)
