"""Deliveries: claimed, prepared, finished, tried again."""

import json

import pytest
from tests.storage.contract_ledger import rows_of
from tests.storage.examples import LEASE, NOW, log, plan

from orchestrator.core.delivery import DeliveryState, Verdict, delivery_id
from orchestrator.core.errors import BadRequest, LeaseLost, NotFound
from orchestrator.ports import Delivery, Plan
from orchestrator.storage import Store, schema

HUB = "https://hub.example/"
DEAD = Verdict(state=DeliveryState.DEAD, reason="refused with 403")
DELIVERED = Verdict(state=DeliveryState.DELIVERED)


async def take(store: Store, *, now: int = NOW, owner: str = "sender", limit: int = 100) -> list[Delivery]:
    """Claim what is due."""
    return list(await store.outbox.claim(owner, limit=limit, now=now, lease=LEASE))


class OutboxContract:
    """Behaviours of `Outbox`."""

    async def test_an_event_makes_its_deliveries(self, store: Store) -> None:
        """One per target, with the policies of all who asked, due when the event was written."""
        written = await log(
            store, 1, plan(HUB, "urn:p:2", "urn:p:1"), plan("https://b.example/"), plan(HUB, "urn:p:3")
        )
        found = {delivery.target: delivery for delivery in await store.outbox.deliveries()}
        assert set(found) == {HUB, "https://b.example/"}
        assert found[HUB] == Delivery(
            id=delivery_id(written.iri, HUB),
            event=1,
            target=HUB,
            policies=("urn:p:1", "urn:p:2", "urn:p:3"),
            state=DeliveryState.PENDING,
            reason=None,
            attempts=0,
            next_at=written.created,
            inbox=None,
            body=None,
            location=None,
            status=None,
            created=written.created,
            finished=None,
        )

    async def test_a_target_is_told_of_a_topic_once(self, store: Store) -> None:
        """Or two orchestrators whose policies name each other would never stop; the journal says why."""
        review, other = (
            Plan(target=HUB, policies=("urn:p:1",), topic=topic) for topic in ("review", "other")
        )
        elsewhere = Plan(target="https://b.example/", policies=("urn:p:1",), topic="review")
        await log(store, 1, review)
        await log(store, 2, review, elsewhere)
        await log(store, 3, other)
        told = {(delivery.target, delivery.event) for delivery in await store.outbox.deliveries()}
        assert told == {(HUB, 1), ("https://b.example/", 2), (HUB, 3)}
        notes = [json.loads(row["note"]) for row in rows_of(store, schema.journal)]
        assert [note["toldAlready"] for note in notes] == [[], [HUB], []]

    async def test_what_never_arrived_may_be_told_again(self, store: Store) -> None:
        """A dead delivery has told nobody of anything."""
        review = Plan(target=HUB, policies=("urn:p:1",), topic="review")
        await log(store, 1, review)
        (first,) = await take(store)
        assert first.lease is not None
        await store.outbox.finish(first.lease, DEAD, now=NOW, status=410, location=None)
        await log(store, 2, review)
        assert [(each.event, each.state) for each in await store.outbox.deliveries()] == [
            (2, DeliveryState.PENDING),
            (1, DeliveryState.DEAD),
        ]

    async def test_due_deliveries_are_claimed_longest_due_first_and_never_twice(self, store: Store) -> None:
        """Who has claimed holds it while the lease lasts."""
        await log(store, 1, plan(HUB))
        await log(store, 2, plan(HUB), now=NOW + 10)
        await log(store, 3, plan(HUB), now=NOW + 20)
        assert await take(store, now=NOW - 1) == []
        (first,) = await take(store, now=NOW + 10, limit=1)
        (second,) = await take(store, now=NOW + 10)
        assert [first.event, second.event] == [1, 2]
        assert first.lease is not None
        assert (first.attempts, first.lease.fence, first.lease.until) == (0, 1, NOW + 10 + LEASE)
        (again,) = [one for one in await store.outbox.deliveries() if one.event == 1]
        assert again == first

    async def test_due_tells_when_the_next_can_be_claimed(self, store: Store) -> None:
        """A delivery that is held is due when its lease runs out, for its holder may be dead."""
        assert await store.outbox.due() is None
        await log(store, 1, plan(HUB))
        assert await store.outbox.due() == NOW
        (held,) = await take(store)
        assert await store.outbox.due() == NOW + LEASE
        assert held.lease is not None
        later = Verdict(state=DeliveryState.RETRYING, reason="503", next_at=NOW + 90_000)
        await store.outbox.finish(held.lease, later, now=NOW, status=503, location=None)
        assert await store.outbox.due() == NOW + 90_000
        assert await take(store, now=NOW + 89_999) == []
        (again,) = await take(store, now=NOW + 90_000)
        assert (again.attempts, again.state, again.status) == (1, DeliveryState.RETRYING, 503)
        assert again.lease is not None
        await store.outbox.finish(
            again.lease, DELIVERED, now=NOW + 90_001, status=202, location="https://hub.example/1"
        )
        assert await store.outbox.due() is None

    async def test_a_delivered_one_stays_delivered(self, store: Store) -> None:
        """It keeps the hub's answer, and nobody sends it again."""
        await log(store, 1, plan(HUB))
        (one,) = await take(store)
        assert one.lease is not None
        await store.outbox.finish(
            one.lease, DELIVERED, now=NOW + 3, status=201, location="https://hub.example/1"
        )
        (found,) = await store.outbox.deliveries(state=DeliveryState.DELIVERED)
        assert (found.status, found.location, found.finished, found.next_at, found.lease) == (
            201,
            "https://hub.example/1",
            NOW + 3,
            None,
            None,
        )
        assert await take(store, now=NOW + 10 * LEASE) == []
        with pytest.raises(BadRequest, match="DELIVERED"):
            await store.outbox.retry(found.id, now=NOW)

    async def test_the_bytes_of_the_first_attempt_are_those_of_every_attempt(self, store: Store) -> None:
        """The inbox may change, the body never."""
        await log(store, 1, plan(HUB))
        (first,) = await take(store)
        assert first.lease is not None
        await store.outbox.prepare(first.lease, inbox="https://hub.example/inbox", body=b"first")
        (second,) = await take(store, now=NOW + LEASE)
        # What was begun and never ended, by a crash of ours, is no attempt.
        assert (second.attempts, second.lease.fence if second.lease else None) == (0, 2)
        assert (second.inbox, second.body) == ("https://hub.example/inbox", b"first")
        assert second.lease is not None
        await store.outbox.prepare(second.lease, inbox="https://hub.example/moved", body=b"second")
        (found,) = await store.outbox.deliveries()
        assert (found.inbox, found.body) == ("https://hub.example/moved", b"first")

    async def test_a_late_sender_changes_nothing(self, store: Store) -> None:
        """Preparing and finishing are fenced."""
        await log(store, 1, plan(HUB))
        (late,) = await take(store, owner="late")
        (later,) = await take(store, owner="later", now=NOW + LEASE)
        assert late.lease is not None
        assert later.lease is not None
        assert later.lease.fence > late.lease.fence
        before = rows_of(store, schema.delivery)
        with pytest.raises(LeaseLost):
            await store.outbox.prepare(late.lease, inbox="urn:late", body=b"late")
        with pytest.raises(LeaseLost):
            await store.outbox.finish(late.lease, DEAD, now=NOW, status=403, location=None)
        assert rows_of(store, schema.delivery) == before
        await store.outbox.finish(later.lease, DELIVERED, now=NOW, status=201, location=None)
        with pytest.raises(LeaseLost):
            await store.outbox.finish(later.lease, DEAD, now=NOW, status=403, location=None)

    async def test_a_change_of_state_must_be_lawful(self, store: Store) -> None:
        """Nothing goes back to PENDING."""
        await log(store, 1, plan(HUB))
        (one,) = await take(store)
        assert one.lease is not None
        with pytest.raises(ValueError, match="PENDING"):
            await store.outbox.finish(
                one.lease, Verdict(state=DeliveryState.PENDING), now=NOW, status=None, location=None
            )

    async def test_a_dead_delivery_can_be_retried(self, store: Store) -> None:
        """With the whole schedule before it, and a journal row."""
        await log(store, 1, plan(HUB))
        (one,) = await take(store)
        assert one.lease is not None
        await store.outbox.prepare(one.lease, inbox="https://hub.example/inbox", body=b"bytes")
        await store.outbox.finish(one.lease, DEAD, now=NOW, status=403, location=None)
        (dead,) = await store.outbox.deliveries(state=DeliveryState.DEAD)
        assert (dead.reason, dead.finished, await store.outbox.due()) == ("refused with 403", NOW, None)
        revived = await store.outbox.retry(one.id, now=NOW + 50)
        assert (revived.state, revived.reason, revived.attempts, revived.next_at, revived.finished) == (
            DeliveryState.RETRYING,
            None,
            0,
            NOW + 50,
            None,
        )
        assert revived.body == b"bytes"
        assert rows_of(store, schema.journal)[-1]["what"] == "delivery retried"
        (again,) = await take(store, now=NOW + 50)
        assert again.lease is not None
        assert (again.attempts, again.lease.fence) == (0, 2)

    async def test_an_unknown_delivery_cannot_be_retried(self, store: Store) -> None:
        """It is said which one."""
        with pytest.raises(NotFound, match="urn:none"):
            await store.outbox.retry("urn:none", now=NOW)

    async def test_deliveries_are_listed_newest_first(self, store: Store) -> None:
        """All, or those of one state."""
        for number in range(4):
            await log(store, number, plan(HUB), now=NOW + number)
        (one, two) = await take(store, now=NOW + 1)
        for held in (one, two):
            assert held.lease is not None
            await store.outbox.finish(held.lease, DEAD, now=NOW, status=403, location=None)
        assert [found.event for found in await store.outbox.deliveries(limit=3)] == [4, 3, 2]
        assert [found.event for found in await store.outbox.deliveries(state=DeliveryState.DEAD)] == [2, 1]
