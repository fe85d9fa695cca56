"""The `Sources` port: the remote inboxes and logs that there are."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam

from orchestrator.core.errors import BadRequest, ConfigurationError, NotFound
from orchestrator.core.source import Source, SourceKind, members_of, read_source
from orchestrator.ports.sources import Declarer, Member, MemberState, Status
from orchestrator.storage import journal, rows, schema
from orchestrator.storage.readers import Readers
from orchestrator.storage.schema import LOG
from orchestrator.storage.writer import Transaction, Writer

_log = logging.getLogger(__name__)
_s = schema.source.c
_m = schema.member.c

_DECLARED_NOW: Final = sa.select(_s.name, _s.declared, _s.declared_by).where(_s.log == LOG)
_DECLARED: Final = _DECLARED_NOW.with_for_update()
_ALL: Final = sa.select(*_s).where(_s.log == LOG).order_by(_s.name)
_ONE: Final = _ALL.where(_s.name == bindparam("sought"))
_COUNTS: Final = (
    sa.select(_m.source, _m.state, sa.func.count()).where(_m.log == LOG).group_by(_m.source, _m.state)
)
_COUNTS_OF_ONE: Final = _COUNTS.where(_m.source == bindparam("sought"))
_MEMBERS: Final = (
    sa.select(*_m)
    .where(_m.log == LOG, _m.source == bindparam("sought"))
    .order_by(_m.seen.desc(), _m.url.desc())
    .limit(bindparam("limit"))
)
_MEMBERS_OF_STATE: Final = _MEMBERS.where(_m.state == bindparam("state"))
_CHANGE: Final = sa.update(schema.source).where(_s.log == LOG, _s.name == bindparam("sought"))
_HURRY: Final = _CHANGE.values(next_at=bindparam("at"), asked=bindparam("at"))
_IGNORED: Final = (
    _m.log == LOG,
    _m.source == bindparam("sought"),
    _m.state == MemberState.IGNORED.value,
)
_RECONSIDER: Final = sa.update(schema.member).where(*_IGNORED).values(retry_at=bindparam("at"))
_FORGET_IGNORED: Final = sa.delete(schema.member).where(*_IGNORED)
_SOME: Final = (
    sa.select(_m.url).where(_m.log == LOG, _m.source == bindparam("sought")).limit(bindparam("some"))
)
_FORGET_SOME: Final = sa.delete(schema.member).where(
    _m.log == LOG, _m.source == bindparam("sought"), _m.url.in_(_SOME)
)
_AT_A_TIME: Final = 5_000
_FORGET: Final = (
    sa.delete(schema.member).where(_m.log == LOG, _m.source == bindparam("sought")),
    sa.delete(schema.source).where(_s.log == LOG, _s.name == bindparam("sought")),
)


class SqlSources:
    """The sources that there are; see `ports.sources.Sources`."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        """Write with `writer`, ask through `readers`."""
        self._writer = writer
        self._readers = readers

    async def configure(self, sources: Sequence[Source], *, now: int) -> None:
        """Take `sources` as those of the configuration."""
        wanted = {source.name for source in sources}
        found = await self._readers.read(lambda connection: connection.execute(_DECLARED_NOW).all())
        for row in found:
            if row.declared_by == "configuration" and row.name not in wanted:
                await self._let_go(row.name)
                await self._forget_members(row.name)
        await self._writer.write(lambda transaction: _configure(transaction, sources, now=now))

    async def add(self, source: Source, *, who: str, now: int) -> None:
        """Add a source, due at once."""

        def work(transaction: Transaction) -> None:
            if transaction.connection.execute(_ONE, {"sought": source.name}).first() is not None:
                raise BadRequest(f"There is a source named {source.name} already.")
            _insert(transaction, source, "operator", now=now)
            _journal(transaction, "source added", source.name, who, now, declared=members_of(source))

        await self._writer.write(work)

    async def remove(self, name: str, *, who: str, now: int) -> None:
        """Forget a source and its progress."""

        def begin(transaction: Transaction) -> None:
            row = transaction.connection.execute(_ONE, {"sought": name}).first()
            if row is None:
                raise _no(name)
            if row.declared_by == "configuration":
                raise BadRequest(f"The configuration declares {name}: take it out there, or pause it.")
            # Whoever reads it now notes nothing more.
            _changed(transaction, name, paused=True, owner=None, lease_until=None, fence=_s.fence + 1)

        def end(transaction: Transaction) -> None:
            _forget(transaction, name)
            _journal(transaction, "source removed", name, who, now)

        await self._writer.write(begin)
        await self._forget_members(name)
        await self._writer.write(end)

    async def _let_go(self, name: str) -> None:
        """Take a source from whoever reads it now: he notes nothing more."""
        values: dict[str, object] = {"owner": None, "lease_until": None, "fence": _s.fence + 1}
        await self._writer.write(lambda transaction: _changed(transaction, name, **values))

    async def _forget_members(self, name: str) -> None:
        """Delete members some at a time: a POST does not wait for half a million of them."""
        while await self._writer.write(
            lambda transaction: (
                transaction.connection.execute(_FORGET_SOME, {"sought": name, "some": _AT_A_TIME}).rowcount
            )
        ):
            pass

    async def pause(self, name: str, *, paused: bool, who: str, now: int) -> None:
        """Stop polling a source, or go on."""

        def work(transaction: Transaction) -> None:
            _changed(transaction, name, paused=paused)
            _journal(transaction, "source paused" if paused else "source resumed", name, who, now)

        await self._writer.write(work)

    async def hurry(self, name: str, *, now: int, patient: bool = False) -> None:
        """Make a source due at once, or again when it is being read."""
        statement = _HURRY.where(_s.failures == 0) if patient else _HURRY

        def work(transaction: Transaction) -> None:
            connection = transaction.connection
            if connection.execute(statement, {"sought": name, "at": now}).rowcount:
                transaction.changed.add("source")
            elif connection.execute(_ONE, {"sought": name}).first() is None:
                raise _no(name)

        await self._writer.write(work)

    async def statuses(self, name: str | None = None, *, now: int = 0) -> Sequence[Status]:
        """Return every source, or one."""

        def ask(connection: sa.Connection) -> Sequence[Status]:
            sought = {} if name is None else {"sought": name}
            counts: dict[str, dict[MemberState, int]] = {}
            for source, state, count in connection.execute(
                _COUNTS if name is None else _COUNTS_OF_ONE, sought
            ):
                counts.setdefault(source, {})[MemberState(state)] = count
            found = connection.execute(_ALL if name is None else _ONE, sought)
            statuses = (_status(row, counts.get(row.name, {}), now) for row in found)
            return [status for status in statuses if status is not None]

        found = await self._readers.read(ask)
        if name is not None and not found:
            raise _no(name)
        return found

    async def members(
        self, name: str, *, state: MemberState | None = None, limit: int = 100
    ) -> Sequence[Member]:
        """Return the members of a source, those looked at last first."""
        statement = _MEMBERS if state is None else _MEMBERS_OF_STATE
        sought: dict[str, object] = {"sought": name, "limit": limit}
        if state is not None:
            sought["state"] = state.value
        found = await self._readers.read(lambda connection: connection.execute(statement, sought).all())
        return [member(row) for row in found]


def declared(row: rows.AnyRow) -> Source | None:
    """Return the source that a row declares; None for what this version of the program cannot read."""
    try:
        return read_source(json.loads(row.declared), f"source {row.name} in the database")
    except ConfigurationError as error:
        _log.warning("source_unreadable source=%s reason=%s", row.name, error.message)
        return None


def _configure(transaction: Transaction, sources: Sequence[Source], *, now: int) -> None:
    known = {row.name: row for row in transaction.connection.execute(_DECLARED)}
    wanted = {source.name: source for source in sources}
    for name, row in known.items():
        if name not in wanted and row.declared_by == "configuration":
            _forget(transaction, name)
            _journal(transaction, "source removed", name, "configuration", now)
    for name, source in wanted.items():
        before = known.get(name)
        if before is None:
            _insert(transaction, source, "configuration", now=now)
            _journal(transaction, "source added", name, "configuration", now, declared=members_of(source))
        elif before.declared != rows.to_json(members_of(source)) or before.declared_by != "configuration":
            values: dict[str, object] = {"declared": rows.to_json(members_of(source)), "next_at": now}
            was = declared(before)
            if was is None or was.url != source.url:
                values["progress"] = "{}"
            if was is None or _who_may(was) != _who_may(source):
                values |= _look_again(transaction, source, now)
            # Whoever reads it now reads what it was before: that pass changes nothing any more.
            values |= {"owner": None, "lease_until": None, "fence": _s.fence + 1}
            _changed(transaction, name, declared_by="configuration", **values)
            _journal(transaction, "source changed", name, "configuration", now, declared=members_of(source))


def _who_may(source: Source) -> tuple[object, ...]:
    return source.policy, frozenset(source.senders)


def _look_again(transaction: Transaction, source: Source, now: int) -> dict[str, object]:
    """Have those looked at again whose senders were not admitted; return what that changes in the source."""
    if source.kind is SourceKind.INBOX:
        transaction.connection.execute(_RECONSIDER, {"sought": source.name, "at": now})
        return {}
    # Events are not asked for one by one: the log is read anew, and what was taken is known.
    transaction.connection.execute(_FORGET_IGNORED, {"sought": source.name})
    return {"progress": "{}"}


def _insert(transaction: Transaction, source: Source, by: Declarer, *, now: int) -> None:
    transaction.connection.execute(
        sa.insert(schema.source),
        {
            "log": LOG,
            "name": source.name,
            "declared": rows.to_json(members_of(source)),
            "declared_by": by,
            "paused": False,
            "next_at": now,
            "progress": "{}",
            "requests": 0,
            "failures": 0,
            # A source that was forgotten and comes back must not be finished by who held the old one.
            "fence": now,
        },
    )
    transaction.changed.add("source")


def _changed(transaction: Transaction, name: str, **values: object) -> None:
    if transaction.connection.execute(_CHANGE.values(**values), {"sought": name}).rowcount == 0:
        raise _no(name)
    transaction.changed.add("source")


def _forget(transaction: Transaction, name: str) -> None:
    for statement in _FORGET:
        transaction.connection.execute(statement, {"sought": name})


def _journal(transaction: Transaction, what: str, name: str, who: str, now: int, **note: object) -> None:
    journal.write(transaction, [journal.Entry(at=now, what=what, who=who, note={"source": name, **note})])


def _no(name: str) -> NotFound:
    return NotFound(f"There is no source named {name}.")


def _status(row: rows.AnyRow, counts: Mapping[MemberState, int], now: int) -> Status | None:
    source = declared(row)
    if source is None:
        return None
    return Status(
        source=source,
        declared_by=row.declared_by,
        paused=bool(row.paused),
        next_at=row.next_at,
        requests=row.requests,
        failures=row.failures,
        reason=row.reason,
        attempted=row.attempted,
        succeeded=row.succeeded,
        is_polled=row.lease_until is not None and row.lease_until > now,
        progress=json.loads(row.progress),
        members=counts,
    )


def member(row: rows.AnyRow) -> Member:
    """Return a member from all its columns."""
    return Member(
        url=row.url,
        mark=row.mark,
        state=MemberState(row.state),
        reason=row.reason,
        token=row.token,
        attempts=row.attempts,
        seen=row.seen,
        retry_at=row.retry_at,
    )
