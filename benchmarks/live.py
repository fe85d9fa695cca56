"""B16: many who follow the log live: what each of them takes, and how long until the last has an event."""

import contextlib
import json
import queue
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks import notifications
from benchmarks.accept import Subject, count, in_turn, serve, unfinished, until, warm
from benchmarks.latency import Watcher
from benchmarks.model import BenchmarkFailed, Result, Task, ratios, say
from benchmarks.process import Server, environment, resident, started

_CALM: Final = 2.0
"""Seconds in which the server comes to rest."""
_PATIENCE: Final = 120.0


class Followers:
    """The process that follows a server."""

    def __init__(self, server: Server, number: int) -> None:
        """Begin to connect."""
        words = [sys.executable, "-m", "benchmarks.followers", str(server.port), str(number)]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment())
        self._told: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._told.put(json.loads(line))
        self._told.put(None)

    def next(self, name: str, value: int) -> dict[str, Any]:
        """Return what is told of the thing whose `name` has this value."""
        while True:
            try:
                told = self._told.get(timeout=_PATIENCE)
            except queue.Empty:
                raise BenchmarkFailed(f"followers do not tell of {name} {value}") from None
            if told is None:
                raise BenchmarkFailed("a follower was let go")
            if told.get(name) == value:
                return told

    def end(self) -> None:
        """Let them all go at once."""
        self._process.kill()
        self._process.wait()
        self._thread.join()


@contextlib.contextmanager
def following(server: Server, number: int) -> Iterator[Followers]:
    """Have so many follow."""
    followers = Followers(server, number)
    try:
        followers.next("connected", number)
        yield followers
    finally:
        followers.end()


@dataclass(kw_only=True)
class _Found:
    """What one kind of event loop did, by event or by round."""

    memory: list[float] = field(default_factory=list)
    """Bytes for each follower."""
    idle: list[float] = field(default_factory=list)
    """CPU µs for each follower and second in which nothing happens."""
    answered: list[float] = field(default_factory=list)
    """Seconds from the 201 to the last."""
    committed: list[float] = field(default_factory=list)
    """Seconds from when the event could be read in the database to the last."""
    middle: list[float] = field(default_factory=list)
    """The same to the one in the middle."""
    micro: list[float] = field(default_factory=list)
    """CPU µs for each follower and event."""
    rates: list[float] = field(default_factory=list)
    """Notifications per second with followers, for each without them."""
    told: str = ""
    reached: str = ""


def measure(task: Task) -> Result:
    """Run B16."""
    result = Result()
    number = task.pick(200, 10_000)
    _add(result, _with(task, "uvloop", number), number, "")
    if task.judges:
        _add(result, _with(task, "asyncio", number, "--no-uvloop"), number, ", without uvloop")
    return result


def _with(task: Task, name: str, number: int, *hooks: str) -> _Found:
    found = _Found()
    alone = Subject(server=serve(task, f"alone-{name}", *hooks), processes=True)
    followed = Subject(server=serve(task, f"followed-{name}", *hooks), processes=True)
    with started(alone.server, followed.server):
        for subject in (alone, followed):
            warm(subject.server, task)
            until(lambda: not unfinished(alone.server) + unfinished(followed.server), "warming up")
        time.sleep(_CALM)
        before = resident(followed.server.pid)
        begun = time.monotonic()
        with following(followed.server, number) as followers:
            took = time.monotonic() - begun
            time.sleep(_CALM)
            found.memory.append((resident(followed.server.pid) - before) / number)
            found.idle += _idle(task, alone.server, followed.server, number)
            for turn in range(task.rounds):
                _events(task, alone.server, followed.server, followers, number, found)
                say(f"  {name}: round {turn + 1} of {task.rounds}")
            in_turn((alone, followed), task)
            found.rates += ratios(followed.rate, alone.rate)
            begun = time.monotonic()
            followed.server.end()
            stopped = time.monotonic() - begun
    rates = [statistics.median(each.rate) for each in (followed, alone)]
    found.told = f"{number:,} connected in {took:.1f} s; stopped in {stopped:.1f} s"
    found.reached = f"{rates[0]:,.0f}/s with them, {rates[1]:,.0f}/s without"
    return found


def _idle(task: Task, alone: Server, followed: Server, number: int) -> Iterator[float]:
    # Two heartbeats: each comes to all of them.
    seconds = task.pick(1, 30)
    before = followed.cpu - alone.cpu
    time.sleep(seconds)
    yield (followed.cpu - alone.cpu - before) / seconds / number * 1e6


def _events(
    task: Task, alone: Server, followed: Server, followers: Followers, number: int, found: _Found
) -> None:
    """Publish a few events, one after the other, on both servers."""
    bodies = notifications.stream()
    for _ in range(task.pick(1, 3)):
        body = next(bodies)
        before = alone.cpu
        _post(alone, body)
        until(lambda: unfinished(alone) == 0, "processing")
        time.sleep(_CALM / 4)
        cost, before = alone.cpu - before, followed.cpu
        sequence = count(followed, "SELECT sequence FROM log_head") + 1
        with Watcher(followed.database) as watcher:
            answered = _post(followed, body)
            told = followers.next("sequence", sequence)
            watcher.wait_for(1)
        time.sleep(_CALM / 4)
        found.micro.append((followed.cpu - before - cost) / number * 1e6)
        committed = watcher.seen[json.loads(body)["id"]]
        found.answered.append(told["last"] - answered)
        found.committed.append(told["last"] - committed)
        found.middle.append(told["middle"] - committed)


def _post(server: Server, body: bytes) -> float:
    """POST a notification; return when it was answered."""
    headers = {"Content-Type": "application/ld+json"}
    with urllib.request.urlopen(urllib.request.Request(f"{server.url}/inbox/", body, headers)) as answer:
        if answer.status != 201:
            raise BenchmarkFailed(f"answered with {answer.status}")
        return time.monotonic()


def _add(result: Result, found: _Found, number: int, how: str) -> None:
    kilo = [size / 1_000 for size in found.memory]
    result.add("B16", f"memory of a follower, of {number:,}{how}", kilo, unit="kB", note=found.told)
    late = [seconds * 1e3 for seconds in found.answered]
    result.add("B16", f"POST answered → the last of {number:,} has the event{how}", late, unit="ms")
    late = [seconds * 1e3 for seconds in found.committed]
    told = f"the one in the middle {statistics.median(found.middle) * 1e3:,.0f} ms"
    result.add("B16", f"event committed → the last of them has it{how}", late, unit="ms", note=told)
    told = f"{statistics.median(found.idle):.2f} µs each second when nothing happens"
    result.add("B16", f"CPU for each follower and event{how}", found.micro, unit="µs", note=told)
    result.add("B16", f"POSTs per second with them ÷ without{how}", found.rates, note=found.reached)
