"""The `Ledger` port: notifications from receipt to outcome."""

import functools
import secrets
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam

from orchestrator.core.errors import (
    BadRequest,
    ConflictingContent,
    NotFound,
)
from orchestrator.core.event import LifecycleEvent
from orchestrator.ports import Arrival, Claimed, Decided, NotificationState, Receipt
from orchestrator.storage import journal, recording, rows, schema
from orchestrator.storage.bulk import Bulk, find_each
from orchestrator.storage.engine import insert_new
from orchestrator.storage.readers import Readers
from orchestrator.storage.schema import LOG, notification, processing
from orchestrator.storage.writer import Transaction, Writer

_n = notification.c
_p = processing.c
_IDENTITY: Final = ("log", "inbox", "sender", "activity")
_NEW: Final = tuple(column.name for column in notification.columns if column is not _n.key)
_MOST_COUNTED: Final = 10_001
_MOST_FRESH: Final = 1024 * 1024
"""Bytes of bodies that wait in memory to be processed; what comes beyond is found in the database."""
_TIME: Final = 2**48 - 1
_RANDOM: Final = 10

_HERE: Final = sa.select(_n.token).where(_n.token.in_(bindparam("tokens", expanding=True)))
_BEGIN: Final = sa.insert(processing).from_select(
    ["notification", "log", "state", "attempts", "accepted", "fence"],
    sa.select(
        _n.key,
        _n.log,
        sa.literal_column(f"'{NotificationState.RECEIVED}'"),
        sa.literal_column("0"),
        sa.false(),
        sa.literal_column("0"),
    ).where(_n.token.in_(bindparam("tokens", expanding=True))),
)
_FOUND: Final = Bulk(sa.insert(schema.provenance), [column.name for column in schema.provenance.columns])
_KEYS: Final = sa.select(_n.token, _n.key).where(_n.token.in_(bindparam("tokens", expanding=True)))
_FIRST: Final = sa.select(_n.token, _n.digest).where(
    _n.log == LOG,
    _n.inbox == bindparam("inbox"),
    _n.sender == bindparam("sender"),
    _n.activity == bindparam("activity"),
)
_WAITING: Final = (
    sa.select(*rows.CLAIMED)
    .join(notification, _n.key == _p.notification)
    .outerjoin(schema.provenance, rows.FOUND)
    .where(
        _p.log == LOG,
        schema.WAITING,
        sa.or_(_p.lease_until.is_(None), _p.lease_until <= bindparam("now")),
        sa.or_(_p.retry_at.is_(None), _p.retry_at <= bindparam("now")),
    )
    .order_by(_p.notification)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True, of=processing)
)
_TAKE: Final = (
    sa.update(processing)
    .where(_p.notification.in_(bindparam("keys", expanding=True)))
    .values(
        owner=bindparam("holder"),
        lease_until=bindparam("until"),
        fence=_p.fence + 1,
        attempts=_p.attempts + 1,
    )
)
_PARKED: Final = (
    sa.select(_p.notification, _p.state)
    .join(notification, _n.key == _p.notification)
    .where(_n.token == bindparam("sought"), _n.inbox == bindparam("within"), _n.log == LOG)
    .with_for_update(of=processing)
)
# Bounded, because those who watch ask often, and most when much waits.
_PENDING: Final = sa.select(sa.func.count()).select_from(
    sa.select(_p.notification).where(_p.log == LOG, schema.WAITING).limit(_MOST_COUNTED).subquery()
)


class SqlLedger:
    """Notifications on their way from receipt to outcome; see `ports.Ledger`."""

    def __init__(self, engine: sa.Engine, writer: Writer, readers: Readers, *, public_url: str) -> None:
        """Write with `writer`; events get IRIs under `public_url`."""
        self._writer = writer
        self._readers = readers
        self._add = Bulk(insert_new(engine, notification, _IDENTITY), _NEW)
        self._record = functools.partial(
            recording.record, public_url=public_url, settle=recording.settling(engine)
        )
        self._fresh: dict[str, Arrival] = {}
        """What was kept a moment ago, by token, oldest first."""
        self._fresh_bytes = 0
        self._claimed: set[str] = set()
        """What the last claim took: perhaps something of its own commit, whose receipt is still to come."""

    async def keep(self, arrival: Arrival) -> Receipt:
        """Keep a notification once; raises `ConflictingContent`, `Overloaded`."""
        receipt: Receipt = await self._writer.write_bounded(self._keep, arrival)
        is_waiting = receipt.fresh and receipt.token not in self._claimed
        if is_waiting and self._fresh_bytes < _MOST_FRESH:
            self._fresh[receipt.token] = arrival
            self._fresh_bytes += len(arrival.body)
        return receipt

    def fresh(self, owner: str, *, limit: int) -> Sequence[Claimed]:
        """Return what was kept a moment ago."""
        taken = list(islice(self._fresh, limit))
        return [rows.fresh(self._forget(token), token, owner=owner) for token in taken]

    def _forget(self, token: str) -> Arrival:
        arrival = self._fresh.pop(token)
        self._fresh_bytes -= len(arrival.body)
        return arrival

    async def claim(self, owner: str, *, limit: int, now: int, lease: int) -> Sequence[Claimed]:
        """Claim what waits, oldest first."""
        found = await self._writer.write(
            lambda transaction: _claim(transaction, owner, limit=limit, now=now, until=now + lease)
        )
        self._claimed = {each.token for each in found}
        for token in self._claimed & self._fresh.keys():
            self._forget(token)
        return found

    async def record(
        self, decided: Sequence[Decided], *, now: int
    ) -> Sequence[LifecycleEvent | Exception | None]:
        """Commit each outcome whole, or nothing of it."""
        if any(each.outcome.deliveries and each.outcome.draft is None for each in decided):
            message = "Deliveries tell of an event: give the outcome its draft."
            raise ValueError(message)
        return await self._writer.write_grouped(self._record, [(each, now) for each in decided])

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
        connection = transaction.connection
        tokens = _tokens(arrivals)
        values = [rows.from_arrival(arrival, token) for arrival, token in zip(arrivals, tokens, strict=True)]
        fresh = set(tokens)
        if self._add.run(connection, values) != len(values):
            # Some were here before, or twice in the group: the database says which were new.
            fresh = {row.token for row in find_each(connection, _HERE, "tokens", tokens)}
        if fresh:
            connection.execute(_BEGIN, {"tokens": list(fresh)})
            if any(arrival.provenance for arrival in arrivals):
                _say_where(transaction, dict(zip(tokens, arrivals, strict=True)), fresh)
            transaction.changed.add("notification")
        return [
            Receipt(token=token, fresh=True) if token in fresh else _first_receipt(transaction, arrival)
            for arrival, token in zip(arrivals, tokens, strict=True)
        ]


def _say_where(transaction: Transaction, arrivals: Mapping[str, Arrival], fresh: AbstractSet[str]) -> None:
    """Write where those of `fresh` were found that nobody posted."""
    found = {token: where for token in fresh if (where := arrivals[token].provenance) is not None}
    values = [
        {
            "notification": row.key,
            "log": LOG,
            "source": found[row.token].source,
            "via": found[row.token].via,
            "trust": found[row.token].trust,
        }
        for row in find_each(transaction.connection, _KEYS, "tokens", found)
    ]
    _FOUND.run(transaction.connection, values)


def _claim(transaction: Transaction, owner: str, *, limit: int, now: int, until: int) -> Sequence[Claimed]:
    found = transaction.connection.execute(_WAITING, {"now": now, "limit": limit}).all()
    if found:
        keys = [row.key for row in found]
        transaction.connection.execute(_TAKE, {"keys": keys, "holder": owner, "until": until})
    return [rows.claimed(row, owner=owner, until=until) for row in found]


def _tokens(arrivals: Sequence[Arrival]) -> list[str]:
    """Return names that nobody can guess: 80 random bits each, after the time of receipt.

    The time keeps the names of a group side by side in their index, whose pages are then written once.
    """
    chance = secrets.token_hex(_RANDOM * len(arrivals))
    parts = [chance[start : start + 2 * _RANDOM] for start in range(0, len(chance), 2 * _RANDOM)]
    return [f"{each.received & _TIME:012x}{part}" for each, part in zip(arrivals, parts, strict=True)]


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
    change = sa.update(processing).where(_p.notification == row.notification)
    transaction.connection.execute(change.values(**values))
    what = "notification accepted" if accept else "notification dismissed"
    note = {"inbox": inbox, "notification": token}
    journal.write(transaction, [journal.Entry(at=now, what=what, who=who, note=note)])
    transaction.changed.add("notification")
