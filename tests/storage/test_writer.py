"""The one writer: groups, order, room, and what it says about itself."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Self

import pytest
from tests.storage.examples import BASE, NOW, arrival, claim, draft, outcome

from orchestrator.core.errors import Overloaded
from orchestrator.ports import Decided
from orchestrator.storage import Store
from orchestrator.storage.writer import Transaction


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await asyncio.to_thread(Store.open, f"sqlite:///{tmp_path}/x.db", public_url=BASE, waiting=50)
    yield opened
    await opened.close()


class Busy:
    """Holds the writer in a transaction, until it is let go."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._begun, self._go = threading.Event(), threading.Event()

    async def __aenter__(self) -> Self:
        self._work = asyncio.create_task(self._store._writer.write(self._wait))
        await asyncio.to_thread(self._begun.wait, 10)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._go.set()
        await self._work

    def _wait(self, _transaction: Transaction) -> None:
        self._begun.set()
        self._go.wait(10)


async def test_all_who_wait_while_one_group_is_written_are_the_next_group(store: Store) -> None:
    async with Busy(store):
        kept = [asyncio.create_task(store.ledger.keep(arrival(number))) for number in range(32)]
        await asyncio.sleep(0)
        assert store.counters.waiting == 32
    assert all(receipt.fresh for receipt in await asyncio.gather(*kept))
    counters = store.counters
    assert (counters.commits, counters.works, counters.largest, counters.waiting) == (2, 33, 32, 0)


async def test_who_comes_alone_waits_for_nobody(store: Store) -> None:
    """A group is what waits: there is no time to be filled up in."""
    for number in range(5):
        await store.ledger.keep(arrival(number))
    assert (store.counters.commits, store.counters.largest) == (5, 1)


async def test_a_group_has_an_end(store: Store) -> None:
    """Or the first of it would wait for as many as there are."""
    store._writer._most = 1_000
    async with Busy(store):
        kept = [asyncio.create_task(store.ledger.keep(arrival(number))) for number in range(300)]
        await asyncio.sleep(0)
    await asyncio.gather(*kept)
    assert (store.counters.commits, store.counters.largest) == (4, 128)


async def test_when_too_much_waits_the_next_is_refused_at_once_and_nothing_of_it_is_kept(
    store: Store,
) -> None:
    async with Busy(store):
        kept = [asyncio.create_task(store.ledger.keep(arrival(number))) for number in range(50)]
        await asyncio.sleep(0)
        for number in range(50, 55):
            with pytest.raises(Overloaded):
                await store.ledger.keep(arrival(number))
        assert (store.counters.waiting, store.counters.refused) == (50, 5)
    assert all(receipt.fresh for receipt in await asyncio.gather(*kept))
    assert len(await store.reader.tokens("inbox")) == 50
    # There is room again.
    assert (await store.ledger.keep(arrival(50))).fresh


async def test_a_flood_of_strangers_does_not_keep_our_own_work_from_its_turn(store: Store) -> None:
    """Who asked first is served first; and our own work is never refused."""
    for number in range(10):
        await store.ledger.keep(arrival(number))
    claimed = await claim(store)
    order: list[str] = []

    async def told(name: str, work: Any) -> None:
        await work
        order.append(name)

    decided = [Decided(claimed=each, outcome=outcome(draft(each.notification))) for each in claimed]
    store._writer._most = 1_000
    async with Busy(store):
        flood = [
            asyncio.create_task(told("before", store.ledger.keep(arrival(number))))
            for number in range(100, 250)
        ]
        await asyncio.sleep(0)
        store._writer._most = 0
        ours = asyncio.create_task(told("ours", store.ledger.record(decided, now=NOW)))
        await asyncio.sleep(0)
        store._writer._most = 1_000
        flood += [
            asyncio.create_task(told("after", store.ledger.keep(arrival(number))))
            for number in range(250, 600)
        ]
        await asyncio.sleep(0)
    await asyncio.gather(ours, *flood)
    place = order.index("ours")
    assert "before" not in order[place + 1 + 128 :]
    assert order[:128] == ["before"] * 128
    assert "ours" in order[128:256]


async def test_our_own_work_does_not_keep_strangers_from_theirs(store: Store) -> None:
    """However much is recorded, what was received meanwhile is in the next group."""
    for number in range(40):
        await store.ledger.keep(arrival(number))
    claimed = await claim(store)
    decided = [Decided(claimed=each, outcome=outcome(draft(each.notification))) for each in claimed]
    commits: dict[str, int] = {}

    async def told(name: str, work: Any) -> None:
        await work
        commits[name] = store.counters.commits

    async with Busy(store):
        before = store.counters.commits
        works = [asyncio.create_task(told("first", store.ledger.record(decided[:20], now=NOW)))]
        await asyncio.sleep(0)
        works.append(asyncio.create_task(told("stranger", store.ledger.keep(arrival(99)))))
        await asyncio.sleep(0)
        works.append(asyncio.create_task(told("second", store.ledger.record(decided[20:], now=NOW))))
        await asyncio.sleep(0)
    await asyncio.gather(*works)
    assert commits["stranger"] <= before + 2


async def test_what_breaks_a_group_is_found_in_few_tries(store: Store) -> None:
    """Its halves are tried, and theirs: the others are written, and in their order."""
    done: list[int] = []

    def work(transaction: Transaction, items: Sequence[int]) -> list[int]:
        if 77 in items:
            raise RuntimeError("injected")
        done.extend(items)
        return list(items)

    results = await store._writer.write_grouped(work, list(range(128)))
    assert [type(result) for result in results].count(RuntimeError) == 1
    assert isinstance(results[77], RuntimeError)
    assert done == [number for number in range(128) if number != 77]
    assert store.counters.commits == 7
