"""B5: from the POST until the event is public, idle and at half load."""

import asyncio
import itertools
import sqlite3
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, Self

from benchmarks import notifications
from benchmarks.accept import Subject, serve, unfinished, until, warm
from benchmarks.model import CONNECTIONS, BenchmarkFailed, Result, Task, at_most, ratios, say
from benchmarks.process import Server, started

_LOOK: Final = 0.0005
"""Seconds between looks at the log: the error of one measurement."""


class Watcher:
    """Looks at a database and notes when the event of each activity could first be read."""

    def __init__(self, database: Path) -> None:
        """Begin behind what is in the log."""
        self._database = database
        self._stop = threading.Event()
        self.seen: dict[str, float] = {}
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._began = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        self._began.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=10)) as connection:
            ((last,),) = connection.execute("SELECT coalesce(max(sequence), 0) FROM event")
            self._began.set()
            while not self._stop.is_set():
                found = connection.execute(
                    "SELECT sequence, activity FROM event WHERE log = 1 AND sequence > ?", (last,)
                ).fetchall()
                now = time.monotonic()
                for sequence, activity in found:
                    self.seen[activity] = now
                    last = sequence
                time.sleep(_LOOK)

    def wait_for(self, number: int) -> None:
        """Wait until so many events were seen."""
        until(lambda: len(self.seen) >= number, "the log")


class _Sender(asyncio.Protocol):
    """One keep-alive connection that writes requests at once and takes answers as they come."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Count answers by their status lines."""
        self.answered += data.count(b"HTTP/1.1 201")


def _requests(server: Server, run: str) -> Iterator[tuple[str, bytes]]:
    head = (
        f"POST /inbox/ HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        "Content-Type: application/ld+json\r\nContent-Length: %d\r\n\r\n"
    )
    templates = itertools.cycle(notifications.templates())
    for number, template in zip(itertools.count(1), templates):
        body = template.fill(run, number)
        yield f"urn:uuid:{run}-0000-4000-8000-{number:012x}", (head % len(body)).encode() + body


async def _send(server: Server, rate: float, number: int, connections: int) -> dict[str, float]:
    """Send `number` notifications at `rate`, whatever the answers take; return when each was sent."""
    loop = asyncio.get_running_loop()
    senders = []
    for _ in range(connections):
        _, sender = await loop.create_connection(_Sender, "127.0.0.1", server.port)
        senders.append(sender)
    sent: dict[str, float] = {}
    begun = time.monotonic()
    requests = _requests(server, notifications.new_run())
    for which, (name, request) in enumerate(itertools.islice(requests, number)):
        due = begun + which / rate
        if (wait := due - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        transport = senders[which % connections].transport
        assert transport is not None
        # Due, not sent: a sender that falls behind must not hide it (coordinated omission).
        sent[name] = due
        transport.write(request)
    deadline = time.monotonic() + 60
    while (taken := sum(sender.answered for sender in senders)) < number:
        if time.monotonic() > deadline:
            raise BenchmarkFailed(f"{number} were sent, {taken} answered with 201")
        await asyncio.sleep(0.01)
    for sender in senders:
        if sender.transport is not None:
            sender.transport.close()
    return sent


def _commit(file: Path) -> "Iterator[float]":
    """Yield the seconds of a durable commit of one row, each time on the same disk."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE row (key INTEGER PRIMARY KEY, body BLOB)")
        while True:
            begun = time.monotonic()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO row (body) VALUES (?)", (b"x" * 1_500,))
            connection.execute("COMMIT")
            yield time.monotonic() - begun


def measure(task: Task) -> Result:
    """Run B5."""
    subject = Subject(server=serve(task, "latency"), processes=True)
    server = subject.server
    idle: list[float] = []
    commits: list[float] = []
    half: list[float] = []
    tail: list[float] = []
    rates: list[float] = []
    with started(server):
        warm(server, task)
        until(lambda: unfinished(server) == 0, "warming up")
        commit = _commit(task.folder / "commits.sqlite")
        for number in range(task.rounds):
            for _ in range(task.pick(2, 10)):
                commits.append(statistics.median(itertools.islice(commit, 5)))
                with Watcher(server.database) as watcher:
                    sent = asyncio.run(_send(server, 1, 1, 1))
                    watcher.wait_for(1)
                idle += [watcher.seen[name] - at for name, at in sent.items()]
            subject.measure(task.seconds)
            rate = subject.rate[-1] / 2
            rates.append(rate)
            with Watcher(server.database) as watcher:
                sent = asyncio.run(_send(server, rate, max(10, round(rate * task.seconds)), CONNECTIONS))
                watcher.wait_for(len(sent))
            late = sorted((watcher.seen[name] - at) * 1_000 for name, at in sent.items())
            half.append(statistics.median(late))
            tail.append(late[min(len(late) - 1, round(len(late) * 0.99))])
            say(f"  round {number + 1} of {task.rounds}")
    result = Result()
    told = f"at {statistics.median(rates):,.0f}/s, half of what was reached just before"
    result.add(
        "B5", "POST → public in the log at half load, p50", half, unit="ms", target=at_most(50, 20), note=told
    )
    result.add("B5", "the same, p99", tail, unit="ms")
    one, unit = statistics.median(idle) * 1e3, statistics.median(commits) * 1e3
    told = f"{one:,.1f} ms; a commit of one row {unit:,.2f} ms"
    units, each = ratios(idle, commits), len(idle) // task.rounds
    by_round = [statistics.median(units[at * each : (at + 1) * each]) for at in range(task.rounds)]
    result.add("B5", "the same, idle, in units of one commit", by_round, target=at_most(3, 2), note=told)
    return result
