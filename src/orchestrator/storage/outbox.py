"""The `Outbox` port: deliveries on their way to service hubs."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import bindparam

from orchestrator.core.delivery import LAWFUL, DeliveryState, Verdict
from orchestrator.core.errors import BadRequest, LeaseLost, NotFound
from orchestrator.ports import Delivery, Lease
from orchestrator.storage import journal, rows, schema
from orchestrator.storage.readers import Readers
from orchestrator.storage.schema import LOG, delivery
from orchestrator.storage.writer import Transaction, Writer

_d = delivery.c

_DUE: Final = (
    sa.select(*_d)
    .where(
        _d.log == LOG,
        schema.UNFINISHED,
        _d.next_at <= bindparam("now"),
        sa.or_(_d.lease_until.is_(None), _d.lease_until <= bindparam("now")),
    )
    .order_by(_d.next_at, _d.created, _d.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_TAKE: Final = (
    sa.update(delivery)
    .where(_d.id.in_(bindparam("ids", expanding=True)))
    .values(
        owner=bindparam("holder"),
        lease_until=bindparam("until"),
        fence=_d.fence + 1,
    )
)
_HELD: Final = (
    sa.select(_d.state)
    .where(_d.id == bindparam("key"), _d.owner == bindparam("holder"), _d.fence == bindparam("token"))
    .with_for_update()
)
_PREPARE: Final = (
    sa.update(delivery)
    .where(_d.id == bindparam("key"))
    .values(inbox=bindparam("url"), body=sa.func.coalesce(_d.body, bindparam("bytes", type_=sa.LargeBinary)))
)
_SETTLE: Final = (
    sa.update(delivery)
    .where(_d.id == bindparam("key"))
    .values(
        state=bindparam("state"),
        # An attempt counts when it has ended: a crash of ours uses none up, and makes no hub wait.
        attempts=_d.attempts + 1,
        reason=bindparam("reason"),
        next_at=bindparam("next_at"),
        status=bindparam("status"),
        location=bindparam("location"),
        finished=bindparam("finished"),
        owner=None,
        lease_until=None,
    )
)
_ONE: Final = sa.select(*_d).where(_d.id == bindparam("key"), _d.log == LOG)
_REVIVE: Final = (
    sa.update(delivery)
    .where(_d.id == bindparam("key"))
    .values(state=DeliveryState.RETRYING, reason=None, attempts=0, next_at=bindparam("now"), finished=None)
)
_NEWEST: Final = (
    sa.select(*_d).where(_d.log == LOG).order_by(_d.created.desc(), _d.id.desc()).limit(bindparam("limit"))
)
_NEWEST_OF_STATE: Final = _NEWEST.where(_d.state == bindparam("state"))
_NEXT_FREE: Final = (
    sa.select(_d.next_at)
    .where(_d.log == LOG, schema.UNFINISHED, _d.lease_until.is_(None))
    .order_by(_d.next_at)
    .limit(1)
)
_NEXT_LEASE: Final = (
    sa.select(_d.lease_until).where(_d.log == LOG, schema.LEASED).order_by(_d.lease_until).limit(1)
)


class SqlOutbox:
    """Deliveries on their way to service hubs; see `ports.Outbox`."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        """Write with `writer`, ask through `readers`."""
        self._writer = writer
        self._readers = readers

    async def claim(self, owner: str, *, limit: int, now: int, lease: int) -> Sequence[Delivery]:
        """Claim due deliveries, those due longest first."""
        return await self._writer.write(
            lambda transaction: _claim(transaction, owner, limit=limit, now=now, until=now + lease)
        )

    async def prepare(self, lease: Lease, *, inbox: str, body: bytes) -> None:
        """Fix the inbox, and the first time the bytes."""

        def work(transaction: Transaction) -> None:
            _held(transaction, lease)
            transaction.connection.execute(_PREPARE, {"key": lease.key, "url": inbox, "bytes": body})

        await self._writer.write(work)

    async def finish(
        self, lease: Lease, verdict: Verdict, *, now: int, status: int | None, location: str | None
    ) -> None:
        """Commit what an attempt came to.

        Raises `LeaseLost`, and ValueError for a change of state that is not lawful.
        """

        def work(transaction: Transaction) -> None:
            state = _held(transaction, lease)
            if verdict.state not in LAWFUL[state]:
                message = f"A delivery cannot go from {state} to {verdict.state}."
                raise ValueError(message)
            retrying = verdict.state is DeliveryState.RETRYING
            values = {
                "key": lease.key,
                "state": verdict.state,
                "reason": verdict.reason,
                "next_at": verdict.next_at if retrying else None,
                "status": status,
                "location": location,
                "finished": None if retrying else now,
            }
            transaction.connection.execute(_SETTLE, values)
            transaction.changed.add("delivery")

        await self._writer.write(work)

    async def deliveries(self, *, state: DeliveryState | None = None, limit: int = 100) -> Sequence[Delivery]:
        """Return deliveries, the newest first."""
        statement = _NEWEST if state is None else _NEWEST_OF_STATE
        values: dict[str, object] = {"limit": limit} if state is None else {"limit": limit, "state": state}

        def ask(connection: sa.Connection) -> Sequence[Delivery]:
            return [rows.delivery(row) for row in connection.execute(statement, values)]

        return await self._readers.read(ask)

    async def retry(self, identifier: str, *, now: int) -> Delivery:
        """Make a DEAD delivery due at once, with the whole schedule before it."""
        return await self._writer.write(lambda transaction: _retry(transaction, identifier, now=now))

    async def due(self) -> int | None:
        """Return when a delivery can next be claimed: a leased one when its lease runs out."""

        def ask(connection: sa.Connection) -> int | None:
            times = [connection.execute(statement).scalar() for statement in (_NEXT_FREE, _NEXT_LEASE)]
            return min((time for time in times if time is not None), default=None)

        return await self._readers.read(ask)


def _claim(transaction: Transaction, owner: str, *, limit: int, now: int, until: int) -> Sequence[Delivery]:
    found = transaction.connection.execute(_DUE, {"now": now, "limit": limit}).all()
    if found:
        ids = [row.id for row in found]
        transaction.connection.execute(_TAKE, {"ids": ids, "holder": owner, "until": until})
    return [rows.claimed_delivery(row, owner=owner, until=until) for row in found]


def _held(transaction: Transaction, lease: Lease) -> DeliveryState:
    """Return the state of the delivery that `lease` holds; raises `LeaseLost`."""
    values: dict[str, Any] = {"key": lease.key, "holder": lease.owner, "token": lease.fence}
    state = transaction.connection.execute(_HELD, values).scalar()
    if state is None:
        raise LeaseLost
    return DeliveryState(state)


def _retry(transaction: Transaction, identifier: str, *, now: int) -> Delivery:
    found = transaction.connection.execute(_ONE.with_for_update(), {"key": identifier}).first()
    if found is None:
        message = f"There is no delivery {identifier}."
        raise NotFound(message)
    if found.state != DeliveryState.DEAD:
        message = f"Only a DEAD delivery can be retried; this one is {found.state}."
        raise BadRequest(message)
    transaction.connection.execute(_REVIVE, {"key": identifier, "now": now})
    note = {
        "delivery": identifier,
        "event": found.event,
        "told": found.told,
        "target": found.target,
        # Not the reason: it has words of the hub's, who may quote what is to be erased one day.
        "status": found.status,
    }
    journal.write(transaction, [journal.Entry(at=now, what="delivery retried", who="operator", note=note)])
    transaction.changed.add("delivery")
    return rows.delivery(transaction.connection.execute(_ONE, {"key": identifier}).one())
