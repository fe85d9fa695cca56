"""B13: how long a command takes to say what it can do."""

import statistics
import subprocess
import sys
import time

from benchmarks.model import Result, Task, at_most, ratios
from benchmarks.process import environment


def measure(task: Task) -> Result:
    """Run B13."""
    helped = [sys.executable, "-m", "orchestrator", "--help"]
    nothing = [sys.executable, "-c", "pass"]
    _wall(helped), _wall(nothing)
    pairs = [(_wall(helped), _wall(nothing)) for _ in range(task.pick(3, max(15, task.rounds)))]
    result = Result()
    slow, quick = (statistics.median(values) * 1e3 for values in zip(*pairs, strict=True))
    result.add(
        "B13",
        "`orchestrator --help` ÷ `python -c pass`, wall time",
        ratios(*map(list, zip(*pairs, strict=True))),
        target=at_most(6, 4),
        note=f"{slow:,.0f} and {quick:,.0f} ms, medians of {len(pairs)}",
    )
    return result


def _wall(words: list[str]) -> float:
    begun = time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=environment())
    return time.monotonic() - begun
