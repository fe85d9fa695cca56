"""B14: how many notifications share a commit, and what a slow disk costs."""

import statistics
from pathlib import Path
from typing import Final

from benchmarks.accept import Subject, in_turn, kept, serve, warm
from benchmarks.model import CONNECTIONS, BenchmarkFailed, Result, Task, at_least, ratios
from benchmarks.process import started

_DELAY: Final = 5
"""Milliseconds more for each commit."""


class _Counted(Subject):
    """A subject whose commits are counted."""

    def __init__(self, task: Task, name: str, *hooks: str) -> None:
        """Take the hooks that the server is started with."""
        self.file = task.folder / f"{name}.commits"
        self.rows: list[float] = []
        super().__init__(server=serve(task, name, "--quiet", "--commits", str(self.file), *hooks))

    def measure(self, seconds: float) -> None:
        """Put it under load once, and count."""
        commits, rows = _read(self.file), kept(self.server)
        super().measure(seconds)
        made = _read(self.file) - commits
        if not made:
            raise BenchmarkFailed("no commit was seen: the hook of benchmarks/launch.py is out of date")
        self.rows.append((kept(self.server) - rows) / made)


def _read(file: Path) -> int:
    return int.from_bytes(file.read_bytes(), "little")


def measure(task: Task) -> Result:
    """Run B14."""
    quick, slow = _Counted(task, "commits"), _Counted(task, "slow-commits", "--delay", str(_DELAY))
    with started(quick.server, slow.server):
        for subject in (quick, slow):
            warm(subject.server, task)
        in_turn((quick, slow), task)
    result = Result()
    usual, slowed = statistics.median(quick.rate), statistics.median(slow.rate)
    told = f"{usual:,.0f}/s; with +{_DELAY} ms for each commit {slowed:,.0f}/s"
    result.add(
        "B14",
        f"notifications in one commit at {CONNECTIONS} connections",
        quick.rows,
        unit="rows",
        target=at_least(8, 16),
        note=f"{statistics.median(slow.rows):,.1f} with +{_DELAY} ms",
    )
    result.add(
        "B14",
        f"throughput kept with +{_DELAY} ms in each commit",
        ratios(slow.rate, quick.rate),
        target=at_least(0.5, 0.6),
        note=told,
    )
    return result
