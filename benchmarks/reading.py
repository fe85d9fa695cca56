"""B17: reading a log over HTTP, a long one beside one of 5,000 events: root, pages made anew, proofs."""

import random
import statistics
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from benchmarks import bulk
from benchmarks.accept import serve
from benchmarks.model import Result, Task, at_most, ratios, say
from benchmarks.process import Server, started

_JSON_LD: Final = "application/ld+json"
_QUADS: Final = "application/n-quads"
_SMALL: Final = 5_000
_AT_ONCE: Final = 4
"""Answers of each kind in a round; none of them is asked for twice."""


@dataclass(kw_only=True)
class _Log:
    server: Server
    events: int
    asked: set[int] = field(default_factory=set)
    wall: dict[str, list[float]] = field(default_factory=dict)
    micro: dict[str, list[float]] = field(default_factory=dict)

    def round(self, *, counts: bool) -> None:
        """Ask a few times for each thing, and keep ms of waiting and µs of CPU for each."""
        asks: dict[str, Callable[[], tuple[str, str]]] = {
            "root": lambda: ("/log", _JSON_LD),
            "closed page, made anew": lambda: (f"/log?page={self._page()}", _JSON_LD),
            "closed page as N-Quads, made anew": lambda: (f"/log?page={self._page()}", _QUADS),
            "inclusion proof": lambda: (f"/log/proof?event={self._event()}", "*/*"),
            "consistency proof": lambda: (f"/log/proof?first={self._event()}", "*/*"),
            "checkpoint": lambda: ("/log/checkpoint", "*/*"),
        }
        for what, ask in asks.items():
            cpu, waits = self.server.cpu, []
            for _ in range(_AT_ONCE):
                path, accept = ask()
                request = urllib.request.Request(self.server.url + path, headers={"Accept": accept})
                begun = time.monotonic()
                with urllib.request.urlopen(request, timeout=60) as answer:
                    answer.read()
                waits.append((time.monotonic() - begun) * 1e3)
            if counts:
                self.wall.setdefault(what, []).append(statistics.median(waits))
                self.micro.setdefault(what, []).append((self.server.cpu - cpu) / _AT_ONCE * 1e6)

    def _page(self) -> int:
        """Return a closed page that nobody has asked for."""
        pages = range(1, self.events // bulk.PAGE)
        left = [page for page in random.sample(pages, min(len(pages), 500)) if page not in self.asked]
        self.asked.add(left[0])
        return left[0]

    def _event(self) -> int:
        return random.randrange(1, self.events)  # noqa: S311  (spreads the questions)


def measure(task: Task) -> Result:
    """Run B17."""
    large = task.pick(2 * _SMALL, 100_000, 1_000_000)
    # A page is asked for once in each form and round.
    rounds = min(task.rounds, (_SMALL // bulk.PAGE - 1) // (2 * _AT_ONCE) - 1)
    logs = []
    for events in (large, _SMALL):
        say(f"  a database of {events:,} events in {task.cache}")
        server = serve(task, f"log-{events}", settings=_settings())
        server.folder.mkdir(parents=True)
        server.database.write_bytes(bulk.cached(task.cache, events).read_bytes())
        logs.append(_Log(server=server, events=events))
    with started(*(log.server for log in logs)):
        for number in range(rounds + 1):
            for log in logs if number % 2 == 0 else reversed(logs):
                log.round(counts=number > 0)
            say(f"  round {number} of {rounds}")
    one, other = logs
    result = Result()
    result.add(
        "B17",
        f"first page of a log of {_SMALL:,} events, made anew",
        other.wall["closed page, made anew"],
        target=at_most(10, 5),
        unit=" ms",
    )
    for what in one.micro:
        both = f"{statistics.median(one.wall[what]):.1f} and {statistics.median(other.wall[what]):.1f} ms"
        result.add(
            "B17",
            f"{what}: CPU at {large:,} events ÷ at {_SMALL:,}",
            ratios(one.micro[what], other.micro[what]),
            target=at_most(1.5, 1.1) if "page" in what else None,
            note=both,
        )
    return result


def _settings() -> dict[str, object]:
    return {"server.public_url": bulk.BASE, "log.page_size": bulk.PAGE}
