"""The contract on SQLite, and what only SQLite promises."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.storage.contract import StoreContract
from tests.storage.examples import BASE, NOW, arrival, claim, draft, log, outcome, plan, record
from tests.storage.statements import Statement, statements

from orchestrator.core.errors import ConfigurationError, StorageError
from orchestrator.ports import NotificationState, Outcome, Query
from orchestrator.storage import Store
from orchestrator.storage import engine as engines

OpenStore = Callable[[], Store]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the database is to be, in a directory that is not there yet."""
    return tmp_path / "new" / "orchestrator.db"


@pytest.fixture
def url(path: Path) -> str:
    """Return the URL of an empty database."""
    return f"sqlite:///{path}"


@pytest.fixture
async def open_store(url: str) -> AsyncIterator[OpenStore]:
    """Return what opens the database."""
    opened: list[Store] = []

    def open_one() -> Store:
        opened.append(Store.open(url, public_url=BASE + "/"))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    """Return an open store."""
    return open_store()


class TestSqlite(StoreContract):
    """SQLite keeps the contract."""


async def test_every_connection_syncs_at_commit_and_reads_beside_the_writer(store: Store) -> None:
    """WAL, FULL (2), foreign keys on: on the connections that are really used."""
    found: list[tuple[Any, ...]] = []

    def ask(connection: sa.Connection) -> tuple[Any, ...]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return tuple(connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names)

    found.append(await store._writer.write(lambda transaction: ask(transaction.connection)))
    found.append(await store._readers.read(ask))
    assert found == [("wal", 2, 1, 10_000)] * 2


async def test_the_writer_keeps_more_pages_than_the_readers(store: Store) -> None:
    """Eight MiB, on one connection only: memory is for the indexes that every commit changes."""

    def ask(connection: sa.Connection) -> Any:
        return connection.exec_driver_sql("PRAGMA cache_size").scalar()

    assert await store._writer.write(lambda transaction: ask(transaction.connection)) == -8_192
    assert await store._readers.read(ask) != -8_192


async def test_writers_begin_at_once_and_readers_do_not(store: Store) -> None:
    """BEGIN IMMEDIATE excludes other writers from the start; BEGIN excludes nobody."""
    begun: list[Statement] = []
    with statements(store, begun):
        await store.ledger.keep(arrival())
        await store.reader.head()
    assert [text for text, _ in begun if text.startswith("BEGIN")] == ["BEGIN IMMEDIATE", "BEGIN"]


async def test_a_group_is_one_statement_and_one_commit(store: Store) -> None:
    """Thirty who wait together share a sync of the disk."""
    commits: list[object] = []
    sa.event.listen(store.engine, "commit", commits.append)
    ran: list[Statement] = []
    await store.ledger.keep(arrival(0))
    commits.clear()
    with statements(store, ran):
        await asyncio.gather(*(store.ledger.keep(arrival(number)) for number in range(1, 31)))
    assert len(commits) <= 2
    assert len([text for text, _ in ran if text.startswith("INSERT")]) <= 2


@pytest.mark.parametrize(
    "bad",
    [
        "mysql://u:secret@h/d",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:x?uri=true",
        "no url",
        "postgresql://h/d",
    ],
)
def test_a_url_that_cannot_be_used_is_explained(bad: str) -> None:
    """The error says what to write, and repeats no password."""
    with pytest.raises(ConfigurationError, match=r"sqlite:///path/to/file\.db") as caught:
        Store.open(bad, public_url=BASE)
    assert "secret" not in str(caught.value)


def test_a_place_that_cannot_be_used_is_explained(tmp_path: Path) -> None:
    """A directory, a path below a file, and a file that is something else."""
    (tmp_path / "file").write_text("not a database " * 100)
    for place in (tmp_path, tmp_path / "file" / "x.db", tmp_path / "file"):
        with pytest.raises(ConfigurationError) as caught:
            Store.open(f"sqlite:///{place}", public_url=BASE)
        assert "PRAGMA" not in str(caught.value)


def test_a_database_of_another_version_is_left_alone(url: str, path: Path, open_store: OpenStore) -> None:
    """A newer schema is not touched."""
    open_store()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(ConfigurationError, match="another version"):
        Store.open(url, public_url=BASE)


async def test_a_busy_database_is_a_storage_error_without_sql(
    url: str, path: Path, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes are refused for now; reads go on; afterwards all is well."""
    monkeypatch.setattr(engines, "_BUSY_MS", 50)
    store = open_store()
    await store.ledger.keep(arrival())
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    kept = await asyncio.gather(
        *(store.ledger.keep(arrival(number)) for number in (2, 3)), return_exceptions=True
    )
    assert [str(error) for error in kept] == ["The database is busy; try again later."] * 2
    assert all(isinstance(error, StorageError) for error in kept)
    assert len(await store.reader.listing("inbox")) == 1
    with pytest.raises(StorageError, match="busy"):
        (await asyncio.to_thread(Store.open, url, public_url=BASE))
    other.execute("ROLLBACK")
    other.close()
    assert (await store.ledger.keep(arrival(2))).fresh


async def test_a_full_disk_is_a_storage_error_and_recovers_by_itself(store: Store) -> None:
    """Nothing is acknowledged that was not written; reads go on."""
    pages = {"limit": 70}
    sa.event.listen(
        store.engine,
        "checkout",
        lambda found, *_: found.execute(f"PRAGMA max_page_count={pages['limit']}").fetchall(),
    )
    kept = 0

    async def fill() -> None:
        nonlocal kept
        for number in range(500):
            await store.ledger.keep(arrival(number, content="x" * 500))
            kept += 1

    with pytest.raises(StorageError, match="full"):
        await fill()
    assert len(await store.reader.listing("inbox")) == kept > 0
    pages["limit"] = 10_000
    assert (await store.ledger.keep(arrival(999, content="x" * 500))).fresh


async def test_a_row_that_breaks_a_rule_is_a_storage_error_of_its_own_only(store: Store) -> None:
    """RETRY without a time would wait for ever: the database refuses it."""
    for number in range(3):
        await store.ledger.keep(arrival(number))
    first, *rest = await claim(store)
    recorded = await asyncio.gather(
        record(store, first, Outcome(state=NotificationState.RETRY), now=NOW),
        *(record(store, one, outcome(draft(one.notification), plan()), now=NOW) for one in rest),
        return_exceptions=True,
    )
    assert isinstance(recorded[0], StorageError)
    assert "UPDATE" not in str(recorded[0])
    assert [getattr(event, "sequence", None) for event in recorded[1:]] == [1, 2]


def test_several_processes_can_start_at_once(url: str) -> None:
    """One migrates, the others wait for it."""
    code = f"from orchestrator.storage import Store; Store.open({url!r}, public_url='https://o.example')"
    started = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code], stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    assert [process.communicate()[1].decode() for process in started] == [""] * 4
    assert [process.returncode for process in started] == [0] * 4


def test_opening_an_up_to_date_database_does_not_import_alembic(url: str, open_store: OpenStore) -> None:
    """It would take a third of a second."""
    open_store()
    code = (
        "import sys; from orchestrator.storage import Store;"
        f"Store.open({url!r}, public_url='https://o.example'); assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_the_log_survives_one_store_while_another_closes(open_store: OpenStore) -> None:
    """Closing one connection to the file takes nothing from the others."""
    first, second = open_store(), open_store()
    await log(first, 1)
    await first.close()
    assert (await second.reader.head()).sequence == 1
    await log(second, 2)


async def test_the_first_event_fixes_the_base_of_all_event_iris(url: str, open_store: OpenStore) -> None:
    store = open_store()
    await log(store, 1)
    [event] = await store.reader.events(Query())
    with pytest.raises(ConfigurationError, match="set server"):
        Store.open(url, public_url="https://elsewhere.example")
    reopened = Store.open(url)
    try:
        assert [found.iri for found in await reopened.reader.events(Query())] == [event.iri]
    finally:
        await reopened.close()


async def test_before_the_first_event_the_base_may_still_change(url: str, open_store: OpenStore) -> None:
    await open_store().close()
    moved = Store.open(url, public_url="https://elsewhere.example")
    try:
        await log(moved, 1)
        [event] = await moved.reader.events(Query())
        assert event.iri == "https://elsewhere.example/log/e/1"
    finally:
        await moved.close()
