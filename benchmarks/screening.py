"""B3, B4 and B8: screening and matching in process, beside their oracles."""

import contextlib
import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar

from benchmarks import notifications, policies, subjects
from benchmarks.model import NotAvailable, Result, Target, Task, at_least, at_most, ratios, say
from benchmarks.pairs import compare
from orchestrator.core.errors import ScreeningRefused

_T = TypeVar("_T")
_FAST: Final = 100
"""Repetitions of the fast side, so that both halves of a pair last long enough to be measured."""


def measure_shapes(task: Task) -> Result:
    """Run B3: valid documents, and those of the fixtures that break a rule."""
    result = Result()
    invalid = list(notifications.broken())
    valid = list(islice(notifications.stream(), len(notifications.templates())))
    for name, bodies in (("valid", valid), ("invalid", invalid)):
        prepared = list(_understood(bodies))[: task.pick(4, len(bodies))]
        what = f"compiled shapes ÷ pySHACL, {name} documents"
        _beside(
            result,
            "B3",
            what,
            prepared,
            subjects.oracle_findings,
            subjects.fast_findings,
            at_least(100, 180),
            task,
        )
    return result


def measure_json_ld(task: Task) -> Result:
    """Run B4."""
    result = Result()
    documents = [json.loads(body) for body in islice(notifications.stream(), task.pick(4, 15))]
    what = "direct JSON-LD path ÷ pyld, identical quads"
    _beside(result, "B4", what, documents, subjects.oracle_quads, subjects.fast_quads, at_least(20, 30), task)
    return result


def measure_policies(task: Task) -> Result:
    """Run B8."""
    result = Result()
    target = at_most(3, 1.5)
    bodies = list(islice(notifications.stream(), task.pick(1, 5)))
    engines = (
        ("compiled", subjects.fast_matcher, task.pick(20, 1_000)),
        # The oracle takes a second for 1,000, which tells no more.
        ("pySHACL", subjects.oracle_matcher, task.pick(20, 100)),
    )
    for name, matcher, many in engines:
        what = f"{name}: matching {many} policies ÷ matching 10"
        try:
            say(f"  {what}")
            large, small = matcher(policies.many(many)), matcher(policies.many(10))
            pair = compare(_all(large, bodies), _all(small, bodies), task.rounds)
        except NotAvailable as error:
            result.missing("B8", what, f"not available: {error}", target=target)
            continue
        told = f"{statistics.median(pair.one):,.0f} and {statistics.median(pair.other):,.0f} µs CPU"
        judged = target if name == "compiled" else None
        result.add("B8", what, ratios(pair.one, pair.other), target=judged, note=told)
    return result


def _understood(bodies: Sequence[bytes]) -> Iterator[subjects.Prepared]:
    """Yield what shapes are asked about: some invalid fixtures are refused before."""
    for body in bodies:
        with contextlib.suppress(ScreeningRefused):
            yield subjects.prepare(body)


def _beside(
    result: Result,
    row: str,
    what: str,
    inputs: Sequence[_T],
    oracle: Callable[[_T], object],
    fast: Callable[[_T], object],
    target: Target,
    task: Task,
) -> None:
    """Add how many times as fast `fast` is as `oracle`; without it, what the oracle costs."""
    say(f"  {what}")
    try:
        fast(inputs[0])
    except NotAvailable as error:
        pair = compare(_all(oracle, inputs), _all(oracle, inputs[:1]), 1)
        why = f"not available: {error}; the oracle takes {statistics.median(pair.one):,.0f} µs CPU"
        result.missing(row, what, why, target=target)
        return
    pair = compare(_all(oracle, inputs), _all(fast, [*inputs] * task.pick(1, _FAST)), task.rounds)
    told = f"{statistics.median(pair.one):,.0f} and {statistics.median(pair.other):,.1f} µs CPU"
    result.add(row, what, ratios(pair.one, pair.other), target=target, note=told)


def _all(function: Callable[[_T], object], inputs: Sequence[_T]) -> Callable[[], int]:
    def work() -> int:
        for each in inputs:
            function(each)
        return len(inputs)

    return work
