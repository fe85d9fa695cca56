"""The closed list of SHACL terms that shapes and conditions may use, and what each takes as its value.

Whatever is not here is refused when it is loaded: a misspelt constraint would hold of every message.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Final

from orchestrator.core import vocabulary as v
from orchestrator.core.rdf import RDFS, SH, BNode, URIRef
from orchestrator.core.rdf import Literal as RdfLiteral
from orchestrator.core.rdf import Node as RdfNode

_PAIRS: Final = ("equals", "disjoint", "lessThan", "lessThanOrEquals")
NOTES: Final = ("name", "description", "message", "order", "group")
KINDS: Final = {
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
        "severity": ("severity",),
        "note": NOTES,
    }.items()
    for name in names
}
"""Every term, and the kind of its value."""
NEEDS: Final = {
    "flags": ("pattern",),
    "ignoredProperties": ("closed",),
    "qualifiedMinCount": ("qualifiedValueShape",),
    "qualifiedMaxCount": ("qualifiedValueShape",),
    "qualifiedValueShapesDisjoint": ("qualifiedValueShape",),
    "qualifiedValueShape": ("qualifiedMinCount", "qualifiedMaxCount"),
}
"""What a term needs one of beside it."""
_QUALIFIED: Final = tuple(name for name in NEEDS if name.startswith("qualified"))
OF_PROPERTIES: Final = {"minCount", "maxCount", "uniqueLang", "lessThan", "lessThanOrEquals", *_QUALIFIED}
_SHAPES: Final = ("property", "node", "not", "and", "or", "xone")
REPEATABLE: Final = {"class", "hasValue", "pattern", *_PAIRS, *_SHAPES, *NOTES}
SILENT: Final = {"path", "severity", *NOTES, *NEEDS} - {"qualifiedMinCount", "qualifiedMaxCount"}
"""What holds of everything if it is alone."""
SILENT_AT_ZERO: Final = {"minCount", "minLength", "qualifiedMinCount", "closed", "uniqueLang"}
"""What holds of everything when it is 0 or false."""
VACUOUS: Final = ("pattern", "class", "disjoint", "nodeKind", "datatype", "in")
"""True when the property is absent, which is rarely what the editor of a policy means."""
NODE_KINDS: Final = ("IRI", "Literal", "BlankNode", "BlankNodeOrIRI", "BlankNodeOrLiteral", "IRIOrLiteral")
ANNOTATIONS: Final = frozenset((RDFS.label, RDFS.comment, RDFS.seeAlso, RDFS.isDefinedBy))
LISTS: Final = {"terms": "term", "texts": "text", "iris": "iri", "shapes": "shape"}
BANNED: Final = (SH.sparql, SH.js, SH.rule, SH.target, SH.select, SH.ask, SH.construct)
"""What does not terminate or runs code."""
_SEVERITIES: Final = (SH.Violation, SH.Warning, SH.Info)
_INTEGER: Final = URIRef(v.XSD + "integer")
_UNHEEDED: Final = re.compile("[imsx]*[sx][imsx]*")


def value_trouble(name: str, value: RdfNode) -> str | None:
    """Say why `value` (or one member of a list) is none for sh:`name`."""
    kind = KINDS[name]
    if kind == "flags" and _UNHEEDED.fullmatch(str(value)):
        # The oracle passes over these two, and the verdicts must be the same.
        return "pySHACL does not heed the flags s and x; begin the pattern with (?s) or (?x) instead"
    if isinstance(value, RdfLiteral) and kind in {"term", "terms"} and value.datatype == _STRING:
        # Equal in RDF 1.1, but not to rdflib, and so never to pySHACL.
        return f'sh:{name}: write "{value[:80]}" without ^^xsd:string, which is the same'
    wanted, fits = _FITS.get(LISTS.get(kind, kind), _ANYTHING)
    return None if fits(value) else f"sh:{name} must be {wanted}, not {shown(value)}"


_STRING: Final = URIRef(v.XSD + "string")
_ANYTHING: Final = ("anything", lambda _: True)  # shapes are followed, and notes mean nothing to us
_FITS: Final[dict[str, tuple[str, Callable[[RdfNode], bool]]]] = {
    "iri": ("an IRI", lambda node: isinstance(node, URIRef)),
    "count": ("a whole number", lambda node: _is_count(node)),
    "literal": ("a number, a date or a text", lambda node: _value(node) is not None),
    "boolean": ("true or false", lambda node: isinstance(_value(node), bool)),
    "term": ("an IRI or a literal", lambda node: not isinstance(node, BNode)),
    "text": ("a text", lambda node: isinstance(_value(node), str)),
    "flags": ("some of the letters im", lambda node: re.fullmatch("[im]+", str(node)) is not None),
    "severity": ("one of sh:Violation, sh:Warning, sh:Info", lambda node: node in _SEVERITIES),
    "kind": (
        f"one of sh:{', sh:'.join(NODE_KINDS)}",
        lambda node: isinstance(node, URIRef) and node.removeprefix(v.SH) in NODE_KINDS,
    ),
}


def _value(node: RdfNode) -> object:
    return getattr(node, "value", None)


def _is_count(node: RdfNode) -> bool:
    value = _value(node)
    # pySHACL takes no integer of another type for most counts.
    return isinstance(value, int) and value >= 0 and getattr(node, "datatype", None) == _INTEGER


def unknown(name: str) -> str:
    """Say what is wrong with a term of SHACL that is not on the list."""
    if name.startswith("target"):
        return f"sh:{name} has no place here: the focus is always the activity"
    near = nearest(name, KINDS)
    if near is None and URIRef(v.SH + name) in SH:
        return f"sh:{name} is not supported"
    return f"unknown term sh:{name}" + (f"; did you mean sh:{near}?" if near else "")


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` that `name` is probably meant to be."""
    lower = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.75)
    return lower[near[0]] if near else None


def local(node: object) -> str:
    """Return the last part of an IRI."""
    return re.split(r"[#/]", str(node))[-1]


def shown(node: RdfNode) -> str:
    """Return a node as its file most probably writes it."""
    if isinstance(node, BNode):
        return "[ … ]"
    if isinstance(node, RdfLiteral):
        return f'"{node[:80]}"'
    iri = str(node)
    for prefix, namespace in (("sh", v.SH), ("pol", v.POLICY), ("shp", v.SHAPE_TERMS)):
        if iri.startswith(namespace):
            return f"{prefix}:{iri.removeprefix(namespace)}"
    # The base of a file is an IRI that its editors never see.
    own = iri.startswith((v.POLICY.replace("#", "/"), v.SHAPES))
    return f"<#{local(iri)}>" if own else f"<{iri}>"


def place_of(node: RdfNode) -> str:
    """Return what a line with `node` holds, for `Trouble.term`; the prefix may be any."""
    if not isinstance(node, URIRef):
        return ""
    return f"sh:{node.removeprefix(v.SH)}" if node.startswith(v.SH) else f":{local(node)}"
