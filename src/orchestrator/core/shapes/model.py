"""A shape as the compiler leaves it: closures over `Data`, and what a result says of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from orchestrator.core.shapes.data import Data, Term

Focus = Any
"""A `Term`. A literal is no subject: the index answers that it has no properties."""
Test = Callable[[Data, Focus], bool]
"""Whether one value is as a component wants it."""
Fault = tuple[str | None, Term | None]
"""The property of the result, where it is not the shape's own; and the value at fault, if one is."""
Faults = Callable[[Data, Focus, Sequence[Term]], Sequence[Fault]]
"""(data, focus, values) → every fault of the values as a set; empty when there is none."""


class ValueCheck(NamedTuple):
    """A component that judges each value alone."""

    component: str
    reason: str
    test: Test


class SetCheck(NamedTuple):
    """A component that judges the values together."""

    component: str
    reason: str
    faults: Faults
    absent: bool = True
    """Whether no value at all can be a fault."""
    present: bool = True
    """Whether a value or more can be."""


@dataclass(frozen=True, slots=True)
class Path:
    """The way from a focus to its values."""

    values: Callable[[Data, Focus], Sequence[Term]]
    iri: str | None
    """The property, if the path is no more than one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A node shape (without a path) or a property shape."""

    iri: str
    """Its IRI, or a blank node."""
    severity: str
    path: Path | None
    values: tuple[ValueCheck, ...]
    sets: tuple[SetCheck, ...]
    properties: tuple["Shape", ...]
    """The shapes under sh:property."""
    bounded: bool
    """Whether it is certain to end soon on any text (`core.shapes.patterns`)."""
