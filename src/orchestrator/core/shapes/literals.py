"""Terms of rdflib and ours, and what needs the value of a literal.

Numbers, dates and well-typedness are rare in conditions and full of cases, so these are left to rdflib,
as pySHACL leaves them: the same by construction.
"""

import warnings
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

from orchestrator.core import vocabulary as v
from orchestrator.core.rdf import BNode, Literal, Node, new_literal
from orchestrator.core.shapes.data import Term

STRING: Final = v.XSD + "string"
LANG_STRING: Final = v.RDF + "langString"
_BOOLEAN: Final = v.XSD + "boolean"
_BOOLEANS: Final = frozenset({"true", "false", "1", "0"})
# The Python types that pySHACL asks for; of other datatypes it takes every well-typed literal.
_TYPES: Final[dict[str, type]] = {
    v.XSD + "integer": int,
    v.XSD + "float": float,
    v.XSD + "decimal": Decimal,
    _BOOLEAN: bool,
    v.XSD + "date": date,
    v.XSD + "time": time,
    v.XSD + "dateTime": datetime,
}
# What comparing strangers' values can raise (rdflib, decimal, datetime).
_INCOMPARABLE: Final = (TypeError, NotImplementedError, ValueError, ArithmeticError)


def term_of(node: Node) -> Term:
    """Return a node of rdflib as a term."""
    if isinstance(node, Literal):
        if node.language:
            return str(node), LANG_STRING, node.language.lower()
        return str(node), str(node.datatype or STRING), ""
    return f"_:{node}" if isinstance(node, BNode) else str(node)


def literal_of(term: tuple[str, str, str]) -> Literal:
    """Return a literal as rdflib's, in the form in which it came."""
    if term[1] == _BOOLEAN and term[0] not in _BOOLEANS:
        with warnings.catch_warnings(action="ignore"):  # rdflib's, with the stranger's text
            return new_literal(*term)
    return new_literal(*term)


def is_of(term: Term, datatype: str) -> bool:
    """Whether `term` is a well-typed literal of `datatype` (sh:datatype)."""
    if isinstance(term, str):
        return False
    _, given, language = term
    if given == datatype and given not in {STRING, LANG_STRING}:
        literal = literal_of(term)
        wanted = _TYPES.get(datatype)
        return literal.ill_typed is not True and (wanted is None or isinstance(literal.value, wanted))
    if datatype == v.RDFS + "Datatype":
        return given != STRING and not language
    return datatype == v.RDFS + "Literal"


def in_range(term: Term, bound: Literal, accepts: Callable[[int], bool]) -> bool:
    """Whether a literal compares with `bound` as `accepts` wants: -1, 0 or 1 (sh:minInclusive …)."""
    if isinstance(term, str):
        return False
    literal = literal_of(term)
    if isinstance(literal.value, str) != isinstance(bound.value, str):
        return False
    try:
        return accepts(_compare(literal, bound))
    except _INCOMPARABLE:
        return False


def _compare(one: Any, other: Any) -> int:  # noqa: ANN401  (Python values of any datatype)
    if one.eq(other):
        return 0
    if type(one.value) in {datetime, time}:
        # rdflib orders all of them; pySHACL wants no order between those with and without a time zone.
        return 0 if one.value == other.value else 1 if one.value > other.value else -1
    return 1 if one > other else -1


def precedes(one: Term, other: Term, *, or_equals: bool) -> bool:
    """Whether `one` is less than `other` (sh:lessThan); an IRI counts as its text.

    Of blank nodes pySHACL refuses to say; SHACL (section 4.5.3) reports what cannot be compared.
    """
    if _is_blank(one) or _is_blank(other):
        return False
    first, second = _comparable(one), _comparable(other)
    if isinstance(first, Literal) != isinstance(second, Literal):
        return False
    try:
        if not or_equals:
            return bool(first < second)
        with warnings.catch_warnings(action="ignore"):  # rdflib asks whether NotImplemented is true
            return bool(first <= second)
    except _INCOMPARABLE:
        return False


def _is_blank(term: Term) -> bool:
    return type(term) is str and term.startswith("_:")


def _comparable(term: Term) -> Any:  # noqa: ANN401  (a literal, or a text)
    if isinstance(term, str):
        return term
    literal = literal_of(term)
    return literal.value if isinstance(literal.value, str) else literal
