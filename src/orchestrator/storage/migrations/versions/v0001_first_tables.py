"""The first tables: inboxes, event log, deliveries, journal."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables, and the head of log 1."""
    _log_head()
    _event()
    _event_type()
    _notification()
    _processing()
    _delivery()
    _journal()


def _log_head() -> None:
    table = op.create_table(
        "log_head",
        sa.Column("log", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("public_url", sa.Text, nullable=False),
        sa.Column("page_size", sa.Integer, nullable=False),
    )
    op.bulk_insert(table, [{"log": 1, "sequence": 0, "created": 0, "public_url": "", "page_size": 0}])


def _event() -> None:
    op.create_table(
        "event",
        sa.Column("log", sa.Integer, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("identity", sa.LargeBinary, nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("activity", sa.Text, nullable=False),
        sa.Column("artefact", sa.Text),
        sa.Column("artefact_id", sa.Text),
        sa.Column("actor", sa.Text),
        sa.Column("in_reply_to", sa.Text),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
        sa.Column("payload", sa.LargeBinary),
        sa.Column("salt", sa.Text),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sa.Column("types", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("log", "sequence", name="event_key"),
        sa.UniqueConstraint("log", "identity", name="event_identity"),
    )
    _partial("event_artefact", "event", ["log", "artefact_id", "sequence"], "artefact_id IS NOT NULL")
    _partial("event_actor", "event", ["log", "actor", "sequence"], "actor IS NOT NULL")
    _partial("event_in_reply_to", "event", ["log", "in_reply_to", "sequence"], "in_reply_to IS NOT NULL")
    op.create_index("event_activity", "event", ["log", "activity", "sequence"])


def _event_type() -> None:
    op.create_table(
        "event_type",
        sa.Column("log", sa.Integer, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("log", "type", "sequence", name="event_type_key"),
        sa.ForeignKeyConstraint(
            ["log", "sequence"], ["event.log", "event.sequence"], name="event_type_event"
        ),
        sqlite_with_rowid=False,
    )


def _notification() -> None:
    op.create_table(
        "notification",
        sa.Column("key", _BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("log", sa.Integer, nullable=False),
        sa.Column("inbox", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("activity", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("notification", sa.Text, nullable=False),
        sa.Column("warnings", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("token", name="notification_token"),
        sa.UniqueConstraint("log", "inbox", "sender", "activity", name="notification_identity"),
        sqlite_autoincrement=True,
    )
    op.create_index("notification_inbox", "notification", ["log", "inbox", "key", "token"])


def _processing() -> None:
    op.create_table(
        "processing",
        sa.Column("notification", _BIG_ID, primary_key=True, autoincrement=False),
        sa.Column("log", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("retry_at", sa.BigInteger),
        sa.Column("owner", sa.Text),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("event", sa.BigInteger),
        sa.ForeignKeyConstraint(["notification"], ["notification.key"], name="processing_notification"),
        sa.ForeignKeyConstraint(["log", "event"], ["event.log", "event.sequence"], name="processing_event"),
        sa.CheckConstraint(
            _one_of("RECEIVED", "RETRY", "PROCESSED", "IGNORED", "PARKED", "DEAD"), name="processing_state"
        ),
        sa.CheckConstraint("state <> 'RETRY' OR retry_at IS NOT NULL", name="processing_retry"),
    )
    _partial("processing_waiting", "processing", ["log", "notification"], "state IN ('RECEIVED', 'RETRY')")


def _delivery() -> None:
    op.create_table(
        "delivery",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("log", sa.Integer, nullable=False),
        sa.Column("event", sa.BigInteger, nullable=False),
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
        sa.CheckConstraint(
            _one_of("PENDING", "RETRYING", "DELIVERED", "DEAD", "CANCELLED"), name="delivery_state"
        ),
        sa.CheckConstraint(
            "state NOT IN ('PENDING', 'RETRYING') OR next_at IS NOT NULL", name="delivery_next"
        ),
    )
    op.create_index("delivery_topic", "delivery", ["log", "topic", "target"])
    op.create_index("delivery_by_state", "delivery", ["log", "state", "event", "target"])
    columns = ["log", "next_at", "event", "target"]
    _partial("delivery_due", "delivery", columns, "state IN ('PENDING', 'RETRYING')")
    _partial("delivery_leased", "delivery", ["log", "lease_until"], "lease_until IS NOT NULL")


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("seq", _BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("log", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )


def _one_of(*states: str) -> str:
    return " OR ".join(f"state = '{state}'" for state in states)


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
