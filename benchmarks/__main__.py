"""`python -m benchmarks`: measures, and prints a Markdown table; progress goes to stderr."""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks import (
    accept,
    commits,
    delivery,
    holding,
    latency,
    live,
    load,
    memory,
    pages,
    polling,
    reading,
    report,
    screening,
    size,
    start,
)
from benchmarks.model import BenchmarkFailed, Mode, Result, Task, say

_BENCHMARKS: Final[tuple[tuple[str, Callable[[Task], Result]], ...]] = (
    ("B1 B2", accept.measure),
    ("B3", screening.measure_shapes),
    ("B4", screening.measure_json_ld),
    ("B5", latency.measure),
    ("B6", size.measure),
    ("B7", pages.measure),
    ("B8", screening.measure_policies),
    ("B9", delivery.measure),
    ("B11", memory.measure),
    ("B12", polling.measure),
    ("B13", start.measure),
    ("B14", commits.measure),
    ("B15", holding.measure),
    ("B16", live.measure),
    ("B17", reading.measure),
)
_SECONDS: Final = {"smoke": 1.0, "default": 1.0, "full": 3.0}
_ROUNDS: Final = {"smoke": 1, "default": 9, "full": 9}
"""Many and short: a machine that is not ours alone is slow for a second or two, and then for both halves."""
_LEAST: Final = 5


def main(words: Sequence[str] | None = None) -> int:
    """Run what is asked for; return 1 when a benchmark failed (a figure off its target is no failure)."""
    given = _parser().parse_args(words)
    if shutil.which("wrk") is None:
        sys.exit(load.MISSING)
    mode: Mode = "smoke" if given.smoke else "full" if given.full else "default"
    rounds = given.rounds or _ROUNDS[mode]
    if mode != "smoke" and rounds < _LEAST:
        say(f"fewer than {_LEAST} rounds: the spread says little")
    wanted = set(given.only.upper().split(",")) if given.only else set()
    if unknown := wanted - {name for names, _ in _BENCHMARKS for name in names.split()}:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}")
    cache = Path(given.cache).resolve()
    cache.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    failed = []
    # Beside the cache: the disk that is measured is the one of the checkout, not a temporary one in memory.
    with tempfile.TemporaryDirectory(dir=cache, prefix="run-") as folder:
        task = Task(mode=mode, rounds=rounds, seconds=_SECONDS[mode], folder=Path(folder), cache=cache)
        for names, measure in _BENCHMARKS:
            if wanted and not wanted & set(names.split()):
                continue
            result, trouble = _one(names, measure, task)
            results.append(result)
            failed += trouble
        text = report.markdown(results, task)
    print(text)
    if given.markdown:
        given.markdown.write_text(text)
    if given.json:
        report.write(results, task, given.json)
    for line in failed:
        say(line)
    return 1 if failed else 0


def _one(names: str, measure: Callable[[Task], Result], task: Task) -> tuple[Result, list[str]]:
    say(f"{names} …")
    begun = time.monotonic()
    folder = task.folder / names.replace(" ", "-")
    folder.mkdir()
    try:
        result = measure(replace(task, folder=folder))
    except BenchmarkFailed as error:
        result = Result()
        for name in names.split():
            result.missing(name, measure.__module__.rpartition(".")[2], f"failed: {error}"[:200])
        return result, [f"{names} failed: {error}"]
    finally:
        # The next one shall not pay for writing this one's pages back.
        shutil.rmtree(folder)
        say(f"{names} took {time.monotonic() - begun:.1f} s")
    return result, []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    size_of_run = parser.add_mutually_exclusive_group()
    size_of_run.add_argument(
        "--full", action="store_true", help="with a database of 1,000,000 events and 100,000 notifications"
    )
    size_of_run.add_argument(
        "--smoke", action="store_true", help="everything once and tiny; nothing is judged"
    )
    parser.add_argument("--only", metavar="B1,B3", help="these alone")
    parser.add_argument("--rounds", type=int, metavar="N", help="paired rounds (9)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all values of all rounds there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too")
    parser.add_argument(
        "--cache", default=".benchmarks", metavar="DIR", help="for databases, kept between runs (.benchmarks)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
