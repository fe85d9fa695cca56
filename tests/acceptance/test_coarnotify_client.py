"""The reference client of COAR Notify (`coarnotify` on PyPI) sends us all that it knows."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

from coarnotify import patterns
from coarnotify.client import COARNotifyClient, NotifyResponse
from coarnotify.factory import COARNotifyFactory
from coarnotify.test import fixtures

from .conftest import Serve
from .notifications import fresh
from .service import ROOT

# Its class → our slug.
PATTERNS = {
    "Accept": "accept",
    "AnnounceEndorsement": "announce-endorsement",
    "AnnounceRelationship": "announce-relationship",
    "AnnounceReview": "announce-review",
    "AnnounceServiceResult": "announce-service-result",
    "Reject": "reject",
    "RequestEndorsement": "request-endorsement",
    "RequestReview": "request-review",
    "TentativelyAccept": "tentatively-accept",
    "TentativelyReject": "tentatively-reject",
    "UndoOffer": "undo-offer",
    "UnprocessableNotification": "unprocessable-notification",
}


def specimens() -> Iterator[tuple[str, Any]]:
    """Yield a pattern's slug and a notification of the library's own classes: its specimens, then ours."""
    for name, slug in PATTERNS.items():
        source = getattr(fixtures, f"{name}FixtureFactory").source()
        yield slug, getattr(patterns, name)({**source, "id": fresh()})
    for name, slug in PATTERNS.items():
        source = json.loads((ROOT / "fixtures" / "notifications" / slug / "valid.json").read_text())
        notification = COARNotifyFactory.get_by_object({**source, "id": fresh()})
        assert type(notification).__name__ == name
        yield slug, notification


def test_the_table_of_patterns_has_everything_that_the_library_can_send() -> None:
    assert {model.__name__ for model in COARNotifyFactory.MODELS} == set(PATTERNS)


async def test_the_reference_client_is_answered_201_and_every_pattern_is_processed(serve: Serve) -> None:
    """C1.2, C1.3 and pitfall P1: the client raises for 200, and reads the Location of a 201."""
    service = await serve()
    client = COARNotifyClient(service.inbox)
    sent = []
    for slug, notification in specimens():
        answer = await asyncio.to_thread(client.send, notification)
        assert answer.action == NotifyResponse.CREATED
        assert answer.location.startswith(service.inbox)
        report = await service.settled(answer.location)
        assert (report["state"], report["reason"], report["pattern"]) == ("PROCESSED", "logged", slug)
        assert [each for each in report["violations"] if each["severity"] == "Violation"] == []
        assert (await service.get(answer.location)).json == notification.to_jsonld()
        sent.append(notification.id)
    assert [event["activity"] for event in await service.events()] == sent
    assert len(sent) == 2 * len(PATTERNS) == 24
    await service.restart()
    assert [event["activity"] for event in await service.events()] == sent
