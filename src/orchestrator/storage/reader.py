"""The `Reader` port: questions about what is in the inboxes and the log, each one look-up in an index."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import bindparam

from orchestrator.core.event import LifecycleEvent, artefact_id
from orchestrator.core.notification import Notification
from orchestrator.ports import Background, Head, Query, Stored
from orchestrator.storage import backgrounds, rows, schema
from orchestrator.storage.bulk import find_each
from orchestrator.storage.readers import Readers
from orchestrator.storage.schema import LOG

_n = schema.notification.c
_p = schema.processing.c
_e = schema.event.c
_t = schema.event_type.c
_h = schema.log_head.c

_LAST: Final = 2**63 - 1

_IS_OF: Final = _p.notification == _n.key
_LISTING: Final = (
    sa.select(*rows.STORED)
    .join(schema.processing, _IS_OF)
    .outerjoin(schema.provenance, rows.FOUND)
    .where(_n.log == LOG, _n.inbox == bindparam("inbox"), _n.key > bindparam("after"))
    .order_by(_n.key)
    .limit(bindparam("limit"))
)
_TOKENS: Final = (
    sa.select(_n.key, _n.token)
    .where(_n.log == LOG, _n.inbox == bindparam("inbox"), _n.key > bindparam("after"))
    .order_by(_n.key)
    .limit(bindparam("limit"))
)
_LATEST: Final = (
    sa.select(_n.key).where(_n.log == LOG, _n.inbox == bindparam("inbox")).order_by(_n.key.desc()).limit(1)
)
_NOTIFICATION: Final = (
    sa.select(*rows.STORED)
    .join(schema.processing, _IS_OF)
    .outerjoin(schema.provenance, rows.FOUND)
    .where(_n.token == bindparam("token"), _n.inbox == bindparam("inbox"), _n.log == LOG)
)
_HEAD: Final = sa.select(_h.sequence, _h.created).where(_h.log == LOG)
_EVENT: Final = sa.select(*rows.EVENT).where(_e.log == LOG, _e.sequence == bindparam("sequence"))
_TIMES: Final = sa.select(_e.sequence, _e.created).where(
    _e.log == LOG, _e.sequence.in_(bindparam("sequences", expanding=True))
)
_ARTEFACT: Final = (
    sa.select(_e.artefact)
    .where(_e.log == LOG, _e.artefact_id == bindparam("identifier"))
    .order_by(_e.sequence)
    .limit(1)
)


class SqlReader:
    """Questions about what is in the inboxes and the log; see `ports.Reader`."""

    def __init__(self, readers: Readers, *, public_url: str) -> None:
        """Ask through `readers`; events have IRIs under `public_url`."""
        self._readers = readers
        self._public_url = public_url

    async def listing(self, inbox: str, *, after: int = 0, limit: int = 1000) -> Sequence[Stored]:
        """Return a page of an inbox, in order of arrival."""
        found = await self._rows(_LISTING, inbox=inbox, after=after, limit=limit)
        return [rows.stored(row) for row in found]

    async def tokens(self, inbox: str, *, after: int = 0, limit: int = 1000) -> Sequence[tuple[int, str]]:
        """Return key and token of each on a page of an inbox, in order of arrival."""
        found = await self._rows(_TOKENS, inbox=inbox, after=after, limit=limit)
        return [(row.key, row.token) for row in found]

    async def latest(self, inbox: str) -> int:
        """Return the key of the last notification of an inbox, 0 when empty."""
        found = await self._rows(_LATEST, inbox=inbox)
        return found[0].key if found else 0

    async def notification(self, inbox: str, token: str) -> Stored | None:
        """Return one notification."""
        found = await self._rows(_NOTIFICATION, inbox=inbox, token=token)
        return rows.stored(found[0]) if found else None

    async def head(self) -> Head:
        """Return the end of the log."""
        found = await self._rows(_HEAD)
        return Head(sequence=found[0].sequence, created=found[0].created)

    async def event(self, sequence: int) -> LifecycleEvent | None:
        """Return one event."""
        return self._first(await self._rows(_EVENT, sequence=sequence))

    async def events(self, query: Query) -> Sequence[LifecycleEvent]:
        """Return matching events in log order."""
        asked = {
            "type": query.type,
            "artefact": query.artefact,
            "actor": query.actor,
            "in_reply_to": query.in_reply_to,
        }
        given = {name: value for name, value in asked.items() if value is not None}
        values: dict[str, object] = {
            **given,
            "since": query.since,
            "until": _LAST if query.until is None else query.until,
            "limit": query.limit,
        }
        if query.artefact is not None:
            values["artefact_id"] = artefact_id(query.artefact)
        found = await self._rows(_matching(frozenset(given)), **values)
        return [rows.event(row, public_url=self._public_url) for row in found]

    async def times(self, sequences: Sequence[int]) -> Mapping[int, int]:
        """Return when each of these events was written."""
        found = await self._readers.read(
            lambda connection: find_each(connection, _TIMES, "sequences", sequences)
        )
        return {row.sequence: row.created for row in found}

    async def artefact(self, identifier: str) -> str | None:
        """Return the IRI of an artefact that an event is about."""
        found = await self._rows(_ARTEFACT, identifier=identifier)
        return found[0].artefact if found else None

    async def background(self, notifications: Sequence[Notification]) -> Sequence[Background]:
        """Return what the log knows already that bears on each of `notifications`."""
        return await self._readers.read(
            lambda connection: backgrounds.find(connection, notifications, public_url=self._public_url)
        )

    async def _rows(self, statement: sa.Select[*tuple[Any, ...]], **values: object) -> Sequence[rows.AnyRow]:
        return await self._readers.read(lambda connection: connection.execute(statement, values).all())

    def _first(self, found: Sequence[rows.AnyRow]) -> LifecycleEvent | None:
        return rows.event(found[0], public_url=self._public_url) if found else None


@functools.cache
def _matching(given: frozenset[str]) -> sa.Select[*tuple[Any, ...]]:
    """Return the statement that filters by the fields `given`; at most sixteen are ever made."""
    statement = sa.select(*rows.EVENT).where(_e.log == LOG)
    # The range is said of the table that the index of the filter is on, so that it bounds the look-up.
    position: sa.ColumnElement[int] = _e.sequence
    if "type" in given:
        matches = sa.and_(_t.log == LOG, _t.type == bindparam("type"), _t.sequence == _e.sequence)
        statement = statement.join(schema.event_type, matches)
        position = _t.sequence if given == {"type"} else position
    if "artefact" in given:
        statement = statement.where(
            _e.artefact_id == bindparam("artefact_id"), _e.artefact == bindparam("artefact")
        )
    if "actor" in given:
        statement = statement.where(_e.actor == bindparam("actor"))
    if "in_reply_to" in given:
        statement = statement.where(_e.in_reply_to == bindparam("in_reply_to"))
    return (
        statement.where(position > bindparam("since"), position <= bindparam("until"))
        .order_by(position)
        .limit(bindparam("limit"))
    )
