"""What is compared in process: the oracles (pyld, pySHACL), and the fast paths beside them.

The one file that names engines.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from orchestrator.catalogue import packaged, read_folder
from orchestrator.contexts import bundled_contexts
from orchestrator.core.document import examine
from orchestrator.core.errors import ScreeningRefused, ShapeViolated
from orchestrator.core.jsonld import ActiveContext, Contexts, Properties, Reading, Triples, expand, to_quads
from orchestrator.core.notification import read
from orchestrator.core.policy import Facts, PolicySet, vouched
from orchestrator.core.policy_reading import Reading as PolicyReading
from orchestrator.core.publication import project
from orchestrator.core.rdf import SH, Graph, Literal, Node, graph_of
from orchestrator.core.screening import Rules, Screening, screen_plain
from orchestrator.core.shacl import focused, run
from orchestrator.core.shapes.data import Data
from orchestrator.core.shapes.loading import node_shapes, read_shapes
from orchestrator.core.shapes.results import Result
from orchestrator.core.shapes.shape_set import ShapeSet
from orchestrator.core.strict_json import DEFAULT_LIMITS, parse

Json = Any
Quads = Mapping[str, list[dict[str, Any]]]
"""By graph name, as `core.jsonld.to_quads` gives them."""
FACTS = Facts(
    sender="https://sender.example/", trust="unknown", artefacts=(), me=("urn:me",), solicited=False
)


@functools.cache
def contexts() -> Contexts:
    """Return the bundled contexts."""
    return bundled_contexts()


@functools.cache
def rules() -> Rules:
    """Return the rules of screening as they come."""
    return Rules(contexts=contexts(), shapes=ShapeSet(read_folder(packaged("shapes"), ".ttl")))


@functools.cache
def aimed(pattern: str | None) -> Graph:
    """Return the shapes of a pattern and nothing else, for pySHACL, aimed at the root."""
    files = {slug for slug in ("notification", pattern) if slug}
    texts = read_folder(packaged("shapes"), ".ttl")
    graph = read_shapes({slug: text for slug, text in texts.items() if slug in files})
    return focused(graph, node_shapes(graph))


class Prepared(NamedTuple):
    """A document, read as far as validation needs it."""

    graph: Graph
    data: Data
    root: str
    pattern: str | None


def prepare(body: bytes) -> Prepared:
    """Return what both engines start from."""
    examined = examine(parse(body), contexts(), DEFAULT_LIMITS)
    graph = graph_of(to_quads([examined.root], contexts()))
    pattern = rules().shapes.pattern_of(examined.root["@type"])
    return Prepared(graph, examined.data, examined.root["@id"], pattern)


def oracle_screen(body: bytes) -> Screening:
    """Screen through pyld and pySHACL (B2): the verdict, without the findings."""
    document = parse(body)
    try:
        examined = examine(document, contexts(), DEFAULT_LIMITS)
    except ScreeningRefused as error:
        return Screening(refusal=error.slug, findings=error.findings, notification=None)
    root = examined.root
    pattern = rules().shapes.pattern_of(root["@type"])
    report = run(graph_of(to_quads([root], contexts())), aimed(pattern), root["@id"])
    refused = (None, SH.resultSeverity, SH.Violation) in report
    return Screening(
        refusal=ShapeViolated.slug if refused else None,
        findings=(),
        notification=read(document, root, pattern),
    )


def fast_screen(body: bytes) -> Screening:
    """Screen as the service does a plain document: the verdict, and the findings with their places."""
    return screen_plain(body, rules()).screening


def oracle_findings(prepared: Prepared) -> set[Node]:
    """Validate with pySHACL: all results for the whole document (B3)."""
    report = run(prepared.graph, aimed(prepared.pattern), prepared.root)
    return set(report.objects(None, SH.result)) - set(report.objects(None, SH.detail))


def fast_findings(prepared: Prepared) -> list[Result]:
    """Validate with the compiled shapes: the same results (B3)."""
    return rules().shapes.compiled(prepared.pattern).check(prepared.data, prepared.root)


def oracle_quads(document: Json) -> Quads:
    """Return the quads of a document by pyld (B4)."""
    return to_quads(expand(document, contexts()), contexts())


def fast_quads(document: Json) -> Properties:
    """Return the quads of a document by the direct path (B4)."""
    return Triples(Reading(document, ActiveContext.of(document["@context"], contexts())).root).properties


def oracle_matcher(files: Mapping[str, str]) -> Callable[[bytes], tuple[str, ...]]:
    """Return what matches a document with policies, by pySHACL (B8)."""
    conditions = PolicyReading(files).conditions
    graphs = {iri: focused(condition.graph, [condition.top]) for iri, condition in conditions.items()}

    def match(body: bytes) -> tuple[str, ...]:
        published = project(expand(parse(body), contexts())[0])
        graph = graph_of(to_quads([published], contexts()))
        reports = ((iri, run(graph, shapes, published["@id"])) for iri, shapes in graphs.items())
        return tuple(iri for iri, report in reports if (None, SH.conforms, Literal(True)) in report)  # noqa: FBT003

    return match


def fast_matcher(files: Mapping[str, str]) -> Callable[[bytes], tuple[str, ...]]:
    """Return what matches a document with policies, compiled and behind an index (B8)."""
    policies = PolicySet(files)
    read_already: dict[bytes, tuple[Data, str]] = {}

    def match(body: bytes) -> tuple[str, ...]:
        if body not in read_already:
            root = screen_plain(body, rules()).root
            assert root is not None
            published = project(root)
            said = Data(Triples(published).properties)
            read_already[body] = vouched(said, published["@id"], FACTS), published["@id"]
        return policies.matching(*read_already[body])

    return match
