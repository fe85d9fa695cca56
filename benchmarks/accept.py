"""B1 and B2: what it costs to accept a notification, by CPU time of the whole process tree.

Every server runs all the time; one at a time is under load, in turn, the order reversed every round.
"""

import sqlite3
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks import load, policies
from benchmarks.model import CONNECTIONS, BenchmarkFailed, Result, Task, at_least, ratios, say
from benchmarks.process import Server, started

_ROW: Final = "B1"
_SETTLED: Final = "state NOT IN ('RECEIVED', 'RETRY')"
_PATIENCE: Final = 300.0


def serve(task: Task, name: str, *hooks: str, settings: Mapping[str, object] | None = None) -> Server:
    """Return the real server with a database of its own and its default settings, but for `settings`."""
    folder = task.folder / name
    words = ["serve", "--json", "--database", f"sqlite:///{folder / 'orchestrator.sqlite'}"]
    module = "benchmarks.launch" if hooks else "orchestrator"
    settings = settings or {}
    if not task.judges:
        settings = {"screening.workers": 1, **settings}
    return Server(module=module, words=[*hooks, *words], folder=folder, settings=settings)


def bare(task: Task, name: str, *words: str) -> Server:
    """Return a bare aiohttp server."""
    return Server(module="benchmarks.echo", words=words, folder=task.folder / name)


def plain(task: Task) -> Server:
    """Return the inbox that is put together plainly."""
    folder = task.folder / "plain"
    words = ["--database", f"sqlite:///{folder / 'orchestrator.sqlite'}"]
    return Server(module="benchmarks.plain", words=words, folder=folder)


def count(server: Server, sql: str) -> int:
    """Ask a server's database, from here, so that the server is not charged for it."""
    connection = sqlite3.connect(f"file:{server.database}?mode=ro", uri=True, timeout=10)
    try:
        return int(connection.execute(sql).fetchone()[0])
    finally:
        connection.close()


def kept(server: Server) -> int:
    """Return how many notifications a server has kept."""
    return count(server, "SELECT count(*) FROM notification")


def unfinished(server: Server) -> int:
    """Return how many notifications and deliveries wait for something."""
    waiting = count(server, f"SELECT count(*) FROM processing WHERE NOT {_SETTLED}")
    return waiting + count(server, "SELECT count(*) FROM delivery WHERE state IN ('PENDING', 'RETRYING')")


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise BenchmarkFailed(f"{what}: not within {_PATIENCE:g} s")
        time.sleep(0.02)


def warm(server: Server, task: Task) -> None:
    """Have every worker meet every pattern, before anything is measured."""
    load.warm(f"{server.url}/inbox/", task.pick(15, 60))


def settle(server: Server) -> int:
    """Wait until requests that wrk left under way are done; return how many notifications are kept."""
    last = -1
    while (now := kept(server)) != last:
        last = now
        time.sleep(0.2)
    return now


@dataclass(kw_only=True)
class Subject:
    """A server, and what it cost in each round."""

    server: Server
    keeps: bool = True
    """Whether it keeps notifications in a database."""
    processes: bool = False
    """Whether the cost is counted until all of them are processed, and all deliveries made."""
    micro: list[float] = field(default_factory=list)
    """CPU µs per request."""
    rate: list[float] = field(default_factory=list)
    """Requests per second."""
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    def measure(self, seconds: float) -> None:
        """Put it under load once."""
        before, kept_before = self.server.cpu, kept(self.server) if self.keeps else 0
        begun = time.monotonic()
        found = load.post(f"{self.server.url}/inbox/", seconds)
        requests = found.requests
        if self.keeps:
            requests = settle(self.server) - kept_before
            if not 0 <= requests - found.requests <= CONNECTIONS:
                raise BenchmarkFailed(f"{found.requests} were answered with 201, {requests} were kept")
        rate = found.rate
        if self.processes:
            until(lambda: unfinished(self.server) == 0, "processing")
            rate = requests / (time.monotonic() - begun)
        self.micro.append((self.server.cpu - before) / requests * 1e6)
        self.rate.append(rate)
        self.p50.append(found.p50)
        self.p99.append(found.p99)
        self.busy.append(found.busy)

    @property
    def told(self) -> str:
        """The figures that stand beside a ratio."""
        return (
            f"{statistics.median(self.micro):,.0f} µs CPU, {statistics.median(self.rate):,.0f}/s, "
            f"p50 {statistics.median(self.p50):,.1f} ms, p99 {statistics.median(self.p99):,.1f} ms"
        )


def in_turn(subjects: Sequence[Subject], task: Task) -> None:
    """Measure all subjects in every round; what is slow with the hour is slow for all."""
    for number in range(task.rounds):
        for subject in subjects if number % 2 == 0 else reversed(subjects):
            subject.measure(task.seconds)
        say(f"  round {number + 1} of {task.rounds}")


def measure(task: Task) -> Result:
    """Run B1 and B2."""
    hub = bare(task, "hub")
    quiet_policies = {"policies.folder": policies.five(task.folder / "five", None)}
    loud_policies = {
        "policies.folder": policies.five(task.folder / "five-and-hub", f"{hub.url}/"),
        "egress.allow_private": "127.0.0.0/8",
    }
    echo = Subject(server=bare(task, "echo"), keeps=False)
    screened = Subject(server=serve(task, "screened", "--quiet"))
    processed = Subject(server=serve(task, "processed", settings=quiet_policies), processes=True)
    delivered = Subject(server=serve(task, "delivered", settings=loud_policies), processes=True)
    plainly = Subject(server=plain(task))
    slow_echo = Subject(server=bare(task, "echo-asyncio", "--no-uvloop"), keeps=False)
    slow = Subject(server=serve(task, "screened-asyncio", "--quiet", "--no-uvloop"))
    subjects = [echo, screened, delivered, plainly]
    if task.judges:
        subjects += [processed, slow_echo, slow]
    with started(hub, *(subject.server for subject in subjects)):
        for subject in subjects:
            warm(subject.server, task)
        until(lambda: not any(unfinished(s.server) for s in subjects if s.processes), "warming up")
        in_turn(subjects, task)
        made = count(delivered.server, "SELECT count(*) FROM delivery WHERE state = 'DELIVERED'")
        share = made / max(1, kept(delivered.server))
    result = Result()
    for subject, what, target in (
        (screened, "SQLite, screened and durable", at_least(0.22, 0.33)),
        (processed, "SQLite with orchestration, 5 policies, no deliveries", at_least(0.20, 0.30)),
        (delivered, f"SQLite with orchestration and {share:.2f} deliveries each", None),
    ):
        if subject not in subjects:
            result.missing(_ROW, f"CPU of raw echo ÷ {what}", "not in a smoke run", target=target)
            continue
        values = ratios(echo.micro, subject.micro)
        result.add(_ROW, f"CPU of raw echo ÷ {what}", values, target=target, note=subject.told)
    result.add(_ROW, "req/s: SQLite, screened and durable ÷ raw echo", ratios(screened.rate, echo.rate))
    if slow in subjects:
        told = f"{slow.told}; echo: {slow_echo.told}"
        what = "CPU of raw echo ÷ SQLite, both without uvloop"
        result.add(_ROW, what, ratios(slow_echo.micro, slow.micro), note=told)
    result.missing(_ROW, "PostgreSQL", "not yet: SQLite only", target=at_least(0.22, 0.33))
    result.missing(_ROW, "PostgreSQL with orchestration", "not yet: SQLite only", target=at_least(0.17, 0.25))
    faster = ratios(screened.rate, plainly.rate)
    what = "req/s ÷ pyld and pySHACL in process, same store"
    result.add("B2", what, faster, target=at_least(30, 45), note=f"plainly: {plainly.told}")
    result.notes.append(f"Raw echo: {echo.told}.")
    result.notes.append(f"wrk took at most {max(max(s.busy) for s in subjects):.0%} of one core.")
    return result
