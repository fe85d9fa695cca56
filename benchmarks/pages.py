"""B7: a closed page of the log beside a small reply."""

import json
import statistics
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from benchmarks import bulk, load
from benchmarks.accept import bare, serve
from benchmarks.model import BenchmarkFailed, Result, Task, at_least, ratios, say
from benchmarks.process import Server, started

_PLAIN: Final = {"Accept": "application/ld+json", "Accept-Encoding": "identity"}
_PACKED: Final = {"Accept": "application/ld+json", "Accept-Encoding": "gzip"}


@dataclass(kw_only=True)
class _Read:
    server: Server
    path: str
    headers: Mapping[str, str]
    micro: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)

    def measure(self, seconds: float) -> None:
        before = self.server.cpu
        found = load.get(self.server.url + self.path, seconds, self.headers)
        self.micro.append((self.server.cpu - before) / found.requests * 1e6)
        self.rate.append(found.rate)

    @property
    def told(self) -> str:
        return f"{statistics.median(self.micro):,.0f} µs CPU, {statistics.median(self.rate):,.0f}/s"


def measure(task: Task) -> Result:
    """Run B7."""
    settings: dict[str, object] = {"server.public_url": bulk.BASE, "log.page_size": bulk.PAGE}
    server, other = serve(task, "pages", settings=settings), bare(task, "small")
    server.folder.mkdir(parents=True)
    bulk.build(server.database, 3 * bulk.PAGE)
    with started(server, other):
        packed, size, whole = _look(server)
        reads = [
            _Read(server=other, path="/500", headers=_PLAIN),
            _Read(server=server, path="/log?page=1", headers=_PLAIN),
            _Read(server=server, path="/livez", headers=_PLAIN),
        ]
        if packed:
            reads.append(_Read(server=server, path="/log?page=1", headers=_PACKED))
        for number in range(task.rounds):
            for read in reads if number % 2 == 0 else reversed(reads):
                read.measure(task.seconds)
            say(f"  round {number + 1} of {task.rounds}")
    small, plain, own = reads[:3]
    best = reads[3] if packed else plain
    result = Result()
    form = f"compressed, {size:,} bytes" if packed else f"{whole:,} bytes"
    result.add(
        "B7",
        "CPU of a 500-byte reply of bare aiohttp ÷ a closed page of 100",
        ratios(small.micro, best.micro),
        target=at_least(0.8, 0.95),
        note=f"{form}: {best.told}; small: {small.told}",
    )
    result.add("B7", "the same in req/s: page ÷ small reply", ratios(best.rate, small.rate))
    result.add(
        "B7",
        "the same, our own smallest reply (/livez) ÷ the page",
        ratios(own.micro, best.micro),
        note=own.told,
    )
    if packed:
        told = f"{whole:,} bytes: {plain.told}"
        result.add(
            "B7",
            "the same for the page as it is, not compressed",
            ratios(small.micro, plain.micro),
            note=told,
        )
    return result


def _look(server: Server) -> tuple[bool, int, int]:
    """Return whether pages come compressed when asked for, and how long they are then and otherwise."""
    sizes = []
    packed, body = False, b""
    for headers in (_PACKED, _PLAIN):
        request = urllib.request.Request(f"{server.url}/log?page=1", headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = answer.read()
            packed = packed or answer.headers.get("Content-Encoding") == "gzip"
        sizes.append(len(body))
    if len(json.loads(body)["orderedItems"]) != bulk.PAGE:
        raise BenchmarkFailed("the page is not full")
    return packed, sizes[0], sizes[1]
