"""Compiled shapes put together: one that stops at the first fault, one that collects every result.

Shapes with the same path share its lookup, and what stands below them is one group again. Nothing is
allocated while everything holds.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from orchestrator.core.shapes.data import Data, Term
from orchestrator.core.shapes.model import Focus, Path, SetCheck, Shape, Test, ValueCheck
from orchestrator.core.shapes.results import Result

Collector = Callable[[Data, Focus, list[Result]], None]
_Collect = Callable[[Data, Focus, Sequence[Term], list[Result]], None]
_Holds = Callable[[Data, Focus, Sequence[Term]], bool]
_NOTHING: Final[dict[str, list[Term]]] = {}


def all_of(tests: Sequence[Test]) -> Test:
    """Return the test that all of `tests` hold, in their order."""
    if not tests:
        return lambda data, value: True  # noqa: ARG005
    if len(tests) == 1:
        return tests[0]
    first, second, *more = tests
    if not more:
        return lambda data, value: first(data, value) and second(data, value)
    several = tuple(tests)

    def every(data: Data, value: Focus) -> bool:
        for test in several:  # noqa: SIM110  (a loop allocates no generator)
            if not test(data, value):
                return False
        return True

    return every


def holds(shape: Shape) -> Test:
    """Return the test whether a node conforms to `shape`; it stops at the first fault."""
    if shape.path is not None:
        return _group_holds([shape])
    tests = [check.test for check in shape.values]
    tests += [_of_one(check) for check in shape.sets if check.present]
    if shape.properties:
        tests.append(_group_holds(shape.properties))
    return all_of(tests)


def _of_one(check: SetCheck) -> Test:
    faults = check.faults
    return lambda data, value: not faults(data, value, (value,))


def collector(shapes: Sequence[Shape]) -> Collector:
    """Return what adds every result of judging one node by `shapes`."""
    own = tuple(one for shape in shapes if shape.path is None for one in _present([shape]))
    group = _group_collects([*_properties(shapes), *(shape for shape in shapes if shape.path is not None)])
    if not own:
        return group

    def collect(data: Data, focus: Focus, out: list[Result]) -> None:
        values = (focus,)
        for one in own:
            one(data, focus, values, out)
        group(data, focus, out)

    return collect


def _properties(shapes: Iterable[Shape]) -> list[Shape]:
    """Return the property shapes of node shapes."""
    return [below for shape in shapes if shape.path is None for below in shape.properties]


def _by_path(shapes: Iterable[Shape]) -> list[tuple[Path, list[Shape]]]:
    """Group property shapes by their path, where that is one property."""
    groups: dict[object, tuple[Path, list[Shape]]] = {}
    for shape in shapes:
        if shape.path is not None:
            key = shape.path.iri or id(shape)
            groups.setdefault(key, (shape.path, []))[1].append(shape)
    return list(groups.values())


# --- does it hold?


def _group_holds(shapes: Sequence[Shape]) -> Test:
    return all_of([_path_holds(path, members) for path, members in _by_path(shapes)])


def _path_holds(path: Path, shapes: Sequence[Shape]) -> Test:
    absent = tuple(check.faults for shape in shapes for check in shape.sets if check.absent)
    present = tuple(_present_holds(shapes))
    always_absent = not absent
    name, values_of = path.iri, path.values

    def by_name(data: Data, focus: Focus) -> bool:
        values = data.properties.get(focus, _NOTHING).get(name)  # type: ignore[arg-type]
        if values is None:
            return always_absent or not any(faults(data, focus, ()) for faults in absent)
        data.spend(len(values))
        for part in present:  # noqa: SIM110  (a loop allocates no generator)
            if not part(data, focus, values):
                return False
        return True

    def by_path(data: Data, focus: Focus) -> bool:
        values = values_of(data, focus)
        if not values:
            return always_absent or not any(faults(data, focus, ()) for faults in absent)
        data.spend(len(values))
        return all(part(data, focus, values) for part in present)

    return by_path if name is None else by_name


def _present_holds(shapes: Sequence[Shape]) -> Iterable[_Holds]:
    for shape in shapes:
        yield from (_no_fault(check) for check in shape.sets if check.present)
    below = [under for shape in shapes for under in shape.properties]
    tests = [check.test for shape in shapes for check in shape.values]
    if below:
        tests.append(_group_holds(below))
    if tests:
        yield _each(all_of(tests))


def _no_fault(check: SetCheck) -> _Holds:
    faults = check.faults
    return lambda data, focus, values: not faults(data, focus, values)


def _each(test: Test) -> _Holds:
    def each(data: Data, _focus: Focus, values: Sequence[Term]) -> bool:
        for value in values:  # noqa: SIM110  (a loop allocates no generator)
            if not test(data, value):
                return False
        return True

    return each


# --- what does not?


def _group_collects(shapes: Sequence[Shape]) -> Collector:
    plan = tuple(
        (path.iri, path.values, tuple(_absent(members)), tuple(_present(members)))
        for path, members in _by_path(shapes)
    )
    named = tuple((iri, absent, present) for iri, _, absent, present in plan if iri is not None)
    others = tuple((values, absent, present) for iri, values, absent, present in plan if iri is None)

    def collect(data: Data, focus: Focus, out: list[Result]) -> None:
        about = data.properties.get(focus, _NOTHING)
        for iri, absent, present in named:
            if iri in about:
                values = about[iri]
                data.spend(len(values))
                for one in present:
                    one(data, focus, values, out)
            else:
                for one in absent:
                    one(data, focus, (), out)
        for values_of, absent, present in others:
            reached = values_of(data, focus)
            data.spend(len(reached))
            for one in present if reached else absent:
                one(data, focus, reached, out)

    return collect


def _absent(shapes: Sequence[Shape]) -> Iterable[_Collect]:
    for shape in shapes:
        yield from (_collect_set(shape, check) for check in shape.sets if check.absent)


def _present(shapes: Sequence[Shape]) -> Iterable[_Collect]:
    for shape in shapes:
        yield from (_collect_set(shape, check) for check in shape.sets if check.present)
        yield from (_collect_values(shape, check) for check in shape.values)
    below = [under for shape in shapes if shape.path is not None for under in shape.properties]
    if below:
        yield _collect_below(_group_collects(below))


def _collect_set(shape: Shape, check: SetCheck) -> _Collect:
    component, reason, faults, *_ = check
    path = shape.path.iri if shape.path else None

    def collect(data: Data, focus: Focus, values: Sequence[Term], out: list[Result]) -> None:
        for where, value in faults(data, focus, values):
            out.append(Result(focus, where or path, value, component, shape.iri, shape.severity, reason))

    return collect


def _collect_values(shape: Shape, check: ValueCheck) -> _Collect:
    component, reason, test = check
    path = shape.path.iri if shape.path else None

    def collect(data: Data, focus: Focus, values: Sequence[Term], out: list[Result]) -> None:
        for value in values:
            if not test(data, value):
                out.append(Result(focus, path, value, component, shape.iri, shape.severity, reason))  # noqa: PERF401

    return collect


def _collect_below(group: Collector) -> _Collect:
    def collect(data: Data, _focus: Focus, values: Sequence[Term], out: list[Result]) -> None:
        for value in values:
            group(data, value, out)

    return collect
