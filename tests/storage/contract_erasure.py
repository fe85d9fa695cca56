"""Erasing a payload: what goes, what stays as it was, and that it happens whole or not at all."""

import asyncio
import dataclasses
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import sqlalchemy as sa
from tests.storage.contract_ledger import rows_of
from tests.storage.contract_outbox import take
from tests.storage.contract_tree import check
from tests.storage.examples import (
    BASE,
    LEASE,
    NOW,
    WARNING,
    activity,
    arrival,
    claim,
    draft,
    outcome,
    plan,
    record,
    thread,
)
from tests.storage.trees import decide

from orchestrator.core import vocabulary as v
from orchestrator.core.delivery import DeliveryState, Verdict, delivery_id
from orchestrator.core.erasure import ERASURE, erased_by, tombstone
from orchestrator.core.errors import ConflictingContent, LeaseLost, LogAhead, NotFound, StorageError
from orchestrator.core.event import LifecycleEvent
from orchestrator.core.pod import Identity
from orchestrator.core.source import FOLLOWED
from orchestrator.ports import Arrival, Head, NotificationState, Query, Thread
from orchestrator.storage import Store, schema

ME = Identity(id=f"{BASE}/", name="Orchestrator", inbox=f"{BASE}/inbox/")
HUB = "https://hub.example/"
OTHER = "https://other.example/"
LATER = NOW + 1_000_000
DELIVERED = Verdict(state=DeliveryState.DELIVERED)
RETRYING = Verdict(state=DeliveryState.RETRYING, reason="status 503", next_at=NOW + 9_000_000)
Tables = dict[str, list[dict[str, Any]]]


def secret(number: int) -> str:
    """Return the word that only the notification of that number says."""
    return f"SECRET-{number}-WORD"


def telling(number: int, **changes: Any) -> Arrival:
    """Return a notification whose every free text says its secret."""
    word = secret(number)
    kept = arrival(number, content=word, **changes)
    known = dataclasses.replace(
        kept.notification,
        digest=hashlib.sha256(word.encode()).hexdigest(),
        title=f"By {word}",
        objects=(f"https://review.example/{word}",),
        contexts=(f"https://context.example/{word}",),
        inner_objects=(f"https://inner.example/{word}",),
        cited=(f"https://doi.example/{word}",),
        target=f"https://target.example/{word}",
        target_inbox=f"https://target.example/{word}/inbox",
        origin_inbox=f"https://sender.example/{word}",
    )
    warning = dataclasses.replace(WARNING, message=f"Not {word}.", value=word)
    return dataclasses.replace(kept, notification=known, warnings=(warning,))


async def tell(store: Store, number: int, *targets: str, now: int = NOW) -> LifecycleEvent:
    """Take a notification into the log, with deliveries to `targets`."""
    await store.ledger.keep(telling(number))
    (claimed,) = await claim(store, now=now)
    event = dataclasses.replace(
        draft(claimed.notification), payload=json.dumps({"summary": secret(number)}).encode()
    )
    written = await record(store, claimed, outcome(event, *map(plan, targets)), now=now)
    assert written is not None
    return written


async def send(store: Store, decided: Verdict | None, *, now: int = NOW + 500) -> None:
    """Prepare the deliveries that are due, and end their attempts; None leaves them under way."""
    for held in await take(store, now=now):
        assert held.lease is not None
        body = f"announcing {secret(held.event or 0)}".encode()
        await store.outbox.prepare(held.lease, inbox=f"{held.target}inbox/", body=body)
        if decided is not None:
            await store.outbox.finish(held.lease, decided, now=now, status=202, location=None)


async def erase(
    store: Store, event: LifecycleEvent, *, now: int = LATER, salt: str = "ab" * 16
) -> LifecycleEvent | None:
    """Erase the payload of `event`."""
    told = tombstone(event, me=ME, now=now, salt=salt, policy_set="urn:policies:1")
    return await store.erasure.erase(event.sequence, told, who="operator", note={"because": "asked"}, now=now)


def everything(store: Store) -> Tables:
    """Return all rows of all tables."""
    return {table.name: rows_of(store, table) for table in schema.metadata.sorted_tables}


def mentions(tables: Tables, word: str) -> list[str]:
    """Return where `word` stands, as table.column."""
    return [
        f"{name}.{column}"
        for name, rows in tables.items()
        for row in rows
        for column, value in row.items()
        if word in (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))
    ]


def changes(before: Tables, after: Tables) -> dict[str, dict[str, set[str]]]:
    """Return by table and key which columns of a row are others than before; a new row has all."""
    found: dict[str, dict[str, set[str]]] = {}
    for table in schema.metadata.sorted_tables:
        keys = [column.name for column in table.primary_key.columns]
        was, now = (
            {" ".join(str(row[key]) for key in keys): row for row in tables[table.name]}
            for tables in (before, after)
        )
        assert was.keys() <= now.keys(), f"rows of {table.name} are gone"
        for key, row in now.items():
            changed = {name for name in row if row[name] != was[key][name]} if key in was else {"NEW"}
            if changed:
                found.setdefault(table.name, {})[key] = changed
    return found


@contextmanager
def failing(store: Store, place: int) -> Iterator[list[str]]:
    """Let the write fail that is the `place`-th from here; yield those that were begun."""
    seen: list[str] = []

    def fail(_connection: object, _cursor: object, text: str, *_: object) -> None:
        if text.startswith(("INSERT", "UPDATE", "DELETE")):
            seen.append(text)
            if len(seen) == place:
                raise sa.exc.OperationalError("", {}, OSError("broken by a test"))

    sa.event.listen(store.engine, "before_cursor_execute", fail)
    try:
        yield seen
    finally:
        sa.event.remove(store.engine, "before_cursor_execute", fail)


class ErasureContract:
    """Behaviours of `Erasure`."""

    async def test_what_a_notification_said_is_gone_from_every_table(self, store: Store) -> None:
        """Payload, salt, body, warnings, names, titles and what it was about, and what hubs were sent."""
        await tell(store, 1)
        event = await tell(store, 2, HUB, OTHER, now=NOW + 10)
        await send(store, DELIVERED)
        assert len({place.partition(".")[0] for place in mentions(everything(store), secret(2))}) == 3
        assert await erase(store, event) is not None
        assert mentions(everything(store), secret(2)) == []
        assert mentions(everything(store), str(event.salt)) != [], "the salt of another event"
        row = rows_of(store, schema.event)[1]
        assert (row["payload"], row["salt"]) == (None, None)

    async def test_nothing_but_what_is_erased_changes(self, store: Store) -> None:
        """Not the envelope, its leaf or its digest, and nothing of anybody else."""
        for number in (1, 2, 3):
            await tell(store, number, HUB, now=NOW + 10 * number)
        await send(store, DELIVERED)
        event = await store.reader.event(2)
        assert event is not None
        before = everything(store)
        assert await erase(store, event) is not None
        after = everything(store)
        found = changes(before, after)
        [delivered] = [row["id"] for row in before["delivery"] if row["event"] == 2]
        [told] = [row["id"] for row in after["delivery"] if row["event"] == 4]
        # Should its sender correct what was erased, the hub is told of that.
        assert found.pop("delivery") == {delivered: {"body", "topic"}, told: {"NEW"}}
        assert found == {
            "event": {"1 2": {"payload", "salt"}, "1 4": {"NEW"}},
            "event_type": {f"1 {name} 4": {"NEW"} for name in (f"{v.AS}Delete", ERASURE)},
            "journal": {"4": {"NEW"}},
            "log_head": {"1": {"sequence", "created", "frontier"}},
            "notification": {"2": {"body", "warnings", "notification"}},
        }

    async def test_the_private_journal_says_who_and_why(self, store: Store) -> None:
        event = await tell(store, 1)
        await erase(store, event)
        entry = rows_of(store, schema.journal)[-1]
        assert (entry["what"], entry["who"], entry["at"]) == ("payload erased", "operator", LATER)
        assert json.loads(entry["note"]) == {"because": "asked", "event": 1}
        assert not any(
            "asked" in place for place in mentions(everything(store), "asked") if "journal" not in place
        )

    async def test_the_tombstone_is_an_event_like_every_other(self, store: Store) -> None:
        """It has the next number, a later time and its place in the tree, and is found by its types."""
        events = [await tell(store, number, now=NOW + number) for number in (1, 2, 3)]
        written = await erase(store, events[1])
        assert written is not None
        assert written == await store.reader.event(4)
        assert written.created > events[-1].created
        assert await store.reader.head() == Head(sequence=4, created=written.created)
        assert [found.sequence for found in await store.reader.events(Query(type=ERASURE))] == [4]
        assert [
            found.sequence for found in await store.reader.events(Query(artefact=events[1].artefact))
        ] == [
            1,
            2,
            3,
            4,
        ]
        assert erased_by(written) == 2
        assert json.loads(written.envelope)["causedBy"] == events[1].iri
        await check(store, 4)
        await tell(store, 5, now=LATER + 10)
        await check(store, 5)

    async def test_an_erased_event_is_read_without_its_payload(self, store: Store) -> None:
        """Whatever way it is found."""
        event = await tell(store, 1)
        await erase(store, event)
        expected = dataclasses.replace(event, payload=None, salt=None)
        assert await store.reader.event(1) == expected
        assert (await store.reader.events(Query(limit=1)))[0] == expected
        assert (await store.reader.events(Query(artefact=event.artefact, limit=1)))[0] == expected

    async def test_twice_is_once(self, store: Store) -> None:
        """Nothing at all happens the second time."""
        event = await tell(store, 1, HUB)
        await send(store, DELIVERED)
        await erase(store, event)
        before = everything(store)
        assert await erase(store, event, now=LATER + 5, salt="cd" * 16) is None
        assert everything(store) == before

    async def test_of_two_at_once_one_erases(self, open_store: Callable[[], Store]) -> None:
        """There is one tombstone, whichever process wrote it."""
        stores = [open_store(), open_store()]
        event = await tell(stores[0], 1)
        done = await asyncio.gather(
            *(erase(stores[turn % 2], event, salt=f"{turn:032x}") for turn in range(6))
        )
        assert [told.sequence for told in done if told is not None] == [2]
        assert (await stores[0].reader.head()).sequence == 2

    async def test_erasing_and_appending_at_once_leaves_no_gap(self, store: Store) -> None:
        """The tombstones stand between the others, and the tree is that of all."""
        events = [await tell(store, number, now=NOW + number) for number in range(1, 11)]
        decided = await decide(store, range(11, 41), now=LATER)
        await asyncio.gather(
            *(erase(store, event) for event in events),
            *(store.ledger.record([one], now=LATER) for one in decided),
        )
        found = await store.reader.events(Query(limit=100))
        assert [event.sequence for event in found] == list(range(1, 51))
        assert all(one.created < two.created for one, two in itertools.pairwise(found))
        assert sorted(about for event in found if (about := erased_by(event)) is not None) == list(
            range(1, 11)
        )
        await check(store, 50)

    async def test_an_event_that_is_not_there_cannot_be_erased(self, store: Store) -> None:
        """And no tombstone tells of it."""
        event = await tell(store, 1)
        before = everything(store)
        for sequence in (0, 2, 2**62):
            with pytest.raises(NotFound, match=f"no event {sequence}"):
                await erase(store, dataclasses.replace(event, sequence=sequence))
        assert everything(store) == before

    async def test_a_log_whose_time_is_ahead_is_left_as_it_is(self, store: Store) -> None:
        """The payload does not go without a tombstone."""
        event = await tell(store, 1)
        before = everything(store)
        with pytest.raises(LogAhead):
            await erase(store, event, now=NOW - 5_000)
        assert everything(store) == before
        assert await erase(store, event) is not None

    async def test_whatever_breaks_it_nothing_or_all_of_it_is_done(self, store: Store) -> None:
        """Each write in turn fails; all tables are as they were."""
        event = await tell(store, 1, HUB, OTHER)
        await send(store, RETRYING)
        before = everything(store)
        written, place = None, 0
        while written is None:
            place += 1
            with failing(store, place) as seen, suppress(StorageError):
                written = await erase(store, event)
            if written is None:
                assert everything(store) == before, seen[-1]
        assert place > 8
        assert mentions(everything(store), secret(1)) == []

    async def test_deliveries_that_are_not_finished_are_cancelled(self, store: Store) -> None:
        """With the reason, and nobody claims them any more; those of other events go on."""
        event = await tell(store, 1, HUB)
        await send(store, RETRYING)
        other = await tell(store, 2, HUB, now=NOW + 700)
        await erase(store, event)
        found = {delivery.id: delivery for delivery in await store.outbox.deliveries()}
        cancelled = found[delivery_id(event.iri, HUB)]
        assert (cancelled.state, cancelled.reason, cancelled.next_at, cancelled.body, cancelled.finished) == (
            DeliveryState.CANCELLED,
            "the event's payload was erased",
            None,
            None,
            LATER,
        )
        claimed = {held.id for held in await take(store, now=LATER + 100 * LEASE)}
        assert cancelled.id not in claimed
        assert delivery_id(other.iri, HUB) in claimed

    async def test_hubs_that_may_have_been_told_are_asked_to_delete_it(self, store: Store) -> None:
        """Those that answered, and those that were tried; whoever was not is not told of it now."""
        ends = {
            "https://delivered.example/": DELIVERED,
            "https://retrying.example/": RETRYING,
            "https://dead.example/": Verdict(state=DeliveryState.DEAD, reason="no success in 10 attempts"),
        }
        event = await tell(store, 1, *ends, "https://waiting.example/")
        for held in await take(store):
            assert held.lease is not None
            if held.target in ends:
                await store.outbox.prepare(held.lease, inbox=held.target, body=b"bytes")
                await store.outbox.finish(held.lease, ends[held.target], now=NOW, status=None, location=None)
        written = await erase(store, event)
        assert written is not None
        told = {each.target: each for each in await store.outbox.deliveries() if each.event == 2}
        assert told.keys() == ends.keys()
        for target, delivery in told.items():
            assert (delivery.id, delivery.policies) == (delivery_id(written.iri, target), ())
            assert (delivery.state, delivery.next_at) == (DeliveryState.PENDING, written.created)
        assert await store.outbox.due() == written.created

    async def test_a_hub_that_is_being_told_is_asked_to_delete_it_too(self, store: Store) -> None:
        """Its bytes are under way, or they were when we were killed: an attempt is counted when it ends."""
        event = await tell(store, 1, HUB)
        await send(store, None)
        await erase(store, event)
        assert [each.target for each in await store.outbox.deliveries() if each.event == 2] == [HUB]

    async def test_who_holds_a_delivery_is_too_late(self, store: Store) -> None:
        """He neither brings its body back nor says what became of it."""
        event = await tell(store, 1, HUB, OTHER)
        before, after = await take(store)
        assert before.lease is not None
        assert after.lease is not None
        await store.outbox.prepare(before.lease, inbox=HUB, body=secret(1).encode())
        await erase(store, event)
        rows = rows_of(store, schema.delivery)
        for held in (before.lease, after.lease):
            with pytest.raises(LeaseLost):
                await store.outbox.prepare(held, inbox=HUB, body=secret(1).encode())
            with pytest.raises(LeaseLost):
                await store.outbox.finish(held, DELIVERED, now=LATER, status=202, location=None)
        assert rows_of(store, schema.delivery) == rows
        assert mentions(everything(store), secret(1)) == []

    async def test_what_a_hub_said_of_it_goes_as_well(self, store: Store) -> None:
        """A refusal often repeats what it refuses."""
        event = await tell(store, 1, HUB)
        said = f"refused with 400: “By {secret(1)}” is no title"
        await send(store, Verdict(state=DeliveryState.DEAD, reason=said))
        await erase(store, event)
        assert mentions(everything(store), secret(1)) == []

    async def test_what_a_hub_said_is_not_in_the_journal_either(self, store: Store) -> None:
        """It stays for ever, and an operator's retry is in it."""
        event = await tell(store, 1, HUB)
        dead = Verdict(state=DeliveryState.DEAD, reason=f"refused with 400: {secret(1)}")
        await send(store, dead)
        await store.outbox.retry(delivery_id(event.iri, HUB), now=NOW + 600)
        await send(store, dead, now=NOW + 600)
        await erase(store, event)
        assert mentions(everything(store), secret(1)) == []

    async def test_the_same_notification_in_another_inbox_goes_with_it(self, store: Store) -> None:
        """It is one event, and was received twice."""
        await store.ledger.keep(telling(1))
        copies = [await store.ledger.keep(telling(1, inbox=name)) for name in ("reviews", "log")]
        first, *others = await claim(store)
        event = await record(store, first, outcome(draft(first.notification)), now=NOW)
        assert event is not None
        assert await record(store, others[0], outcome(draft(others[0].notification)), now=NOW) is None
        await erase(store, event)
        assert mentions(everything(store), secret(1)) == []
        done, waiting = [
            await store.reader.notification(name, copy.token)
            for name, copy in zip(("reviews", "log"), copies, strict=True)
        ]
        assert done is not None
        assert waiting is not None
        assert (done.state, done.reason) == (NotificationState.IGNORED, "duplicate")
        # There is nothing left of it to judge.
        assert (waiting.state, waiting.reason) == (NotificationState.IGNORED, "duplicate")
        assert await store.ledger.pending() == 0

    async def test_what_hubs_were_sent_of_it_when_another_log_told_it_goes_as_well(
        self, store: Store
    ) -> None:
        """It was followed first, and posted to us later."""
        await store.ledger.keep(telling(1, inbox=FOLLOWED))
        (followed,) = await claim(store)
        told = outcome(draft(followed.notification), plan(HUB), plan(OTHER))
        await record(store, followed, dataclasses.replace(told, is_logged=False, reason="followed"), now=NOW)
        (first, _) = await take(store)
        assert first.lease is not None
        await store.outbox.prepare(first.lease, inbox=HUB, body=secret(1).encode())
        await store.outbox.finish(first.lease, DELIVERED, now=NOW, status=202, location=None)
        event = await tell(store, 1, now=NOW + 10)
        await erase(store, event)
        assert mentions(everything(store), secret(1)) == []
        assert {each.target: each.state for each in await store.outbox.deliveries()} == {
            first.target: DeliveryState.DELIVERED,
            ({HUB, OTHER} - {first.target}).pop(): DeliveryState.CANCELLED,
        }

    async def test_the_same_notification_of_another_sender_stays(self, store: Store) -> None:
        """Two senders may use one id."""
        event = await tell(store, 1)
        await store.ledger.keep(telling(1, sender="https://other.example/"))
        before = rows_of(store, schema.notification)[1]
        await erase(store, event)
        assert rows_of(store, schema.notification)[1] == before

    async def test_no_address_of_a_person_is_left(self, store: Store) -> None:
        """Envelopes never have any; what we keep to know a notification again has none either."""
        kept = telling(1)
        person = dataclasses.replace(kept.notification, actor="MAILTO:marie@example.org")
        await store.ledger.keep(dataclasses.replace(kept, notification=person))
        (claimed,) = await claim(store)
        event = await record(store, claimed, outcome(draft(claimed.notification, actor=None)), now=NOW)
        assert event is not None
        await erase(store, event)
        assert mentions(everything(store), "marie@example.org") == []

    async def test_a_notification_is_known_again_after_its_erasure(self, store: Store) -> None:
        """The first receipt for the same content, a refusal for another; nothing is kept again."""
        first = await store.ledger.keep(telling(1))
        (claimed,) = await claim(store)
        event = await record(store, claimed, outcome(draft(claimed.notification)), now=NOW)
        assert event is not None
        await erase(store, event)
        before = rows_of(store, schema.notification)
        again = await store.ledger.keep(telling(1, received=LATER))
        assert (again.token, again.fresh) == (first.token, False)
        with pytest.raises(ConflictingContent):
            await store.ledger.keep(arrival(1, content="other"))
        assert rows_of(store, schema.notification) == before
        assert mentions(everything(store), secret(1)) == []
        assert await claim(store, now=LATER) == []

    async def test_an_erased_notification_stays_in_its_inbox(self, store: Store) -> None:
        """With its state, its event and what it is known by."""
        event = await tell(store, 1)
        await tell(store, 2, now=NOW + 10)
        (before, _) = await store.reader.listing("inbox")
        await erase(store, event)
        (found, other) = await store.reader.listing("inbox")
        assert (found.body, found.warnings) == (b"", ())
        known, was = found.notification, before.notification
        assert dataclasses.replace(before, body=b"", warnings=(), notification=known) == found, (
            "nothing else is another"
        )
        assert (known.id, known.digest, known.types, known.origin, known.pattern) == (
            was.id,
            was.digest,
            was.types,
            was.origin,
            was.pattern,
        )
        assert known.title is None
        assert other.body

    async def test_an_answer_to_what_was_erased_finds_its_thread(self, store: Store) -> None:
        """The envelope says what it was about."""
        event = await tell(store, 1)
        await erase(store, event)
        assert await thread(store, activity(1)) == Thread(iri=event.iri, artefact=event.artefact)

    async def test_nobody_can_stand_in_the_way_of_an_erasure(self, store: Store) -> None:
        """A stranger who claims our origin sends what he takes to be the tombstone's id first."""
        event = await tell(store, 1)
        guessed = tombstone(event, me=ME, now=NOW, salt="00" * 16, policy_set="").activity
        forged = arrival(2, sender=ME.id)
        known = dataclasses.replace(forged.notification, id=guessed)
        await store.ledger.keep(dataclasses.replace(forged, notification=known))
        (claimed,) = await claim(store, now=NOW + 10)
        assert await record(store, claimed, outcome(draft(claimed.notification)), now=NOW + 10) is not None
        written = await erase(store, event)
        assert written is not None
        assert (written.sequence, erased_by(written)) == (3, 1)

    async def test_listeners_hear_of_the_tombstone_and_of_what_hubs_are_asked(self, store: Store) -> None:
        event = await tell(store, 1, HUB)
        await send(store, DELIVERED)
        heard: list[str] = []
        stop = store.listen(heard.append)
        await erase(store, event)
        await asyncio.sleep(0)
        stop()
        assert heard == ["delivery", "event"]

    async def test_an_erasure_is_there_after_reopening(
        self, store: Store, open_store: Callable[[], Store]
    ) -> None:
        event = await tell(store, 1, HUB)
        await send(store, DELIVERED)
        await erase(store, event)
        assert await store.erasure.purge()
        before = everything(store)
        await store.close()
        assert everything(open_store()) == before
