"""A database of the first release becomes one of this release, with every value in it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from tests.storage.examples import BASE, LEASE, NOW, arrival, claim, draft, outcome, record

from orchestrator import storage
from orchestrator.core.delivery import DeliveryState, Verdict
from orchestrator.core.errors import BadRequest, ConfigurationError, LeaseLost
from orchestrator.core.merkle import Frontier
from orchestrator.ports import Lease, Plan, Query
from orchestrator.storage import Store
from orchestrator.storage.engine import open_engine
from orchestrator.storage.migrate import migrate
from orchestrator.storage.schema import REVISION, metadata

Rows = dict[str, list[dict[str, Any]]]
HELD = Lease(key="urn:uuid:leased", owner="a worker", fence=3, until=NOW + LEASE)
TABLES = ("delivery", "event", "event_type", "journal", "log_head", "notification", "processing")


def begin(url: str) -> sa.Engine:
    """Make a database as the first release made it, as `storage.migrate` does."""
    engine = open_engine(url, foreign_keys=False)
    config = Config()
    config.set_main_option("script_location", str(Path(storage.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    return engine


def rows_of(engine: sa.Engine) -> Rows:
    """Return every row of every table, as it stands in the database."""
    with engine.connect() as connection:
        return {
            table: sorted(
                (dict(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}").mappings()),
                key=str,
            )
            for table in TABLES
        }


def fill(engine: sa.Engine) -> None:
    """Write an event, what it was, and deliveries in all states, of which one is leased."""
    known = sa.MetaData()
    known.reflect(engine)
    add = {name: sa.insert(table) for name, table in known.tables.items()}
    event = {
        "log": 1,
        "created": NOW,
        "received": NOW - 5,
        "sender": "https://sender.example/",
        "artefact": "https://artefact.example/ä",
        "artefact_id": "abc",
        "actor": None,
        "in_reply_to": None,
        "payload": b'{"id":"urn:payload"}',
        "salt": "c2FsdA",
        "types": json.dumps(["https://www.w3.org/ns/activitystreams#Announce"]),
    }
    with engine.begin() as connection:
        for sequence in (1, 2):
            named = {
                "sequence": sequence,
                "identity": bytes([sequence]) * 32,
                "activity": f"urn:uuid:{sequence}",
                "envelope": b'{"sequence":%d}' % sequence,
                "leaf": bytes([255 - sequence]) * 32,
            }
            connection.execute(add["event"], {**event, **named})
            kind = "https://www.w3.org/ns/activitystreams#Announce"
            connection.execute(add["event_type"], {"log": 1, "type": kind, "sequence": sequence})
            connection.execute(add["notification"], notification(sequence))
        for key, state, at in ((1, "PROCESSED", 1), (2, "PROCESSED", 2), (3, "RECEIVED", None)):
            if key == 3:
                connection.execute(add["notification"], notification(key))
            connection.execute(add["processing"], processing(key, state, at))
        connection.execute(add["delivery"], DELIVERIES)
        connection.execute(
            add["journal"],
            {"seq": 7, "log": 1, "at": NOW, "what": "notification processed", "who": "us", "note": "{}"},
        )
        connection.exec_driver_sql(
            "UPDATE log_head SET sequence = 2, created = ?, public_url = ?, page_size = 100", (NOW, BASE)
        )


def notification(key: int) -> dict[str, Any]:
    return {
        "key": key,
        "log": 1,
        "inbox": "inbox",
        "token": f"token{key}",
        "sender": "https://sender.example/",
        "activity": f"urn:uuid:{key}",
        "digest": "d",
        "media_type": "application/ld+json",
        "received": NOW,
        "notification": json.dumps({"id": f"urn:uuid:{key}", "types": [], "pattern": None, "digest": "d"}),
        "warnings": "[]",
        "body": b"{}",
    }


def processing(key: int, state: str, event: int | None) -> dict[str, Any]:
    return {
        "notification": key,
        "log": 1,
        "state": state,
        "reason": "logged" if event else None,
        "attempts": key,
        "accepted": False,
        "retry_at": None,
        "owner": None,
        "fence": key,
        "lease_until": None,
        "event": event,
    }


def delivery(name: str, state: str, event: int = 1, **changes: object) -> dict[str, Any]:
    return {
        "id": f"urn:uuid:{name}",
        "log": 1,
        "event": event,
        "target": f"https://{name}.example/",
        "topic": f"topic of {name}",
        "policies": '["urn:policy:1"]',
        "state": state,
        "reason": None,
        "attempts": 0,
        "next_at": None,
        "inbox": None,
        "body": None,
        "location": None,
        "status": None,
        "created": NOW,
        "finished": None,
        "owner": None,
        "fence": 0,
        "lease_until": None,
        **changes,
    }


SENT: dict[str, Any] = {
    "inbox": "https://hub.example/inbox/",
    "body": b"\x00the bytes \xff",
    "fence": 4,
}
DELIVERIES = [
    delivery("pending", "PENDING", next_at=NOW, created=NOW + 4),
    delivery("later", "PENDING", event=2, next_at=NOW + 10 * LEASE),
    delivery("retrying", "RETRYING", next_at=NOW + 1, attempts=2, reason="503", status=503, **SENT),
    delivery(
        "leased",
        "RETRYING",
        event=2,
        next_at=NOW,
        attempts=1,
        **{**SENT, "owner": HELD.owner, "fence": HELD.fence, "lease_until": HELD.until},
    ),
    delivery(
        "delivered", "DELIVERED", status=201, location="https://hub.example/1", finished=NOW + 7, **SENT
    ),
    delivery("dead", "DEAD", status=410, reason="the hub is gone (410)", finished=NOW + 8, **SENT),
    delivery("cancelled", "CANCELLED", event=2, reason="the event's payload was erased", finished=NOW + 9),
]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a database of the first release, with something in it."""
    made = f"sqlite:///{tmp_path / 'old 100%.db'}"
    engine = begin(made)
    fill(engine)
    engine.dispose()
    return made


def _sequence(row: dict[str, Any]) -> int:
    return int(row["sequence"])


def test_every_value_is_kept(url: str) -> None:
    engine = open_engine(url)
    before = rows_of(engine)
    assert len(before["delivery"]) == len(DELIVERIES) == 7
    assert all(before[table] for table in TABLES)
    migrate(url)
    after = rows_of(engine)
    assert [row.pop("told") for row in after["delivery"]] == [None] * 7
    tree, _ = Frontier(0, ()).extend(row["leaf"] for row in sorted(before["event"], key=_sequence))
    assert [row.pop("frontier") for row in after["log_head"]] == [tree.to_bytes()]
    assert after == before
    engine.dispose()


def test_foreign_keys_are_whole_and_watched(url: str) -> None:
    migrate(url)
    engine = open_engine(url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        found = connection.exec_driver_sql("PRAGMA foreign_key_list(delivery)").mappings().all()
        assert {(row["table"], row["from"], row["to"]) for row in found} == {
            ("event", "log", "log"),
            ("event", "event", "sequence"),
            ("notification", "told", "token"),
        }
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.exec_driver_sql("UPDATE delivery SET event = 99")
    engine.dispose()


def test_it_is_the_schema_of_a_new_database(url: str, tmp_path: Path) -> None:
    """To the word: indexes and checks too, and nothing of the old table is left."""
    migrate(url)
    upgraded, declared = open_engine(url), open_engine(f"sqlite:///{tmp_path / 'new.db'}")
    metadata.create_all(declared)
    assert _statements(upgraded) == _statements(declared)
    with upgraded.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == REVISION
    for engine in (upgraded, declared):
        engine.dispose()


def test_it_is_upgraded_once(url: str) -> None:
    migrate(url)
    engine = open_engine(url)
    before = rows_of(engine)
    migrate(url)
    assert rows_of(engine) == before
    engine.dispose()


def test_an_empty_database_is_upgraded_too(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    begin(url).dispose()
    migrate(url)
    engine = open_engine(url)
    assert rows_of(engine)["delivery"] == []
    engine.dispose()


def test_an_upgrade_that_fails_leaves_everything_as_it_was(url: str) -> None:
    """All or none: the delivery table is dropped and made anew on the way."""
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE source (mine TEXT)")
    before, statements = rows_of(engine), _statements(engine)
    with pytest.raises(ConfigurationError):
        migrate(url)
    assert (rows_of(engine), _statements(engine)) == (before, statements)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE source")
    migrate(url)
    engine.dispose()


def test_rows_that_refer_to_nothing_stop_an_upgrade(url: str) -> None:
    engine = open_engine(url, foreign_keys=False)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE delivery SET event = 99 WHERE state = 'DEAD'")
    before = _statements(engine)
    with pytest.raises(ConfigurationError, match="restore a backup"):
        migrate(url)
    assert _statements(engine) == before
    engine.dispose()


async def test_what_is_due_is_claimed_afterwards(url: str) -> None:
    """And what is leased is left to whoever holds it, until the lease runs out."""
    store = await asyncio.to_thread(Store.open, url, public_url=BASE)
    try:
        assert await store.outbox.due() == NOW
        taken = await store.outbox.claim("us", limit=9, now=NOW + 1, lease=LEASE)
        assert [each.id for each in taken] == ["urn:uuid:pending", "urn:uuid:retrying"]
        assert [each.lease and each.lease.fence for each in taken] == [1, 5]
        assert (taken[1].body, taken[1].inbox, taken[1].attempts) == (SENT["body"], SENT["inbox"], 2)
        # Who held it before the upgrade may still finish.
        await store.outbox.finish(
            HELD, Verdict(state=DeliveryState.DELIVERED), now=NOW + 2, status=202, location=None
        )
        with pytest.raises(LeaseLost):
            await store.outbox.finish(
                HELD, Verdict(state=DeliveryState.DELIVERED), now=NOW + 2, status=202, location=None
            )
        assert (await store.outbox.retry("urn:uuid:dead", now=NOW + 3)).body == SENT["body"]
        with pytest.raises(BadRequest):
            await store.outbox.retry("urn:uuid:cancelled", now=NOW + 3)
        listed = [each.id.rpartition(":")[2] for each in await store.outbox.deliveries()]
        assert listed == ["pending", "retrying", "leased", "later", "delivered", "dead", "cancelled"]
    finally:
        await store.close()


async def test_a_lease_that_ran_out_is_taken_over_afterwards(url: str) -> None:
    store = await asyncio.to_thread(Store.open, url, public_url=BASE)
    try:
        taken = await store.outbox.claim("us", limit=9, now=HELD.until, lease=LEASE)
        assert "urn:uuid:leased" in [each.id for each in taken]
        with pytest.raises(LeaseLost):
            await store.outbox.prepare(HELD, inbox="urn:x", body=b"")
    finally:
        await store.close()


async def test_the_log_goes_on_afterwards(url: str) -> None:
    """What waited is processed, with the next number; topics that were told stay told."""
    store = await asyncio.to_thread(Store.open, url, public_url=BASE)
    try:
        (waiting,) = await claim(store)
        assert (waiting.token, waiting.provenance) == ("token3", None)
        plans = [
            Plan(target=f"https://{name}.example/", policies=("urn:p",), topic=f"topic of {name}")
            for name in ("delivered", "dead")
        ]
        event = await record(store, waiting, outcome(draft(waiting.notification), *plans))
        assert event is not None
        assert event.sequence == 3
        assert [each.sequence for each in await store.reader.events(Query())] == [1, 2, 3]
        [made] = [each for each in await store.outbox.deliveries() if each.event == 3]
        assert made.target == "https://dead.example/"
        assert (await store.ledger.keep(arrival(50))).fresh
        found = await store.reader.listing("inbox")
        assert [each.key for each in found] == [1, 2, 3, 4]
        assert [each.provenance for each in found] == [None] * 4
    finally:
        await store.close()


def _statements(engine: sa.Engine) -> dict[str, str]:
    """Return each object's SQL by name, whatever way it is laid out."""
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'"
    with engine.connect() as connection:
        return {name: " ".join(sql.split()) for name, sql in connection.exec_driver_sql(query)}
