"""The components that judge each value alone, as closures (SHACL sections 4.1, 4.3, 4.4 and 4.8.3).

Semantics are those of pySHACL 0.40.1; where its reading is not the obvious one, a comment says so.
"""

from collections.abc import Callable, Sequence
from typing import Final

from orchestrator.core import vocabulary as v
from orchestrator.core.rdf import Literal
from orchestrator.core.shapes.data import Data, Term
from orchestrator.core.shapes.literals import LANG_STRING, STRING, in_range, is_of
from orchestrator.core.shapes.model import Focus, Test
from orchestrator.core.shapes.patterns import Pattern, Unbounded

_TYPE: Final = v.RDF + "type"
_SUBCLASS: Final = v.RDFS + "subClassOf"


def of_class(wanted: str) -> Test:
    """sh:class: an instance of it, or of what the data call its subclass."""

    def test(data: Data, value: Focus) -> bool:
        types = data.values(value, _TYPE)
        return wanted in types or any(_leads(data, one, wanted) for one in types)

    return test


def _leads(data: Data, start: Term, wanted: str) -> bool:
    seen, stack = {start}, [start]
    while stack:
        for above in data.values(stack.pop(), _SUBCLASS):
            if above == wanted:
                return True
            if above not in seen:
                seen.add(above)
                stack.append(above)
    return False


def of_datatype(datatype: str) -> Test:
    """sh:datatype: a well-typed literal of it."""
    if datatype == STRING:
        return lambda _, value: type(value) is tuple and value[1] == STRING
    if datatype == LANG_STRING:
        return lambda _, value: type(value) is tuple and value[2] != ""
    return lambda _, value: is_of(value, datatype)


def of_kind(kind: str) -> Test:
    """sh:nodeKind."""
    return _KINDS[kind]


_KINDS: Final[dict[str, Test]] = {
    "IRI": lambda _, value: type(value) is str and value[:2] != "_:",
    "BlankNode": lambda _, value: type(value) is str and value[:2] == "_:",
    "Literal": lambda _, value: type(value) is tuple,
    "BlankNodeOrIRI": lambda _, value: type(value) is str,
    "BlankNodeOrLiteral": lambda _, value: type(value) is tuple or value[:2] == "_:",
    "IRIOrLiteral": lambda _, value: type(value) is tuple or value[:2] != "_:",
}


def one_of(terms: Sequence[Term]) -> Test:
    """sh:in."""
    members = frozenset(terms)
    return lambda _, value: value in members


def between(bound: Literal, accepts: Callable[[int], bool]) -> Test:
    """sh:minInclusive and the like; no IRI and no blank node is."""
    return lambda _, value: in_range(value, bound, accepts)


def _is_blank(value: Focus) -> bool:
    return type(value) is str and value[:2] == "_:"


def _text(value: Focus) -> str:
    text: str = value if type(value) is str else value[0]
    return text


def at_least(length: int) -> Test:
    """sh:minLength; a blank node has no length."""
    return lambda _, value: not _is_blank(value) and len(_text(value)) >= length


def at_most(length: int) -> Test:
    """sh:maxLength; a blank node has no length."""
    return lambda _, value: not _is_blank(value) and len(_text(value)) <= length


def matching(pattern: Pattern) -> Test:
    """sh:pattern, anywhere in the text of an IRI or a literal."""
    prefixes, search = pattern.prefixes, pattern.search
    if prefixes and not any("_:".startswith(one) or one.startswith("_:") for one in prefixes):
        return lambda _, value: (value if type(value) is str else value[0]).startswith(prefixes)
    if prefixes:
        return lambda _, value: not _is_blank(value) and _text(value).startswith(prefixes)
    limit = pattern.limit
    if limit is None:
        return lambda _, value: not _is_blank(value) and search(_text(value)) is not None

    def test(data: Data, value: Focus) -> bool:
        if _is_blank(value):
            return False
        text = _text(value)
        if len(text) > limit and not data.unbounded:
            raise Unbounded
        return search(text) is not None

    return test


def in_language(ranges: Sequence[str]) -> Test:
    """sh:languageIn: the tag itself, or its first subtag (pySHACL knows no range of two)."""
    wanted = frozenset(one.lower() for one in ranges)
    if "*" in wanted:
        return lambda _, value: type(value) is tuple and value[2] != ""
    return lambda _, value: (
        type(value) is tuple and value[2] != "" and (value[2] in wanted or value[2].split("-")[0] in wanted)
    )


def none_of(shape: Test) -> Test:
    """sh:not."""
    return lambda data, value: not shape(data, value)


def any_of(shapes: Sequence[Test]) -> Test:
    """sh:or."""
    several = tuple(shapes)

    def test(data: Data, value: Focus) -> bool:
        for shape in several:  # noqa: SIM110  (a loop allocates no generator)
            if shape(data, value):
                return True
        return False

    return test


def exactly_one_of(shapes: Sequence[Test]) -> Test:
    """sh:xone; a shape that is listed twice counts twice."""
    several = tuple(shapes)
    return lambda data, value: sum(shape(data, value) for shape in several) == 1
