"""What is compared in process: the oracles (pyld, pySHACL), and the fast paths beside them.

The one file that names engines.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from orchestrator.catalogue import packaged, read_folder
from orchestrator.contexts import bundled_contexts
from orchestrator.core.document import examine
from orchestrator.core.errors import ShapeViolated
from orchestrator.core.jsonld import ActiveContext, Contexts, Properties, Reading, Triples, expand, to_quads
from orchestrator.core.notification import read
from orchestrator.core.policy import Facts, PolicySet, vouched
from orchestrator.core.publication import project
from orchestrator.core.rdf import SH, Graph, Node, URIRef, graph_of
from orchestrator.core.screening import Rules, Screening
from orchestrator.core.shacl import focused, run
from orchestrator.core.shapes.data import Data
from orchestrator.core.shapes.literals import term_of
from orchestrator.core.shapes.loading import node_shapes, read_shapes
from orchestrator.core.shapes.shape_set import ShapeSet
from orchestrator.core.strict_json import DEFAULT_LIMITS, Json, parse

Found = frozenset[tuple[object, ...]]
"""Focus, path, value, component, shape and severity of each result."""
FACTS = Facts(
    sender="https://sender.example/", trust="unknown", artefacts=(), me=("urn:me",), solicited=False
)


@functools.cache
def contexts() -> Contexts:
    """Return the bundled contexts."""
    return bundled_contexts()


@functools.cache
def shapes() -> ShapeSet:
    """Return our shapes, compiled."""
    return ShapeSet(read_folder(packaged("shapes"), ".ttl"))


@functools.cache
def rules() -> Rules:
    """Return the rules of screening as they come."""
    return Rules(contexts=contexts(), shapes=shapes())


@functools.cache
def _aimed(pattern: str | None) -> Graph:
    """Return the shapes for `pattern`, for pySHACL, and no others: it reads them all, each time."""
    files = read_folder(packaged("shapes"), ".ttl")
    slugs = {"notification", pattern}
    graph = read_shapes({slug: text for slug, text in files.items() if slug in slugs})
    return focused(graph, node_shapes(graph))


class Prepared(NamedTuple):
    """A document, read as far as validation needs it."""

    document: Json
    expanded: Mapping[str, Any]
    data: Data
    graph: Graph
    root: str
    pattern: str | None


def prepare(body: bytes) -> Prepared:
    """Read a document by pyld, into what either engine starts from."""
    document = parse(body)
    examined = examine(document, contexts(), DEFAULT_LIMITS)
    root = examined.root
    graph = graph_of(to_quads([root], contexts()))
    pattern = shapes().pattern_of(root["@type"])
    return Prepared(document, root, examined.data, graph, root["@id"], pattern)


def oracle_screen(body: bytes) -> Screening:
    """Screen through pyld and pySHACL (B2)."""
    prepared = prepare(body)
    refusal = ShapeViolated.slug if oracle_findings(prepared) else None
    notification = read(prepared.document, prepared.expanded, prepared.pattern)
    return Screening(refusal=refusal, findings=(), notification=notification)


def oracle_findings(prepared: Prepared) -> Found:
    """Validate with pySHACL: all results (B3)."""
    report = run(prepared.graph, _aimed(prepared.pattern), prepared.root)
    details = set(report.objects(None, SH.detail))
    return frozenset(_result(report, node) for node in set(report.objects(None, SH.result)) - details)


def fast_findings(prepared: Prepared) -> Found:
    """Validate with the compiled shapes: the same results (B3)."""
    compiled = shapes().compiled(prepared.pattern)
    return frozenset(result[:6] for result in compiled.check(prepared.data, prepared.root, unbounded=True))


def oracle_quads(document: Json) -> Mapping[str, list[dict[str, Any]]]:
    """Return the quads of a document by pyld (B4)."""
    return to_quads(expand(document, contexts()), contexts())


def fast_quads(document: Json) -> Properties:
    """Return the triples of a document by the direct path, indexed as shapes want them (B4)."""
    members = cast("dict[str, Json]", document)
    return Triples(Reading(members, ActiveContext.of(members["@context"], contexts())).root).properties


def same_quads(document: Json) -> bool:
    """Whether both ways say as much (that they say the same is tested in `tests/agreement`)."""
    return len(Data.from_quads(oracle_quads(document))) == len(Data(fast_quads(document)))


class Decided(NamedTuple):
    """What policies are matched with."""

    data: Data
    root: str


def decided(body: bytes) -> Decided:
    """Return a document as policies see it (B8)."""
    published = project(prepare(body).expanded)
    data = Data.from_quads(to_quads([published], contexts()))
    return Decided(vouched(data, published["@id"], FACTS), published["@id"])


def matcher(files: Mapping[str, str]) -> Callable[[Decided], tuple[str, ...]]:
    """Return what matches a document with policies (B8)."""
    policies = PolicySet(files)
    return lambda decided: policies.matching(decided.data, decided.root)


def _result(report: Graph, result: Node) -> tuple[object, ...]:
    path, value = report.value(result, SH.resultPath), report.value(result, SH.value)
    return (
        term_of(report.value(result, SH.focusNode) or URIRef("")),
        str(path) if isinstance(path, URIRef) else None,
        term_of(value) if value is not None else None,
        str(report.value(result, SH.sourceConstraintComponent)),
        str(term_of(report.value(result, SH.sourceShape) or URIRef(""))),
        str(report.value(result, SH.resultSeverity)),
    )
