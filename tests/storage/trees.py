"""Trees by their definition, and logs of any size to hold them against."""

import asyncio
import functools
import hashlib
from collections.abc import Sequence

from tests.storage.examples import NOW, arrival, claim, draft, outcome, plan

from orchestrator.core.event import LifecycleEvent
from orchestrator.ports import Decided
from orchestrator.storage import Store

WIDTH = 256


class NaiveTree:
    """The definitions of RFC 6962, section 2.1, to the letter."""

    def __init__(self, entries: Sequence[bytes]) -> None:
        """Take the entries of all leaves."""
        self.leaves = [hashlib.sha256(b"\x00" + entry).digest() for entry in entries]
        self.head = functools.cache(self._head)
        """Root over the leaves from one up to below another."""

    def _head(self, start: int, end: int) -> bytes:
        if start == end:
            return hashlib.sha256().digest()
        if end - start == 1:
            return self.leaves[start]
        half = 1
        while half * 2 < end - start:
            half *= 2
        left, right = self.head(start, start + half), self.head(start + half, end)
        return hashlib.sha256(b"\x01" + left + right).digest()

    def tile(self, level: int, index: int, size: int) -> list[bytes]:
        """Return the hashes of a tile (C2SP tlog-tiles, "Merkle Tree") in the tree of `size`."""
        step = WIDTH**level
        end = min((index + 1) * WIDTH, size // step)
        return [self.head(place * step, (place + 1) * step) for place in range(index * WIDTH, end)]


async def decide(store: Store, numbers: Sequence[int], *, now: int) -> list[Decided]:
    """Receive notifications, and decide that each becomes an event."""
    await asyncio.gather(*(store.ledger.keep(arrival(number)) for number in numbers))
    held = await claim(store, now=now)
    assert len(held) == len(numbers)
    return [Decided(claimed=one, outcome=outcome(draft(one.notification), plan())) for one in held]


async def grow(store: Store, groups: Sequence[int], *, first: int = 1) -> None:
    """Append in groups of these sizes, each of 250 at most: the log may not lead the clock further."""
    for size in groups:
        numbers = range(first, first + size)
        now = NOW + numbers[-1]
        written = await store.ledger.record(await decide(store, numbers, now=now), now=now)
        assert all(isinstance(event, LifecycleEvent) for event in written)
        first += size
