"""B12: what it costs to poll a remote inbox in which nothing, or next to nothing, has changed."""

import asyncio
import contextlib
import json
import statistics
import time
import urllib.request
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from benchmarks.accept import serve
from benchmarks.model import BenchmarkFailed, Result, Task, at_most, ratios, say
from benchmarks.notifications import stream
from benchmarks.process import Server, started
from orchestrator import bootstrap
from orchestrator.config import Settings
from orchestrator.core.source import Source, SourceKind
from orchestrator.pipeline.collect import Collecting
from orchestrator.ports.sources import Ended, Found, MemberState
from orchestrator.storage import Store

_FEW, _MANY = 100, 10_000
_LEASE = 60_000
_MARK = "2026-01-01T00:00:00.000Z 1400"
_OF_OURS = 3_000
"""Notifications in an inbox of ours, three pages of it."""


@dataclass(kw_only=True)
class _Polled:
    """One source, its store, and what passes over it cost."""

    name: str
    url: str
    server: Server
    requests: list[float] = field(default_factory=list)
    micro: list[float] = field(default_factory=list)


def measure(task: Task) -> Result:
    """Run B12."""
    many = task.pick(500, _MANY)
    pods = [_pod(task, "few", _FEW), _pod(task, "many", many)]
    ours = serve(task, "ours")
    with started(*pods, ours):
        _fill(ours, task.pick(20, _OF_OURS))
        few, unchanged, paged, grown, bare = asyncio.run(_compare(task, pods, ours, many))
    result = Result()
    told = f"{statistics.median(unchanged.micro):,.0f} µs CPU for a pass"
    result.add(
        "B12",
        f"requests of a pass over an unchanged inbox of {many:,}",
        unchanged.requests,
        unit="requests",
        target=at_most(1, 1),
        note=told,
    )
    result.add(
        "B12",
        "the same, an inbox of this software, in several pages",
        paged.requests,
        unit="requests",
        note="the first page and the last",
    )
    result.add(
        "B12",
        f"CPU of such a pass: {many:,} members ÷ {_FEW}",
        ratios(unchanged.micro, few.micro),
        target=at_most(1.5, 1.1),
    )
    result.add(
        "B12",
        "CPU of such a pass ÷ a conditional GET of the bare aiohttp client",
        ratios(unchanged.micro, bare),
        note=f"bare: {statistics.median(bare):,.0f} µs",
    )
    result.add(
        "B12",
        f"requests of a pass when one of {many:,} is new",
        grown.requests,
        unit="requests",
        target=at_most(2, 2),
        note=f"{statistics.median(grown.micro) / 1_000:,.0f} ms CPU: the listing is read",
    )
    return result


def _pod(task: Task, name: str, members: int) -> Server:
    folder = task.folder / name
    return Server(module="benchmarks.listing", words=["--members", str(members)], folder=folder)


def _fill(ours: Server, notifications: int) -> None:
    say(f"  {notifications:,} notifications into an inbox of ours")

    async def fill() -> None:
        async with aiohttp.ClientSession() as session:
            waiting = stream()

            async def some() -> None:
                for _ in range(notifications // 10):
                    headers = {"Content-Type": "application/ld+json"}
                    async with session.post(
                        f"{ours.url}/inbox/", data=next(waiting), headers=headers
                    ) as answer:
                        if answer.status != 201:
                            raise BenchmarkFailed(f"a notification was answered {answer.status}")

            await asyncio.gather(*(some() for _ in range(10)))

    asyncio.run(fill())


async def _compare(
    task: Task, pods: Sequence[Server], ours: Server, many: int
) -> tuple[_Polled, _Polled, _Polled, _Polled, list[float]]:
    async with _collector(task.folder / "collector.sqlite") as (store, collecting):
        polled = [
            _Polled(name="few", url=f"{pods[0].url}/inbox/", server=pods[0]),
            _Polled(name="many", url=f"{pods[1].url}/inbox/", server=pods[1]),
            _Polled(name="ours", url=f"{ours.url}/inbox/", server=ours),
        ]
        for each, members in zip(polled[:2], (_FEW, many), strict=True):
            await _know(store, each, members)
        await _add(store, polled[2])
        for each in polled:
            await _pass(store, collecting, each)
        grown = _Polled(name="many", url=polled[1].url, server=pods[1])
        bare: list[float] = []
        passes = task.pick(2, 20)
        for number in range(task.rounds):
            for each in polled if number % 2 == 0 else reversed(polled):
                await _measure(store, collecting, each, passes)
            bare.append(await _bare(polled[1].url, passes))
            await asyncio.to_thread(_grow, pods[1])
            await _measure(store, collecting, grown, 1)
            say(f"  round {number + 1} of {task.rounds}")
        return polled[0], polled[1], polled[2], grown, bare


@contextlib.asynccontextmanager
async def _collector(file: Path) -> AsyncIterator[tuple[Store, Collecting]]:
    settings = Settings(database=f"sqlite:///{file}", allow_private=("127.0.0.0/8",))
    store = await asyncio.to_thread(Store.open, settings.database, public_url="http://127.0.0.1:1")
    try:
        async with bootstrap.collector_of(settings, store) as collecting:
            yield store, collecting
    finally:
        await store.close()


async def _add(store: Store, polled: _Polled) -> None:
    source = Source(name=polled.name, kind=SourceKind.INBOX, url=polled.url)
    await store.sources.add(source, who="benchmark", now=_now())


async def _know(store: Store, polled: _Polled, members: int) -> None:
    """Let the store know all members, as if each had been fetched."""
    await _add(store, polled)
    now = _now()
    [claimed] = await store.progress.claim("benchmark", limit=1, now=now, lease=_LEASE, name=polled.name)
    kept = MemberState.KEPT
    known = [Found(url=f"{polled.url}{n}", mark=_MARK, state=kept) for n in range(members)]
    await store.progress.note(claimed.lease, known, now=now)
    await store.progress.finish(claimed.lease, Ended(progress={}, next_at=now, requests=0), now=now)


async def _pass(store: Store, collecting: Collecting, polled: _Polled) -> int:
    [claimed] = await store.progress.claim("benchmark", limit=1, now=_now(), lease=_LEASE, name=polled.name)
    done = await collecting.collect(claimed)
    if done.reason is not None or done.tally.seen != done.tally.members:
        raise BenchmarkFailed(f"a pass over {polled.name} failed: {done.reason}; {done.tally}")
    return done.requests


async def _measure(store: Store, collecting: Collecting, polled: _Polled, passes: int) -> None:
    """Make passes; CPU is that of this process, which does nothing else, and not of the server."""
    asked = _asked(polled.server)
    begun = time.process_time()
    made = [await _pass(store, collecting, polled) for _ in range(passes)]
    polled.micro.append((time.process_time() - begun) / passes * 1e6)
    polled.requests.append(statistics.mean(made))
    seen = _asked(polled.server)
    if asked is not None and seen is not None and seen - asked != sum(made):
        raise BenchmarkFailed(f"{polled.name} was asked {seen - asked} times, and not {sum(made)}")


def _grow(pod: Server) -> None:
    urllib.request.urlopen(f"{pod.url}/grow", data=b"").read()


def _asked(server: Server) -> int | None:
    """Return how many requests a pod has seen: what we say of ourselves is not enough."""
    if server.module != "benchmarks.listing":
        return None
    found: int = json.loads(urllib.request.urlopen(f"{server.url}/asked").read())
    return found


async def _bare(url: str, passes: int) -> float:
    """Return the µs of CPU of one conditional GET with the plain client."""
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as answer:
            await answer.read()
            tag = answer.headers["ETag"]
        begun = time.process_time()
        for _ in range(passes):
            async with session.get(url, headers={"If-None-Match": tag}) as answer:
                if answer.status != 304:
                    raise BenchmarkFailed("the pod does not say that nothing has changed")
        return (time.process_time() - begun) / passes * 1e6


def _now() -> int:
    return bootstrap.SystemClock().now()
