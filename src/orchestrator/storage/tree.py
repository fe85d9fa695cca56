"""The `Tree` port: hashes of the log's tree, and the keys that sign for it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam

from orchestrator.core.merkle import TILE_WIDTH, Frontier
from orchestrator.ports.tree import PublishedKey
from orchestrator.storage import schema
from orchestrator.storage.readers import Readers
from orchestrator.storage.schema import LOG
from orchestrator.storage.writer import Transaction, Writer

_e = schema.event.c
_h = schema.log_head.c
_k = schema.log_key.c
_s = schema.subtree.c

_HEAD: Final = sa.select(_h.sequence, _h.frontier).where(_h.log == LOG)
_LEAVES: Final = (
    sa.select(_e.leaf)
    .where(_e.log == LOG, _e.sequence > bindparam("since"), _e.sequence <= bindparam("until"))
    .order_by(_e.sequence)
)
_SUBTREES: Final = (
    sa.select(_s.hash)
    .where(
        _s.log == LOG,
        _s.level == bindparam("level"),
        _s.place >= bindparam("first"),
        _s.place < bindparam("end"),
    )
    .order_by(_s.place)
)
_KEYS: Final = sa.select(_k.verifier, _k.since, _k.until).where(_k.log == LOG).order_by(_k.since, _k.verifier)


class SqlTree:
    """Hashes of the log's tree, and the keys that sign for it; see `ports.tree.Tree`."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        """Ask through `readers`, publish keys through `writer`."""
        self._writer = writer
        self._readers = readers

    async def frontier(self) -> Frontier:
        """Return the tree as it is now."""
        row = await self._readers.read(lambda connection: connection.execute(_HEAD).one())
        return Frontier.from_bytes(row.sequence, row.frontier)

    async def tiles(
        self, wanted: Collection[tuple[int, int]], size: int
    ) -> Mapping[tuple[int, int], Sequence[bytes]]:
        """Return the hashes of tiles in the tree of `size`."""

        def find(connection: sa.Connection) -> Mapping[tuple[int, int], Sequence[bytes]]:
            found = {place: _tile(connection, *place, size) for place in wanted}
            return {place: hashes for place, hashes in found.items() if hashes}

        return await self._readers.read(find)

    async def keys(self) -> Sequence[PublishedKey]:
        """Return the keys that have signed for this log."""
        return await self._readers.read(_keys)

    async def use_key(self, verifier: str, *, now: int, replaces: bool = False) -> bool:
        """Publish the key that signs from now on."""
        return await self._writer.write(
            lambda transaction: _use(transaction, verifier, now=now, replaces=replaces)
        )


def _tile(connection: sa.Connection, level: int, index: int, size: int) -> list[bytes]:
    first = index * TILE_WIDTH
    end = min(first + TILE_WIDTH, size >> 8 * level)
    if first >= end:
        return []
    if level == 0:
        rows = connection.execute(_LEAVES, {"since": first, "until": end}).all()
        return [row.leaf for row in rows]
    rows = connection.execute(_SUBTREES, {"level": level, "first": first, "end": end}).all()
    return [row.hash for row in rows]


def _keys(connection: sa.Connection) -> list[PublishedKey]:
    return [
        PublishedKey(verifier=row.verifier, since=row.since, until=row.until)
        for row in connection.execute(_KEYS).all()
    ]


def _use(transaction: Transaction, verifier: str, *, now: int, replaces: bool) -> bool:
    if not transaction.connection.execute(_HEAD).one().sequence:
        # Nothing was signed that anybody could miss: an empty log may still get another name.
        named = verifier.partition("+")[0] + "+"
        others = sa.func.substr(_k.verifier, 1, len(named)) != named
        transaction.connection.execute(sa.delete(schema.log_key).where(_k.log == LOG, others))
    keys = {key.verifier: key for key in _keys(transaction.connection)}
    current = next((key for key in keys.values() if key.until is None), None)
    if current is not None and current.verifier == verifier:
        return True
    if (current is not None and not replaces) or verifier in keys:
        return False
    table = schema.log_key
    # Keys are told apart in the order of their times, whatever the clock says.
    now = max([now, *(key.since + 1 for key in keys.values())])
    if current is not None:
        ended = sa.update(table).where(_k.log == LOG, _k.verifier == current.verifier).values(until=now)
        transaction.connection.execute(ended)
    added = {"log": LOG, "verifier": verifier, "since": now, "until": None}
    transaction.connection.execute(sa.insert(table).values(added))
    return True
