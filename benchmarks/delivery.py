"""B9: what a delivery costs beside a bare POST of the same client library."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from itertools import islice

import aiohttp

from benchmarks import notifications
from benchmarks.accept import bare
from benchmarks.model import BenchmarkFailed, Result, Task, at_most, ratios
from benchmarks.pairs import Pair, compare_async
from benchmarks.process import Server, started
from orchestrator.contexts import bundled_contexts
from orchestrator.core import vocabulary as v
from orchestrator.ldn import EgressSettings, Peers


def measure(task: Task) -> Result:
    """Run B9."""
    hub = bare(task, "hub-of-deliveries")
    with started(hub):
        pair = asyncio.run(_compare(task, hub))
    result = Result()
    told = f"{statistics.median(pair.one):,.0f} and {statistics.median(pair.other):,.0f} µs CPU for each POST"
    result.add(
        "B9",
        "CPU of a guarded delivery ÷ the bare aiohttp client",
        ratios(pair.one, pair.other),
        target=at_most(1.5, 1.1),
        note=told,
    )
    result.missing("B9", "the same with a signature", "not yet: deliveries are not signed")
    return result


async def _compare(task: Task, hub: Server) -> Pair:
    settings = EgressSettings(allow_private=("127.0.0.0/8",), require_https=False)
    inbox = f"{hub.url}/inbox/"
    bodies = list(islice(notifications.stream(), task.pick(40, 2_000)))
    headers = {"Content-Type": v.AS_PROFILE, "Accept": "*/*"}
    # The same number of connections: what is compared is what our session adds.
    connector = aiohttp.TCPConnector(limit_per_host=settings.per_host)
    async with (
        Peers(settings, bundled_contexts(), lambda: time.time_ns() // 1_000_000) as peers,
        aiohttp.ClientSession(connector=connector) as session,
    ):

        async def guarded(body: bytes) -> None:
            if (await peers.send(inbox, body)).status != 201:
                raise BenchmarkFailed("the hub refuses")

        async def unguarded(body: bytes) -> None:
            async with session.post(inbox, data=body, headers=headers) as answer:
                await answer.read()

        async def all_guarded() -> int:
            return await _many(guarded, bodies, settings.per_host)

        async def all_unguarded() -> int:
            return await _many(unguarded, bodies, settings.per_host)

        return await compare_async(all_guarded, all_unguarded, task.rounds)


async def _many(send: Callable[[bytes], Awaitable[None]], bodies: list[bytes], at_once: int) -> int:
    left = iter(bodies)

    async def one_after_the_other() -> None:
        for body in left:
            await send(body)

    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    return len(bodies)
