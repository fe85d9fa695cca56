"""What a benchmark is asked for and what it answers."""

import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

Mode = Literal["smoke", "default", "full"]
CONNECTIONS: Final = 32
"""Keep-alive connections of the load generator."""


class NotAvailable(Exception):
    """What should be measured is not there (yet); the table says so."""


class BenchmarkFailed(Exception):
    """The benchmark could not be run as it must be, so that its figures would mean nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """How much to measure."""

    mode: Mode
    rounds: int
    """Paired rounds; the first figure of a pair and the second are taken in turn, and change places."""
    seconds: float
    """Of load in each half of a round."""
    folder: Path
    """For databases; on the disk that is to be measured."""
    cache: Path
    """For what takes long to build."""

    @property
    def judges(self) -> bool:
        """Whether figures are held against targets."""
        return self.mode != "smoke"

    def pick(self, smoke: int, default: int, full: int | None = None) -> int:
        """Return the count for this mode."""
        return {"smoke": smoke, "default": default, "full": default if full is None else full}[self.mode]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a figure should reach."""

    is_least: bool
    """Whether more is better: then `wanted` is the least that will do, else the most."""
    wanted: float
    beyond: float | None = None

    def meets(self, value: float, wanted: float) -> bool:
        """Whether `value` is as good as `wanted`."""
        return value >= wanted if self.is_least else value <= wanted


def at_least(wanted: float, beyond: float | None = None) -> Target:
    """Return a target of which more is better."""
    return Target(is_least=True, wanted=wanted, beyond=beyond)


def at_most(wanted: float, beyond: float | None = None) -> Target:
    """Return a target of which less is better."""
    return Target(is_least=False, wanted=wanted, beyond=beyond)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number with its spread."""

    row: str
    """`B1` and so on."""
    what: str
    values: tuple[float, ...]
    """One for each round; none: it could not be measured."""
    unit: str = "×"
    target: Target | None = None
    note: str = ""

    @property
    def value(self) -> float | None:
        """The median."""
        return statistics.median(self.values) if self.values else None


@dataclass(slots=True)
class Result:
    """What one benchmark found."""

    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self,
        row: str,
        what: str,
        values: Sequence[float],
        *,
        unit: str = "×",
        target: Target | None = None,
        note: str = "",
    ) -> None:
        """Add a figure."""
        self.figures.append(
            Figure(row=row, what=what, values=tuple(values), unit=unit, target=target, note=note)
        )

    def missing(self, row: str, what: str, why: str, *, target: Target | None = None) -> None:
        """Add a figure that could not be measured."""
        self.figures.append(Figure(row=row, what=what, values=(), target=target, note=why))


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Return the ratio of each pair."""
    return [one / other for one, other in zip(over, under, strict=True)]


def middle(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the median of each series."""
    return {name: statistics.median(found) for name, found in values.items()}


def say(text: str) -> None:
    """Tell on stderr what is going on."""
    print(text, file=sys.stderr, flush=True)
