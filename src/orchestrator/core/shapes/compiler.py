"""Shapes in a graph → closures. `core.shapes.checking` has refused whatever is not compiled here."""

from collections.abc import Callable, Iterator, Sequence
from operator import ge, gt, le, lt
from typing import Final, cast

from orchestrator.core import vocabulary as v
from orchestrator.core.rdf import RDF, SH, BNode, Graph, Literal, Node, URIRef, list_items
from orchestrator.core.shapes import set_checks, value_tests
from orchestrator.core.shapes.assembly import all_of, collector, holds
from orchestrator.core.shapes.checking import siblings
from orchestrator.core.shapes.data import Data, Term
from orchestrator.core.shapes.literals import term_of
from orchestrator.core.shapes.model import Faults, Focus, Path, SetCheck, Shape, Test, ValueCheck
from orchestrator.core.shapes.patterns import Pattern, compile_pattern
from orchestrator.core.shapes.results import Result
from orchestrator.core.shapes.terms import shown

_RANGES: Final[dict[str, Callable[[int, int], bool]]] = {
    "minInclusive": ge,
    "maxInclusive": le,
    "minExclusive": gt,
    "maxExclusive": lt,
}


class Compiled:
    """Some shapes that are always asked of one node together."""

    __slots__ = ("_collect", "_holds", "bounded")

    def __init__(self, shapes: Sequence[Shape]) -> None:
        """Put `shapes` together."""
        self._collect = collector(shapes)
        self._holds = all_of([holds(shape) for shape in shapes])
        self.bounded = all(shape.bounded for shape in shapes)
        """Whether it never raises `Unbounded`."""

    def check(self, data: Data, root: str, *, unbounded: bool = False) -> list[Result]:
        """Return every result for the node `root` of `data`, each once.

        Raises `Unbounded` if a pattern may take long, unless `unbounded` allows it to.
        """
        data.unbounded = unbounded
        out: list[Result] = []
        self._collect(data, root, out)
        return list(dict.fromkeys(out)) if out else out

    def conforms(self, data: Data, root: str, *, unbounded: bool = False) -> bool:
        """Whether there would be no result; raises as `check` does."""
        data.unbounded = unbounded
        return self._holds(data, root)


class Compiler:
    """Compiles the shapes of one graph, each once."""

    def __init__(self, graph: Graph) -> None:
        """Take a graph in which `core.shapes.checking` found nothing wrong."""
        self._graph = graph
        self._made: dict[Node, Shape] = {}
        self._tests: dict[Node, Test] = {}

    def compile(self, nodes: Sequence[Node]) -> Compiled:
        """Return the shapes `nodes`, put together."""
        return Compiled([self._shape(node) for node in nodes])

    def _shape(self, node: Node) -> Shape:
        if node not in self._made:
            path = self._one(node, "path")
            patterns = self._patterns(node)
            below = [
                child
                for name in ("property", "node", "not", "qualifiedValueShape")
                for child in self._all(node, name)
            ]
            below += [
                child
                for name in ("and", "or", "xone")
                for head in self._all(node, name)
                for child in self._list(head)
            ]
            self._made[node] = Shape(
                iri=str(term_of(node)),
                severity=str(self._one(node, "severity") or SH.Violation),
                path=self._path(path) if path is not None else None,
                values=tuple(self._value_checks(node, patterns)),
                sets=tuple(self._set_checks(node)),
                properties=tuple(self._shape(child) for child in self._all(node, "property")),
                bounded=all(one.bounded for one, _ in patterns)
                and all(self._shape(child).bounded for child in below),
            )
        return self._made[node]

    def _test(self, node: Node) -> Test:
        if node not in self._tests:
            self._tests[node] = holds(self._shape(node))
        return self._tests[node]

    # --- components

    def _value_checks(self, node: Node, patterns: Sequence[tuple[Pattern, Node]]) -> Iterator[ValueCheck]:
        simple: dict[str, Callable[[Node], Test]] = {
            "nodeKind": lambda value: value_tests.of_kind(str(value).removeprefix(v.SH)),
            "datatype": lambda value: value_tests.of_datatype(str(value)),
            "in": lambda value: value_tests.one_of([term_of(item) for item in self._list(value)]),
            "class": lambda value: value_tests.of_class(str(value)),
            "minLength": lambda value: value_tests.at_least(_number(value)),
            "maxLength": lambda value: value_tests.at_most(_number(value)),
            "languageIn": lambda value: value_tests.in_language([str(item) for item in self._list(value)]),
            "node": self._test,
            "not": lambda value: value_tests.none_of(self._test(value)),
            "and": lambda value: all_of([self._test(item) for item in self._list(value)]),
            "or": lambda value: value_tests.any_of([self._test(item) for item in self._list(value)]),
            "xone": lambda value: value_tests.exactly_one_of(
                [self._test(item) for item in self._list(value)]
            ),
        }
        for name, make in simple.items():
            for value in self._all(node, name):
                if name != "minLength" or _number(value) > 0:  # every blank node has a length of 0
                    yield ValueCheck(_component(name), _reason(name, value), make(value))
        for pattern, value in patterns:
            yield ValueCheck(_component("pattern"), _reason("pattern", value), value_tests.matching(pattern))
        for name, compare in _RANGES.items():
            for value in self._all(node, name):
                test = value_tests.between(cast("Literal", value), _accepting(compare))
                yield ValueCheck(_component(name), _reason(name, value), test)

    def _set_checks(self, node: Node) -> Iterator[SetCheck]:
        for value in self._all(node, "minCount"):
            if least := _number(value):
                yield self._set("minCount", value, set_checks.min_count(least), present=least > 1)
        for value in self._all(node, "maxCount"):
            yield self._set("maxCount", value, set_checks.max_count(_number(value)), absent=False)
        for value in self._all(node, "hasValue"):
            yield self._set("hasValue", value, set_checks.has_value(term_of(value)))
        for value in self._all(node, "uniqueLang"):
            if _is_true(value):
                yield self._set("uniqueLang", value, set_checks.unique_languages(), absent=False)
        for value in self._all(node, "equals"):
            yield self._set("equals", value, set_checks.equals(str(value)))
        for value in self._all(node, "disjoint"):
            yield self._set("disjoint", value, set_checks.disjoint(str(value)), absent=False)
        for name in ("lessThan", "lessThanOrEquals"):
            for value in self._all(node, name):
                faults = set_checks.less_than(str(value), or_equals=name == "lessThanOrEquals")
                yield self._set(name, value, faults, absent=False)
        if _is_true(self._one(node, "closed")):
            yield self._set("closed", Literal(True), set_checks.closed(self._allowed(node)), absent=False)  # noqa: FBT003
        yield from self._qualified(node)

    def _qualified(self, node: Node) -> Iterator[SetCheck]:
        for shape in self._all(node, "qualifiedValueShape"):
            others = [self._test(other) for other in siblings(self._graph, node)]
            for value in self._all(node, "qualifiedMinCount"):
                if least := _number(value):
                    faults = set_checks.qualified(self._test(shape), others, least=least)
                    yield self._set("qualifiedMinCount", value, faults)
            for value in self._all(node, "qualifiedMaxCount"):
                faults = set_checks.qualified(self._test(shape), others, most=_number(value))
                yield self._set("qualifiedMaxCount", value, faults, absent=False)

    def _allowed(self, node: Node) -> frozenset[str]:
        paths = [self._one(child, "path") for child in self._all(node, "property")]
        ignored = [item for head in self._all(node, "ignoredProperties") for item in self._list(head)]
        return frozenset(str(one) for one in (*paths, *ignored) if isinstance(one, URIRef))

    def _patterns(self, node: Node) -> list[tuple[Pattern, Node]]:
        flags = str(self._one(node, "flags") or "")
        return [(compile_pattern(str(value), flags), value) for value in self._all(node, "pattern")]

    def _set(
        self, name: str, value: Node, faults: Faults, *, absent: bool = True, present: bool = True
    ) -> SetCheck:
        return SetCheck(_component(name), _reason(name, value), faults, absent, present)

    # --- paths

    def _path(self, node: Node) -> Path:
        if isinstance(node, BNode) and (node, RDF.first, None) in self._graph:
            steps = [self._path(step).values for step in self._list(node)]
            return Path(lambda data, focus: _walk(data, focus, steps), None)
        if isinstance(node, BNode):
            back = str(self._one(node, "inversePath"))
            return Path(lambda data, focus: data.subjects(back, focus), None)
        iri = str(node)
        return Path(lambda data, focus: data.values(focus, iri), iri)

    # --- the graph

    def _all(self, node: Node, name: str) -> list[Node]:
        """Return the values of sh:`name`, always in the same order."""
        return sorted(self._graph.objects(node, SH[name]), key=str)

    def _one(self, node: Node, name: str) -> Node | None:
        return self._graph.value(node, SH[name])

    def _list(self, head: Node) -> list[Node]:
        return list_items(self._graph, head)


def _walk(
    data: Data, focus: Focus, steps: Sequence[Callable[[Data, Focus], Sequence[Term]]]
) -> Sequence[Term]:
    reached: Sequence[Term] = (focus,)
    for step in steps:
        found = [value for node in reached for value in step(data, node)]
        data.spend(len(found))
        reached = list(dict.fromkeys(found))
    return reached


def _accepting(compare: Callable[[int, int], bool]) -> Callable[[int], bool]:
    return lambda order: compare(order, 0)


def _component(name: str) -> str:
    return f"{v.SH}{name[0].upper()}{name[1:]}ConstraintComponent"


def _reason(name: str, value: Node) -> str:
    return f"sh:{name} {shown(value)} is not met"


def _number(value: Node) -> int:
    return int(cast("Literal", value).value)


def _is_true(value: Node | None) -> bool:
    return value is not None and bool(getattr(value, "value", False))
