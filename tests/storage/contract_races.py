"""Several at once, some of whom stop waiting or die."""

import asyncio
import itertools
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.storage.examples import BASE, LEASE, NOW, arrival, claim, draft, log, outcome, plan, record

from orchestrator.core.errors import ConflictingContent, StorageError
from orchestrator.ports import NotificationState, Query
from orchestrator.storage import Store

_KEEP_AND_DIE = """
import asyncio, os, sys
from orchestrator.storage import Store
from tests.storage.examples import arrival

async def keep():
    store = Store.open(sys.argv[1], public_url=sys.argv[2])
    receipt = await store.ledger.keep(arrival())
    os.write(1, receipt.token.encode())
    os._exit(9)

asyncio.run(keep())
"""


class RaceContract:
    """Behaviours under concurrency, cancellation and death."""

    async def test_one_of_many_that_post_the_same_at_once_is_the_first(
        self, open_store: Callable[[], Store]
    ) -> None:
        """All get its receipt, whichever process they came through; other content is refused."""
        stores = [open_store(), open_store()]
        for number in range(5):
            kept = await asyncio.gather(
                *(stores[turn % 2].ledger.keep(arrival(number)) for turn in range(50)),
                *(stores[turn % 2].ledger.keep(arrival(number, content="other")) for turn in range(4)),
                return_exceptions=True,
            )
            receipts = [result for result in kept if not isinstance(result, BaseException)]
            refused = [result for result in kept if isinstance(result, ConflictingContent)]
            assert len(receipts) + len(refused) == 54
            assert [receipt.fresh for receipt in receipts].count(True) == 1
            assert len({receipt.token for receipt in receipts}) == 1
            assert len(await stores[0].reader.listing("inbox")) == number + 1

    async def test_claims_of_two_stores_never_overlap(self, open_store: Callable[[], Store]) -> None:
        """Each notification and each delivery has one holder, and each gets its event."""
        stores = [open_store(), open_store()]
        await asyncio.gather(*(stores[0].ledger.keep(arrival(number)) for number in range(120)))
        claimed: Counter[str] = Counter()
        delivered: Counter[str] = Counter()

        async def work(store: Store, owner: str) -> None:
            while held := await claim(store, owner=owner, limit=7):
                claimed.update(one.lease.key for one in held)
                await asyncio.gather(
                    *(record(store, one, outcome(draft(one.notification), plan()), now=NOW) for one in held)
                )
                taken = await store.outbox.claim(owner, limit=5, now=NOW + 1000, lease=LEASE)
                delivered.update(one.id for one in taken)

        await asyncio.gather(
            *(work(store, f"{place}-{turn}") for turn in range(3) for place, store in enumerate(stores))
        )
        while rest := await stores[1].outbox.claim("last", limit=50, now=NOW + 1000, lease=LEASE):
            delivered.update(one.id for one in rest)
        assert set(claimed.values()) == set(delivered.values()) == {1}
        assert len(claimed) == len(delivered) == 120
        events = await stores[1].reader.events(Query())
        assert [event.sequence for event in events] == list(range(1, 121))
        assert all(one.created < two.created for one, two in itertools.pairwise(events))

    async def test_who_stops_waiting_does_not_stop_the_work(self, store: Store) -> None:
        """A cancelled keep or record is done whole, and its group is not disturbed."""
        tasks = [asyncio.create_task(store.ledger.keep(arrival(number))) for number in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, False] * 10
        assert not (await store.ledger.keep(arrival(0))).fresh
        first, *_ = await claim(store)
        recording = asyncio.create_task(
            record(store, first, outcome(draft(first.notification), plan()), now=NOW)
        )
        await asyncio.sleep(0)
        recording.cancel()
        with pytest.raises(asyncio.CancelledError):
            await recording
        await store.ledger.keep(arrival(0))
        (kept, *_) = await store.reader.listing("inbox")
        assert (kept.state, kept.event) == (NotificationState.PROCESSED, 1)
        assert (len(await store.outbox.deliveries()), (await store.reader.head()).sequence) == (1, 1)

    async def test_closing_finishes_what_was_begun(
        self, store: Store, open_store: Callable[[], Store]
    ) -> None:
        """Whoever waits is answered; whoever comes later is told."""
        tasks = [asyncio.create_task(store.ledger.keep(arrival(number))) for number in range(300)]
        await asyncio.sleep(0)
        await store.close()
        assert all(receipt.fresh for receipt in await asyncio.gather(*tasks))
        for late in (store.ledger.keep(arrival(1)), store.reader.head()):
            with pytest.raises(StorageError, match="closed"):
                await late
        assert len(await open_store().reader.listing("inbox")) == 300

    async def test_what_was_acknowledged_survives_a_killed_process(self, store: Store, url: str) -> None:
        """The process dies as soon as it has its receipt."""
        ended = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", _KEEP_AND_DIE, url, BASE],
            check=False,
            capture_output=True,
            cwd=Path(__file__).parents[2],
        )
        assert ended.returncode == 9, ended.stderr.decode()
        assert await store.reader.notification("inbox", ended.stdout.decode()) is not None
        assert not (await store.ledger.keep(arrival())).fresh

    async def test_readers_see_whole_transactions_only(self, store: Store) -> None:
        """No event without its deliveries, no head before its event."""
        for number in range(1, 15):
            writing = asyncio.create_task(log(store, number, plan(), now=NOW + number))
            while not writing.done():
                head = await store.reader.head()
                deliveries = await store.outbox.deliveries()
                events = await store.reader.events(Query())
                assert head.sequence <= len(deliveries) <= len(events)
            await writing
