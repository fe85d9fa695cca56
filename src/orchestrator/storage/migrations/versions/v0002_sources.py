"""Sources: remote inboxes and logs that are polled, their members, and where notifications were found."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables; let a delivery be about what another log told."""
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
    _delivery()


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


_KEPT = (
    "id",
    "log",
    "event",
    "target",
    "topic",
    "policies",
    "state",
    "reason",
    "attempts",
    "next_at",
    "inbox",
    "body",
    "location",
    "status",
    "created",
    "finished",
    "owner",
    "fence",
    "lease_until",
)


def _delivery() -> None:
    """Make the table anew: SQLite can neither drop a NOT NULL nor add a constraint."""
    columns = ", ".join(_KEPT)
    op.execute("CREATE TEMPORARY TABLE kept AS SELECT * FROM delivery")
    op.drop_table("delivery")
    _new_delivery()
    op.execute(f"INSERT INTO delivery ({columns}) SELECT {columns} FROM kept")  # noqa: S608  (our own names)
    op.execute("DROP TABLE kept")
    op.create_index("delivery_topic", "delivery", ["log", "topic", "target"])
    op.create_index("delivery_by_age", "delivery", ["log", "created", "id"])
    op.create_index("delivery_by_state", "delivery", ["log", "state", "created", "id"])
    for name, last, where in (
        ("delivery_due", ["next_at", "created", "id"], "state IN ('PENDING', 'RETRYING')"),
        ("delivery_leased", ["lease_until"], "lease_until IS NOT NULL"),
    ):
        condition = sa.text(where)
        op.create_index(name, "delivery", ["log", *last], sqlite_where=condition, postgresql_where=condition)


def _new_delivery() -> None:
    states = ("PENDING", "RETRYING", "DELIVERED", "DEAD", "CANCELLED")
    op.create_table(
        "delivery",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("log", sa.Integer, nullable=False),
        sa.Column("event", sa.BigInteger),
        sa.Column("told", sa.Text),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("policies", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.BigInteger),
        sa.Column("inbox", sa.Text),
        sa.Column("body", sa.LargeBinary),
        sa.Column("location", sa.Text),
        sa.Column("status", sa.Integer),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("finished", sa.BigInteger),
        sa.Column("owner", sa.Text),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("lease_until", sa.BigInteger),
        sa.UniqueConstraint("log", "event", "target", name="delivery_identity"),
        sa.ForeignKeyConstraint(["log", "event"], ["event.log", "event.sequence"], name="delivery_event"),
        sa.ForeignKeyConstraint(["told"], ["notification.token"], name="delivery_told"),
        sa.CheckConstraint("event IS NOT NULL OR told IS NOT NULL", name="delivery_about"),
        sa.CheckConstraint(" OR ".join(f"state = '{state}'" for state in states), name="delivery_state"),
        sa.CheckConstraint(
            "state NOT IN ('PENDING', 'RETRYING') OR next_at IS NOT NULL", name="delivery_next"
        ),
    )
