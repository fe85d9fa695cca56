"""Which policies can match at all: each is tried only if the root has a value that it cannot do without.

What a condition needs is derived from its shape and may only err towards trying: `needs` returns
conjuncts that hold of every root that conforms.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from orchestrator.core.rdf import SH, Graph, Node, URIRef, list_items
from orchestrator.core.shapes.data import Data, Term
from orchestrator.core.shapes.literals import term_of

Need = frozenset[tuple[str, Term]]
"""Property and value pairs; a root that conforms has at least one of them."""
_MAX_PAIRS: Final = 100


class PolicyIndex:
    """The order numbers of policies, by what their conditions need."""

    def __init__(self, needs: Iterable[Sequence[Need]]) -> None:
        """Take the needs of each policy, in order; one without any is always tried."""
        every = list(needs)
        # Of several needs, the one that the fewest policies share tells most.
        shared = Counter(pair for some in every for need in some for pair in need)
        self._always: list[int] = []
        self._by_pair: dict[str, dict[Term, list[int]]] = {}
        for number, some in enumerate(every):
            if not some:
                self._always.append(number)
                continue
            for predicate, value in min(some, key=lambda need: sum(shared[pair] for pair in need)):
                self._by_pair.setdefault(predicate, {}).setdefault(value, []).append(number)

    def candidates(self, data: Data, root: str) -> list[int]:
        """Return the numbers of the policies that may hold for the node `root`, in order."""
        found = set(self._always)
        about: Mapping[str, Sequence[Term]] = data.properties.get(root, {})
        for predicate, values in about.items():
            by_value = self._by_pair.get(predicate)
            if by_value is not None:
                for value in values:
                    found.update(by_value.get(value, ()))
        return sorted(found)


def needs(graph: Graph, shape: Node) -> list[Need]:
    """Return what every node that conforms to `shape` has."""
    if (shape, SH.path, None) in graph:
        return [need for need in _of_property(graph, shape) if len(need) <= _MAX_PAIRS]
    found = [need for child in graph.objects(shape, SH.property) for need in needs(graph, child)]
    found += [need for child in graph.objects(shape, SH.node) for need in needs(graph, child)]
    for head in graph.objects(shape, SH["and"]):
        found += [need for member in list_items(graph, head) for need in needs(graph, member)]
    for name in ("or", "xone"):
        for head in graph.objects(shape, SH[name]):
            members = [needs(graph, member) for member in list_items(graph, head)]
            if all(members):
                found.append(frozenset[tuple[str, Term]]().union(*(min(each, key=len) for each in members)))
    return [need for need in found if len(need) <= _MAX_PAIRS]


def _of_property(graph: Graph, shape: Node) -> Iterable[Need]:
    """Yield what a focus must have for a property shape to hold: one of some values under its path."""
    path = graph.value(shape, SH.path)
    if not isinstance(path, URIRef):
        return
    for value in graph.objects(shape, SH.hasValue):
        yield frozenset({(str(path), term_of(value))})
    if _at_least_one(graph, shape, SH.minCount):
        yield from _members(graph, shape, path)
    if _at_least_one(graph, shape, SH.qualifiedMinCount):
        for counted in graph.objects(shape, SH.qualifiedValueShape):
            if (counted, SH.path, None) not in graph:
                yield from _members(graph, counted, path)
                for value in graph.objects(counted, SH.hasValue):
                    yield frozenset({(str(path), term_of(value))})


def _members(graph: Graph, shape: Node, path: URIRef) -> Iterable[Need]:
    for head in graph.objects(shape, SH["in"]):
        yield frozenset((str(path), term_of(item)) for item in list_items(graph, head))


def _at_least_one(graph: Graph, shape: Node, term: Node) -> bool:
    count = graph.value(shape, term)
    return isinstance(getattr(count, "value", None), int) and int(str(count)) > 0
