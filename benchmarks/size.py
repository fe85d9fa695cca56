"""B6: what the store does on a large database beside a small one."""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from benchmarks import bulk
from benchmarks.model import CONNECTIONS, Result, Task, at_most, ratios, say
from orchestrator.core.event import LifecycleEvent
from orchestrator.ports import Arrival, Claimed, Decided, Query
from orchestrator.storage import Store

_STEPS: Final = ("accept", "claim", "append", "page read")
_LEASE: Final = 600_000


@dataclass(kw_only=True)
class _Log:
    """A database, and what each step took on it: CPU µs and wall µs for each operation, by round."""

    store: Store
    events: int
    arrivals: Iterator[Arrival]
    time: int = 0
    """Of the log's last event."""
    micro: dict[str, list[float]] = field(default_factory=lambda: {step: [] for step in _STEPS})
    wall: dict[str, list[float]] = field(default_factory=lambda: {step: [] for step in _STEPS})

    async def round(self, number: int, *, counts: bool) -> None:
        """Take `number` notifications all the way, and read as many pages."""
        arriving = list(islice(self.arrivals, number))
        await self._step("accept", number, lambda: self._accept(arriving), counts=counts)
        claimed: list[Claimed] = []
        await self._step("claim", number, lambda: self._claim(claimed, number), counts=counts)
        payloads = bulk.payloads(claimed[:1]) * len(claimed)
        await self._step("append", number, lambda: self._append(claimed, payloads), counts=counts)
        pages = [random.randrange(1, self.events // bulk.PAGE + 1) for _ in range(number)]  # noqa: S311
        await self._step("page read", number, lambda: self._read(pages), counts=counts)

    async def _step(
        self, name: str, number: int, work: Callable[[], Awaitable[None]], *, counts: bool
    ) -> None:
        cpu, begun = time.process_time(), time.monotonic()
        await work()
        if counts:
            self.micro[name].append((time.process_time() - cpu) / number * 1e6)
            self.wall[name].append((time.monotonic() - begun) / number * 1e6)

    async def _accept(self, arriving: list[Arrival]) -> None:
        for first in range(0, len(arriving), CONNECTIONS):
            group = arriving[first : first + CONNECTIONS]
            receipts = await asyncio.gather(*map(self.store.ledger.keep, group))
            assert all(receipt.fresh for receipt in receipts)

    async def _claim(self, claimed: list[Claimed], number: int) -> None:
        while len(claimed) < number:
            found = await self.store.ledger.claim("benchmark", limit=CONNECTIONS, now=_now(), lease=_LEASE)
            assert found
            claimed += found

    async def _append(self, claimed: list[Claimed], payloads: list[bytes]) -> None:
        for first in range(0, len(claimed), CONNECTIONS):
            group = list(zip(claimed, payloads, strict=True))[first : first + CONNECTIONS]
            decided = [Decided(claimed=each, outcome=bulk.outcome(each, payload)) for each, payload in group]
            # The log has a millisecond for each event; faster than that, its time has to run as well.
            self.time = max(_now(), self.time)
            recorded = await self.store.ledger.record(decided, now=self.time)
            events = [event for event in recorded if isinstance(event, LifecycleEvent)]
            assert len(events) == len(group)
            self.time = events[-1].created

    async def _read(self, pages: list[int]) -> None:
        for page in pages:
            end = page * bulk.PAGE
            found = await self.store.reader.events(Query(since=end - bulk.PAGE, until=end, limit=bulk.PAGE))
            assert len(found) == bulk.PAGE


def _now() -> int:
    return time.time_ns() // 1_000_000


def measure(task: Task) -> Result:
    """Run B6."""
    large, small = task.pick(2_000, 100_000, 1_000_000), task.pick(200, 1_000, 10_000)
    say(f"  databases of {large:,} and {small:,} events in {task.cache}")
    paths = [bulk.cached(task.cache, events) for events in (large, small)]
    return asyncio.run(_measure(task, paths, (large, small)))


async def _measure(task: Task, paths: list[Path], sizes: tuple[int, int]) -> Result:
    logs = []
    for path, events in zip(paths, sizes, strict=True):
        store = Store.open(f"sqlite:///{path}", public_url=bulk.BASE, page_size=bulk.PAGE)
        logs.append(_Log(store=store, events=events, arrivals=bulk.arrivals()))
    try:
        for number in range(task.rounds + 1):
            for log in logs if number % 2 == 0 else reversed(logs):
                await log.round(task.pick(32, 320), counts=number > 0)
    finally:
        for log in logs:
            await log.store.close()
    result = Result()
    one, other = logs
    for step in _STEPS:
        wall = statistics.median(ratios(one.wall[step], other.wall[step]))
        told = f"{_both(one.micro[step], other.micro[step])} µs CPU; "
        told += f"wall {_both(one.wall[step], other.wall[step])} µs, {wall:.2f}×"
        what = f"{step}: CPU at {sizes[0]:,} events ÷ at {sizes[1]:,}"
        result.add(
            "B6", what, ratios(one.micro[step], other.micro[step]), target=at_most(1.5, 1.1), note=told
        )
    return result


def _both(one: list[float], other: list[float]) -> str:
    return f"{statistics.median(one):,.0f} and {statistics.median(other):,.0f}"
