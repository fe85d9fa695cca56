"""What is wrong with a shape, said before it is in force: everything that the compiler cannot take.

pySHACL passes over what it does not know and fails on some malformed shapes only when a message comes, so
the terms are a closed list (`core.shapes.terms`), and what is not on it is refused with file and line.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import ConfigurationError
from orchestrator.core.rdf import RDF, SH, BNode, Graph, URIRef, list_items
from orchestrator.core.rdf import Node as RdfNode
from orchestrator.core.shapes.lines import Trouble
from orchestrator.core.shapes.patterns import pattern_trouble
from orchestrator.core.shapes.terms import (
    ANNOTATIONS,
    BANNED,
    KINDS,
    LISTS,
    NEEDS,
    OF_PROPERTIES,
    REPEATABLE,
    SILENT,
    SILENT_AT_ZERO,
    VACUOUS,
    local,
    place_of,
    shown,
    unknown,
    value_trouble,
)

_MAX_DEPTH: Final = 20  # pySHACL, the oracle, fails at 30
_MAX_SHAPES: Final = 500
_MAX_STEPS: Final = 8  # pySHACL fails at 10


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a kind of file may say beside SHACL."""

    terms: frozenset[URIRef] = frozenset()
    types: frozenset[URIRef] = frozenset()
    remarks_on_absence: bool = False
    """Whether to remark on what holds when a property is absent."""


CONDITIONS: Final = Dialect(remarks_on_absence=True)
SHAPES: Final = Dialect(
    terms=frozenset({URIRef(v.SHAPE_TERMS + "at"), URIRef(v.SHAPE_TERMS + "types")}),
    types=frozenset({URIRef(v.SHAPE_TERMS + "Pattern")}),
)


def siblings(graph: Graph, shape: RdfNode) -> list[RdfNode]:
    """Return the sibling shapes of a qualified shape that asks for them (SHACL section 4.7.3)."""
    disjoint = graph.value(shape, SH.qualifiedValueShapesDisjoint)
    if not getattr(disjoint, "value", False):
        return []
    parents = graph.subjects(SH.property, shape)
    beside = [other for parent in parents for other in graph.objects(parent, SH.property)]
    own = set(graph.objects(shape, SH.qualifiedValueShape))
    found = {other for one in beside for other in graph.objects(one, SH.qualifiedValueShape)}
    return sorted(found - own, key=str)


def refuse_unsafe(graph: Graph) -> Iterator[str]:
    """Yield what must not be in a graph of shapes (SHACL Core only), used or not."""
    for predicate in BANNED:
        for subject in graph.subjects(predicate):
            yield f"{shown(subject)} uses {shown(predicate)}; only SHACL Core is run"


@dataclass
class Reach:
    """What one shape can reach, and whether all of it can be compiled."""

    graph: Graph
    top: RdfNode
    owner: RdfNode
    """The named subject under which `top` stands."""
    dialect: Dialect = CONDITIONS
    shapes: dict[RdfNode, RdfNode] = field(default_factory=dict)
    """Each shape, and the named subject under which it stands."""

    def __post_init__(self) -> None:
        """Follow `top` to every shape below it."""
        self._knots = list(self._follow())

    def troubles(self) -> list[Trouble]:
        """Return everything that is wrong."""
        found = [*self._knots, *(trouble for shape in self.shapes for trouble in self._check(shape))]
        return list(dict.fromkeys(found))

    def _follow(self) -> Iterator[Trouble]:
        stack: list[tuple[RdfNode, RdfNode, tuple[RdfNode, ...]]] = [(self.top, self.owner, ())]
        visits = 0
        while stack:
            shape, owner, above = stack.pop()
            visits += 1
            if shape in above:
                yield Trouble(owner=owner, message=f"{shown(shape)} refers to itself, so it would never end")
            elif len(above) >= _MAX_DEPTH or visits > _MAX_SHAPES:
                yield Trouble(owner=owner, message=f"{shown(self.top)} is too large or too deep")
                return
            elif (shape, None, None) in self.graph:
                owner = shape if isinstance(shape, URIRef) else owner
                self.shapes.setdefault(shape, owner)
                below = [*(child for _, child in self._children(shape)), *siblings(self.graph, shape)]
                stack += [(child, owner, (*above, shape)) for child in below]
            else:
                yield Trouble(owner=owner, message=_missing(shape), term=place_of(shape), first=True)

    def _children(self, shape: RdfNode) -> Iterator[tuple[str, RdfNode]]:
        for name, kind in KINDS.items():
            for value in self.graph.objects(shape, SH[name]) if kind in {"shape", "shapes"} else ():
                if kind == "shape":
                    yield name, value
                else:
                    with contextlib.suppress(ConfigurationError):  # which the check of its value tells
                        yield from ((name, item) for item in list_items(self.graph, value))

    def _check(self, shape: RdfNode) -> Iterator[Trouble]:
        owner = self.shapes[shape]
        has_path = (shape, SH.path, None) in self.graph
        names: list[str] = []
        for predicate, value in self.graph.predicate_objects(shape):
            iri = str(predicate)
            if predicate == RDF.type:
                message, term = self._type_trouble(value, has_path=has_path), place_of(value)
            elif iri.startswith(v.SH):
                names.append(iri.removeprefix(v.SH))
                message, term = self._value_trouble(names[-1], value), f"sh:{names[-1]}"
            else:
                message, term = self._foreign_trouble(predicate), place_of(predicate)
            if message:
                known = term.removeprefix("sh:") in KINDS
                yield Trouble(owner=owner, message=message, term=term, first=not known)
        for name in dict.fromkeys(names):
            if names.count(name) > 1 and name in KINDS and name not in REPEATABLE:
                yield Trouble(owner=owner, message=f"one shape has several sh:{name}", term=f"sh:{name}")
            if name in OF_PROPERTIES and not has_path:
                yield Trouble(owner=owner, message=f"sh:{name} needs sh:path beside it", term=f"sh:{name}")
            if name in NEEDS and not set(NEEDS[name]) & set(names):
                needed = " or ".join(f"sh:{other}" for other in NEEDS[name])
                yield Trouble(owner=owner, message=f"sh:{name} needs {needed} beside it", term=f"sh:{name}")
        yield from self._check_meaning(shape, has_path=has_path)

    def _check_meaning(self, shape: RdfNode, *, has_path: bool) -> Iterator[Trouble]:
        """Look for what would hold of too much, and for shapes of the wrong kind below."""
        owner = self.shapes[shape]
        said = {str(predicate).removeprefix(v.SH) for predicate in self._telling(shape)}
        if not said - SILENT:
            path = f" on {self._path_name(shape)}" if has_path else ""
            yield Trouble(owner=owner, message=f"a shape{path} without a constraint holds of everything")
        for name, child in self._children(shape):
            child_has_path = (child, SH.path, None) in self.graph
            if (
                child in self.shapes
                and child_has_path != (name == "property")
                and name in {"property", "node"}
            ):
                message = f"sh:{name} needs a shape {'with' if name == 'property' else 'without'} sh:path"
                yield Trouble(owner=owner, message=message, term=f"sh:{name}")
        remarks = self.dialect.remarks_on_absence and has_path and "minCount" not in said
        for name in VACUOUS if remarks else ():
            if name in said:
                path = self._path_name(shape)
                message = f"sh:{name} on {path} holds when the property is absent; add sh:minCount 1"
                yield Trouble(owner=owner, message=message, term=f"sh:{name}", severity="warning")

    def _telling(self, shape: RdfNode) -> Iterator[RdfNode]:
        """Yield the SHACL terms of a shape, without those whose value makes them mean nothing."""
        for predicate, value in self.graph.predicate_objects(shape):
            name = str(predicate).removeprefix(v.SH)
            nothing = name in SILENT_AT_ZERO and not getattr(value, "value", True)
            if str(predicate).startswith(v.SH) and not nothing:
                yield predicate

    def _path_name(self, shape: RdfNode) -> str:
        path = self.graph.value(shape, SH.path)
        return local(path) if isinstance(path, URIRef) else "its path"

    def _value_trouble(self, name: str, value: RdfNode) -> str | None:
        kind = KINDS.get(name)
        if kind is None:
            return unknown(name)
        if kind == "path":
            return self._path_trouble(value)
        values = [value]
        if kind in LISTS:
            if not self._is_list(value):
                return f"sh:{name} must be a list: ( … )"
            values = list_items(self.graph, value)
            if not values and name != "ignoredProperties":
                return f"the list of sh:{name} is empty"
        trouble = next((said for item in values if (said := value_trouble(name, item))), None)
        return trouble or (pattern_trouble(str(value)) if name == "pattern" else None)

    def _is_list(self, head: RdfNode) -> bool:
        """Whether it is a list and says nothing beside: that would be passed over."""
        try:
            list_items(self.graph, head)
        except ConfigurationError:
            return False
        while head != RDF.nil:
            if sorted(map(str, self.graph.predicates(head))) != [str(RDF.first), str(RDF.rest)]:
                return False
            head = next(self.graph.objects(head, RDF.rest))
        return True

    def _path_trouble(self, path: RdfNode) -> str | None:
        steps = [path]
        if (path, RDF.first, None) in self.graph and isinstance(path, BNode):
            if not self._is_list(path):
                return "sh:path must be a list that ends and says nothing beside"
            steps = list_items(self.graph, path)
        if len(steps) > _MAX_STEPS or (len(steps) == 1 and steps != [path]) or path == RDF.nil:
            return f"a list in sh:path has 2 to {_MAX_STEPS} steps"
        for step in steps:
            said = list(self.graph.predicate_objects(step)) if isinstance(step, BNode) else []
            # pySHACL walks the inverse of a sequence in the wrong order.
            inverse = [predicate for predicate, to in said if isinstance(to, URIRef)] == [SH.inversePath]
            if not isinstance(step, URIRef) and not (inverse and len(said) == 1):
                return "sh:path must be an IRI, [ sh:inversePath IRI ], or a list of these"
        return None

    def _type_trouble(self, kind: RdfNode, *, has_path: bool) -> str | None:
        if kind == SH.NodeShape:
            return "a sh:NodeShape has no sh:path; call it a sh:PropertyShape" if has_path else None
        if kind == SH.PropertyShape:
            return None if has_path else "a sh:PropertyShape needs sh:path"
        if kind in self.dialect.types:
            return None
        return f"a shape is a sh:NodeShape or a sh:PropertyShape, not a {shown(kind)}"

    def _foreign_trouble(self, predicate: RdfNode) -> str | None:
        if predicate in ANNOTATIONS or predicate in self.dialect.terms:
            return None
        if str(predicate).startswith(v.POLICY):
            return f"{shown(predicate)} belongs to the policy, not into its condition"
        return f"<{predicate}> is no constraint: ask for a property with sh:property [ sh:path … ]"


def _missing(shape: RdfNode) -> str:
    if isinstance(shape, BNode):
        return "an empty shape holds of everything"
    return f"{shown(shape)} is no shape in this file"
