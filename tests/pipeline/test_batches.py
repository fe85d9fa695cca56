"""Notifications that are claimed together: decided about together, and each for itself."""

import asyncio
import dataclasses
import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
from tests.acceptance.service import until

from orchestrator.core.errors import StorageError
from orchestrator.core.event import LifecycleEvent
from orchestrator.ports import Arrival, NotificationState
from orchestrator.scheduler import Timetable, TimetableSettings

from .conftest import BASE, LEASE, House, Specimen


def said(event: LifecycleEvent) -> dict[str, Any]:
    envelope: dict[str, Any] = json.loads(event.envelope)
    return envelope


def ours(number: int) -> dict[str, Any]:
    return {"context": {"id": f"{BASE}/articles/{number}"}}


async def states(house: House) -> list[tuple[str, str | None]]:
    return [
        (each.state.value, each.reason) for each in await house.store.reader.listing("inbox", limit=1_000)
    ]


async def many(house: House, document: dict[str, Any], count: int) -> None:
    """Keep `count` copies of one document under ids of their own, screened once."""
    stored = await house.stored((await house.receive(document)).receipt.token)
    for number in range(1, count):
        notification = dataclasses.replace(stored.notification, id=f"urn:x:{number}")
        copy = Arrival(
            inbox="inbox",
            body=stored.body,
            media_type=stored.media_type,
            received=stored.received,
            notification=notification,
        )
        await house.store.ledger.keep(copy)


@dataclass
class Slow:
    """A server of artefacts that answers when it is let go."""

    house: House
    artefact: str

    def __post_init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked: list[str] = []
        self._status, self.house.peers.status = self.house.peers.status, self.status  # type: ignore[method-assign]

    async def status(self, url: str) -> int:
        self.asked.append(url)
        if url == self.artefact:
            await self.gate.wait()
        return await self._status(url)


async def test_a_batch_is_one_look_and_one_commit(house: House, specimen: Specimen) -> None:
    await many(house, specimen(), 100)
    claimed = await house.claim()
    before, looks = house.store.counters.commits, []
    background = house.store.reader.background

    async def look(notifications: Any) -> Any:
        looks.append(len(notifications))
        return await background(notifications)

    house.store.reader.background = look  # type: ignore[method-assign]
    await house.processing.process(claimed)
    assert (looks, house.store.counters.commits - before) == ([100], 1)
    events = await house.events()
    assert [event.activity for event in events] == [each.notification.id for each in claimed]


async def test_an_answer_finds_what_it_answers_in_its_own_batch(house: House, specimen: Specimen) -> None:
    """And costs the others of the batch nothing: there is one more commit, not one for each."""
    house.own(f"{BASE}/")
    for number in range(10):
        offer = specimen(**ours(number))
        await house.receive(offer)
        await house.receive(specimen(inReplyTo=offer["id"]))
    claimed = await house.claim()
    house.processing.existence._known.update(
        {f"{BASE}/articles/{number}": (house.clock.time, False, 300_000) for number in range(10)}
    )
    before = house.store.counters.commits
    events = await house.decide(claimed)
    assert house.store.counters.commits - before == 2
    for offered, answer in zip(events[::2], events[1::2], strict=True):
        assert offered is not None
        assert answer is not None
        assert said(answer)["causedBy"] == offered.iri
        assert answer.artefact == offered.artefact


async def test_a_chain_of_answers_in_one_batch_is_followed_to_its_end(
    house: House, specimen: Specimen
) -> None:
    house.own(f"{BASE}/")
    chain = [specimen(**ours(1))]
    for _ in range(5):
        chain.append(specimen(inReplyTo=chain[-1]["id"]))
    for document in chain:
        await house.receive(document)
    events = await house.process()
    assert [event.sequence for event in events if event] == [1, 2, 3, 4, 5, 6]
    assert [said(event)["causedBy"] for event in events[1:] if event] == [
        event.iri for event in events[:-1] if event
    ]


async def test_two_that_answer_each_other_wait_for_neither(house: House, specimen: Specimen) -> None:
    first, second = specimen(), specimen()
    for one, other in ((first, second), (second, first)):
        await house.receive({**one, "inReplyTo": other["id"]})
    one_event, other_event = await house.process()
    assert one_event is not None
    assert other_event is not None
    assert said(one_event)["causedBy"] is None
    assert said(other_event)["causedBy"] == one_event.iri


async def test_the_same_notification_twice_in_a_batch_is_one_event(house: House, specimen: Specimen) -> None:
    document = specimen()
    for inbox in ("inbox", "second", "third"):
        await house.receive(document, inbox=inbox)
    events = await house.process()
    assert [event is not None for event in events] == [True, False, False]
    [second] = await house.store.reader.listing("second")
    assert (second.state, second.reason) == (NotificationState.IGNORED, "duplicate")


async def test_an_artefact_that_is_asked_after_keeps_nobody_waiting_but_answers(
    house: House, specimen: Specimen
) -> None:
    """Also in later batches: an answer waits for the event that it answers, wherever that is."""
    house.own(f"{BASE}/")
    slow = Slow(house, f"{BASE}/articles/1")
    held, quick = specimen(**ours(1)), specimen(**ours(2))
    for document in (held, quick, specimen(inReplyTo=held["id"])):
        await house.receive(document)
    await house.processing.process(await house.claim())
    await until(house.events)
    await house.receive(specimen(inReplyTo=held["id"]))
    await house.receive(specimen(target={"id": f"{BASE}/", "type": "Service", "inbox": f"{BASE}/inbox/"}))
    await house.processing.process(await house.claim())
    assert next(event.activity for event in await house.events()) == quick["id"]
    assert len(await house.events()) == 2
    slow.gate.set()
    await house.processing.finish()
    events = await house.events()
    assert len(events) == 5
    assert events[2].activity == held["id"]
    assert [said(event)["causedBy"] for event in events] == [None, None, None, events[2].iri, events[2].iri]
    assert slow.asked.count(slow.artefact) == 1


async def test_many_that_wait_for_their_artefacts_leave_room_for_the_rest_of_us(
    house: House, specimen: Specimen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits is bounded, and so is what is asked at once."""
    monkeypatch.setattr("orchestrator.pipeline.process._MOST_HELD", 3)
    house.own(f"{BASE}/")
    most = 0
    for number in range(10):
        await house.receive(specimen(**ours(number)))

    async def status(_url: str) -> int:
        nonlocal most
        most = max(most, len(house.processing._held))
        await asyncio.sleep(0)
        return 200

    house.peers.status = status  # type: ignore[method-assign, assignment]
    events = await house.process()
    assert sorted(event.sequence for event in events if event) == list(range(1, 11))
    assert most == 3


async def test_what_is_waiting_for_another_server_at_a_stop_is_left_to_the_next_claim(
    house: House, specimen: Specimen
) -> None:
    house.own(f"{BASE}/")
    slow = Slow(house, f"{BASE}/articles/1")
    await house.receive(specimen(**ours(1)))
    timetable = Timetable(
        processing=house.processing,
        delivering=house.delivering,
        ledger=house.store.ledger,
        outbox=house.store.outbox,
        clock=house.clock,
        reload=lambda: False,
        settings=TimetableSettings(interval=3_600.0, stop_within=0.05),
    )
    await timetable.start()

    async def asked() -> list[str]:
        return slow.asked

    await until(asked)
    await timetable.stop()
    slow.gate.set()
    assert await house.events() == []
    assert await states(house) == [("RECEIVED", None)]
    house.clock.time += LEASE
    assert len(await house.process()) == 1
    assert await states(house) == [("PROCESSED", "logged")]


async def test_a_batch_that_is_faster_than_the_log_s_time_waits_a_moment_instead_of_coming_back(
    house: House, specimen: Specimen
) -> None:
    """One event a millisecond: nothing is written twice, and nobody has to claim again."""

    class Moving:
        """Begins at a time, and goes on."""

        def __init__(self) -> None:
            self.begun = time.monotonic()

        def now(self) -> int:
            return house.clock.time + int((time.monotonic() - self.begun) * 1_000)

    await many(house, specimen(), 300)
    claimed = await house.claim()
    house.processing.clock = Moving()
    await house.processing.process(claimed)
    assert len(await house.store.reader.listing("inbox", limit=1_000)) == 300
    assert set(await states(house)) == {("PROCESSED", "logged")}


async def test_when_nothing_can_be_looked_up_everything_is_tried_again(
    house: House, specimen: Specimen, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_notifications: object) -> object:
        raise StorageError("The database is busy.")

    for _ in range(3):
        await house.receive(specimen())
    with monkeypatch.context() as patch:
        patch.setattr(house.store.reader, "background", fails)
        assert await house.process() == [None] * 3
    assert await states(house) == [("RETRY", "overloaded")] * 3
    house.clock.time += 2_000
    assert len([event for event in await house.process() if event]) == 3


async def test_a_batch_that_takes_long_is_recorded_in_parts(house: House, specimen: Specimen) -> None:
    """What is decided does not wait for what is slow until its lease has run out."""
    await many(house, specimen(), 40)
    claimed = await house.claim()
    judge = house.screener.judge

    async def slowly(*given: Any) -> Any:
        house.clock.time += 500
        return await judge(*given)

    house.screener.judge = slowly  # type: ignore[method-assign, assignment]
    before = house.store.counters.commits
    await house.processing.process(claimed)
    assert house.store.counters.commits - before == 3
    assert len(await house.events()) == 40
    assert house.processing.beat == house.clock.time
