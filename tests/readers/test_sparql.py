"""The log as a source of SPARQL queries: Comunica is given its first page, and finds the others."""

from typing import Any
from urllib.parse import urlencode

import pytest
from tests.readers.clients import select
from tests.readers.conftest import Serve
from tests.readers.steps import activities, inboxes, log

from orchestrator.core import vocabulary as v

PREFIXES = """
PREFIX tree: <https://w3id.org/tree#>
PREFIX log: <https://w3id.org/orchestrator/log#>
PREFIX ldp: <http://www.w3.org/ns/ldp#>
"""


async def count(query: str, source: str) -> int:
    """Return what a query counts as ?n."""
    (solution,) = await select(PREFIXES + query, source)
    return int(solution["n"])


@pytest.mark.timeout(240)
async def test_a_query_counts_the_thousand_members_of_the_log(serve: Serve) -> None:
    """It is given the first page; `hydra:next` leads to the others."""
    service = await serve(page_size=100)
    await log(service, activities(1, 1_000))
    members = f"SELECT (COUNT(DISTINCT ?event) AS ?n) {{ <{service.log}> tree:member ?event }}"
    assert await count(members, f"{service.log}?page=1") == 1_000


@pytest.mark.timeout(180)
async def test_a_query_joins_envelopes_to_payloads_also_of_a_filtered_read(serve: Serve) -> None:
    """Envelopes are in the default graph, and each payload is in the graph that its event names."""
    service = await serve(page_size=10)
    documents = activities(1, 60)
    await log(service, documents)
    query = (
        "SELECT (COUNT(*) AS ?n) { ?event a log:LifecycleEvent . GRAPH ?event { ?service ldp:inbox ?inbox } }"
    )
    assert await count(query, f"{service.log}?page=1") == sum(map(named, documents))
    offers = [document for document in documents if "Offer" in document["type"]]
    assert len(offers) > 10
    filtered = urlencode({"type": f"{v.AS}Offer"})
    assert await count(query, f"{service.log}?{filtered}") == sum(map(named, offers))


def named(document: dict[str, Any]) -> int:
    """Return how many inboxes a document names."""
    return len(set(inboxes(document)))
