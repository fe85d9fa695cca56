"""The tables. Times are ms since the epoch; JSON is kept as text, because nothing asks the database about it.

Keys begin with the log, so that several logs can share a database later. Changes here need a migration
of their own under `migrations/versions/`, and `REVISION` names the last one.
"""

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from orchestrator.core.delivery import DeliveryState
from orchestrator.ports import NotificationState
from orchestrator.ports.sources import MemberState

LOG: Final = 1
"""The one log of an instance (wire.md section 0)."""
REVISION: Final = "0003"
"""The migration that makes what is declared here."""

BigId: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""Only INTEGER numbers rows by itself in SQLite."""
Milliseconds: Final = sa.BigInteger

# Literals, not parameters: a partial index serves a query only when its condition can be seen in the text.
WAITING: Final = sa.text("state IN ('RECEIVED', 'RETRY')")
UNFINISHED: Final = sa.text("state IN ('PENDING', 'RETRYING')")
LEASED: Final = sa.text("lease_until IS NOT NULL")

metadata: Final = sa.MetaData()


def _one_of(states: Iterable[str], name: str) -> sa.CheckConstraint:
    # Not IN: SQLite would make a table of so many values for each row that it checks.
    return sa.CheckConstraint(" OR ".join(f"state = '{state}'" for state in states), name=name)


def _partial(name: str, *columns: str, where: sa.TextClause) -> sa.Index:
    return sa.Index(name, *columns, sqlite_where=where, postgresql_where=where)


log_head: Final = sa.Table(
    "log_head",
    metadata,
    sa.Column("log", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("created", Milliseconds, nullable=False),
    sa.Column("public_url", sa.Text, nullable=False),
    sa.Column("page_size", sa.Integer, nullable=False),
    sa.Column("frontier", sa.LargeBinary, nullable=False),
)
"""The end of each log, updated last in a transaction that appends: so numbers have no gaps.

The frontier is what must be kept of the tree of all events in order to append to it (`core.merkle`).
"""

subtree: Final = sa.Table(
    "subtree",
    metadata,
    sa.Column("log", sa.Integer, nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("place", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.PrimaryKeyConstraint("log", "level", "place", name="subtree_key"),
    sqlite_with_rowid=False,
)
"""Roots of the whole subtrees of 256, 65,536, … events: one row for each 255 or so, written once."""

log_key: Final = sa.Table(
    "log_key",
    metadata,
    sa.Column("log", sa.Integer, nullable=False),
    sa.Column("verifier", sa.Text, nullable=False),
    sa.Column("since", Milliseconds, nullable=False),
    sa.Column("until", Milliseconds),
    sa.PrimaryKeyConstraint("log", "verifier", name="log_key_key"),
    sqlite_with_rowid=False,
)
"""The public keys that have signed checkpoints of the log; the one in use has no end."""

event: Final = sa.Table(
    "event",
    metadata,
    sa.Column("log", sa.Integer, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("created", Milliseconds, nullable=False),
    sa.Column("received", Milliseconds, nullable=False),
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
    # A hash of sender and activity: one value, so that many can be looked up in one statement.
    sa.UniqueConstraint("log", "identity", name="event_identity"),
    # The short id stands for the IRI, here and in the filter: one index answers for both.
    _partial("event_artefact", "log", "artefact_id", "sequence", where=sa.text("artefact_id IS NOT NULL")),
    _partial("event_actor", "log", "actor", "sequence", where=sa.text("actor IS NOT NULL")),
    _partial("event_in_reply_to", "log", "in_reply_to", "sequence", where=sa.text("in_reply_to IS NOT NULL")),
    sa.Index("event_activity", "log", "activity", "sequence"),
    # In a row the leaf lies behind the payload, and a tile has 256 of them.
    sa.Index("event_leaf", "log", "sequence", "leaf"),
)
"""The log. Only an erasure changes a row: payload and salt become NULL."""

event_type: Final = sa.Table(
    "event_type",
    metadata,
    sa.Column("log", sa.Integer, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("log", "type", "sequence", name="event_type_key"),
    sa.ForeignKeyConstraint(["log", "sequence"], ["event.log", "event.sequence"], name="event_type_event"),
    sqlite_with_rowid=False,
)
"""The types of each event's activity, so that filtering by type is a look-up."""

notification: Final = sa.Table(
    "notification",
    metadata,
    sa.Column("key", BigId, primary_key=True, autoincrement=True),
    sa.Column("log", sa.Integer, nullable=False),
    sa.Column("inbox", sa.Text, nullable=False),
    sa.Column("token", sa.Text, nullable=False),
    sa.Column("sender", sa.Text, nullable=False),
    sa.Column("activity", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("received", Milliseconds, nullable=False),
    sa.Column("notification", sa.Text, nullable=False),
    sa.Column("warnings", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("token", name="notification_token"),
    sa.UniqueConstraint("log", "inbox", "sender", "activity", name="notification_identity"),
    # With the token in it, a listing reads this index and nothing else.
    sa.Index("notification_inbox", "log", "inbox", "key", "token"),
    # Keys are cursors of readers: a number must not come again after its row was removed.
    sqlite_autoincrement=True,
)
"""Everything that was acknowledged, as it came; written once."""

processing: Final = sa.Table(
    "processing",
    metadata,
    sa.Column("notification", BigId, primary_key=True, autoincrement=False),
    sa.Column("log", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("accepted", sa.Boolean(create_constraint=False), nullable=False),
    sa.Column("retry_at", Milliseconds),
    sa.Column("owner", sa.Text),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("lease_until", Milliseconds),
    sa.Column("event", sa.BigInteger),
    sa.ForeignKeyConstraint(["notification"], ["notification.key"], name="processing_notification"),
    sa.ForeignKeyConstraint(["log", "event"], ["event.log", "event.sequence"], name="processing_event"),
    _one_of(NotificationState, "processing_state"),
    sa.CheckConstraint("state <> 'RETRY' OR retry_at IS NOT NULL", name="processing_retry"),
    _partial("processing_waiting", "log", "notification", where=WAITING),
)
"""What became of each notification, and who holds it now: narrow rows, dozens on a page.

Apart from the notification, because a change writes a whole page, and there a page holds one row.
"""

provenance: Final = sa.Table(
    "provenance",
    metadata,
    sa.Column("notification", BigId, primary_key=True, autoincrement=False),
    sa.Column("log", sa.Integer, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("via", sa.Text, nullable=False),
    sa.Column("trust", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(["notification"], ["notification.key"], name="provenance_notification"),
)
"""Where we found the notifications that nobody posted to us."""

source: Final = sa.Table(
    "source",
    metadata,
    sa.Column("log", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("declared", sa.Text, nullable=False),
    sa.Column("declared_by", sa.Text, nullable=False),
    sa.Column("paused", sa.Boolean(create_constraint=False), nullable=False),
    sa.Column("next_at", Milliseconds, nullable=False),
    sa.Column("asked", Milliseconds),
    sa.Column("progress", sa.Text, nullable=False),
    sa.Column("requests", sa.BigInteger, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("attempted", Milliseconds),
    sa.Column("succeeded", Milliseconds),
    sa.Column("owner", sa.Text),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("lease_until", Milliseconds),
    sa.PrimaryKeyConstraint("log", "name", name="source_key"),
    sa.CheckConstraint(
        "declared_by = 'configuration' OR declared_by = 'operator'", name="source_declared_by"
    ),
)
"""The remote inboxes and logs that are polled, how far each was read, and who reads it now."""

member: Final = sa.Table(
    "member",
    metadata,
    sa.Column("log", sa.Integer, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("mark", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("token", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("seen", Milliseconds, nullable=False),
    sa.Column("retry_at", Milliseconds),
    sa.PrimaryKeyConstraint("log", "source", "url", name="member_key"),
    sa.ForeignKeyConstraint(["log", "source"], ["source.log", "source.name"], name="member_source"),
    _one_of(MemberState, "member_state"),
    sa.CheckConstraint("state <> 'RETRY' OR retry_at IS NOT NULL", name="member_retry"),
    # Counting members, for those who watch, reads this index and nothing else.
    sa.Index("member_by_state", "log", "source", "state", "seen"),
    _partial("member_due", "log", "source", "retry_at", where=sa.text("retry_at IS NOT NULL")),
    sqlite_with_rowid=False,
)
"""What became of each member of a source, so that none is fetched twice unless it has changed."""

delivery: Final = sa.Table(
    "delivery",
    metadata,
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
    sa.Column("next_at", Milliseconds),
    sa.Column("inbox", sa.Text),
    sa.Column("body", sa.LargeBinary),
    sa.Column("location", sa.Text),
    sa.Column("status", sa.Integer),
    sa.Column("created", Milliseconds, nullable=False),
    sa.Column("finished", Milliseconds),
    sa.Column("owner", sa.Text),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("lease_until", Milliseconds),
    sa.UniqueConstraint("log", "event", "target", name="delivery_identity"),
    sa.ForeignKeyConstraint(["log", "event"], ["event.log", "event.sequence"], name="delivery_event"),
    sa.ForeignKeyConstraint(["told"], ["notification.token"], name="delivery_told"),
    sa.CheckConstraint("event IS NOT NULL OR told IS NOT NULL", name="delivery_about"),
    _one_of(DeliveryState, "delivery_state"),
    # Without a next time nobody would ever try again: none may vanish.
    sa.CheckConstraint("state NOT IN ('PENDING', 'RETRYING') OR next_at IS NOT NULL", name="delivery_next"),
    sa.Index("delivery_topic", "log", "topic", "target"),
    _partial("delivery_told", "log", "told", where=sa.text("told IS NOT NULL")),
    sa.Index("delivery_by_age", "log", "created", "id"),
    sa.Index("delivery_by_state", "log", "state", "created", "id"),
    _partial("delivery_due", "log", "next_at", "created", "id", where=UNFINISHED),
    _partial("delivery_leased", "log", "lease_until", where=LEASED),
)
"""What goes to service hubs: one row for each (event, target), made in the event's own transaction.

What another log told, and ours does not repeat, is no event of ours: such a delivery names the notification.
"""

journal: Final = sa.Table(
    "journal",
    metadata,
    sa.Column("seq", BigId, primary_key=True, autoincrement=True),
    sa.Column("log", sa.Integer, nullable=False),
    sa.Column("at", Milliseconds, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
)
"""The private record of what was decided and why; never published."""
