"""The tree over all events, and the keys that sign for it."""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from orchestrator.core.merkle import Frontier

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_AT_ONCE = 1_000


def upgrade() -> None:
    """Make the tables, and take the events that are there into the tree."""
    op.create_table(
        "subtree",
        sa.Column("log", sa.Integer, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("log", "level", "place", name="subtree_key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "log_key",
        sa.Column("log", sa.Integer, nullable=False),
        sa.Column("verifier", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger),
        sa.PrimaryKeyConstraint("log", "verifier", name="log_key_key"),
        sqlite_with_rowid=False,
    )
    op.create_index("event_leaf", "event", ["log", "sequence", "leaf"])
    told = sa.text("told IS NOT NULL")
    op.create_index("delivery_told", "delivery", ["log", "told"], sqlite_where=told, postgresql_where=told)
    connection = op.get_bind()
    heads = connection.execute(sa.text("SELECT log, sequence, created, public_url, page_size FROM log_head"))
    rows = [dict(row) for row in heads.mappings().all()]
    op.drop_table("log_head")
    head = op.create_table(
        "log_head",
        sa.Column("log", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("public_url", sa.Text, nullable=False),
        sa.Column("page_size", sa.Integer, nullable=False),
        sa.Column("frontier", sa.LargeBinary, nullable=False),
    )
    for row in rows:
        op.bulk_insert(head, [{**row, "frontier": _grown(connection, row["log"])}])


def _grown(connection: sa.Connection, log: int) -> bytes:
    """Take the events of `log` into its tree; return the frontier."""
    subtree = sa.table("subtree", *map(sa.column, ("log", "level", "place", "hash")))
    frontier = Frontier(0, ())
    for leaves in _leaves(connection, log):
        frontier, whole = frontier.extend(leaves)
        rows = [{"log": log, "level": level, "place": place, "hash": top} for level, place, top in whole]
        if rows:
            connection.execute(sa.insert(subtree), rows)
    return frontier.to_bytes()


def _leaves(connection: sa.Connection, log: int) -> Iterator[list[bytes]]:
    page = sa.text(
        "SELECT sequence, leaf FROM event WHERE log = :log AND sequence > :after "
        "ORDER BY sequence LIMIT :most"
    )
    after = 0
    while rows := connection.execute(page, {"log": log, "after": after, "most": _AT_ONCE}).all():
        yield [bytes(row.leaf) for row in rows]
        after = rows[-1].sequence
