"""B15: how long the worst known documents hold the event loop of the real server."""

import asyncio
import statistics
import time
from pathlib import Path

import aiohttp

from benchmarks import worst
from benchmarks.accept import serve, warm
from benchmarks.model import BenchmarkFailed, Result, Task, at_most, say
from benchmarks.process import Server, started

_CALM = 0.1


def measure(task: Task) -> Result:
    """Run B15: every document once in each round."""
    gaps = task.folder / "gaps"
    server = serve(task, "worst", "--gaps", str(gaps))
    with started(server):
        warm(server, task)
        found = asyncio.run(_all(task, server, gaps))
    usual = found.pop("usual")
    anything = [max(each.held[number] for each in found.values()) for number in range(task.rounds)]
    ranking = sorted(found, key=lambda name: -statistics.median(found[name].held))
    result = Result()
    name = ranking[0]
    result.add(
        "B15",
        f"the event loop stands still for the worst of {len(found)} documents",
        found[name].held,
        unit="ms",
        target=at_most(50, 10),
        note=f"“{name}”; a usual notification: {statistics.median(usual.held):.1f} ms",
    )
    what = "the longest that it stood still in a round, whatever the cause (garbage, a new worker)"
    result.add("B15", what, anything, unit="ms", target=at_most(50, 10))
    probes = [max(each.probe[number] for each in found.values()) for number in range(task.rounds)]
    result.add("B15", "the longest that /livez took on another connection meanwhile", probes, unit="ms")
    told = ", ".join(
        f"{each} {statistics.median(found[each].held):.1f} ({found[each].status})" for each in ranking
    )
    result.notes.append(f"Event loop held in ms, and the answer: {told}.")
    return result


class _Held:
    """What one document did, by round."""

    def __init__(self) -> None:
        self.held: list[float] = []
        self.probe: list[float] = []
        self.status = 0


async def _all(task: Task, server: Server, gaps: Path) -> dict[str, _Held]:
    documents = {"usual": worst.usual, **worst.DOCUMENTS}
    found = {name: _Held() for name in documents}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        for number in range(task.rounds):
            for name, make in documents.items():
                body = make()
                if len(body) > worst.MOST:
                    raise BenchmarkFailed(f"“{name}” is larger than {worst.MOST} bytes: {len(body)}")
                await _one(session, server, gaps, body, found[name])
            say(f"  round {number + 1} of {task.rounds}")
    return found


async def _one(session: aiohttp.ClientSession, server: Server, gaps: Path, body: bytes, held: _Held) -> None:
    begun = time.monotonic()
    stop = asyncio.Event()
    probing = asyncio.create_task(_probe(session, f"{server.url}/livez", stop))
    headers = {"Content-Type": "application/ld+json"}
    async with session.post(f"{server.url}/inbox/", data=body, headers=headers) as answer:
        await answer.read()
        held.status = answer.status
    # What is accepted is processed next, in the same event loop.
    await asyncio.sleep(_CALM)
    stop.set()
    held.probe.append(await probing * 1e3)
    held.held.append(_longest_since(gaps, begun) * 1e3)


def _longest_since(gaps: Path, begun: float) -> float:
    lines = [line.split() for line in gaps.read_text().splitlines()]
    return max((float(seconds) for at, seconds in lines if float(at) >= begun), default=0.0)


async def _probe(session: aiohttp.ClientSession, url: str, stop: asyncio.Event) -> float:
    """Ask again and again until `stop`; return the longest that an answer took, in seconds."""
    longest = 0.0
    while not stop.is_set():
        begun = time.monotonic()
        async with session.get(url) as answer:
            await answer.read()
        longest = max(longest, time.monotonic() - begun)
        await asyncio.sleep(0.001)
    return longest
