"""sh:pattern: refused if it may never end, made a test of a prefix where it is one, bounded where sure.

A *bounded* pattern takes time that is linear in the text with a small factor, so it may run on the event
loop. Any other may take the square of the text's length, or a higher power: on a text for which that could be
much it raises `Unbounded`, and whoever asked does it again where it can be stopped.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from re import _parser  # type: ignore[attr-defined]  # the only account of what a pattern means to `re`
from typing import Any, Final

from orchestrator.core.errors import OrchestratorError

MAX_PATTERN: Final = 500
MAX_TEXT: Final = 512
"""Characters of the longest text on which a pattern without a bound may run."""
_REPEATS: Final = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_BACK: Final = ("GROUPREF", "GROUPREF_EXISTS", "GROUPREF_IGNORE")
_SINGLE: Final = ("LITERAL", "NOT_LITERAL", "IN", "ANY")
_MAX_PREFIXES: Final = 16
_MAX_FACTOR: Final = 64  # steps for each character of the text
_UNICODE: Final = 0x110000
_MAX_STEPS: Final = 2**20  # some 10 ms


class Unbounded(OrchestratorError):
    """This may take long, for a pattern or for the number of steps: do it where it can be stopped."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One compiled sh:pattern."""

    prefixes: tuple[str, ...]
    """The pattern is met by what begins with one of these; empty: ask `search`."""
    search: Callable[[str], object]
    limit: int | None
    """Characters of a text on which it surely ends soon; None: any text that a document may have."""

    @property
    def bounded(self) -> bool:
        """Whether its work grows with the text and no faster."""
        return self.limit is None


def compile_pattern(text: str, flags: str = "") -> Pattern:
    """Compile a pattern without `pattern_trouble`."""
    wanted = re.IGNORECASE * ("i" in flags) | re.MULTILINE * ("m" in flags)
    compiled = re.compile(text, wanted)
    tree = _parser.parse(text, wanted)
    items = list(tree)
    plain = not compiled.flags & (re.IGNORECASE | re.MULTILINE)
    prefixes = _prefixes(items[1:]) if plain and items and _is_start(items[0]) else None
    bounded = prefixes is not None or _is_bounded(items, plain=plain)
    limit = None if bounded else _limit(tree, anchored=bool(items) and plain and _is_start(items[0]))
    return Pattern(prefixes=tuple(prefixes or ()), search=compiled.search, limit=limit)


def pattern_trouble(pattern: str) -> str | None:
    """Say what keeps a pattern from being matched in bounded time, as `re` understands it."""
    if len(pattern) > MAX_PATTERN:
        return f"a pattern has at most {MAX_PATTERN} characters"
    try:
        re.compile(pattern)
        stack = [(_parser.parse(pattern), False)]
    except (re.error, OverflowError, RecursionError) as error:
        return f"{pattern}: {error}"
    while stack:
        part, repeated = stack.pop()
        for operation, argument in part:
            name = str(operation)
            if name in _BACK:
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


def _limit(tree: Any, *, anchored: bool) -> int:  # noqa: ANN401
    """Return how long a text may be, if every way to share it out among the repeats is tried."""
    power, ways, width = int(not anchored), 1, 1
    stack = [(tree, 1)]
    while stack:
        part, times = stack.pop()
        for operation, argument in part:
            name, again = str(operation), times
            width += times
            if name in _REPEATS:
                endless = argument[1] is _parser.MAXREPEAT
                power += endless
                ways *= 1 if endless else argument[1] - argument[0] + 1
                again = times * max(argument[0] if endless else argument[1], 1)
            elif name == "BRANCH":
                ways *= len(argument[1])
            stack += [(inner, again) for inner in _parts(argument)]
    room = _MAX_STEPS // (ways * width)
    return min(MAX_TEXT, int(room ** (1 / power))) if power else MAX_TEXT * bool(room)


def _is_start(item: Any) -> bool:  # noqa: ANN401
    name, where = str(item[0]), str(item[1])
    return name == "AT" and where in {"AT_BEGINNING", "AT_BEGINNING_STRING"}


def _prefixes(items: Sequence[Any]) -> list[str] | None:
    """Return every text that `items` match, if these are few and fixed."""
    found = [""]
    for operation, argument in items:
        ways = _ways(str(operation), argument)
        if ways is None or len(found) * len(ways) > _MAX_PREFIXES:
            return None
        found = [one + way for one in found for way in ways]
    return found


def _ways(name: str, argument: Any) -> list[str] | None:  # noqa: ANN401
    if name == "LITERAL":
        return [chr(argument)]
    if name == "SUBPATTERN" and not argument[1] and not argument[2]:
        return _prefixes(list(argument[3]))
    if name in {"MAX_REPEAT", "MIN_REPEAT"} and argument[:2] == (0, 1):
        inner = _prefixes(list(argument[2]))
        return None if inner is None else ["", *inner]
    if name == "BRANCH":
        found: list[str] = []
        for part in argument[1]:
            ways = _prefixes(list(part))
            if ways is None:
                return None
            found += ways
        return found
    return None


@dataclass(slots=True)
class _Cost:
    """How much work a part of a pattern can be."""

    sure: bool = True
    repeats: int = 0
    """Unbounded repeats, at each of whose lengths what follows may be tried."""
    runs: int = 0
    """Unbounded repeats that end where they must."""
    ways: int = 1
    width: int = 0

    def add(self, other: "_Cost") -> None:
        """Let `other` follow."""
        # A repeat after one that gives back is run again for each character given back.
        again = self.repeats and (other.repeats or other.runs)
        self.sure = self.sure and other.sure and not again
        self.repeats += other.repeats
        self.runs += other.runs
        self.ways *= other.ways
        self.width += other.width


def _is_bounded(items: list[Any], *, plain: bool) -> bool:
    anchored = bool(items) and plain and _is_start(items[0])
    cost = _cost(items, plain=plain)
    factor = cost.ways * (1 + cost.width) if cost.repeats or not anchored else cost.ways
    if not cost.sure or factor > _MAX_FACTOR:
        return False
    # Unanchored, it is tried from every character on: then a repeat alone makes a square.
    return anchored or not (cost.repeats or cost.runs)


def _cost(items: list[Any], *, plain: bool) -> _Cost:
    """Return what the alternatives in a sequence multiply to; not `sure` where that is not plain."""
    total = _Cost()
    for number, (operation, argument) in enumerate(items):
        name = str(operation)
        if name in _SINGLE:
            total.width += 1
        elif name == "SUBPATTERN" and not argument[1] and not argument[2]:
            total.add(_cost(list(argument[3]), plain=plain))
        elif name in {"MAX_REPEAT", "MIN_REPEAT"}:
            follower = items[number + 1] if number + 1 < len(items) else None
            total.add(_cost_of_repeat(argument, follower, plain=plain))
        elif name == "BRANCH":
            parts = [_cost(list(part), plain=plain) for part in argument[1]]
            total.add(
                _Cost(
                    sure=all(part.sure and not part.repeats and not part.runs for part in parts),
                    ways=sum(part.ways for part in parts),
                    width=max(part.width for part in parts),
                )
            )
        elif name != "AT":
            total.sure = False
    return total


def _cost_of_repeat(argument: Any, follower: Any, *, plain: bool) -> _Cost:  # noqa: ANN401
    least, most, inner = argument
    body = _cost(list(inner), plain=plain)
    if not body.sure or body.repeats or body.runs:
        return _Cost(sure=False)
    ends = plain and len(inner) == 1 and follower is not None and _exclude(inner[0], follower)
    endless = most is _parser.MAXREPEAT
    if endless:
        return _Cost(runs=int(ends), repeats=int(not ends), ways=body.ways, width=body.width * (1 + least))
    return _Cost(ways=body.ways if ends else body.ways * (most - least + 1), width=body.width * most)


def _exclude(one: Any, other: Any) -> bool:  # noqa: ANN401
    """Whether no character is matched by both."""
    first, second = _ranges(one), _ranges(other)
    if first is None or second is None:
        return False
    return all(high < start or end < low for low, high in first for start, end in second)


def _ranges(item: Any) -> list[tuple[int, int]] | None:  # noqa: ANN401
    """Return the characters that a single-character item matches, if it names them."""
    name, argument = str(item[0]), item[1]
    if name == "LITERAL":
        return [(argument, argument)]
    if name == "NOT_LITERAL":
        return _others([(argument, argument)])
    if name != "IN":
        return None
    negated = bool(argument) and str(argument[0][0]) == "NEGATE"
    ranges: list[tuple[int, int]] = []
    for operation, value in argument[1:] if negated else argument:
        if str(operation) == "LITERAL":
            ranges.append((value, value))
        elif str(operation) == "RANGE":
            ranges.append((value[0], value[1]))
        else:
            return None  # a category such as \w
    return _others(ranges) if negated else ranges


def _others(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found, begin = [], 0
    for low, high in sorted(ranges):
        if begin < low:
            found.append((begin, low - 1))
        begin = max(begin, high + 1)
    return [*found, (begin, _UNICODE)]
