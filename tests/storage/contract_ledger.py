"""Keeping, claiming and recording notifications."""

import asyncio
import dataclasses
from typing import Any

import pytest
import sqlalchemy as sa
from tests.storage.examples import LEASE, NOW, WARNING, activity, arrival, claim, draft, outcome, plan, record

from orchestrator.core import event as events
from orchestrator.core.errors import BadRequest, ConflictingContent, LeaseLost, NotFound
from orchestrator.ports import Head, NotificationState, Outcome, Query
from orchestrator.storage import Store, schema
from orchestrator.storage.appending import Appending


def rows_of(store: Store, table: sa.Table) -> list[dict[str, Any]]:
    """Return all rows of a table, in order."""
    with store.engine.connect() as connection:
        found = connection.execute(sa.select(table).order_by(*table.primary_key.columns))
        return [dict(row) for row in found.mappings()]


class LedgerContract:
    """Behaviours of `Ledger`."""

    async def test_what_has_just_come_is_decided_without_a_claim(self, store: Store) -> None:
        """Each once, in the order of arrival; an attempt is counted all the same."""
        receipts = [await store.ledger.keep(arrival(number)) for number in (1, 2, 3)]
        first, second = store.ledger.fresh("us", limit=2)
        (third,) = store.ledger.fresh("us", limit=2)
        assert [one.token for one in (first, second, third)] == [receipt.token for receipt in receipts]
        assert store.ledger.fresh("us", limit=2) == []
        await record(store, first, outcome(draft(first.notification)), now=NOW)
        await record(store, second, Outcome(state=NotificationState.RETRY, retry_at=NOW), now=NOW)
        counted = Outcome(state=NotificationState.RETRY, retry_at=NOW, counts=False)
        await record(store, third, counted, now=NOW)
        assert [(one.token, one.attempts) for one in await claim(store)] == [
            (receipts[1].token, 2),
            (receipts[2].token, 1),
        ]

    async def test_what_was_decided_without_a_claim_is_not_decided_again(self, store: Store) -> None:
        """Who took it from memory and who claimed it: one of them writes, whoever comes first."""
        await store.ledger.keep(arrival(1))
        (taken,) = store.ledger.fresh("us", limit=1)
        (claimed,) = await claim(store)
        with pytest.raises(LeaseLost):
            await record(store, taken, outcome(draft(taken.notification)), now=NOW)
        assert await record(store, claimed, outcome(draft(claimed.notification)), now=NOW) is not None
        await store.ledger.keep(arrival(2))
        (taken,) = store.ledger.fresh("us", limit=1)
        await record(store, taken, Outcome(state=NotificationState.RETRY, retry_at=NOW), now=NOW)
        with pytest.raises(LeaseLost):
            await record(store, taken, outcome(draft(taken.notification)), now=NOW)
        assert (await store.reader.head()).sequence == 1

    async def test_what_is_claimed_is_not_taken_from_memory(self, store: Store) -> None:
        """It would be judged twice."""
        await store.ledger.keep(arrival(1))
        assert len(await claim(store)) == 1
        assert store.ledger.fresh("us", limit=1) == []

    async def test_what_is_claimed_with_its_own_commit_is_not_taken_from_memory(self, store: Store) -> None:
        """It may be written before the claim and acknowledged after it."""
        await store.ledger.keep(arrival(1))
        taken = store.ledger.fresh("us", limit=9)
        for number in range(2, 20, 3):
            keeping = [asyncio.create_task(store.ledger.keep(arrival(number + each))) for each in range(3)]
            await asyncio.sleep(0)
            claimed = asyncio.create_task(claim(store, now=NOW + number))
            keeping += [
                asyncio.create_task(store.ledger.keep(arrival(number + 100 + each))) for each in range(3)
            ]
            await asyncio.gather(*keeping)
            names = {one.token for one in await claimed}
            assert names.isdisjoint(one.token for one in store.ledger.fresh("us", limit=99))
        assert len(taken) == 1

    async def test_memory_holds_a_bounded_part_of_what_waits(self, store: Store) -> None:
        """The rest is found in the database, as everything is after a crash."""
        large = dataclasses.replace(arrival(1), body=b" " * 60_000)
        for number in range(1, 25):
            named = dataclasses.replace(large, notification=arrival(number).notification)
            await store.ledger.keep(named)
        assert 17 <= len(store.ledger.fresh("us", limit=100)) <= 19
        assert len(await claim(store)) == 24

    async def test_what_a_policy_parked_goes_on_when_it_is_accepted(self, store: Store) -> None:
        """As if no policy had parked it; the decision is journalled."""
        receipt = await store.ledger.keep(arrival())
        (claimed,) = await claim(store)
        assert not claimed.accepted
        await record(store, claimed, Outcome(state=NotificationState.PARKED), now=NOW)
        assert await claim(store) == []
        await store.ledger.settle("inbox", receipt.token, accept=True, who="ada", now=NOW + 1)
        (again,) = await claim(store, now=NOW + 1)
        assert again.accepted
        assert rows_of(store, schema.journal)[-1]["what"] == "notification accepted"

    async def test_what_a_policy_parked_ends_when_it_is_dismissed(self, store: Store) -> None:
        """And cannot be decided about twice."""
        receipt = await store.ledger.keep(arrival())
        (claimed,) = await claim(store)
        await record(store, claimed, Outcome(state=NotificationState.PARKED), now=NOW)
        await store.ledger.settle("inbox", receipt.token, accept=False, who="ada", now=NOW)
        stored = await store.reader.notification("inbox", receipt.token)
        assert stored is not None
        assert (stored.state, stored.reason) == (NotificationState.IGNORED, "policy")
        with pytest.raises(BadRequest, match="IGNORED"):
            await store.ledger.settle("inbox", receipt.token, accept=True, who="ada", now=NOW)
        with pytest.raises(NotFound):
            await store.ledger.settle("inbox", "unknown", accept=True, who="ada", now=NOW)

    async def test_trouble_of_our_own_is_no_attempt(self, store: Store) -> None:
        """Or a notification could die of a busy hour."""
        await store.ledger.keep(arrival())
        for _ in range(3):
            (claimed,) = await claim(store)
            assert claimed.attempts == 1
            again = Outcome(state=NotificationState.RETRY, retry_at=NOW, counts=False)
            await record(store, claimed, again, now=NOW)

    async def test_what_was_kept_is_read_back_whole(self, store: Store) -> None:
        """A notification is in its inbox as it came, and waits."""
        receipt = await store.ledger.keep(arrival())
        found = await store.reader.notification("inbox", receipt.token)
        assert found is not None
        assert receipt.fresh
        assert (found.body, found.media_type, found.received) == (
            b'{"content":"first"}',
            "application/ld+json",
            NOW,
        )
        assert found.notification == arrival().notification
        assert found.warnings == (WARNING,)
        assert (found.state, found.reason, found.attempts, found.event) == (
            NotificationState.RECEIVED,
            None,
            0,
            None,
        )
        assert await store.ledger.pending() == 1

    async def test_the_same_content_again_gives_the_first_receipt(self, store: Store) -> None:
        """Nothing is stored twice."""
        first = await store.ledger.keep(arrival())
        again = await store.ledger.keep(arrival(received=NOW + 5))
        assert (again.token, again.fresh) == (first.token, False)
        assert [stored.received for stored in await store.reader.listing("inbox")] == [NOW]

    async def test_other_content_under_the_same_id_is_refused_and_journalled(self, store: Store) -> None:
        """The first stays; the attempt is remembered."""
        first = await store.ledger.keep(arrival())
        with pytest.raises(ConflictingContent):
            await store.ledger.keep(arrival(content="other"))
        assert [stored.body for stored in await store.reader.listing("inbox")] == [b'{"content":"first"}']
        (entry,) = rows_of(store, schema.journal)
        assert (entry["what"], entry["who"]) == ("conflicting content refused", "https://sender.example/")
        assert first.token in entry["note"]

    async def test_conflicts_within_one_group_hurt_only_themselves(self, store: Store) -> None:
        """Kept together are new, repeated and conflicting ones."""
        kept = await asyncio.gather(
            *(store.ledger.keep(arrival(number)) for number in range(5)),
            store.ledger.keep(arrival(0)),
            store.ledger.keep(arrival(1, content="other")),
            return_exceptions=True,
        )
        assert [getattr(result, "fresh", None) for result in kept] == [True] * 5 + [False, None]
        assert isinstance(kept[-1], ConflictingContent)

    async def test_nobody_is_a_sender_like_any_other(self, store: Store) -> None:
        """Without origin and actor the id alone is the identity."""
        first = await store.ledger.keep(arrival(sender=None))
        again = await store.ledger.keep(arrival(sender=None))
        other = await store.ledger.keep(arrival(sender="https://b.example/"))
        assert (again.token, again.fresh, other.fresh) == (first.token, False, True)

    async def test_a_notification_in_two_inboxes_is_one_event(self, store: Store) -> None:
        """The second is kept, and ignored as a duplicate."""
        await store.ledger.keep(arrival(inbox="inbox"))
        await store.ledger.keep(arrival(inbox="second"))
        first, second = await claim(store)
        assert await record(store, first, outcome(draft(first.notification), plan()), now=NOW)
        assert await record(store, second, outcome(draft(second.notification), plan()), now=NOW) is None
        (kept,) = await store.reader.listing("inbox")
        (ignored,) = await store.reader.listing("second")
        assert (kept.state, kept.event) == (NotificationState.PROCESSED, 1)
        assert (ignored.state, ignored.reason, ignored.event) == (
            NotificationState.IGNORED,
            "duplicate",
            None,
        )
        assert (await store.reader.head()).sequence == 1
        assert len(await store.outbox.deliveries()) == 1

    async def test_duplicates_recorded_together_are_one_event(self, store: Store) -> None:
        """The same holds within one group."""
        for inbox in ("a", "b", "c"):
            await store.ledger.keep(arrival(inbox=inbox))
        recorded = await asyncio.gather(
            *(record(store, one, outcome(draft(one.notification)), now=NOW) for one in await claim(store))
        )
        assert [event is not None for event in recorded] == [True, False, False]

    async def test_claims_come_oldest_first_and_never_twice(self, store: Store) -> None:
        """Who has claimed holds it while the lease lasts."""
        for number in range(5):
            await store.ledger.keep(arrival(number))
        first = await claim(store, limit=2)
        rest = await claim(store, now=NOW + LEASE - 1)
        assert [one.notification.id for one in (*first, *rest)] == [activity(number) for number in range(5)]
        assert [(one.attempts, one.lease.fence, one.lease.until) for one in first] == [
            (1, 1, NOW + LEASE)
        ] * 2
        assert await claim(store, now=NOW + LEASE - 1) == []

    async def test_a_lease_that_ran_out_passes_on_and_the_late_one_changes_nothing(
        self, store: Store
    ) -> None:
        """The later claimant's fence is larger."""
        await store.ledger.keep(arrival())
        (late,) = await claim(store, owner="late")
        (later,) = await claim(store, owner="later", now=NOW + LEASE)
        assert (later.lease.fence, later.attempts) == (late.lease.fence + 1, 2)
        before = rows_of(store, schema.processing)
        with pytest.raises(LeaseLost):
            await record(store, late, outcome(draft(late.notification), plan()), now=NOW + LEASE)
        assert rows_of(store, schema.processing) == before
        assert (await store.reader.head(), rows_of(store, schema.journal)) == (
            Head(sequence=0, created=0),
            [],
        )
        assert await record(store, later, outcome(draft(later.notification)), now=NOW + LEASE)

    async def test_a_lease_finishes_once(self, store: Store) -> None:
        """Recording the same outcome again, later or at the same time, is too late."""
        await store.ledger.keep(arrival())
        (one,) = await claim(store)
        settled = await asyncio.gather(
            *(record(store, one, outcome(draft(one.notification)), now=NOW) for _ in range(3)),
            return_exceptions=True,
        )
        assert [type(result) for result in settled].count(LeaseLost) == 2
        with pytest.raises(LeaseLost):
            await record(store, one, outcome(None), now=NOW)

    async def test_a_retry_waits_for_its_time(self, store: Store) -> None:
        """It is not claimed before, and its attempts are counted."""
        await store.ledger.keep(arrival())
        (one,) = await claim(store)
        again = Outcome(state=NotificationState.RETRY, reason="later", retry_at=NOW + 500)
        await record(store, one, again, now=NOW)
        assert await store.ledger.pending() == 1
        assert await claim(store, now=NOW + 499) == []
        (second,) = await claim(store, now=NOW + 500)
        assert (second.attempts, second.lease.fence) == (2, 2)
        await record(store, second, Outcome(state=NotificationState.PARKED), now=NOW + 500)
        (parked,) = await store.reader.listing("inbox")
        assert (parked.state, parked.reason, await store.ledger.pending()) == (
            NotificationState.PARKED,
            None,
            0,
        )

    async def test_deliveries_need_an_event(self, store: Store) -> None:
        """There is nothing else that they could tell of."""
        await store.ledger.keep(arrival())
        (one,) = await claim(store)
        with pytest.raises(ValueError, match="event"):
            await record(store, one, outcome(None, plan()), now=NOW)

    @pytest.mark.parametrize("place", [(events, "seal"), (Appending, "advance")])
    async def test_an_outcome_is_recorded_whole_or_not_at_all(
        self, store: Store, monkeypatch: pytest.MonkeyPatch, place: tuple[Any, str]
    ) -> None:
        """A failure before the first or the last statement leaves everything as it was."""
        await store.ledger.keep(arrival())
        (one,) = await claim(store)
        tables = schema.metadata.sorted_tables
        before = [rows_of(store, table) for table in tables]
        with monkeypatch.context() as patch:
            patch.setattr(*place, _fail)
            with pytest.raises(RuntimeError, match="injected"):
                await record(store, one, outcome(draft(one.notification), plan()), now=NOW)
        assert [rows_of(store, table) for table in tables] == before
        assert await record(store, one, outcome(draft(one.notification), plan()), now=NOW)

    async def test_one_that_fails_in_a_group_hurts_only_itself(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The others of the group are recorded, without a gap."""
        for number in range(4):
            await store.ledger.keep(arrival(number))
        seal = events.seal

        def fail_for_second(draft: events.Draft, **others: Any) -> events.LifecycleEvent:
            return _fail() if draft.activity == activity(1) else seal(draft, **others)

        monkeypatch.setattr(events, "seal", fail_for_second)
        recorded = await asyncio.gather(
            *(record(store, one, outcome(draft(one.notification)), now=NOW) for one in await claim(store)),
            return_exceptions=True,
        )
        assert [isinstance(result, RuntimeError) for result in recorded] == [False, True, False, False]
        assert [event.sequence for event in await store.reader.events(Query())] == [1, 2, 3]

    async def test_the_journal_tells_what_was_decided(self, store: Store) -> None:
        """One row per outcome, with the note of the decision."""
        await store.ledger.keep(arrival())
        (one,) = await claim(store)
        await record(store, one, outcome(draft(one.notification)), now=NOW + 7)
        (entry,) = rows_of(store, schema.journal)
        assert (entry["at"], entry["what"], entry["who"]) == (NOW + 7, "notification processed", "worker")
        for part in ('"policies":["urn:policy:1"]', '"state":"PROCESSED"', '"event":1', activity(1)):
            assert part in entry["note"]


def _fail(*_: object, **__: object) -> Any:
    message = "injected"
    raise RuntimeError(message)
