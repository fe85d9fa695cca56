"""Stage 1: what is kept, what is refused, and that nothing is kept of what is refused."""

import json
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator.core.errors import (
    ConflictingContent,
    Overloaded,
    ScreeningRefused,
    ShapeViolated,
    StorageError,
    TooLarge,
    UnacceptableDocument,
    UnreadableBytes,
)
from orchestrator.ports import Arrival, NotificationState, Receipt

from .conftest import START, House, Specimen


async def kept(house: House) -> int:
    return len(await house.store.reader.listing("inbox"))


async def test_what_is_accepted_is_kept_byte_for_byte_with_its_time_and_its_warnings(
    house: House, specimen: Specimen
) -> None:
    document = specimen()
    del document["actor"]
    body = json.dumps(document, indent=7).encode()
    received = await house.receive(body)
    assert received.receipt.fresh
    stored = await house.stored(received.receipt.token)
    assert (stored.body, stored.received, stored.state) == (body, START, NotificationState.RECEIVED)
    assert stored.notification.pattern == "announce-review"
    assert [finding.severity for finding in received.warnings] == ["Warning"]
    assert stored.warnings == received.warnings


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", UnreadableBytes),
        (b'{"id": 1, "id": 1}', UnreadableBytes),
        (b" " * 65_537, TooLarge),
        (b"[]", UnacceptableDocument),
        (b'{"@context": "https://unknown.example/", "id": "urn:x:1"}', UnacceptableDocument),
        (
            b'{"@context": "https://www.w3.org/ns/activitystreams", "id": "urn:x:1", "type": "Announce"}',
            ShapeViolated,
        ),
    ],
)
async def test_each_stage_refuses_with_its_own_error_and_places_and_nothing_is_kept(
    house: House, body: bytes, error: type[ScreeningRefused]
) -> None:
    with pytest.raises(error) as refused:
        await house.receive(body)
    assert type(refused.value) is error
    assert any(finding.refuses for finding in refused.value.findings)
    assert await kept(house) == 0


async def test_the_same_content_again_gets_the_first_receipt_however_it_is_written(
    house: House, specimen: Specimen
) -> None:
    """Identity is sender and id, content the RFC 8785 form (wire.md, section 1)."""
    document = specimen()
    first = await house.receive(document)
    house.clock.time += 1_000
    shuffled = dict(reversed(document.items()))
    again = await house.receive(json.dumps(shuffled, indent=2, ensure_ascii=True).encode())
    assert (again.receipt.token, again.receipt.fresh) == (first.receipt.token, False)
    stored = await house.stored(first.receipt.token)
    assert (stored.body, stored.received) == (json.dumps(document).encode(), START)
    assert await kept(house) == 1


async def test_other_content_under_the_same_id_is_refused_journalled_and_changes_nothing(
    house: House, specimen: Specimen
) -> None:
    """Invariant I2: "same id+other digest = 409, never overwritten"."""
    document = specimen()
    first = await house.receive(document)
    with pytest.raises(ConflictingContent):
        await house.receive({**document, "summary": "Another text."})
    assert json.loads((await house.stored(first.receipt.token)).body) == document
    assert await kept(house) == 1
    with house.store.engine.connect() as connection:
        [row] = connection.execute(sa.text("SELECT what, who FROM journal")).all()
    assert tuple(row) == ("conflicting content refused", document["origin"]["id"])


async def test_another_sender_may_use_the_same_id_for_a_notification_of_its_own(
    house: House, specimen: Specimen
) -> None:
    document = specimen()
    other = {**document, "origin": {**document["origin"], "id": "https://other.example/"}}
    first, second = await house.receive(document), await house.receive(other)
    assert second.receipt.fresh
    assert first.receipt.token != second.receipt.token
    await house.process()
    assert len(await house.events()) == 2


@pytest.mark.parametrize("error", [Overloaded(), StorageError("The service is stopping.")])
async def test_trouble_of_our_own_is_told_to_the_sender_and_nothing_is_kept(
    house: House, specimen: Specimen, error: Exception
) -> None:
    house.screener.trouble.append(error)
    document = specimen()
    with pytest.raises(type(error)):
        await house.receive(document)
    assert await kept(house) == 0
    assert (await house.receive(document)).receipt.fresh


async def test_there_is_no_receipt_before_the_store_has_committed(
    house: House, specimen: Specimen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant I1: ack ⇒ durable."""

    async def keep(arrival: Arrival) -> Receipt:
        raise StorageError("The disk of the database is full.")

    ledger: Any = house.store.ledger
    monkeypatch.setattr(ledger, "keep", keep)
    with pytest.raises(StorageError):
        await house.receive(specimen())
    monkeypatch.undo()
    assert await kept(house) == 0
