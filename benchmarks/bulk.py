"""Large databases, quickly: a few notifications go the product's own way, then SQL multiplies their rows.

Copies differ from their originals wherever the schema asks for it and wherever it matters to an index: ids,
tokens, digests, numbers, times. (The hashes of copied events are random: nobody checks them here.)
"""

import asyncio
import contextlib
import hashlib
import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count, cycle, islice
from pathlib import Path
from typing import Final

from benchmarks import notifications, subjects
from benchmarks.model import say
from orchestrator.core.delivery import DeliveryState, Verdict
from orchestrator.core.event import Draft
from orchestrator.core.merkle import Frontier
from orchestrator.core.policy import PolicySet, judge
from orchestrator.ports import Arrival, Claimed, Decided, NotificationState, Outcome, Plan
from orchestrator.storage import Store

BASE: Final = "https://orchestrator.example"
PAGE: Final = 100
_SEEDS: Final = 60
_TELLING: Final = 15
"""Of the seeds, those that are told to a hub."""
_RUN: Final = "5eed5eed"
_CHUNK: Final = 30_000
_TABLES: Final = ("event", "event_type", "notification", "processing", "delivery", "journal")
_RANDOM: Final = {
    "token": "lower(hex(randomblob(16)))",
    "digest": "lower(hex(randomblob(32)))",
    "leaf": "randomblob(32)",
    "identity": "randomblob(16)",
    "artefact_id": "substr(replace(replace(lower(hex(randomblob(13))), '0', 'y'), '1', 'z'), 1, 26)",
}
_IDENTIFIER: Final = (
    "'urn:uuid:' || printf('%s-%s-5%s-8%s-%s', lower(hex(randomblob(4))), lower(hex(randomblob(2))), "
    "substr(lower(hex(randomblob(2))), 2), substr(lower(hex(randomblob(2))), 2), lower(hex(randomblob(6))))"
)
_NUMBERED: Final = {
    ("event", "sequence"),
    ("event_type", "sequence"),
    ("processing", "event"),
    ("delivery", "event"),
}
_KEYS: Final = {("notification", "key"), ("processing", "notification"), ("journal", "seq")}
_TIMES: Final = frozenset({"created", "received", "finished", "at"})
_NOW: Final = 1_700_000_000_000


def cached(folder: Path, events: int) -> Path:
    """Return a database with so many events, built unless it is in `folder` already for today's schema."""
    folder.mkdir(parents=True, exist_ok=True)
    seed = folder / f"seed-{secrets.token_hex(4)}.sqlite"
    try:
        build(seed, 0)
        with contextlib.closing(sqlite3.connect(seed)) as connection:
            schema = str(connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall())
    finally:
        _remove(seed)
    digest = hashlib.sha256((schema + Path(__file__).read_text()).encode()).hexdigest()[:12]
    found = folder / f"events-{events}-{digest}.sqlite"
    if not found.exists():
        making = found.with_suffix(".making")
        _remove(making)
        build(making, events)
        making.rename(found)
    return found


def build(path: Path, events: int) -> None:
    """Make a database with at least `events` processed notifications, events and journal entries."""
    asyncio.run(_sow(path, _SEEDS if events else 0))
    if not events:
        return
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-2000000", "foreign_keys=OFF"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        for table in _TABLES:
            connection.execute(f"CREATE TEMP TABLE seed_{table} AS SELECT * FROM {table}")
        copies = -(-events // _SEEDS) - 1
        step = max(1, _CHUNK // _SEEDS)
        begun = time.monotonic()
        for first in range(1, copies + 1, step):
            last = min(copies, first + step - 1)
            for table in _TABLES:
                connection.execute(_multiply(connection, table), {"first": first, "last": last})
            if events > _CHUNK:
                say(f"  {(last + 1) * _SEEDS:,} events in {time.monotonic() - begun:.0f} s")
        connection.execute(
            "UPDATE log_head SET sequence = (SELECT max(sequence) FROM event), "
            "created = (SELECT max(created) FROM event), frontier = ?",
            (_grow(connection),),
        )
        connection.execute("COMMIT")
        broken = connection.execute("PRAGMA foreign_key_check").fetchone()
        assert broken is None, broken
        connection.execute("PRAGMA journal_mode=WAL")


def _grow(connection: sqlite3.Connection) -> bytes:
    """Make the tree over all events anew; return its frontier."""
    connection.execute("DELETE FROM subtree")
    leaves = (leaf for (leaf,) in connection.execute("SELECT leaf FROM event ORDER BY sequence"))
    frontier, whole = Frontier(0, ()).extend(leaves)
    connection.executemany("INSERT INTO subtree VALUES (1, ?, ?, ?)", whole)
    return frontier.to_bytes()


def _multiply(connection: sqlite3.Connection, table: str) -> str:
    """Return the statement that copies the seeds of `table` once for each block `:first` to `:last`."""
    columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
    names = ", ".join(f'"{column[1]}"' for column in columns)
    (rows,) = connection.execute(f"SELECT count(*) FROM seed_{table}").fetchone()
    values = ", ".join(_copy(table, column[1], column[2].upper(), rows) for column in columns)
    order = next((name for where, name in (*sorted(_NUMBERED), *sorted(_KEYS)) if where == table), "rowid")
    return (
        "WITH RECURSIVE block(b) AS (SELECT :first UNION ALL SELECT b + 1 FROM block WHERE b < :last) "
        f"INSERT INTO {table} ({names}) SELECT {values} "
        f'FROM block CROSS JOIN seed_{table} s ORDER BY b, s."{order}"'
    )


def _copy(table: str, name: str, kind: str, rows: int) -> str:
    """Return the expression of a column in block `b`; a column that nobody foresaw is copied as it is."""
    column = f's."{name}"'
    step = _SEEDS if (table, name) in _NUMBERED else rows if (table, name) in _KEYS else 0
    if name in _TIMES:
        step = 10 * _SEEDS
    if step:
        return f"{column} + b * {step}"
    if (table, name) == ("delivery", "id"):
        return _IDENTIFIER
    if "TEXT" not in kind and "BLOB" not in kind:
        return column
    copied = _RANDOM.get(name) or _text(table, column, kind)
    return f"CASE WHEN {column} IS NULL THEN NULL ELSE {copied} END"


def _text(table: str, column: str, kind: str) -> str:
    # 2654435761 is odd: no two blocks have the same mark, and marks come in no order, as random ids do.
    text = f"replace(CAST({column} AS TEXT), '{_RUN}', printf('%08x', (b * 2654435761) & 4294967295))"
    if table == "event":
        for before, after in (("/log/e/", '"'), ('"sequence":', "}"), ('"sequence":', ",")):
            old = f"'{before}' || s.sequence || '{after}'"
            new = f"'{before}' || (s.sequence + b * {_SEEDS}) || '{after}'"
            text = f"replace({text}, {old}, {new})"
    return f"CAST({text} AS BLOB)" if "BLOB" in kind else text


def arrivals(run: str | None = None) -> Iterator[Arrival]:
    """Yield screened notifications without end, all patterns in turn, each with an id of its own."""
    run = run or notifications.new_run()
    seen = []
    for template in notifications.templates():
        notification = subjects.oracle_screen(template.fill(run, 0)).notification
        assert notification is not None
        seen.append((template, notification))
    for number, (template, notification) in zip(count(1), cycle(seen)):
        body = template.fill(run, number)
        own = replace(
            notification,
            id=f"urn:uuid:{run}-0000-4000-8000-{number:012x}",
            digest=hashlib.sha256(body).hexdigest(),
        )
        yield Arrival(
            inbox="inbox", body=body, media_type="application/ld+json", received=_NOW, notification=own
        )


def outcome(claimed: Claimed, payload: bytes, *hubs: str) -> Outcome:
    """Return that a notification is logged, and told to `hubs`."""
    notification = claimed.notification
    draft = Draft(
        types=notification.types,
        activity=notification.id,
        sender=notification.sender,
        received=claimed.received,
        artefact=next(iter((*notification.contexts, *notification.objects)), None),
        actor=notification.actor,
        origin=notification.origin,
        in_reply_to=notification.in_reply_to,
        correlated_by=None,
        caused_by=None,
        policy_set="ni:///sha-256;benchmark",
        payload=payload,
        salt=secrets.token_hex(16),
    )
    note = {"policies": ["urn:policy:1"], "disposition": "Log", "because": [], "policySet": draft.policy_set}
    plans = tuple(Plan(target=hub, policies=("urn:policy:1",), topic=notification.id) for hub in hubs)
    return Outcome(
        state=NotificationState.PROCESSED, reason="logged", draft=draft, deliveries=plans, note=note
    )


def payloads(claimed: Sequence[Claimed]) -> list[bytes]:
    """Return what would be published of notifications."""
    none = PolicySet({})
    facts = subjects.FACTS
    return [judge(each.body, facts, contexts=subjects.contexts(), policies=none).payload for each in claimed]


async def _sow(path: Path, seeds: int) -> None:
    store = Store.open(f"sqlite:///{path}", public_url=BASE, page_size=PAGE)
    for arrival in islice(arrivals(_RUN), seeds):
        await store.ledger.keep(arrival)
    claimed = await store.ledger.claim("seed", limit=seeds, now=_NOW, lease=60_000) if seeds else ()
    for number, (each, payload) in enumerate(zip(claimed, payloads(claimed), strict=True)):
        hubs = ("https://hub.example/",) if number < _TELLING else ()
        decided = [Decided(claimed=each, outcome=outcome(each, payload, *hubs))]
        await store.ledger.record(decided, now=_NOW + 10 * number)
    for delivery in await store.outbox.claim("seed", limit=seeds, now=_NOW + 1_000_000, lease=60_000):
        assert delivery.lease is not None
        await store.outbox.prepare(delivery.lease, inbox="https://hub.example/inbox/", body=b"{}" * 600)
        done = Verdict(state=DeliveryState.DELIVERED)
        await store.outbox.finish(delivery.lease, done, now=_NOW, status=201, location=None)
    await store.close()


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
