"""B11: resident memory of the server and its workers, idle and after many notifications."""

import statistics
import time
from typing import Final

from benchmarks import load
from benchmarks.accept import kept, serve, settle, unfinished, until, warm
from benchmarks.model import Result, Task, at_most, say
from benchmarks.process import Server, resident, started, tree

_MB: Final = 1_000_000
_CALM: Final = 2.0
_MOST: Final = {"smoke": 4, "default": 60, "full": 3_600}
"""Seconds of load at most."""


def measure(task: Task) -> Result:
    """Run B11. Idle memory is read from several starts, growth after the last of them."""
    result, grown = Result(), Result()
    idle: list[list[float]] = []
    for number in range(starts := task.pick(1, 3)):
        server = serve(task, f"memory-{number}")
        with started(server):
            time.sleep(_CALM if task.judges else 0.2)
            idle.append(_memory(server))
            if number == starts - 1:
                _grow(task, server, grown)
    sums = [sum(each) for each in idle]
    workers = ", ".join(f"{size:,.0f}" for size in idle[-1][1:]) or "none"
    told = f"server {statistics.median(each[0] for each in idle):,.0f} MB; its other processes {workers} MB"
    result.add(
        "B11", "resident memory, idle, all processes", sums, unit="MB", target=at_most(120, 80), note=told
    )
    result.figures += grown.figures
    return result


def _memory(server: Server) -> list[float]:
    return [resident(pid) / _MB for pid in tree(server.pid)]


def _grow(task: Task, server: Server, result: Result) -> None:
    wanted = task.pick(30, 5_000, 100_000)
    warm(server, task)
    # What the first tenth makes grow are caches that are full by then, not a leak.
    first = _feed(server, task, wanted // 10, _MOST[task.mode] / 10)
    before = sum(_memory(server))
    last = _feed(server, task, wanted, _MOST[task.mode])
    after = sum(_memory(server))
    told = f"{before:,.0f} MB after {first:,}, {after:,.0f} MB after {last:,} notifications"
    if task.judges and last < wanted:
        told += f" (as many as came in {_MOST[task.mode]} s; {wanted:,} were wanted)"
    what = f"growth of resident memory over {last - first:,} notifications"
    growth = (after - before) / before * 100
    result.add("B11", what, [growth], unit="%", target=at_most(5, 0), note=told)


def _feed(server: Server, task: Task, number: int, within: float) -> int:
    """Bring the server to `number` notifications, all processed, in the time there is; return how many."""
    begun = time.monotonic()
    while kept(server) < number and time.monotonic() - begun < within:
        load.post(f"{server.url}/inbox/", task.seconds)
        until(lambda: unfinished(server) == 0, "processing")
        say(f"  {kept(server):,} of {number:,}")
    settle(server)
    return kept(server)
