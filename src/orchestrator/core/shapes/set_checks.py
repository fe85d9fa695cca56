"""The components that judge the values of a focus together (SHACL sections 4.2, 4.4.5, 4.5, 4.7.3, 4.8)."""

from collections.abc import Collection, Sequence
from typing import Final

from orchestrator.core import vocabulary as v
from orchestrator.core.shapes.data import Data, Term
from orchestrator.core.shapes.literals import precedes
from orchestrator.core.shapes.model import Fault, Faults, Focus, Test

_NONE: Final[Sequence[Fault]] = ()
_FAULT: Final[Sequence[Fault]] = ((None, None),)
_RESOURCE: Final = (v.RDF + "type", v.RDFS + "Resource")


def min_count(least: int) -> Faults:
    """sh:minCount."""
    return lambda _data, _focus, values: _NONE if len(values) >= least else _FAULT


def max_count(most: int) -> Faults:
    """sh:maxCount."""
    return lambda _data, _focus, values: _NONE if len(values) <= most else _FAULT


def has_value(term: Term) -> Faults:
    """sh:hasValue."""
    return lambda _data, _focus, values: _NONE if term in values else _FAULT


def unique_languages() -> Faults:
    """sh:uniqueLang; the fault is the focus's, whatever languages and however many it has twice."""

    def faults(_data: Data, _focus: Focus, values: Sequence[Term]) -> Sequence[Fault]:
        languages = [value[2] for value in values if type(value) is tuple and value[2]]
        return _NONE if len(set(languages)) == len(languages) else _FAULT

    return faults


def qualified(
    shape: Test, siblings: Sequence[Test], *, least: int | None = None, most: int | None = None
) -> Faults:
    """sh:qualifiedMinCount or sh:qualifiedMaxCount: how many conform to `shape` and to none of `siblings`."""

    def faults(data: Data, _focus: Focus, values: Sequence[Term]) -> Sequence[Fault]:
        count = 0
        for value in values:
            if shape(data, value) and not any(sibling(data, value) for sibling in siblings):
                count += 1
                if least is not None and count >= least:
                    return _NONE
        return _FAULT if least is not None or (most is not None and count > most) else _NONE

    return faults


def equals(predicate: str) -> Faults:
    """sh:equals, in both directions."""

    def faults(data: Data, focus: Focus, values: Sequence[Term]) -> Sequence[Fault]:
        others = data.values(focus, predicate)
        data.spend(len(values) * len(others))
        if len(values) == len(others) and all(value in others for value in values):
            return _NONE
        return [
            *((None, value) for value in values if value not in others),
            *((None, other) for other in others if other not in values),
        ]

    return faults


def disjoint(predicate: str) -> Faults:
    """sh:disjoint."""

    def faults(data: Data, focus: Focus, values: Sequence[Term]) -> Sequence[Fault]:
        others = data.values(focus, predicate)
        data.spend(len(values) * len(others))
        return [(None, value) for value in values if value in others] if others else _NONE

    return faults


def less_than(predicate: str, *, or_equals: bool) -> Faults:
    """sh:lessThan and sh:lessThanOrEquals: every value, than every other."""

    def faults(data: Data, focus: Focus, values: Sequence[Term]) -> Sequence[Fault]:
        others = data.values(focus, predicate)
        data.spend(len(values) * len(others))
        return [
            (None, value)
            for value in values
            if not all(precedes(value, other, or_equals=or_equals) for other in others)
        ]

    return faults


def closed(allowed: Collection[str]) -> Faults:
    """sh:closed: the result has the property as its path, and the shape's focus as its focus."""

    def faults(data: Data, _focus: Focus, values: Sequence[Focus]) -> Sequence[Fault]:
        for value in values:
            data.spend(sum(map(len, data.properties.get(value, {}).values())))
        return [
            (predicate, term)
            for value in values
            for predicate, terms in data.properties.get(value, {}).items()
            if predicate not in allowed
            for term in terms
            if (predicate, term) != _RESOURCE
        ]

    return faults
