"""Two things that are compared in this process, in turn."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """CPU µs for each operation, by round."""

    one: list[float]
    other: list[float]


def compare(one: Callable[[], int], other: Callable[[], int], rounds: int) -> Pair:
    """Measure two functions that each do a batch and return how many operations that was."""
    pair = Pair(one=[], other=[])
    one(), other()  # warm: imports, caches, compiled patterns
    for number in range(rounds):
        halves = [(one, pair.one), (other, pair.other)]
        for work, micro in halves if number % 2 == 0 else reversed(halves):
            micro.append(_micro(work))
    return pair


async def compare_async(
    one: Callable[[], Awaitable[int]], other: Callable[[], Awaitable[int]], rounds: int
) -> Pair:
    """Measure two coroutine functions likewise; all threads of this process are charged."""
    pair = Pair(one=[], other=[])
    await one()
    await other()
    for number in range(rounds):
        halves = [(one, pair.one), (other, pair.other)]
        for work, micro in halves if number % 2 == 0 else reversed(halves):
            await asyncio.sleep(0.05)
            begun = time.process_time()
            done = await work()
            micro.append((time.process_time() - begun) / done * 1e6)
    return pair


def _micro(work: Callable[[], int]) -> float:
    gc.collect()
    begun = time.process_time()
    done = work()
    return (time.process_time() - begun) / done * 1e6
