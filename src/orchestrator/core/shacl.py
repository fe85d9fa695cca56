"""SHACL through pySHACL: the shapes of notifications, their findings, and the report graph.

The one door to pyshacl. A set of shapes is read once; validation names the root as the focus node and
the shapes to use, because a notification may hold other activities (an Accept holds its Offer) that
the rules are not about. `shacl_graph` is always given: without it pySHACL takes shapes from the data.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

import pyshacl

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import ConfigurationError
from orchestrator.core.finding import Finding, Severity
from orchestrator.core.pointers import Locator, Place
from orchestrator.core.rdf import (
    RDF,
    RDFS,
    SH,
    BNode,
    Graph,
    NotTurtle,
    URIRef,
    list_items,
    new_graph,
    parse_turtle,
)
from orchestrator.core.rdf import Literal as RdfLiteral
from orchestrator.core.rdf import Node as RdfNode
from orchestrator.core.strict_json import MAX_REPORTED

Profile = Literal["strict", "lenient"]

_AT: Final = URIRef(v.SHAPE_TERMS + "at")
_TYPES: Final = URIRef(v.SHAPE_TERMS + "types")
_PATTERN: Final = URIRef(v.SHAPE_TERMS + "Pattern")
_FOCUS: Final = URIRef(v.SHAPE_TERMS + "focus")
_WARNS: Final = URIRef(v.SHAPE_TERMS + "warns")
# What does not terminate, runs code, or pySHACL runs without meaning anything.
_BANNED: Final = (SH.sparql, SH.js, SH.rule, SH.target, SH.select, SH.ask, SH.construct)
_SEVERITIES: Final[dict[RdfNode, Severity]] = {SH.Warning: "Warning", SH.Info: "Info"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One named constraint of a shapes file."""

    iri: str
    message: str
    spec: str | None
    steps: tuple[str, ...]
    """The properties that lead from the root to what it judges."""


class ShapeSet:
    """All shapes of notifications, read and indexed."""

    def __init__(self, files: Mapping[str, str]) -> None:
        """Read `files`: Turtle by slug. Raises `ConfigurationError` with slug and line."""
        self._graph = new_graph()
        for slug, text in files.items():
            try:
                self._graph += parse_turtle(text, f"{v.SHAPES}{slug}")
            except NotTurtle as error:
                raise ConfigurationError(f"shapes/{slug}.ttl, {error.message}") from None
        refuse_unsafe(self._graph, "shapes")
        self.rules = {rule.iri: rule for rule in self._read_rules()}
        self._patterns = self._read_patterns()
        self._aimed: dict[str | None, Graph] = {}
        self._tolerated = {str(rule) for rule in self._graph.objects(None, _WARNS)}
        unknown = self._tolerated - set(self.rules)
        if unknown:
            raise ConfigurationError(f"shapes/lenient.ttl names rules that do not exist: {sorted(unknown)}")

    @property
    def patterns(self) -> tuple[str, ...]:
        """The slugs of the patterns, sorted."""
        return tuple(sorted(set(self._patterns.values())))

    def pattern_of(self, types: Iterable[str]) -> str | None:
        """Return the slug of the pattern that has exactly these types."""
        return self._patterns.get(frozenset(types))

    def validate(
        self, data: Graph, root: str, pattern: str | None, locator: Locator, profile: Profile
    ) -> list[Finding]:
        """Judge the node `root` of `data`; return the findings in the order of the document.

        At most `MAX_REPORTED`, violations first: to find the place of each in the document takes time.
        """
        tolerated = self._tolerated if profile == "lenient" else set[str]()
        results = run(data, self._aimed_at(pattern), root)

        def rank(node: RdfNode) -> tuple[bool, str, str, str]:
            parts = (SH.sourceShape, SH.focusNode, SH.value)
            source, focus, value = (str(results.value(node, part)) for part in parts)
            return _severity(results, node, source, tolerated) != "Violation", source, focus, value

        # pySHACL reports a node once for each way to it.
        told = {rank(node): node for node in _results(results)}
        nodes = [told[key] for key in sorted(told)[:MAX_REPORTED]]
        findings = [self._finding(results, node, locator, tolerated) for node in nodes]
        unique = {(f.rule, f.pointer, f.term, repr(f.value)): f for f in findings}
        return sorted(unique.values(), key=lambda f: (f.severity != "Violation", f.pointer, f.rule))

    def _aimed_at(self, pattern: str | None) -> Graph:
        """Return the shapes with every named node shape for this pattern aimed at the root."""
        if pattern not in self._aimed:
            # Made when first wanted: all of them together take longer than everything else at the start.
            slugs = ("notification", pattern) if pattern is not None else ("notification",)
            files = tuple(f"{v.SHAPES}{slug}#" for slug in slugs)
            named = self._graph.subjects(RDF.type, SH.NodeShape)
            self._aimed[pattern] = focused(self._graph, [it for it in named if str(it).startswith(files)])
        return self._aimed[pattern]

    def _finding(self, report: Graph, result: RdfNode, locator: Locator, tolerated: set[str]) -> Finding:
        source = report.value(result, SH.sourceShape)
        rule = self.rules.get(str(source)) or Rule(iri=str(source), message="", spec=None, steps=())
        focus = report.value(result, SH.focusNode)
        value = report.value(result, SH.value)
        place = _locate(locator, rule, focus, value)
        path = report.value(result, SH.resultPath)
        return Finding(
            rule=rule.iri,
            message=rule.message or str(report.value(result, SH.resultMessage) or ""),
            pointer=place.pointer,
            term=place.term,
            path=str(path) if path is not None else (rule.steps[-1] if rule.steps else None),
            value=_shown(place.value),
            severity=_severity(report, result, rule.iri, tolerated),
            spec=rule.spec,
            focus=str(focus) if isinstance(focus, URIRef) else None,
            component=str(report.value(result, SH.sourceConstraintComponent) or "") or None,
        )

    def _read_patterns(self) -> dict[frozenset[str], str]:
        found: dict[frozenset[str], str] = {}
        for shape in self._graph.subjects(RDF.type, _PATTERN):
            slug = str(shape).removeprefix(v.SHAPES).partition("#")[0]
            for head in self._graph.objects(shape, _TYPES):
                types = frozenset(str(item) for item in list_items(self._graph, head))
                if found.setdefault(types, slug) != slug:
                    raise ConfigurationError(
                        f"shapes/{slug}.ttl and shapes/{found[types]}.ttl claim the same types"
                    )
        return found

    def _read_rules(self) -> Iterable[Rule]:
        roots = [s for s in self._graph.subjects(RDF.type, SH.NodeShape) if isinstance(s, URIRef)]
        nested = set(self._graph.objects(None, SH.property)) | set(self._graph.objects(None, SH.node))
        stack: list[tuple[RdfNode, tuple[str, ...]]] = [(s, ()) for s in roots if s not in nested]
        while stack:
            shape, steps = stack.pop()
            path = self._graph.value(shape, SH.path)
            if isinstance(path, URIRef):
                steps = (*steps, str(path))
            at = self._graph.value(shape, _AT)
            here = (*steps, *(str(item) for item in list_items(self._graph, at))) if at is not None else steps
            if isinstance(shape, URIRef):
                see = self._graph.value(shape, RDFS.seeAlso)
                yield Rule(
                    iri=str(shape),
                    message=str(self._graph.value(shape, SH.message) or ""),
                    spec=str(see) if see is not None else None,
                    steps=here,
                )
            for prop in (SH.property, SH.node):
                stack.extend((child, steps) for child in self._graph.objects(shape, prop))


def focused(shapes: Graph, use: Iterable[RdfNode]) -> Graph:
    """Return `shapes` with the shapes named in `use`, and no others, aimed at the focus of `run`.

    pySHACL's own `use_shapes` builds the named shapes only and passes over the property shapes that
    they refer to by IRI (0.40.1: everything conforms), so the focus is marked in the data instead.
    """
    aimed = new_graph()
    aimed += shapes
    for shape in use:
        aimed.add((shape, SH.targetSubjectsOf, _FOCUS))
    return aimed


def run(data: Graph, shapes: Graph, focus: str) -> Graph:
    """Return pySHACL's report on the node `focus` of `data`, for shapes that are `focused`."""
    data.remove((None, _FOCUS, None))
    data.add((URIRef(focus), _FOCUS, RdfLiteral(True)))  # noqa: FBT003
    _, report, _ = pyshacl.validate(
        data,
        shacl_graph=shapes,
        inference="none",
        advanced=False,
        inplace=True,
        do_owl_imports=False,
        max_validation_depth=30,
    )
    return cast("Graph", report)


def refuse_unsafe(shapes: Graph, name: str) -> None:
    """Raise `ConfigurationError` for what must not be in a shapes graph (SHACL Core only)."""
    for predicate in _BANNED:
        subject = next(shapes.subjects(predicate), None)
        if subject is not None:
            raise ConfigurationError(f"{name}: {subject} uses {predicate}; only SHACL Core is run")


def report_graph(findings: Iterable[Finding], *, conforms: bool) -> Graph:
    """Return the standard validation report (SHACL section 3.6) of `findings`."""
    graph = new_graph()
    report = BNode("report")
    graph.add((report, RDF.type, SH.ValidationReport))
    graph.add((report, SH.conforms, RdfLiteral(conforms)))
    for number, finding in enumerate(findings, 1):
        result = BNode(f"result{number}")
        graph.add((report, SH.result, result))
        graph.add((result, RDF.type, SH.ValidationResult))
        graph.add((result, SH.resultSeverity, SH[finding.severity]))
        graph.add((result, SH.resultMessage, RdfLiteral(finding.message, lang="en")))
        graph.add((result, SH.sourceShape, URIRef(finding.rule)))
        component = finding.component or v.SHAPE_TERMS + "DocumentConstraintComponent"
        graph.add((result, SH.sourceConstraintComponent, URIRef(component)))
        graph.add((result, SH.focusNode, URIRef(finding.focus) if finding.focus else BNode(f"focus{number}")))
        graph.add((result, URIRef(v.SHAPE_TERMS + "pointer"), RdfLiteral(finding.pointer)))
        if finding.path:
            graph.add((result, SH.resultPath, URIRef(finding.path)))
        if isinstance(finding.value, str):
            graph.add((result, SH.value, RdfLiteral(finding.value)))
    return graph


def _severity(report: Graph, result: RdfNode, rule: str, tolerated: set[str]) -> Severity:
    severity = _SEVERITIES.get(report.value(result, SH.resultSeverity) or SH.Violation, "Violation")
    return "Warning" if rule in tolerated and severity == "Violation" else severity


def _results(report: Graph) -> list[RdfNode]:
    """Return the top results; what sh:detail hangs below them is only their reason."""
    details = set(report.objects(None, SH.detail))
    return [node for node in report.objects(None, SH.result) if node not in details]


def _locate(locator: Locator, rule: Rule, focus: RdfNode | None, value: RdfNode | None) -> Place:
    shown = "_:" if isinstance(value, BNode) else str(value) if value is not None else None
    return locator.find(rule.steps, focus=str(focus) if isinstance(focus, URIRef) else None, value=shown)


def _shown(value: object) -> object:
    """Return a value short enough to be repeated to its sender."""
    limit = 200
    if isinstance(value, str):
        return value if len(value) <= limit else value[:limit] + "…"
    return value if isinstance(value, int | float | bool) else None
