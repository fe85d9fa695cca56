"""What another log told: hubs are told of it once, and it takes no number of ours."""

import asyncio
import dataclasses
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.storage.contract_ledger import rows_of
from tests.storage.examples import (
    BASE,
    LEASE,
    NOW,
    activity,
    arrival,
    claim,
    draft,
    log,
    outcome,
    plan,
    record,
)

from orchestrator.core.delivery import DeliveryState, Verdict
from orchestrator.core.errors import LeaseLost
from orchestrator.core.source import FOLLOWED
from orchestrator.ports import (
    Arrival,
    Claimed,
    Delivery,
    Head,
    NotificationState,
    Outcome,
    Plan,
    Provenance,
    Stored,
)
from orchestrator.storage import Store, schema

HUB = "https://hub.example/"
OTHER = "https://other-hub.example/"
THEIRS = "https://local.example/log/e/{}"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Return an open store."""
    opened = await asyncio.to_thread(Store.open, f"sqlite:///{tmp_path}/x.db", public_url=BASE)
    yield opened
    await opened.close()


def told(number: int, *, iri: str | None = None, source: str = "local") -> Arrival:
    """Return a notification in which another log tells of its event of that number."""
    provenance = Provenance(source=source, via=iri or THEIRS.format(number))
    return dataclasses.replace(arrival(number, inbox=FOLLOWED), provenance=provenance)


def followed(claimed: Claimed, *plans: Plan) -> Outcome:
    """Return that what another log told was processed, and is not told again by ours."""
    return dataclasses.replace(
        outcome(draft(claimed.notification), *plans), reason="followed", is_logged=False
    )


def topical(topic: str, target: str = HUB) -> Plan:
    return Plan(target=target, policies=("urn:policy:1",), topic=topic)


async def follow(
    store: Store, number: int, *plans: Plan, iri: str | None = None, now: int = NOW
) -> tuple[Claimed, Any]:
    """Take what another log told all the way; return it with what recording it returned."""
    await store.ledger.keep(told(number, iri=iri))
    (claimed,) = await claim(store, now=now)
    return claimed, await record(store, claimed, followed(claimed, *plans), now=now)


async def stored(store: Store, claimed: Claimed) -> Stored:
    found = await store.reader.notification(claimed.inbox, claimed.token)
    assert found is not None
    return found


async def by_target(store: Store) -> dict[str, Delivery]:
    found = await store.outbox.deliveries()
    assert len({delivery.target for delivery in found}) == len(found)
    return {delivery.target: delivery for delivery in found}


def note(store: Store) -> dict[str, Any]:
    """Return the last entry of the journal."""
    found: dict[str, Any] = json.loads(rows_of(store, schema.journal)[-1]["note"])
    return found


async def test_a_delivery_names_the_notification_and_no_event(store: Store) -> None:
    claimed, event = await follow(store, 1, plan(HUB), plan(OTHER))
    assert event is None
    for delivery in (await by_target(store)).values():
        assert (delivery.event, delivery.told) == (None, claimed.token)
        assert (delivery.state, delivery.next_at, delivery.created) == (DeliveryState.PENDING, NOW, NOW)
        assert delivery.policies == ("urn:policy:1",)
    found = await stored(store, claimed)
    assert (found.state, found.reason, found.event) == (NotificationState.PROCESSED, "followed", None)
    assert found.provenance == Provenance(source="local", via=THEIRS.format(1))


async def test_no_number_of_ours_is_used(store: Store) -> None:
    """The log has no gaps, and no event without an activity of its own."""
    await log(store, 1)
    before = {
        table.name: rows_of(store, table) for table in (schema.log_head, schema.event, schema.event_type)
    }
    await follow(store, 2, plan(HUB), now=NOW + 10)
    assert {
        table.name: rows_of(store, table) for table in (schema.log_head, schema.event, schema.event_type)
    } == before
    assert await store.reader.head() == Head(sequence=1, created=NOW)
    assert (await log(store, 3, now=NOW + 20)).sequence == 2


async def test_the_time_of_the_log_does_not_hold_up_what_is_not_logged(store: Store) -> None:
    for number in range(3):
        await log(store, number, now=NOW + 1_000)
    claimed, event = await follow(store, 9, plan(HUB), now=NOW)
    assert event is None
    assert (await stored(store, claimed)).state is NotificationState.PROCESSED
    assert (await by_target(store))[HUB].created == NOW


async def test_logged_and_followed_can_be_recorded_together(store: Store) -> None:
    """In one transaction, in order; events are numbered as if the others were not there."""
    for each in (arrival(1), told(2), arrival(3), told(4)):
        await store.ledger.keep(each)
    claimed = await claim(store)
    made = [
        followed(one, plan(HUB)) if one.inbox == FOLLOWED else outcome(draft(one.notification), plan(HUB))
        for one in claimed
    ]
    events = await asyncio.gather(
        *(record(store, one, each) for one, each in zip(claimed, made, strict=True))
    )
    assert [event and event.sequence for event in events] == [1, None, 2, None]
    assert sorted(str(each.event) for each in await store.outbox.deliveries()) == ["1", "2", "None", "None"]


@pytest.mark.parametrize(("number", "target"), [(1, HUB), (7, "https://hub.example/ä?x=1#y")])
async def test_the_id_of_a_delivery_is_that_of_the_event_and_the_target(
    store: Store, number: int, target: str
) -> None:
    """UUIDv5 of the notification that told of it, which is ours: another log names its events as it likes."""
    await follow(store, number, plan(target))
    [delivery] = await store.outbox.deliveries()
    name = f"urn:told:{delivery.told} {target}"
    assert delivery.id == f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}"


async def test_a_topic_that_is_known_is_not_told_again(store: Store) -> None:
    await follow(store, 1, topical("t"))
    claimed, _ = await follow(store, 2, topical("t"), topical("t", OTHER), now=NOW + 1)
    told_of = await by_target(store)
    assert {target: each.created for target, each in told_of.items()} == {HUB: NOW, OTHER: NOW + 1}
    assert told_of[OTHER].told == claimed.token
    assert (await stored(store, claimed)).reason == "followed"
    said = note(store)
    assert said["toldAlready"] == [HUB]
    assert (said["state"], said["reason"], said["event"]) == ("PROCESSED", "followed", None)
    assert (said["inbox"], said["notification"], said["activity"]) == (FOLLOWED, claimed.token, activity(2))


async def test_topics_are_told_once_within_a_group_too(store: Store) -> None:
    for number in (1, 2, 3):
        await store.ledger.keep(told(number))
    claimed = await claim(store)
    await asyncio.gather(*(record(store, one, followed(one, topical("t"))) for one in claimed))
    assert list(await by_target(store)) == [HUB]
    notes = [json.loads(row["note"])["toldAlready"] for row in rows_of(store, schema.journal)]
    assert sorted(notes) == [[], [HUB], [HUB]]


async def test_without_a_topic_every_event_is_news(store: Store) -> None:
    for number in (1, 2):
        await follow(store, number, plan(HUB))
    assert [each.target for each in await store.outbox.deliveries()] == [HUB, HUB]
    assert note(store)["toldAlready"] == []


async def test_a_topic_whose_delivery_died_is_told_when_it_comes_again(store: Store) -> None:
    await follow(store, 1, topical("t"))
    (held,) = await store.outbox.claim("us", limit=9, now=NOW, lease=LEASE)
    assert held.lease is not None
    dead = Verdict(state=DeliveryState.DEAD, reason="the hub is gone (410)")
    await store.outbox.finish(held.lease, dead, now=NOW, status=410, location=None)
    claimed, _ = await follow(store, 2, topical("t"), now=NOW + 1)
    assert {each.told: each.state for each in await store.outbox.deliveries()} == {
        held.told: DeliveryState.DEAD,
        claimed.token: DeliveryState.PENDING,
    }


async def test_what_is_logged_already_is_a_duplicate_and_tells_nobody(store: Store) -> None:
    await log(store, 1)
    claimed, event = await follow(store, 1, plan(HUB), plan(OTHER))
    assert event is None
    found = await stored(store, claimed)
    assert (found.state, found.reason, found.event) == (NotificationState.IGNORED, "duplicate", None)
    assert await store.outbox.deliveries() == []
    assert (note(store)["state"], note(store)["toldAlready"]) == ("IGNORED", [])


async def test_what_is_logged_in_the_same_group_is_a_duplicate_too(store: Store) -> None:
    await store.ledger.keep(arrival(1))
    await store.ledger.keep(told(1))
    first, second = await claim(store)
    await asyncio.gather(
        record(store, first, outcome(draft(first.notification), topical("t"))),
        record(store, second, followed(second, topical("t", OTHER))),
    )
    assert (await stored(store, second)).reason == "duplicate"
    assert list(await by_target(store)) == [HUB]


async def test_what_is_logged_later_does_not_tell_the_same_hub_twice(store: Store) -> None:
    """First another log told of it, then it came to our inbox: one event, and one delivery for each hub."""
    claimed, _ = await follow(store, 1, topical("t"))
    event = await log(store, 1, topical("t"), topical("t", OTHER), now=NOW + 1)
    assert event.sequence == 1
    found = await by_target(store)
    assert {target: (each.event, each.told) for target, each in found.items()} == {
        HUB: (None, claimed.token),
        OTHER: (1, None),
    }
    assert (note(store)["event"], note(store)["toldAlready"]) == (1, [HUB])


async def test_deliveries_are_listed_newest_first_whatever_they_are_about(store: Store) -> None:
    await log(store, 1, plan(HUB), now=NOW)
    await follow(store, 2, plan(HUB), now=NOW + 1)
    await log(store, 3, plan(HUB), now=NOW + 2)
    await follow(store, 4, plan(HUB), now=NOW + 3)
    newest = [(each.created - NOW, each.event) for each in await store.outbox.deliveries()]
    assert newest == [(3, None), (2, 2), (1, None), (0, 1)]
    pending = await store.outbox.deliveries(state=DeliveryState.PENDING, limit=3)
    assert [each.created - NOW for each in pending] == [3, 2, 1]
    assert await store.outbox.deliveries(state=DeliveryState.DEAD) == []


async def test_deliveries_are_sent_oldest_first_whatever_they_are_about(store: Store) -> None:
    await follow(store, 2, plan(HUB), now=NOW)
    await log(store, 1, plan(HUB), now=NOW + 1)
    await follow(store, 3, plan(HUB), now=NOW + 2)
    assert await store.outbox.due() == NOW
    taken = await store.outbox.claim("us", limit=2, now=NOW + 9, lease=LEASE)
    assert [each.created - NOW for each in taken] == [0, 1]
    assert [(each.event is None, each.told is None) for each in taken] == [(True, False), (False, True)]


async def test_a_dead_delivery_of_what_was_followed_can_be_retried(store: Store) -> None:
    claimed, _ = await follow(store, 1, plan(HUB))
    (held,) = await store.outbox.claim("us", limit=9, now=NOW, lease=LEASE)
    assert held.lease is not None
    dead = Verdict(state=DeliveryState.DEAD, reason="refused with 403")
    await store.outbox.finish(held.lease, dead, now=NOW, status=403, location=None)
    revived = await store.outbox.retry(held.id, now=NOW + 5)
    assert (revived.state, revived.told, revived.event) == (DeliveryState.RETRYING, claimed.token, None)
    assert (note(store)["told"], note(store)["event"]) == (claimed.token, None)


async def test_an_answer_to_our_announcement_of_what_was_followed_is_from_us_and_answers_no_event(
    store: Store,
) -> None:
    """Its id is known as ours, so that it is recognised when it comes back; there is no event to go on from."""
    await follow(store, 1, plan(HUB))
    [delivery] = await store.outbox.deliveries()
    back = dataclasses.replace(arrival(9).notification, id=delivery.id)
    answer = dataclasses.replace(arrival(10).notification, in_reply_to=delivery.id)
    found = await store.reader.background([back, answer])
    assert [(each.sent, each.thread) for each in found] == [(True, None), (False, None)]


async def test_who_lost_the_lease_tells_nobody(store: Store) -> None:
    await store.ledger.keep(told(1))
    (late,) = await claim(store, owner="late")
    (later,) = await claim(store, owner="later", now=NOW + LEASE)
    with pytest.raises(LeaseLost):
        await record(store, late, followed(late, plan(HUB)), now=NOW + LEASE)
    assert await store.outbox.deliveries() == []
    assert await record(store, later, followed(later, plan(HUB)), now=NOW + LEASE) is None
    assert len(await store.outbox.deliveries()) == 1


async def test_what_comes_from_two_logs_is_kept_once_and_where_it_came_from_first(store: Store) -> None:
    first = await store.ledger.keep(told(1))
    again = await store.ledger.keep(told(1, iri="https://another.example/log/e/77", source="another"))
    assert (again.token, first.fresh, again.fresh) == (first.token, True, False)
    (claimed,) = await claim(store)
    assert claimed.provenance == Provenance(source="local", via=THEIRS.format(1))


async def test_a_delivery_is_about_something(store: Store) -> None:
    """The database itself refuses one that names neither, and one that names what is not there."""
    await follow(store, 1, plan(HUB))
    [row] = rows_of(store, schema.delivery)
    for change in ({"told": None}, {"told": "unknown"}, {"event": 99}):
        with pytest.raises(sa.exc.IntegrityError), store.engine.begin() as connection:
            connection.execute(sa.insert(schema.delivery), {**row, "id": "urn:x", "topic": "x", **change})
    assert rows_of(store, schema.delivery) == [row]


async def test_a_log_that_begins_again_with_its_numbers_is_told_of_all_the_same(store: Store) -> None:
    """Its database was lost and made anew: the same IRIs, other events; nothing may fail for ever."""
    await follow(store, 1, topical("first"), iri=THEIRS.format(1))
    claimed, _ = await follow(store, 2, topical("second"), iri=THEIRS.format(1), now=NOW + 1)
    assert (await stored(store, claimed)).state is NotificationState.PROCESSED


async def test_a_log_that_tells_of_events_under_our_own_iris_does_not_stop_our_log(store: Store) -> None:
    """Whoever writes a stream names its members as they like."""
    await follow(store, 1, topical("first"), iri=f"{BASE}/log/e/1")
    assert (await log(store, 2, topical("second"), now=NOW + 1)).sequence == 1
