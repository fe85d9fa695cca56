"""Bringing a database to the schema of this version, at start-up, with several processes starting at once."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc

from orchestrator.core.errors import ConfigurationError, StorageError
from orchestrator.storage import engine as engines
from orchestrator.storage.schema import REVISION


def migrate(url: str) -> None:
    """Run the migrations that `url`'s database lacks, all or none.

    Raises `ConfigurationError` for a database that we cannot use, `StorageError` for one that is busy.
    """
    # Its own engine: SQLite rebuilds tables to alter them, which foreign keys would forbid.
    engine = engines.open_engine(url, foreign_keys=False)
    try:
        # The transaction is the lock: BEGIN IMMEDIATE lets one process in at a time.
        with engine.begin() as connection:
            if _revision(connection) != REVISION:
                _upgrade(connection)
                _check(connection)
    except exc.SQLAlchemyError as error:
        words = engines.words_for(error)
        cause = getattr(error, "orig", None)
        if words is not None and "busy" in words:
            raise StorageError(words) from cause
        raise ConfigurationError(words or "The database cannot be used.") from cause
    finally:
        engine.dispose()


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: sa.Connection) -> None:
    # Imported here: it takes a third of a second, which a database that is up to date need not pay.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    # Percent signs are the configuration file's own escapes.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        message = "The database was made by another version of this program; use that, or a backup."
        raise ConfigurationError(message) from error


def _check(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        message = "The database holds rows that refer to nothing; restore a backup."
        raise ConfigurationError(message)
