"""The shapes of notifications, and the findings that they make of a document.

A set of shapes is read and compiled once. Validation names the root as the focus node and the shapes to
use, because a notification may hold other activities (an Accept holds its Offer) that the rules are not
about.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import ConfigurationError
from orchestrator.core.finding import Finding, Severity
from orchestrator.core.pointers import Locator, Place
from orchestrator.core.rdf import RDF, RDFS, SH, URIRef, list_items
from orchestrator.core.rdf import Node as RdfNode
from orchestrator.core.shapes.compiler import Compiled, Compiler
from orchestrator.core.shapes.data import Data, Term
from orchestrator.core.shapes.loading import AT, PATTERN, TYPES, WARNS, node_shapes, read_shapes
from orchestrator.core.shapes.results import Result
from orchestrator.core.strict_json import MAX_REPORTED

Profile = Literal["strict", "lenient"]

_SEVERITIES: Final[dict[str, Severity]] = {v.SH + "Warning": "Warning", v.SH + "Info": "Info"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One named constraint of a shapes file."""

    iri: str
    message: str
    spec: str | None
    steps: tuple[str, ...]
    """The properties that lead from the root to what it judges."""


class ShapeSet:
    """All shapes of notifications, read and compiled."""

    def __init__(self, files: Mapping[str, str]) -> None:
        """Read `files`: Turtle by slug. Raises `ConfigurationError` with file, line and every error."""
        self._graph = read_shapes(files)
        self.rules = {rule.iri: rule for rule in self._read_rules()}
        self._patterns = self._read_patterns()
        self._compiler = Compiler(self._graph)
        self._compiled: dict[str | None, Compiled] = {}
        self._tolerated = {str(rule) for rule in self._graph.objects(None, WARNS)}
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

    def compiled(self, pattern: str | None) -> Compiled:
        """Return the shapes for notifications of `pattern`: every named node shape of its files."""
        if pattern not in self._compiled:
            slugs = ("notification", pattern) if pattern is not None else ("notification",)
            files = tuple(f"{v.SHAPES}{slug}#" for slug in slugs)
            named = [shape for shape in node_shapes(self._graph) if str(shape).startswith(files)]
            self._compiled[pattern] = self._compiler.compile(named)
        return self._compiled[pattern]

    def validate(
        self,
        data: Data,
        root: str,
        pattern: str | None,
        locate: Callable[[], Locator],
        profile: Profile,
        *,
        unbounded: bool = False,
    ) -> list[Finding]:
        """Judge the node `root` of `data`; return the findings in the order of the document.

        At most `MAX_REPORTED`, violations first: to find the place of each in the document takes time.
        Raises `Unbounded` if a pattern may take long, unless `unbounded` allows it to.
        """
        results = self.compiled(pattern).check(data, root, unbounded=unbounded)
        if not results:
            return []
        tolerated = self._tolerated if profile == "lenient" else set[str]()

        def rank(result: Result) -> tuple[bool, str, str, str]:
            severity = _severity(result, tolerated)
            place = _text(result.shape), _text(result.focus), _text(result.value)
            return severity != "Violation", *place

        told = {rank(result): result for result in results}
        locator = locate()
        worst = [told[key] for key in sorted(told)[:MAX_REPORTED]]
        findings = [self._finding(result, locator, tolerated) for result in worst]
        unique = {(f.rule, f.pointer, f.term, repr(f.value)): f for f in findings}
        return sorted(unique.values(), key=lambda f: (f.severity != "Violation", f.pointer, f.rule))

    def _finding(self, result: Result, locator: Locator, tolerated: set[str]) -> Finding:
        rule = self.rules.get(result.shape) or Rule(iri=result.shape, message="", spec=None, steps=())
        place = _locate(locator, rule, result)
        return Finding(
            rule=rule.iri,
            message=rule.message or result.reason,
            pointer=place.pointer,
            term=place.term,
            path=result.path or (rule.steps[-1] if rule.steps else None),
            value=_shown(place.value),
            severity=_severity(result, tolerated),
            spec=rule.spec,
            focus=_iri(result.focus),
            component=result.component,
        )

    def _read_patterns(self) -> dict[frozenset[str], str]:
        found: dict[frozenset[str], str] = {}
        for shape in self._graph.subjects(RDF.type, PATTERN):
            slug = str(shape).removeprefix(v.SHAPES).partition("#")[0]
            for head in self._graph.objects(shape, TYPES):
                types = frozenset(str(item) for item in list_items(self._graph, head))
                if found.setdefault(types, slug) != slug:
                    raise ConfigurationError(
                        f"shapes/{slug}.ttl and shapes/{found[types]}.ttl claim the same types"
                    )
        return found

    def _read_rules(self) -> Iterable[Rule]:
        nested = set(self._graph.objects(None, SH.property)) | set(self._graph.objects(None, SH.node))
        stack: list[tuple[RdfNode, tuple[str, ...]]] = [
            (shape, ()) for shape in node_shapes(self._graph) if shape not in nested
        ]
        while stack:
            shape, steps = stack.pop()
            path = self._graph.value(shape, SH.path)
            if isinstance(path, URIRef):
                steps = (*steps, str(path))
            at = self._graph.value(shape, AT)
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


def _severity(result: Result, tolerated: set[str]) -> Severity:
    severity = _SEVERITIES.get(result.severity, "Violation")
    return "Warning" if result.shape in tolerated and severity == "Violation" else severity


def _locate(locator: Locator, rule: Rule, result: Result) -> Place:
    """Return the place of a result in the document: the one call that looks for it."""
    value = None if result.value is None else _as_text(result.value)
    return locator.find(rule.steps, focus=_as_text(result.focus), value=value)


def _as_text(term: Term) -> str:
    return term if isinstance(term, str) else term[0]


def _is_blank(term: Term) -> bool:
    return isinstance(term, str) and term.startswith("_:")


def _iri(term: Term) -> str | None:
    return term if isinstance(term, str) and not _is_blank(term) else None


def _text(term: Term | None) -> str:
    if isinstance(term, str):
        return term.removeprefix("_:")
    return term[0] if term is not None else ""


def _shown(value: object) -> object:
    """Return a value short enough to be repeated to its sender."""
    limit = 200
    if isinstance(value, str):
        return value if len(value) <= limit else value[:limit] + "…"
    return value if isinstance(value, int | float | bool) else None
