"""The database engines, and all that only one of them understands."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection

from orchestrator.core.errors import ConfigurationError, StorageError

BEGIN: Final = "sqlite_begin"
"""Execution option: how a transaction of a connection begins in SQLite."""

_BUSY_MS: Final = 10_000
_WRITER_CACHE: Final = 8_192
"""KiB of pages that a writer of SQLite keeps: the upper levels of all indexes of a million events, and the
pages of a group, which would otherwise be written twice."""
_WORDS: Final = {
    "SQLITE_BUSY": "The database is busy; try again later.",
    "SQLITE_LOCKED": "The database is busy; try again later.",
    "SQLITE_FULL": "The disk of the database is full.",
    "SQLITE_IOERR": "The disk of the database could not be read or written.",
    "SQLITE_READONLY": "The database cannot be written: it is read-only.",
    "SQLITE_CANTOPEN": "The database file cannot be opened.",
    "SQLITE_CORRUPT": "The database file is damaged; restore a backup.",
    "SQLITE_NOTADB": "The file is not a database of ours.",
    "SQLITE_CONSTRAINT": "The database refused a row that breaks a rule of its own.",
}


def open_engine(url: str, *, foreign_keys: bool = True) -> sa.Engine:
    """Return the engine for a database URL; for SQLite, make the file's directory.

    A transaction begins as a writer's (`BEGIN IMMEDIATE`, which excludes every other writer, in other
    processes too) unless the connection is a `reader`'s. Raises `ConfigurationError`; nothing is connected.
    """
    parsed = _parse(url)
    _make_room(parsed.database or "")
    # The parameters of a failed statement are other people's notifications: they stay out of logs.
    engine = sa.create_engine(parsed, hide_parameters=True)
    event.listen(
        engine, "connect", lambda connection, _record: _prepare(connection, foreign_keys=foreign_keys)
    )
    event.listen(engine, "begin", _begin)
    return engine


def reader(engine: sa.Engine) -> sa.Engine:
    """Return `engine` for reading: its transactions see one state, and keep no writer waiting."""
    return engine.execution_options(**{BEGIN: "BEGIN"})


def connect_writer(engine: sa.Engine) -> sa.Connection:
    """Return a connection for the one who writes all the time."""
    connection = engine.connect()
    if engine.dialect.name == "sqlite":
        # On the driver's connection: SQLAlchemy would begin a transaction for it.
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute(f"PRAGMA cache_size=-{_WRITER_CACHE}")
    return connection


def purge(engine: sa.Engine) -> bool:
    """Have old versions of pages leave the write-ahead log; whether it is empty, for readers keep it.

    Raises `StorageError`.
    """
    if engine.dialect.name != "sqlite":
        return True
    try:
        with engine.connect() as connection:
            # On the driver's connection: SQLAlchemy would begin a transaction for it.
            driver = connection.connection.driver_connection
            assert driver is not None
            busy, *_ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except engine.dialect.loaded_dbapi.Error as error:
        raise storage_error(exc.OperationalError(None, None, error)) from error
    except exc.SQLAlchemyError as error:
        raise storage_error(error) from getattr(error, "orig", None)
    return not busy


def insert_new(engine: sa.Engine, table: sa.Table, keys: Sequence[str]) -> sa.Insert:
    """Return an INSERT that leaves out rows whose `keys` are there already."""
    if engine.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing(index_elements=list(keys))
    raise ConfigurationError(_unknown(engine.dialect.name))


def update_each(
    engine: sa.Engine, table: sa.Table, keys: Sequence[str], changes: Sequence[str], adds: Sequence[str]
) -> sa.Insert:
    """Return a statement that sets `changes` and adds to `adds` in rows that are there, found by `keys`.

    An INSERT that never inserts: so many rows, each with values of its own, are one statement.
    """
    if engine.dialect.name == "sqlite":
        insert = sqlite.insert(table)
        values: dict[str, sa.ColumnElement[Any]] = {name: insert.excluded[name] for name in changes}
        values |= {name: table.c[name] + insert.excluded[name] for name in adds}
        return insert.on_conflict_do_update(index_elements=list(keys), set_=values)
    raise ConfigurationError(_unknown(engine.dialect.name))


def is_fatal(error: exc.SQLAlchemyError) -> bool:
    """Whether `error` is the database's own trouble, which the next statement would have as well."""
    return isinstance(error, exc.OperationalError | exc.InternalError | exc.TimeoutError)


def storage_error(error: exc.SQLAlchemyError) -> StorageError:
    """Return what to say of `error`: never the statement, nor a value in it."""
    return StorageError(words_for(error))


def words_for(error: exc.SQLAlchemyError) -> str | None:
    """Return a sentence about what the database complains of, where we have one."""
    name = str(getattr(getattr(error, "orig", None), "sqlite_errorname", ""))
    return next((words for prefix, words in _WORDS.items() if name.startswith(prefix)), None)


def _parse(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except exc.ArgumentError:
        # The URL itself is not repeated: it may hold a password.
        message = "The database URL cannot be read; write sqlite:///path/to/file.db."
        raise ConfigurationError(message) from None
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise ConfigurationError(_unknown(parsed.drivername))
    if parsed.database in {None, "", ":memory:"} or str(parsed.database).startswith("file:"):
        message = "The database must be a file on disk; write sqlite:///path/to/file.db."
        raise ConfigurationError(message)
    return parsed


def _unknown(scheme: str) -> str:
    return f"Databases of the kind “{scheme}” cannot be used; write sqlite:///path/to/file.db."


def _make_room(database: str) -> None:
    path = Path(database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            message = f"The database {path} is a directory; name a file in it."
            raise ConfigurationError(message)
    except OSError as error:
        message = f"The database {path} cannot be made: {error.strerror or error}."
        raise ConfigurationError(message) from error


def _prepare(connection: DBAPIConnection, *, foreign_keys: bool) -> None:
    # Python 3.11 would begin transactions by itself, deferred ones; `_begin` says how instead.
    connection.isolation_level = None
    # FULL syncs the WAL at every commit: under NORMAL a power cut loses acknowledged rows (invariant I1).
    wanted: tuple[tuple[str, Any, Any], ...] = (
        ("busy_timeout", _BUSY_MS, _BUSY_MS),
        ("journal_mode", "WAL", "wal"),
        ("synchronous", "FULL", 2),
        ("foreign_keys", "ON" if foreign_keys else "OFF", int(foreign_keys)),
        # What a row was before it grew or went stays in the file otherwise, and may be erased one day.
        ("secure_delete", "ON", 1),
    )
    cursor = connection.cursor()
    for name, value, expected in wanted:
        cursor.execute(f"PRAGMA {name}={value}")
        cursor.execute(f"PRAGMA {name}")
        found = cursor.fetchone()
        if found is None or found[0] != expected:
            message = f"The database cannot have {name}={value}; put it on a local disk."
            raise ConfigurationError(message)
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(BEGIN, "BEGIN IMMEDIATE"))
