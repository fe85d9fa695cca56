"""The migrations make exactly what `schema.py` declares."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from orchestrator import storage
from orchestrator.core.errors import ConfigurationError
from orchestrator.storage.engine import open_engine
from orchestrator.storage.migrate import migrate
from orchestrator.storage.schema import REVISION, log_head, metadata


def test_the_last_migration_is_the_one_that_the_schema_names() -> None:
    """Otherwise a database would be taken for up to date when it is not."""
    config = Config()
    config.set_main_option("script_location", str(Path(storage.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [REVISION]


def test_migrating_makes_what_the_schema_declares(tmp_path: Path) -> None:
    """By Alembic's comparison, and by every word of SQL: it leaves out checks and partial indexes."""
    migrated = _migrated(tmp_path / "migrated.db")
    declared = open_engine(f"sqlite:///{tmp_path / 'declared.db'}")
    metadata.create_all(declared)
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    assert _statements(migrated) == _statements(declared)
    migrated.dispose()
    declared.dispose()


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    """The head of the log is made once."""
    engine = _migrated(tmp_path / "x.db")
    before = _statements(engine)
    migrate(f"sqlite:///{tmp_path / 'x.db'}")
    assert _statements(engine) == before
    with engine.connect() as connection:
        assert connection.execute(sa.select(log_head)).all() == [(1, 0, 0, "", 0, b"")]
    engine.dispose()


def test_a_failed_migration_leaves_nothing_behind(tmp_path: Path) -> None:
    """All or none: the next start begins where this one began."""
    url = f"sqlite:///{tmp_path / 'x.db'}"
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE journal (mine TEXT)")
    before = _statements(engine)
    with pytest.raises(ConfigurationError) as caught:
        migrate(url)
    assert "CREATE" not in str(caught.value)
    assert _statements(engine) == before
    engine.dispose()


def _migrated(path: Path) -> sa.Engine:
    migrate(f"sqlite:///{path}")
    return open_engine(f"sqlite:///{path}")


def _statements(engine: sa.Engine) -> dict[str, str]:
    """Return each object's SQL by name, whatever way it is laid out."""
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'"
    with engine.connect() as connection:
        return {name: " ".join(sql.split()) for name, sql in connection.exec_driver_sql(query)}
