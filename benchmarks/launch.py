"""The real `orchestrator` command, with hooks for what cannot be measured from outside.

    python -m benchmarks.launch [--quiet] [--canned] [--no-uvloop] [--commits FILE] [--delay MS]
        [--gaps FILE] serve …

Each hook replaces or listens to something at the edge of the product; without hooks this is the
command as everyone runs it. Imports stand in the functions: workers import this module when they start.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Final

_BEAT: Final = 0.001
_SHORT: Final = 0.003
"""Seconds between two beats of the event loop that nobody needs to know of."""


def be_quiet() -> None:
    """Switch processing and delivering off: what is screened, kept and acknowledged then waits."""
    from orchestrator.scheduler import Timetable

    async def nothing(_timetable: Timetable) -> None:
        """Neither start nor stop."""

    Timetable.start = nothing  # type: ignore[assignment,method-assign]
    Timetable.stop = nothing  # type: ignore[assignment,method-assign]


def without_uvloop() -> None:
    """Use asyncio's own loop, though uvloop be installed."""
    from orchestrator import bootstrap

    bootstrap.loop_factory = lambda: None


def judge_by_length() -> None:
    """Give a body the verdict of the first of its length, with its own id: all but screening is left."""
    import dataclasses
    import re

    from orchestrator.core.screening import Screening
    from orchestrator.screener.direct import DirectScreener

    inner = DirectScreener.screen
    known: dict[int, Screening] = {}
    name = re.compile(rb"urn:uuid:[0-9a-f-]{36}").search

    async def screen(screener: DirectScreener, body: bytes) -> Screening:
        if len(body) not in known:
            known[len(body)] = await inner(screener, body)
        found, own = known[len(body)], name(body)
        if found.notification is None or own is None:
            return found
        told = dataclasses.replace(found.notification, id=own.group().decode())
        return dataclasses.replace(found, notification=told)

    DirectScreener.screen = screen  # type: ignore[method-assign, assignment]


def count_commits(file: Path) -> None:
    """Keep the number of commits so far in `file`, eight bytes long."""
    import sqlalchemy as sa
    from sqlalchemy.engine import Engine

    target = os.open(file, os.O_RDWR | os.O_CREAT)
    count = 0

    def note(_connection: object) -> None:
        nonlocal count
        count += 1
        os.pwrite(target, count.to_bytes(8, "little"), 0)

    sa.event.listen(Engine, "commit", note)


def delay_commits(milliseconds: float) -> None:
    """Make every commit take so much longer, as a slower disk would."""
    import sqlalchemy as sa
    from sqlalchemy.engine import Engine

    sa.event.listen(Engine, "commit", lambda _connection: time.sleep(milliseconds / 1_000))


def watch_loop(file: Path) -> None:
    """Append to `file` a line for every time in which the event loop stood still: when it ended, seconds."""
    from orchestrator import bootstrap

    inner = bootstrap.loop_factory()

    def factory() -> asyncio.AbstractEventLoop:
        loop = (inner or asyncio.new_event_loop)()
        told = file.open("a", buffering=1)
        last = time.monotonic()

        def beat() -> None:
            nonlocal last
            now = time.monotonic()
            if now - last - _BEAT > _SHORT:
                told.write(f"{now} {now - last - _BEAT}\n")
            last = now
            loop.call_later(_BEAT, beat)

        loop.call_soon(beat)
        return loop

    bootstrap.loop_factory = lambda: factory


def run(words: list[str]) -> None:
    """Take the hooks off the front of `words`, and run the command with the rest."""
    while words and words[0].startswith("--"):
        match words.pop(0):
            case "--quiet":
                be_quiet()
            case "--canned":
                judge_by_length()
            case "--no-uvloop":
                without_uvloop()
            case "--commits":
                count_commits(Path(words.pop(0)))
            case "--delay":
                delay_commits(float(words.pop(0)))
            case "--gaps":
                watch_loop(Path(words.pop(0)))
            case hook:
                sys.exit(f"unknown hook {hook}")
    from orchestrator.__main__ import main

    sys.argv = ["orchestrator", *words]
    main()


if __name__ == "__main__":
    run(sys.argv[1:])
