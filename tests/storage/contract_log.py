"""Appending to the log, and reading inboxes and log."""

import asyncio
import dataclasses

import pytest
from tests.storage.examples import (
    ANNOUNCE,
    BASE,
    NOW,
    REVIEW,
    activity,
    arrival,
    background,
    claim,
    draft,
    log,
    outcome,
    plan,
    record,
    thread,
)

from orchestrator.core.delivery import delivery_id
from orchestrator.core.errors import LogAhead
from orchestrator.core.event import artefact_id
from orchestrator.ports import Background, Head, NotificationState, Query, Thread
from orchestrator.storage import Store

OFFER = "https://www.w3.org/ns/activitystreams#Offer"


class LogContract:
    """Behaviours of `Ledger.record` that readers see, and of `Reader`."""

    async def test_an_empty_store_answers(self, store: Store) -> None:
        """Nothing is there, and nothing breaks."""
        assert await store.reader.head() == Head(sequence=0, created=0)
        assert await store.reader.listing("inbox") == []
        assert await store.reader.latest("inbox") == 0
        assert await store.reader.notification("inbox", "none") is None
        assert await store.reader.event(1) is None
        assert await store.reader.events(Query()) == []
        assert await store.reader.artefact("none") is None
        assert await store.reader.tokens("inbox") == []
        assert await store.reader.background([]) == []
        assert await background(store, answers="urn:none") == Background(sent=False, thread=None)

    async def test_an_event_is_read_as_it_was_written(self, store: Store) -> None:
        """Its bytes are final."""
        written = await log(store, 1)
        assert await store.reader.event(1) == written
        assert written.iri == f"{BASE}/log/e/1"
        assert written.types == (ANNOUNCE, REVIEW)
        assert await store.reader.head() == Head(sequence=1, created=NOW)

    async def test_numbers_have_no_gaps_and_times_increase_under_a_frozen_clock(self, store: Store) -> None:
        """The log may lead the clock by 250 ms: then the rest waits, and goes on when time does."""
        await asyncio.gather(*(store.ledger.keep(arrival(number)) for number in range(252)))
        waiting = await claim(store)
        recorded = await asyncio.gather(
            *(record(store, one, outcome(draft(one.notification), plan()), now=NOW) for one in waiting),
            return_exceptions=True,
        )
        assert [number for number, result in enumerate(recorded) if isinstance(result, LogAhead)] == [251]
        (left,) = [one for one, result in zip(waiting, recorded, strict=True) if isinstance(result, LogAhead)]
        with pytest.raises(LogAhead):
            await record(store, left, outcome(draft(left.notification)), now=NOW)
        assert await store.ledger.pending() == 1
        await record(store, left, outcome(draft(left.notification)), now=NOW + 1)
        events = await store.reader.events(Query(limit=1000))
        assert [event.sequence for event in events] == list(range(1, 253))
        assert [event.created for event in events] == list(range(NOW, NOW + 252))

    async def test_time_increases_when_the_clock_goes_back(self, store: Store) -> None:
        """A small step back is made up for; a large one stops the log, and nothing else."""
        await log(store, 1)
        assert (await log(store, 2, now=NOW - 100)).created == NOW + 1
        await store.ledger.keep(arrival(3))
        (one,) = await claim(store, now=NOW - 5000)
        with pytest.raises(LogAhead):
            await record(store, one, outcome(draft(one.notification)), now=NOW - 5000)

    async def test_a_listing_is_paged_by_key(self, store: Store) -> None:
        """Each inbox for itself, in order of arrival."""
        for number in range(6):
            await store.ledger.keep(arrival(number, inbox="a" if number % 2 else "b"))
        first = await store.reader.listing("a", limit=2)
        rest = await store.reader.listing("a", after=first[-1].key, limit=2)
        assert [stored.notification.id for stored in (*first, *rest)] == [activity(n) for n in (1, 3, 5)]
        assert await store.reader.latest("a") == rest[-1].key
        listed = [(stored.key, stored.token) for stored in (*first, *rest)]
        assert await store.reader.tokens("a") == listed
        assert await store.reader.tokens("a", after=first[0].key, limit=1) == listed[1:2]
        assert await store.reader.notification("b", first[0].token) is None

    async def test_events_are_found_by_each_field_and_by_all_together(self, store: Store) -> None:
        """Given fields must all be equal; `since` and `until` bound the numbers."""
        await log(store, 1)
        await log(store, 2, types=(OFFER,), artefact="https://artefact.example/2")
        await log(store, 3, types=(OFFER, REVIEW), actor=None, in_reply_to=activity(2))
        await log(store, 4, types=(OFFER,), artefact=None, in_reply_to=activity(2))
        queries = {
            Query(): [1, 2, 3, 4],
            Query(since=2): [3, 4],
            Query(since=1, until=3): [2, 3],
            Query(limit=2): [1, 2],
            Query(type=OFFER): [2, 3, 4],
            Query(type=OFFER, since=2, limit=1): [3],
            Query(type="urn:none"): [],
            Query(artefact="https://artefact.example/1"): [1, 3],
            Query(actor="https://person.example/me"): [1, 2, 4],
            Query(in_reply_to=activity(2)): [3, 4],
            Query(type=OFFER, in_reply_to=activity(2), actor="https://person.example/me"): [4],
            Query(
                type=REVIEW, artefact="https://artefact.example/1", in_reply_to=activity(2), since=1, until=4
            ): [3],
        }
        for query, expected in queries.items():
            assert [event.sequence for event in await store.reader.events(query)] == expected, query

    async def test_an_artefact_is_found_by_its_short_name(self, store: Store) -> None:
        """Only artefacts that an event is about have an address."""
        await log(store, 1)
        assert (
            await store.reader.artefact(artefact_id("https://artefact.example/1"))
            == "https://artefact.example/1"
        )
        assert await store.reader.artefact(artefact_id("https://artefact.example/2")) is None

    async def test_a_thread_is_found_by_activity_and_by_our_own_notification(self, store: Store) -> None:
        """An answer may name what we received, or what we sent."""
        written = await log(store, 1, plan("https://hub.example/"))
        ours = delivery_id(written.iri, "https://hub.example/")
        follows = Thread(iri=written.iri, artefact="https://artefact.example/1")
        assert await thread(store, activity(1)) == follows
        assert await thread(store, ours) == follows
        own = dataclasses.replace(arrival(2).notification, id=ours)
        known = await store.reader.background([own, arrival(1).notification])
        assert [each.sent for each in known] == [True, False]

    async def test_a_thread_begins_with_the_earliest_event_of_an_id(self, store: Store) -> None:
        """Two senders may use one id."""
        first = await log(store, 1)
        await store.ledger.keep(arrival(1, sender="https://other.example/"))
        (one,) = await claim(store)
        assert await record(store, one, outcome(draft(one.notification)), now=NOW)
        assert await thread(store, activity(1)) == Thread(iri=first.iri, artefact=first.artefact)

    async def test_a_thread_is_the_event_of_whom_the_answer_is_addressed_to(self, store: Store) -> None:
        """Or a stranger who used the id first would get between them."""
        await log(store, 1)
        await store.ledger.keep(arrival(1, sender="https://other.example/"))
        (one,) = await claim(store)
        second = await record(store, one, outcome(draft(one.notification)), now=NOW)
        assert second is not None
        found = await thread(store, activity(1), author="https://other.example/")
        assert found == Thread(iri=second.iri, artefact=second.artefact)

    async def test_many_are_asked_about_at_once(self, store: Store) -> None:
        """Each gets its own background, in order; nothing answers itself."""
        events = [await log(store, number) for number in range(1, 4)]
        asked = [
            dataclasses.replace(arrival(100 + number).notification, in_reply_to=activity(number))
            for number in (3, 1, 2, 9)
        ]
        asked.append(dataclasses.replace(arrival(1).notification, in_reply_to=activity(1)))
        found = await store.reader.background(asked * 300)
        iris = [None if each.thread is None else each.thread.iri for each in found]
        assert iris == [events[2].iri, events[0].iri, events[1].iri, None, None] * 300

    async def test_everything_is_the_same_after_reopening(self, store: Store, open_store: object) -> None:
        """What was answered once is answered again."""
        await log(store, 1, plan())
        await store.ledger.keep(arrival(2))
        before = await _everything(store)
        await store.close()
        assert callable(open_store)
        assert await _everything(open_store()) == before

    async def test_listeners_hear_of_each_kind_of_change(self, store: Store) -> None:
        """After the commit, on the event loop, until they stop listening."""
        heard: list[str] = []
        stop = store.listen(heard.append)
        await store.ledger.keep(arrival())
        await asyncio.sleep(0)
        assert heard == ["notification"]
        await store.ledger.keep(arrival())
        (one,) = await claim(store)
        await asyncio.sleep(0)
        assert heard == ["notification"]
        await record(store, one, outcome(draft(one.notification), plan()), now=NOW)
        await asyncio.sleep(0)
        assert heard == ["notification", "delivery", "event"]
        stop()
        await store.ledger.keep(arrival(2))
        await asyncio.sleep(0)
        assert len(heard) == 3


async def _everything(store: Store) -> object:
    return (
        await store.reader.listing("inbox"),
        await store.reader.latest("inbox"),
        await store.reader.head(),
        await store.reader.events(Query()),
        await store.outbox.deliveries(),
        await store.outbox.due(),
        await store.ledger.pending(),
        NotificationState.PROCESSED,
    )
