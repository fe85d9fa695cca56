"""The `Ledger` port: notifications from receipt to outcome."""

import dataclasses
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam

from orchestrator.core.errors import (
    BadRequest,
    ConflictingContent,
    LeaseLost,
    LogAhead,
    NotFound,
    OrchestratorError,
)
from orchestrator.core.event import LifecycleEvent
from orchestrator.ports import Arrival, Claimed, Lease, NotificationState, Outcome, Receipt
from orchestrator.storage import journal, rows, schema
from orchestrator.storage.appending import Appending
from orchestrator.storage.engine import insert_new
from orchestrator.storage.readers import Readers
from orchestrator.storage.schema import LOG, notification
from orchestrator.storage.writer import Transaction, Writer

_n = notification.c
_IDENTITY: Final = ("log", "inbox", "sender", "activity")

_FIRST: Final = sa.select(_n.token, _n.digest).where(
    _n.log == LOG,
    _n.inbox == bindparam("inbox"),
    _n.sender == bindparam("sender"),
    _n.activity == bindparam("activity"),
)
_WAITING: Final = (
    sa.select(*rows.CLAIMED)
    .where(
        _n.log == LOG,
        schema.WAITING,
        sa.or_(_n.lease_until.is_(None), _n.lease_until <= bindparam("now")),
        sa.or_(_n.retry_at.is_(None), _n.retry_at <= bindparam("now")),
    )
    .order_by(_n.key)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_TAKE: Final = (
    sa.update(notification)
    .where(_n.key.in_(bindparam("keys", expanding=True)))
    .values(
        owner=bindparam("holder"),
        lease_until=bindparam("until"),
        fence=_n.fence + 1,
        attempts=_n.attempts + 1,
    )
)
_HELD: Final = (
    sa.select(_n.key, _n.inbox, _n.token, _n.activity, _n.owner, _n.fence)
    .where(_n.key.in_(bindparam("keys", expanding=True)))
    .with_for_update()
)
_SETTLE: Final = (
    sa.update(notification)
    .where(_n.key == bindparam("settled"))
    .values(
        state=bindparam("state"),
        reason=bindparam("reason"),
        retry_at=bindparam("retry_at"),
        event=bindparam("event"),
        attempts=_n.attempts - bindparam("uncounted"),
        owner=None,
        lease_until=None,
    )
)
_PARKED: Final = (
    sa.select(_n.key, _n.state)
    .where(_n.token == bindparam("sought"), _n.inbox == bindparam("within"), _n.log == LOG)
    .with_for_update()
)
_PENDING: Final = sa.select(sa.func.count()).select_from(notification).where(_n.log == LOG, schema.WAITING)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decided:
    """What a claimant asks to be recorded."""

    lease: Lease
    outcome: Outcome
    now: int


class SqlLedger:
    """Notifications on their way from receipt to outcome; see `ports.Ledger`."""

    def __init__(self, engine: sa.Engine, writer: Writer, readers: Readers, *, public_url: str) -> None:
        """Write with `writer`; events get IRIs under `public_url`."""
        self._writer = writer
        self._readers = readers
        self._public_url = public_url
        self._add = insert_new(engine, notification, _IDENTITY).returning(_n.token)

    async def keep(self, arrival: Arrival) -> Receipt:
        """Keep a notification once; raises `ConflictingContent`."""
        return await self._writer.write_grouped(self._keep, arrival)

    async def claim(self, owner: str, *, limit: int, now: int, lease: int) -> Sequence[Claimed]:
        """Claim what waits, oldest first."""
        return await self._writer.write(
            lambda transaction: _claim(transaction, owner, limit=limit, now=now, until=now + lease)
        )

    async def record(self, lease: Lease, outcome: Outcome, *, now: int) -> LifecycleEvent | None:
        """Commit `outcome` whole; raises `LeaseLost`, `LogAhead`.

        Raises ValueError for deliveries without an event that they could tell of.
        """
        if outcome.deliveries and outcome.draft is None:
            message = "Deliveries tell of an event: give the outcome its draft."
            raise ValueError(message)
        decided = _Decided(lease=lease, outcome=outcome, now=now)
        return await self._writer.write_grouped(self._record, decided)

    async def settle(self, inbox: str, token: str, *, accept: bool, who: str, now: int) -> None:
        """Let a parked notification go on, or end it; raises `NotFound`, `BadRequest`."""
        await self._writer.write(
            lambda transaction: _settle_parked(transaction, inbox, token, accept=accept, who=who, now=now)
        )

    async def pending(self) -> int:
        """Return how many notifications wait, claimed ones included."""
        return await self._readers.read(lambda connection: int(connection.execute(_PENDING).scalar_one()))

    def _keep(
        self, transaction: Transaction, arrivals: Sequence[Arrival]
    ) -> Sequence[Receipt | ConflictingContent]:
        tokens = [uuid.uuid4().hex for _ in arrivals]
        values = [rows.from_arrival(arrival, token) for arrival, token in zip(arrivals, tokens, strict=True)]
        # The database says which were new, in any order; doubles within the group are left out like others.
        fresh = set(transaction.connection.execute(self._add, values).scalars())
        if fresh:
            transaction.changed.add("notification")
        return [
            Receipt(token=token, fresh=True) if token in fresh else _first_receipt(transaction, arrival)
            for arrival, token in zip(arrivals, tokens, strict=True)
        ]

    def _record(
        self, transaction: Transaction, requests: Sequence[_Decided]
    ) -> Sequence[LifecycleEvent | OrchestratorError | None]:
        keys = sorted({int(request.lease.key) for request in requests})
        held = {row.key: row for row in transaction.connection.execute(_HELD, {"keys": keys})}
        drafts = [request.outcome.draft for request in requests if request.outcome.draft is not None]
        appending = Appending(transaction, public_url=self._public_url, drafts=drafts)
        results: list[LifecycleEvent | OrchestratorError | None] = []
        settled: list[dict[str, object]] = []
        entries: list[journal.Entry] = []
        for request in requests:
            row = held.get(int(request.lease.key))
            if row is None or (row.owner, row.fence) != (request.lease.owner, request.lease.fence):
                results.append(LeaseLost())
                continue
            outcome = _without_repeat(request.outcome, appending)
            event = None
            if outcome.draft is not None:
                event = appending.append(outcome.draft, outcome.deliveries, now=request.now)
                if event is None:
                    results.append(LogAhead())
                    continue
            # A lease finishes its notification once, within a group too.
            del held[row.key]
            settled.append(_settled(row.key, outcome, event))
            entries.append(_entry(row, outcome, event, request, appending))
            results.append(event)
        _write(transaction, appending, settled, entries)
        return results


def _write(
    transaction: Transaction,
    appending: Appending,
    settled: Sequence[dict[str, object]],
    entries: Sequence[journal.Entry],
) -> None:
    appending.write()
    journal.write(transaction, entries)
    if settled:
        transaction.connection.execute(_SETTLE, settled)
        transaction.changed.add("notification")
    appending.advance()


def _first_receipt(transaction: Transaction, arrival: Arrival) -> Receipt | ConflictingContent:
    """Return the receipt of the same content; for other content, journal the attempt."""
    sought = {
        "inbox": arrival.inbox,
        "sender": arrival.notification.sender,
        "activity": arrival.notification.id,
    }
    first = transaction.connection.execute(_FIRST, sought).one()
    if first.digest == arrival.notification.digest:
        return Receipt(token=first.token, fresh=False)
    note = {**sought, "first": first.token, "kept": first.digest, "refused": arrival.notification.digest}
    entry = journal.Entry(
        at=arrival.received, what="conflicting content refused", who=arrival.notification.sender, note=note
    )
    journal.write(transaction, [entry])
    return ConflictingContent()


def _claim(transaction: Transaction, owner: str, *, limit: int, now: int, until: int) -> Sequence[Claimed]:
    found = transaction.connection.execute(_WAITING, {"now": now, "limit": limit}).all()
    if found:
        keys = [row.key for row in found]
        transaction.connection.execute(_TAKE, {"keys": keys, "holder": owner, "until": until})
    return [rows.claimed(row, owner=owner, until=until) for row in found]


def _settle_parked(
    transaction: Transaction, inbox: str, token: str, *, accept: bool, who: str, now: int
) -> None:
    row = transaction.connection.execute(_PARKED, {"sought": token, "within": inbox}).one_or_none()
    if row is None:
        raise NotFound(f"There is no notification {token} in the inbox.")
    if row.state != NotificationState.PARKED:
        raise BadRequest(f"The notification is {row.state}: only a PARKED one can be accepted or dismissed.")
    state, reason = (NotificationState.RETRY, "accepted") if accept else (NotificationState.IGNORED, "policy")
    values = {"state": state, "reason": reason, "retry_at": now if accept else None, "accepted": accept}
    transaction.connection.execute(sa.update(notification).where(_n.key == row.key).values(**values))
    what = "notification accepted" if accept else "notification dismissed"
    note = {"inbox": inbox, "notification": token}
    journal.write(transaction, [journal.Entry(at=now, what=what, who=who, note=note)])
    transaction.changed.add("notification")


def _without_repeat(outcome: Outcome, appending: Appending) -> Outcome:
    """Return `outcome`, or, when the log tells of its activity already, that it changes nothing."""
    if outcome.draft is None or not appending.has(outcome.draft):
        return outcome
    return dataclasses.replace(
        outcome, state=NotificationState.IGNORED, reason="duplicate", draft=None, deliveries=(), retry_at=None
    )


def _settled(key: int, outcome: Outcome, event: LifecycleEvent | None) -> dict[str, object]:
    return {
        "settled": key,
        "state": outcome.state,
        "reason": outcome.reason,
        "retry_at": outcome.retry_at if outcome.state is NotificationState.RETRY else None,
        "event": None if event is None else event.sequence,
        "uncounted": 0 if outcome.counts else 1,
    }


def _entry(
    row: rows.AnyRow,
    outcome: Outcome,
    event: LifecycleEvent | None,
    request: _Decided,
    appending: Appending,
) -> journal.Entry:
    note = {
        **outcome.note,
        "inbox": row.inbox,
        "notification": row.token,
        "activity": row.activity,
        "state": outcome.state,
        "reason": outcome.reason,
        "event": None if event is None else event.sequence,
        # A policy asked, and no delivery was made: here is why.
        "toldAlready": [] if event is None else appending.told_already(event),
    }
    return journal.Entry(at=request.now, what="notification processed", who=request.lease.owner, note=note)
