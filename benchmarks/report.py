"""What was measured, as a Markdown table and as JSON."""

import dataclasses
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from benchmarks.model import Figure, Result, Target, Task

_PACKAGES: Final = (
    "orchestrator",
    "aiohttp",
    "uvloop",
    "sqlalchemy",
    "pyld",
    "pyshacl",
    "rdflib",
    "orjson",
)
_NONE: Final = "–"


def circumstances(task: Task) -> dict[str, str]:
    """Return where, when and with what was measured."""
    return {
        "date": datetime.fromtimestamp(time.clock_gettime(time.CLOCK_REALTIME), UTC).strftime(
            "%Y-%m-%d %H:%M UTC"
        ),
        "commit": _said(["git", "describe", "--always", "--dirty"]),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {_memory()} of memory",
        "system": platform.platform(),
        "load at the end": ", ".join(f"{value:.2f}" for value in os.getloadavg()),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "SQLite": sqlite3.sqlite_version,
        "packages": ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
        "load generator": _said([shutil.which("wrk") or "wrk", "-v"]).partition(" Copyright")[0],
        "rounds": f"{task.rounds} paired rounds of {task.seconds:g} s each half ({task.mode} run)",
    }


def markdown(results: Sequence[Result], task: Task) -> str:
    """Return the page's part that changes with every run."""
    lines = [f"- {name}: {value}" for name, value in circumstances(task).items()]
    lines += ["", "| | what | median (min–max) | target | beyond | beside |", "|---|---|---|---|---|---|"]
    figures = [figure for result in results for figure in result.figures]
    lines += [_row(figure, task) for figure in figures]
    notes = [note for result in results for note in result.notes]
    if notes:
        lines += ["", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def to_json(results: Sequence[Result], task: Task) -> dict[str, Any]:
    """Return everything, every round included."""
    return {
        "circumstances": circumstances(task),
        "mode": task.mode,
        "figures": [
            {**dataclasses.asdict(figure), "median": figure.value, **_verdicts(figure, task)}
            for result in results
            for figure in result.figures
        ],
        "notes": [note for result in results for note in result.notes],
    }


def write(results: Sequence[Result], task: Task, file: Path) -> None:
    """Write the JSON form."""
    file.write_text(json.dumps(to_json(results, task), indent=1, ensure_ascii=False) + "\n")


def number(value: float) -> str:
    """Return a number as it can be read: three digits that count."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.3g}"


def _row(figure: Figure, task: Task) -> str:
    unit = "" if figure.unit == "×" else f" {figure.unit}"
    measured = _NONE
    if figure.value is not None:
        spread = (
            f" ({number(min(figure.values))}–{number(max(figure.values))})" if len(figure.values) > 1 else ""
        )
        measured = f"**{number(figure.value)}{unit}**{spread}"
    target = figure.target
    wanted = beyond = ""
    if target is not None:
        wanted = _goal(figure, target, target.wanted, task)
        beyond = _goal(figure, target, target.beyond, task) if target.beyond is not None else ""
    cells = (figure.row, figure.what, measured, wanted, beyond, figure.note)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _goal(figure: Figure, target: Target, wanted: float, task: Task) -> str:
    text = f"{'≥' if target.is_least else '≤'} {wanted:g}"
    if figure.value is None or not task.judges:
        return text
    return f"{text} {'met' if target.meets(figure.value, wanted) else '**not met**'}"


def _verdicts(figure: Figure, task: Task) -> dict[str, bool | None]:
    target = figure.target
    if target is None or figure.value is None or not task.judges:
        return {"met": None, "met_beyond": None}
    beyond = None if target.beyond is None else target.meets(figure.value, target.beyond)
    return {"met": target.meets(figure.value, target.wanted), "met_beyond": beyond}


def _said(words: list[str]) -> str:
    try:
        ran = subprocess.run(
            words, capture_output=True, text=True, check=False, cwd=Path(__file__).parent, timeout=10
        )
    except OSError:
        return _NONE
    return ran.stdout.strip() or _NONE


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return _NONE


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> str:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{pages / 2**30:.0f} GiB"
