"""The store does what a model of forty lines does, whatever the order of events."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from tests.storage.examples import BASE, LEASE, NOW, activity, arrival, draft, outcome, plan, record

from orchestrator.core.errors import ConflictingContent, LeaseLost
from orchestrator.ports import Claimed, NotificationState, Outcome, Query
from orchestrator.storage import Store

R = TypeVar("R")
State = NotificationState


class Kept:
    """The model of a notification."""

    def __init__(self, content: str, token: str) -> None:
        """Begin as received."""
        self.content, self.token = content, token
        self.state, self.retry_at, self.until, self.fence = State.RECEIVED, 0, 0, 0

    def waits(self, now: int) -> bool:
        """Whether it can be claimed."""
        return self.state in {State.RECEIVED, State.RETRY} and self.retry_at <= now and self.until <= now


class StoreMachine(RuleBasedStateMachine):
    """Keeps, claims, records and reopens at will, beside the model."""

    template: Path

    @initialize()
    def begin(self) -> None:
        """Open an empty store."""
        self.place = Path(tempfile.mkdtemp())
        shutil.copy(self.template, self.place / "x.db")
        self.runner = asyncio.Runner()
        self.store = self.open()
        self.now = NOW
        self.kept: dict[tuple[str, str, int], Kept] = {}
        self.leases: list[tuple[tuple[str, str, int], Claimed]] = []
        self.fresh: list[tuple[str, str, int]] = []
        self.log: list[tuple[str, int]] = []

    def open(self) -> Store:
        """Open the database."""
        return Store.open(f"sqlite:///{self.place / 'x.db'}", public_url=BASE)

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Wait for `work`."""
        return self.runner.run(work)

    @rule(
        inbox=st.sampled_from("ab"),
        sender=st.sampled_from("xy"),
        number=st.integers(1, 3),
        content=st.sampled_from("pppq"),
    )
    def keep(self, inbox: str, sender: str, number: int, content: str) -> None:
        """Keep once; refuse other content."""
        one = arrival(number, inbox=inbox, sender="https://" + sender, content=content)
        known = self.kept.get((inbox, sender, number))
        try:
            receipt = self.run(self.store.ledger.keep(one))
        except ConflictingContent:
            assert known is not None
            assert known.content != content
            return
        assert receipt.fresh == (known is None)
        if known is None:
            self.kept[inbox, sender, number] = Kept(content, receipt.token)
            self.fresh.append((inbox, sender, number))
        else:
            assert (known.token, known.content) == (receipt.token, content)

    @rule(limit=st.integers(1, 4))
    def claim(self, limit: int) -> None:
        """Claim the oldest that wait."""
        expected = [key for key, kept in self.kept.items() if kept.waits(self.now)][:limit]
        claimed = self.run(self.store.ledger.claim("me", limit=limit, now=self.now, lease=LEASE))
        keys = [
            (one.inbox, one.notification.sender.removeprefix("https://"), _number(one)) for one in claimed
        ]
        assert keys == expected
        for key, one in zip(keys, claimed, strict=True):
            kept = self.kept[key]
            kept.until, kept.fence = self.now + LEASE, kept.fence + 1
            assert one.lease.fence == kept.fence
            self.leases.append((key, one))
            if key in self.fresh:
                self.fresh.remove(key)

    @rule(limit=st.integers(1, 4))
    def take(self, limit: int) -> None:
        """Take what has just come, unclaimed."""
        expected, self.fresh = self.fresh[:limit], self.fresh[limit:]
        taken = self.store.ledger.fresh("me", limit=limit)
        assert [one.token for one in taken] == [self.kept[key].token for key in expected]
        assert all(one.lease.fence == 0 and one.attempts == 1 for one in taken)
        self.leases += zip(expected, taken, strict=True)

    @rule(place=st.integers(0, 50), state=st.sampled_from([*["PROCESSED"] * 3, "RETRY", "PARKED", "DEAD"]))
    def record(self, place: int, state: str) -> None:
        """Record under a lease, which may have been lost."""
        if not self.leases:
            return
        key, one = self.leases[place % len(self.leases)]
        kept = self.kept[key]
        decided = Outcome(state=State(state), retry_at=self.now + 1000 if state == "RETRY" else None)
        if state == "PROCESSED":
            decided = outcome(draft(one.notification), plan())
        try:
            event = self.run(record(self.store, one, decided, now=self.now))
        except LeaseLost:
            assert (kept.until == 0 and one.lease.fence > 0) or one.lease.fence != kept.fence
            return
        assert (kept.until != 0) == (one.lease.fence > 0)
        assert one.lease.fence == kept.fence
        kept.fence = max(kept.fence, 1)
        kept.state, kept.until, kept.retry_at = decided.state, 0, decided.retry_at or 0
        if state == "PROCESSED" and key[1:] in self.log:
            kept.state = State.IGNORED
            assert event is None
        elif state == "PROCESSED":
            self.log.append(key[1:])
            assert event is not None
            assert event.sequence == len(self.log)

    @rule(step=st.sampled_from([1, 999, LEASE]))
    def wait(self, step: int) -> None:
        """Let time go by."""
        self.now += step

    @rule()
    def reopen(self) -> None:
        """Close, and open again."""
        self.run(self.store.close())
        self.store = self.open()
        self.fresh = []

    @invariant()
    def agree(self) -> None:
        """Inboxes and log are those of the model."""
        for inbox in "ab":
            found = self.run(self.store.reader.listing(inbox))
            mine = [kept for key, kept in self.kept.items() if key[0] == inbox]
            assert [(one.token, one.state) for one in found] == [(kept.token, kept.state) for kept in mine]
        events = self.run(self.store.reader.events(Query()))
        assert [(event.sender, event.activity) for event in events] == [
            ("https://" + sender, activity(number)) for sender, number in self.log
        ]
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        assert len(self.run(self.store.outbox.deliveries())) == len(events)

    def teardown(self) -> None:
        """Close."""
        self.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.place)


def _number(one: Claimed) -> int:
    return int(one.notification.id[-12:])


def test_the_store_agrees_with_its_model(tmp_path: Path) -> None:
    """No order of keeping, claiming, recording, waiting and reopening tells them apart."""
    template = tmp_path / "template.db"
    asyncio.run(Store.open(f"sqlite:///{template}", public_url=BASE).close())
    StoreMachine.template = template
    chosen = settings(
        max_examples=25,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    run_state_machine_as_test(StoreMachine, settings=chosen)
