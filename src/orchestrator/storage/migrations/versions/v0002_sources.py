"""Sources: remote inboxes and logs that are polled, their members, and where notifications were found."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "provenance",
        sa.Column("notification", _BIG_ID, primary_key=True, autoincrement=False),
        sa.Column("log", sa.Integer, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("via", sa.Text, nullable=False),
        sa.Column("trust", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["notification"], ["notification.key"], name="provenance_notification"),
    )
    _source()
    _member()


def _source() -> None:
    op.create_table(
        "source",
        sa.Column("log", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("declared", sa.Text, nullable=False),
        sa.Column("declared_by", sa.Text, nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("asked", sa.BigInteger),
        sa.Column("progress", sa.Text, nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("attempted", sa.BigInteger),
        sa.Column("succeeded", sa.BigInteger),
        sa.Column("owner", sa.Text),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("lease_until", sa.BigInteger),
        sa.PrimaryKeyConstraint("log", "name", name="source_key"),
        sa.CheckConstraint(
            "declared_by = 'configuration' OR declared_by = 'operator'", name="source_declared_by"
        ),
    )


def _member() -> None:
    states = ("KEPT", "IGNORED", "INVALID", "GONE", "RETRY")
    op.create_table(
        "member",
        sa.Column("log", sa.Integer, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("mark", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("token", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
        sa.Column("retry_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("log", "source", "url", name="member_key"),
        sa.ForeignKeyConstraint(["log", "source"], ["source.log", "source.name"], name="member_source"),
        sa.CheckConstraint(" OR ".join(f"state = '{state}'" for state in states), name="member_state"),
        sa.CheckConstraint("state <> 'RETRY' OR retry_at IS NOT NULL", name="member_retry"),
        sqlite_with_rowid=False,
    )
    op.create_index("member_by_state", "member", ["log", "source", "state", "seen"])
    where = sa.text("retry_at IS NOT NULL")
    columns = ["log", "source", "retry_at"]
    op.create_index("member_due", "member", columns, sqlite_where=where, postgresql_where=where)
