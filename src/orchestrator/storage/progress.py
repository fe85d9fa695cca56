"""The `Progress` port: how far sources were read, and what became of their members."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam

from orchestrator.core.errors import LeaseLost
from orchestrator.ports import Lease
from orchestrator.ports.sources import Ended, Found, Member, MemberState, Pass
from orchestrator.storage import journal, rows, schema
from orchestrator.storage.bulk import Bulk, find_each
from orchestrator.storage.engine import update_each
from orchestrator.storage.readers import Readers
from orchestrator.storage.schema import LOG
from orchestrator.storage.sources import declared, member
from orchestrator.storage.writer import Transaction, Writer

_s = schema.source.c
_m = schema.member.c

_FREE: Final = sa.or_(_s.lease_until.is_(None), _s.lease_until <= bindparam("now"))
_DUE: Final = (
    sa.select(*_s)
    .where(_s.log == LOG, _s.paused.is_(False), _s.next_at <= bindparam("now"), _FREE)
    .order_by(_s.next_at, _s.name)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_NAMED: Final = (
    sa.select(*_s)
    .where(_s.log == LOG, _s.name == bindparam("sought"), _FREE)
    .with_for_update(skip_locked=True)
)
_TAKE: Final = (
    sa.update(schema.source)
    .where(_s.log == LOG, _s.name.in_(bindparam("names", expanding=True)))
    .values(owner=bindparam("holder"), lease_until=bindparam("until"), fence=_s.fence + 1, asked=None)
)
_HOLDS: Final = (
    _s.log == LOG,
    _s.name == bindparam("key"),
    _s.owner == bindparam("holder"),
    _s.fence == bindparam("token"),
)
_RENEW: Final = sa.update(schema.source).where(*_HOLDS).values(lease_until=bindparam("until"))
_HELD: Final = sa.select(_s.name).where(*_HOLDS).with_for_update()
_NEXT: Final = sa.select(
    sa.func.min(
        sa.case(
            (_s.lease_until.is_(None), _s.next_at),
            (_s.lease_until > _s.next_at, _s.lease_until),
            else_=_s.next_at,
        )
    )
).where(_s.log == LOG, _s.paused.is_(False))
_KNOWN: Final = sa.select(_m.url, _m.mark).where(
    _m.log == LOG, _m.source == bindparam("name"), _m.url.in_(bindparam("urls", expanding=True))
)
_COUNT: Final = sa.select(sa.func.count()).select_from(
    sa.select(_m.url).where(_m.log == LOG, _m.source == bindparam("name")).limit(bindparam("most")).subquery()
)
_STATES: Final = sa.select(_m.url, _m.state).where(
    _m.log == LOG, _m.source == bindparam("name"), _m.url.in_(bindparam("urls", expanding=True))
)
_OVERDUE: Final = (
    sa.select(*_m)
    .where(
        _m.log == LOG,
        _m.source == bindparam("name"),
        _m.retry_at.is_not(None),
        _m.retry_at <= bindparam("now"),
    )
    .order_by(_m.retry_at)
    .limit(bindparam("limit"))
)
_MEMBER: Final = ("log", "source", "url")
_CHANGES: Final = ("mark", "state", "reason", "token", "seen", "retry_at")
_COLUMNS: Final = tuple(column.name for column in schema.member.columns)
_TOLD: Final = frozenset((MemberState.INVALID, MemberState.IGNORED))


class SqlProgress:
    """How far sources were read; see `ports.sources.Progress`."""

    def __init__(self, engine: sa.Engine, writer: Writer, readers: Readers) -> None:
        """Write with `writer`, ask through `readers`."""
        self._writer = writer
        self._readers = readers
        self._set = Bulk(update_each(engine, schema.member, _MEMBER, _CHANGES, ("attempts",)), _COLUMNS)

    async def due(self) -> int | None:
        """Return when a source can next be claimed."""
        return await self._readers.read(lambda connection: connection.execute(_NEXT).scalar())

    async def claim(
        self, owner: str, *, limit: int, now: int, lease: int, name: str | None = None
    ) -> Sequence[Pass]:
        """Claim due sources, or one that is named."""

        def work(transaction: Transaction) -> Sequence[Pass]:
            sought = {"now": now, "limit": limit} if name is None else {"now": now, "sought": name}
            found = transaction.connection.execute(_DUE if name is None else _NAMED, sought).all()
            passes = [each for row in found if (each := _pass(row, owner=owner, until=now + lease))]
            if passes:
                names = [each.source.name for each in passes]
                values = {"names": names, "holder": owner, "until": now + lease}
                transaction.connection.execute(_TAKE, values)
            return passes

        return await self._writer.write(work)

    async def renew(self, lease: Lease, *, until: int) -> None:
        """Hold a source for longer."""

        def work(transaction: Transaction) -> None:
            if transaction.connection.execute(_RENEW, {**_holder(lease), "until": until}).rowcount == 0:
                raise LeaseLost

        await self._writer.write(work)

    async def wanted(self, name: str, listed: Mapping[str, str]) -> Sequence[str]:
        """Return those of `listed` that are new or have changed, in order."""

        def ask(connection: sa.Connection) -> Sequence[str]:
            found = find_each(connection, _KNOWN.params(name=name), "urls", listed)
            known = {row.url: row.mark for row in found}
            return [url for url, mark in listed.items() if known.get(url) != mark]

        return await self._readers.read(ask)

    async def known(self, name: str, *, most: int) -> int:
        """Return how many members have been noted, counted up to `most`."""
        sought = {"name": name, "most": most}
        return await self._readers.read(lambda connection: connection.execute(_COUNT, sought).scalar_one())

    async def overdue(self, name: str, *, now: int, limit: int) -> Sequence[Member]:
        """Return members that are to be fetched again by now."""
        sought = {"name": name, "now": now, "limit": limit}
        found = await self._readers.read(lambda connection: connection.execute(_OVERDUE, sought).all())
        return [member(row) for row in found]

    async def note(self, lease: Lease, found: Sequence[Found], *, now: int) -> None:
        """Commit what became of members."""

        def work(transaction: Transaction) -> None:
            _hold(transaction, lease)
            connection = transaction.connection
            told = {each.url: each for each in found if each.state in _TOLD}
            # A member that changes all the time, and is junk each time, fills no journal.
            known = find_each(connection, _STATES.params(name=lease.key), "urls", told)
            for row in known:
                if row.state == told[row.url].state:
                    del told[row.url]
            self._set.run(connection, [_row(lease.key, each, now) for each in found])
            journal.write(transaction, [_entry(lease, each, now) for each in told.values()])

        await self._writer.write(work)

    async def finish(self, lease: Lease, ended: Ended, *, now: int) -> None:
        """Commit how a pass ended."""

        def work(transaction: Transaction) -> None:
            _hold(transaction, lease)
            values: dict[str, object] = {
                "progress": rows.to_json(ended.progress),
                "next_at": ended.next_at
                if ended.reason
                else sa.case((_s.asked.is_(None), ended.next_at), else_=now),
                "requests": _s.requests + ended.requests,
                "attempted": now,
                "owner": None,
                "lease_until": None,
            }
            if ended.reason is not None:
                values |= {"failures": _s.failures + 1, "reason": rows.storable(ended.reason)}
            elif ended.is_whole:
                values |= {"failures": 0, "reason": None, "succeeded": now}
            change = sa.update(schema.source).where(_s.log == LOG, _s.name == lease.key)
            transaction.connection.execute(change.values(**values))
            transaction.changed.add("source")

        await self._writer.write(work)


def _pass(row: rows.AnyRow, *, owner: str, until: int) -> Pass | None:
    source = declared(row)
    if source is None:
        return None
    return Pass(
        lease=Lease(key=row.name, owner=owner, fence=row.fence + 1, until=until),
        source=source,
        progress=json.loads(row.progress),
        failures=row.failures,
    )


def _holder(lease: Lease) -> dict[str, object]:
    return {"key": lease.key, "holder": lease.owner, "token": lease.fence}


def _hold(transaction: Transaction, lease: Lease) -> None:
    if transaction.connection.execute(_HELD, _holder(lease)).first() is None:
        raise LeaseLost


def _row(name: str, found: Found, now: int) -> dict[str, object]:
    return {
        "log": LOG,
        "source": name,
        "url": found.url,
        "mark": found.mark,
        "state": found.state.value,
        "reason": rows.storable(found.reason),
        "token": found.token,
        "attempts": 1,
        "seen": now,
        "retry_at": found.retry_at,
    }


def _entry(lease: Lease, found: Found, now: int) -> journal.Entry:
    note = {
        "source": lease.key,
        "member": found.url,
        "state": found.state.value,
        "reason": rows.storable(found.reason),
    }
    return journal.Entry(at=now, what="member not taken", who=lease.owner, note=note)
