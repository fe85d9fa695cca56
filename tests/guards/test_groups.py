"""Notifications that come together share statements, a commit and the way back: counted, never timed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest
from tests.guards.listening import Heard, hops, listening, nobody_writes
from tests.storage.examples import BASE, NOW, arrival, claim, draft, outcome, plan, record

from orchestrator.core.event import LifecycleEvent
from orchestrator.ports import Decided, Receipt
from orchestrator.storage import Store

TOGETHER = 32
"""The connections of the load generator (`benchmarks/`)."""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "guard.sqlite"


@pytest.fixture
async def store(database: Path) -> AsyncIterator[Store]:
    opened = Store.open(f"sqlite:///{database}", public_url=BASE)
    await opened.ledger.keep(arrival(1))  # connections are open, statements compiled
    yield opened
    await opened.close()


async def _together(database: Path, *works: Awaitable[object]) -> None:
    """Have works wait for a busy database, so that all of them are there when it is free."""
    tasks = [asyncio.ensure_future(work) for work in works]
    with nobody_writes(database):
        await asyncio.sleep(0.05)
    await asyncio.gather(*tasks)


async def _keep(store: Store, database: Path, first: int) -> list[Receipt]:
    kept: list[Receipt] = []

    async def keep(number: int) -> None:
        kept.append(await store.ledger.keep(arrival(number)))

    await _together(database, *(keep(number) for number in range(first, first + TOGETHER)))
    return kept


async def test_thirty_two_that_come_together_are_kept_in_at_most_two_commits(
    store: Store, database: Path
) -> None:
    """The first may go alone, before the others are there."""
    with listening(store.engine) as heard:
        kept = await _keep(store, database, 100)
    assert len({receipt.token for receipt in kept if receipt.fresh}) == TOGETHER
    assert 1 <= heard.commits <= 2
    assert _told(heard) <= 4, heard.texts


async def test_thirty_two_outcomes_are_recorded_in_one_commit(store: Store, database: Path) -> None:
    """With one row for each event, type, delivery and journal entry, and one statement for all of a kind."""
    await _keep(store, database, 100)
    claimed = await claim(store, now=NOW)
    assert len(claimed) == TOGETHER + 1
    decided = [Decided(claimed=one, outcome=outcome(draft(one.notification))) for one in claimed[:TOGETHER]]
    with listening(store.engine) as heard:
        written = await store.ledger.record(decided, now=NOW + 100)
    events = [event for event in written if isinstance(event, LifecycleEvent)]
    assert [event.sequence for event in events] == list(range(1, TOGETHER + 1))
    assert heard.commits == 1
    assert 1 <= _told(heard) <= 10, heard.texts


async def test_a_claim_of_many_takes_two_statements_and_one_commit(store: Store, database: Path) -> None:
    await _keep(store, database, 100)
    with listening(store.engine) as heard:
        assert len(await claim(store, limit=TOGETHER)) == TOGETHER
    assert heard.commits == 1
    assert 1 <= _told(heard) <= 2, heard.texts


async def test_a_delivery_costs_one_statement_more_to_look_for_its_topic(
    store: Store, database: Path
) -> None:
    await _keep(store, database, 100)
    (one, other, *_) = await claim(store, now=NOW)
    with listening(store.engine) as without:
        await record(store, one, outcome(draft(one.notification)), now=NOW + 100)
    with listening(store.engine) as told:
        await record(store, other, outcome(draft(other.notification), plan()), now=NOW + 200)
    assert _told(told) - _told(without) <= 2


async def test_one_notification_goes_to_one_thread_and_back(store: Store) -> None:
    with hops() as counted:
        await store.ledger.keep(arrival(2))
    assert counted.out <= 1
    assert 1 <= counted.back <= 1


async def test_answers_of_a_group_come_back_together(store: Store, database: Path) -> None:
    with hops() as counted:
        await _keep(store, database, 100)
    assert counted.out <= 2
    assert 1 <= counted.back <= 2


def _told(heard: Heard) -> int:
    """Count statements about rows: how a transaction begins and ends is counted as a commit."""
    return sum(not text.startswith(("BEGIN", "COMMIT", "PRAGMA")) for text in heard.texts)
