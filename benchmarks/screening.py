"""B3, B4 and B8: screening and matching in process, beside their oracles."""

import contextlib
import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar

from benchmarks import notifications, policies, subjects
from benchmarks.model import BenchmarkFailed, Result, Target, Task, at_least, at_most, ratios, say
from benchmarks.pairs import compare
from orchestrator.core.errors import ScreeningRefused

_T = TypeVar("_T")
_FAST: Final = 100
"""Repetitions of the fast side, so that both halves of a pair last long enough to be measured."""


def measure_shapes(task: Task) -> Result:
    """Run B3: valid documents, and those of the fixtures that break a rule."""
    result = Result()
    valid = islice(notifications.stream(), len(notifications.templates()))
    for name, bodies in (("valid", list(valid)), ("invalid", list(notifications.broken()))):
        prepared = list(_understood(bodies))[: task.pick(4, 15)]
        if any(subjects.fast_findings(each) != subjects.oracle_findings(each) for each in prepared):
            raise BenchmarkFailed("the compiled shapes and pySHACL disagree")
        what = f"compiled shapes ÷ pySHACL, the same results, {name} documents"
        fast, oracle = subjects.fast_findings, subjects.oracle_findings
        _beside(result, "B3", what, prepared, oracle, fast, at_least(100, 180), task)
    return result


def measure_json_ld(task: Task) -> Result:
    """Run B4."""
    result = Result()
    documents = [json.loads(body) for body in islice(notifications.stream(), task.pick(4, 15))]
    if not all(map(subjects.same_quads, documents)):
        raise BenchmarkFailed("the direct path and pyld disagree")
    what = "direct JSON-LD path ÷ pyld, identical quads"
    _beside(result, "B4", what, documents, subjects.oracle_quads, subjects.fast_quads, at_least(20, 30), task)
    return result


def measure_policies(task: Task) -> Result:
    """Run B8."""
    result = Result()
    many = task.pick(20, 1_000)
    what = f"matching {many:,} policies ÷ matching 10"
    say(f"  {what}")
    documents = [subjects.decided(body) for body in islice(notifications.stream(), task.pick(1, 15))]
    large, small = (subjects.matcher(policies.many(number)) for number in (many, 10))
    often = documents * task.pick(1, _FAST)
    pair = compare(_all(large, often), _all(small, often), task.rounds)
    told = f"{statistics.median(pair.one):,.1f} and {statistics.median(pair.other):,.1f} µs CPU"
    result.add("B8", what, ratios(pair.one, pair.other), target=at_most(3, 1.5), note=told)
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
    """Add how many times as fast `fast` is as `oracle`."""
    say(f"  {what}")
    pair = compare(_all(oracle, inputs), _all(fast, [*inputs] * task.pick(1, _FAST)), task.rounds)
    told = f"{statistics.median(pair.one):,.0f} and {statistics.median(pair.other):,.1f} µs CPU"
    result.add(row, what, ratios(pair.one, pair.other), target=target, note=told)


def _all(function: Callable[[_T], object], inputs: Sequence[_T]) -> Callable[[], int]:
    def work() -> int:
        for each in inputs:
            function(each)
        return len(inputs)

    return work
