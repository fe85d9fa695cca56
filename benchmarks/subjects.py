"""What is compared in process: the oracles (pyld, pySHACL), and the fast paths beside them.

The one file that names engines. A function whose fast path has not landed raises `NotAvailable`: the
table then shows “–”.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from benchmarks.model import NotAvailable
from orchestrator.catalogue import packaged, read_folder
from orchestrator.contexts import bundled_contexts
from orchestrator.core import event
from orchestrator.core.document import examine
from orchestrator.core.finding import Finding
from orchestrator.core.jsonld import Contexts, expand, to_quads
from orchestrator.core.notification import activity_root
from orchestrator.core.pointers import Locator
from orchestrator.core.policy import Facts, PolicySet, decision_graph
from orchestrator.core.rdf import Graph, graph_of
from orchestrator.core.screening import Screening, screen
from orchestrator.core.shacl import ShapeSet
from orchestrator.core.strict_json import DEFAULT_LIMITS, Json, parse

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
def shapes() -> ShapeSet:
    """Return our shapes, for pySHACL."""
    return ShapeSet(read_folder(packaged("shapes"), ".ttl"))


class Prepared(NamedTuple):
    """A document, read as far as validation needs it."""

    document: Json
    graph: Graph
    root: str
    pattern: str | None


def prepare(body: bytes) -> Prepared:
    """Return what both engines start from."""
    document = parse(body)
    expanded = examine(document, contexts(), DEFAULT_LIMITS)
    root = activity_root(expanded)
    graph = graph_of(to_quads(expanded, contexts()))
    return Prepared(document, graph, root["@id"], shapes().pattern_of(root["@type"]))


def oracle_screen(body: bytes) -> Screening:
    """Screen through pyld and pySHACL (B2)."""
    return screen(body, contexts=contexts(), shapes=shapes())


def oracle_findings(prepared: Prepared) -> list[Finding]:
    """Validate with pySHACL: all findings of the whole document (B3)."""
    locator = Locator(prepared.document, contexts())
    return shapes().validate(prepared.graph, prepared.root, prepared.pattern, locator, "strict")


def fast_findings(_prepared: Prepared) -> list[Finding]:
    """Validate with the compiled shapes: the same findings (B3)."""
    raise NotAvailable("compiled shapes")  # CONNECT: core.shapes


def oracle_quads(document: Json) -> Quads:
    """Return the quads of a document by pyld (B4)."""
    return to_quads(expand(document, contexts()), contexts())


def fast_quads(_document: Json) -> Quads:
    """Return the quads of a document by the direct path (B4)."""
    raise NotAvailable("the direct JSON-LD path")  # CONNECT: core.jsonld


def oracle_matcher(files: Mapping[str, str]) -> Callable[[bytes], tuple[str, ...]]:
    """Return what matches a document with policies, by pySHACL (B8)."""
    policies = PolicySet(files)

    def match(body: bytes) -> tuple[str, ...]:
        root = activity_root(expand(parse(body), contexts()))
        return policies.matching(decision_graph(event.project(root), FACTS, contexts()), root["@id"])

    return match


def fast_matcher(_files: Mapping[str, str]) -> Callable[[bytes], tuple[str, ...]]:
    """Return what matches a document with policies, compiled and behind an index (B8)."""
    raise NotAvailable("compiled policies")  # CONNECT: core.policy
