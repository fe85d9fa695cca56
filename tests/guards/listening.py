"""What a store does to its database, counted: statements, commits, and the hops between threads."""

import asyncio
import contextlib
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

Statement = tuple[str, Any]
"""Text and parameters."""


@dataclass
class Heard:
    """Everything that was said while we listened."""

    statements: list[Statement] = field(default_factory=list)
    commits: int = 0

    @property
    def texts(self) -> list[str]:
        return [text for text, _ in self.statements]


@contextlib.contextmanager
def listening(engine: sa.Engine) -> Iterator[Heard]:
    """Collect what every connection of `engine` is told meanwhile."""
    heard = Heard()

    def note(_connection: object, _cursor: object, text: str, values: object, *_: object) -> None:
        heard.statements.append((text, values))

    def commit(_connection: object) -> None:
        heard.commits += 1

    sa.event.listen(engine, "before_cursor_execute", note)
    sa.event.listen(engine, "commit", commit)
    try:
        yield heard
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
        sa.event.remove(engine, "commit", commit)


@dataclass
class Hops:
    """How often work went to another thread, and how often one called back into the event loop."""

    out: int = 0
    back: int = 0


@contextlib.contextmanager
def hops() -> Iterator[Hops]:
    """Count hops between the running event loop and threads."""
    counted = Hops()
    loop = asyncio.get_running_loop()
    submit, back = ThreadPoolExecutor.submit, loop.call_soon_threadsafe

    def count_out(self: ThreadPoolExecutor, *args: Any, **more: Any) -> Any:
        counted.out += 1
        return submit(self, *args, **more)

    def count_back(callback: Callable[..., object], *args: Any, context: Any = None) -> Any:
        counted.back += 1
        return back(callback, *args, context=context)

    with (
        patch.object(ThreadPoolExecutor, "submit", count_out),
        patch.object(loop, "call_soon_threadsafe", count_back),
    ):
        yield counted


@contextlib.contextmanager
def nobody_writes(database: Path) -> Iterator[None]:
    """Keep every writer waiting, as a slow disk would: what is asked meanwhile gathers."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def plans(database: Path, statements: Sequence[Statement]) -> dict[str, list[str]]:
    """Return how SQLite finds the rows of each statement."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return {
            text: [
                row[3]
                for row in connection.execute(
                    "EXPLAIN QUERY PLAN " + text, values[0] if isinstance(values, list) else values
                )
            ]
            for text, values in statements
            if re.match(r"\s*(WITH|SELECT|UPDATE|INSERT|DELETE)", text)
        }


async def until(condition: Callable[[], bool], within: float = 60.0) -> None:
    """Wait until `condition` holds; fail when that takes too long."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within:g} s"
        await asyncio.sleep(0.02)
