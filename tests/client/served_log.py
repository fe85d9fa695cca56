"""A log of ours in a database, and what somebody who holds the file could do to it."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.storage.examples import BASE, NOW, arrival, claim, draft, outcome

from orchestrator.core.erasure import tombstone
from orchestrator.core.event import LifecycleEvent
from orchestrator.core.merkle import Frontier, leaf_hash
from orchestrator.core.pod import Identity
from orchestrator.core.strict_json import canonical
from orchestrator.ports import Decided
from orchestrator.storage import Store

AT_ONCE = 100
Row = dict[str, Any]


async def write(path: Path, first: int, last: int) -> None:
    """Write events `first` to `last` as the service does."""
    store = await asyncio.to_thread(Store.open, f"sqlite:///{path}", public_url=BASE)
    try:
        for start in range(first, last + 1, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, last + 1))
            now = NOW + start * 1000
            await asyncio.gather(*(store.ledger.keep(arrival(number, received=now)) for number in numbers))
            claimed = await claim(store, now=now)
            decided = [Decided(claimed=each, outcome=outcome(draft(each.notification))) for each in claimed]
            written = await store.ledger.record(decided, now=now)
            assert all(isinstance(event, LifecycleEvent) for event in written)
    finally:
        await store.close()


async def erase(path: Path, *sequences: int) -> None:
    """Erase payloads as the service does, each with a tombstone."""
    store = await asyncio.to_thread(Store.open, f"sqlite:///{path}", public_url=BASE)
    me = Identity(id=f"{BASE}/", name="Us", inbox=f"{BASE}/inbox/")
    try:
        for sequence in sequences:
            event = await store.reader.event(sequence)
            assert event is not None
            now = NOW + 10**9
            told = tombstone(event, me=me, now=now, salt="00", policy_set="urn:policies:1")
            assert await store.erasure.erase(sequence, told, who="test", note={}, now=now)
    finally:
        await store.close()


class Tampered:
    """The database of a log that nobody serves, opened by somebody with a purpose."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def do(self, statement: str, *given: object) -> None:
        """Run a statement of SQL, whatever the schema thinks of it."""
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute("PRAGMA foreign_keys=OFF")
            connection.execute(statement, given)

    def row(self, sequence: int) -> Row:
        with closing(sqlite3.connect(self._path)) as connection:
            connection.row_factory = sqlite3.Row
            return dict(connection.execute("SELECT * FROM event WHERE sequence = ?", [sequence]).fetchone())

    def leaves(self) -> list[bytes]:
        """Return the leaves of all events."""
        with closing(sqlite3.connect(self._path)) as connection:
            return [leaf for (leaf,) in connection.execute("SELECT leaf FROM event ORDER BY sequence")]

    def set(self, sequence: int, **columns: object) -> None:
        """Change columns of an event."""
        names = ", ".join(f"{name} = ?" for name in columns)
        self.do(f"UPDATE event SET {names} WHERE sequence = ?", *columns.values(), sequence)

    def change(self, sequence: int, change: Callable[[Row], None], *, leaf: bool = False) -> None:
        """Change the envelope of an event, and its leaf too."""
        members = json.loads(self.row(sequence)["envelope"])
        change(members)
        envelope = canonical(members)
        self.set(sequence, envelope=envelope, **({"leaf": leaf_hash(envelope)} if leaf else {}))

    def remove(self, first: int, last: int) -> None:
        """Remove events and what refers to them."""
        for table, column in (("event_type", "sequence"), ("event", "sequence")):
            self.do(f"DELETE FROM {table} WHERE {column} BETWEEN ? AND ?", first, last)
        self.do("UPDATE processing SET event = NULL WHERE event BETWEEN ? AND ?", first, last)

    def make_consistent(self) -> None:
        """Make head and tree anew from the events that are there, as if they had never been others."""
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute("DELETE FROM subtree")
            rows = connection.execute(
                "SELECT sequence, created, leaf FROM event ORDER BY sequence"
            ).fetchall()
            frontier, whole = Frontier(0, ()).extend(leaf for _, _, leaf in rows)
            connection.executemany("INSERT INTO subtree VALUES (1, ?, ?, ?)", whole)
            connection.execute(
                "UPDATE log_head SET sequence = ?, created = ?, frontier = ?",
                (rows[-1][0], rows[-1][1], frontier.to_bytes()),
            )
