"""pySHACL's results and ours in one form, so that they can be compared."""

from collections.abc import Sequence
from typing import Any

from orchestrator.core.rdf import SH, Graph, Node, URIRef, graph_of
from orchestrator.core.shacl import focused, run
from orchestrator.core.shapes.compiler import Compiled
from orchestrator.core.shapes.data import Data
from orchestrator.core.shapes.literals import term_of

Dataset = dict[str, list[dict[str, Any]]]
Found = set[tuple[object, ...]]
"""(focus, path, value, component, shape, severity) of each result."""


def ours(data: Data, compiled: Compiled, root: str) -> Found:
    return {result[:6] for result in compiled.check(data, root, unbounded=True)}


def theirs(dataset: Dataset, shapes: Graph, tops: Sequence[Node], root: str) -> Found:
    return read(run(graph_of(dataset), focused(shapes, tops), root))


def read(report: Graph) -> Found:
    """Return the top results of a report; what sh:detail hangs below them is only their reason."""
    details = set(report.objects(None, SH.detail))
    found: Found = set()
    for result in set(report.objects(None, SH.result)) - details:
        path = report.value(result, SH.resultPath)
        value = report.value(result, SH.value)
        focus = report.value(result, SH.focusNode)
        assert focus is not None
        found.add(
            (
                term_of(focus),
                str(path) if isinstance(path, URIRef) else None,
                term_of(value) if value is not None else None,
                str(report.value(result, SH.sourceConstraintComponent)),
                str(term_of(report.value(result, SH.sourceShape) or URIRef(""))),
                str(report.value(result, SH.resultSeverity)),
            )
        )
    return found
