"""What the tests put into a log, and what they find in it without the readers."""

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import aiohttp
from tests.acceptance.service import JSON_LD, ROOT, Service, until
from tests.agreement.datasets import of_json_ld

from orchestrator.core import vocabulary as v
from orchestrator.core.quads import Quad

_AT_ONCE = 16
_SPECIMENS: list[dict[str, Any]] = [
    json.loads(path.read_text()) for path in sorted((ROOT / "fixtures/notifications").glob("*/valid.json"))
]


def activities(first: int, last: int) -> list[dict[str, Any]]:
    """Return notifications number `first` to `last`, of all patterns in turn; each has a node without a name."""
    return [
        {
            **_SPECIMENS[number % len(_SPECIMENS)],
            "id": f"urn:uuid:00000000-0000-4000-8000-{number:012x}",
            "tag": {"type": "Object", "name": f"of number {number}"},
        }
        for number in range(first, last + 1)
    ]


def inboxes(document: Any) -> Iterator[tuple[str, str]]:
    """Yield the inboxes that a document names, wherever they are nested, each with whose it is."""
    if isinstance(document, list):
        for each in document:
            yield from inboxes(each)
    elif isinstance(document, dict):
        if "inbox" in document:
            yield document["id"], document["inbox"]
        for each in document.values():
            yield from inboxes(each)


async def length(service: Service) -> int:
    """Return how many events are in the log."""
    answer = await service.get("/log", Accept=JSON_LD)
    assert answer.status == 200
    total: int = answer.json["totalItems"]
    return total


async def log(service: Service, documents: Sequence[dict[str, Any]]) -> None:
    """POST notifications, many at once, and wait until the log has them all."""
    before = await length(service)
    places = asyncio.Semaphore(_AT_ONCE)
    async with aiohttp.ClientSession(headers={"Content-Type": JSON_LD}) as session:

        async def post(document: dict[str, Any]) -> None:
            async with places, session.post(service.inbox, data=json.dumps(document)) as answer:
                assert answer.status == 201, await answer.text()

        await asyncio.gather(*(post(document) for document in documents))
    await until(lambda: length(service), lambda found: found == before + len(documents))


async def stated(service: Service) -> dict[str, list[Quad]]:
    """Return what the pages' JSON-LD says of each event as pyld reads it, envelope and payload, in log order."""
    found: dict[str, list[Quad]] = {}
    place: str | None = f"{service.log}?page=1"
    while place is not None:
        answer = await service.get(place, Accept=JSON_LD)
        assert answer.status == 200
        found |= {event["id"]: [] for event in answer.json["orderedItems"]}
        for quad in of_json_ld(answer.json):
            about = quad[3] or quad[0]
            if about in found:
                found[about].append(quad)
        place = answer.json.get("next")
    return found


def inboxes_in(quads: Iterable[Quad]) -> set[tuple[str, str]]:
    """Return the inboxes in payloads, each with whose it is."""
    return {
        (subject, value)
        for subject, predicate, value, graph in quads
        if predicate == v.LDP + "inbox" and graph and isinstance(value, str)
    }
