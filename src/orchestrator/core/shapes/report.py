"""The standard validation report as a graph, for those who ask for RDF (SHACL section 3.6)."""

from collections.abc import Iterable

from orchestrator.core import vocabulary as v
from orchestrator.core.finding import Finding
from orchestrator.core.rdf import RDF, SH, BNode, Graph, Literal, URIRef, new_graph


def report_graph(findings: Iterable[Finding], *, conforms: bool) -> Graph:
    """Return the report of `findings`."""
    graph = new_graph()
    report = BNode("report")
    graph.add((report, RDF.type, SH.ValidationReport))
    graph.add((report, SH.conforms, Literal(conforms)))
    for number, finding in enumerate(findings, 1):
        result = BNode(f"result{number}")
        graph.add((report, SH.result, result))
        graph.add((result, RDF.type, SH.ValidationResult))
        graph.add((result, SH.resultSeverity, SH[finding.severity]))
        graph.add((result, SH.resultMessage, Literal(finding.message, lang="en")))
        graph.add((result, SH.sourceShape, URIRef(finding.rule)))
        component = finding.component or v.SHAPE_TERMS + "DocumentConstraintComponent"
        graph.add((result, SH.sourceConstraintComponent, URIRef(component)))
        graph.add((result, SH.focusNode, URIRef(finding.focus) if finding.focus else BNode(f"focus{number}")))
        graph.add((result, URIRef(v.SHAPE_TERMS + "pointer"), Literal(finding.pointer)))
        if finding.path:
            graph.add((result, SH.resultPath, URIRef(finding.path)))
        if isinstance(finding.value, str):
            graph.add((result, SH.value, Literal(finding.value)))
    return graph
