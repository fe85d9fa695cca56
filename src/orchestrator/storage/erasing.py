"""The `Erasure` port: payload, notification and bodies of deliveries go, the tombstone comes, all at once."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import bindparam

from orchestrator.core.delivery import DeliveryState
from orchestrator.core.errors import LogAhead, NotFound
from orchestrator.core.event import Draft, LifecycleEvent
from orchestrator.core.notification import Notification
from orchestrator.ports import NotificationState, Outcome, Plan
from orchestrator.storage import engine as engines
from orchestrator.storage import journal, rows, schema
from orchestrator.storage.appending import Appending
from orchestrator.storage.schema import LOG
from orchestrator.storage.writer import Transaction, Writer

_d = schema.delivery.c
_e = schema.event.c
_n = schema.notification.c
_p = schema.processing.c

_REASON: Final = "the event's payload was erased"
_OF_EVENT: Final = (_e.log == LOG, _e.sequence == bindparam("erased"))
_EVENT: Final = sa.select(_e.sender, _e.activity, _e.payload.is_(None).label("is_erased")).where(*_OF_EVENT)
_CLEAR: Final = sa.update(schema.event).where(*_OF_EVENT).values(payload=None, salt=None)
# Inboxes are few, and asked for one after the other: the index of receipts begins with them.
_NEXT_INBOX: Final = (
    sa.select(_n.inbox).where(_n.log == LOG, _n.inbox > bindparam("after")).order_by(_n.inbox).limit(1)
)
_COPIES: Final = sa.select(_n.key, _n.token, _n.notification).where(
    _n.log == LOG,
    _n.inbox == bindparam("inbox"),
    _n.sender == bindparam("sender"),
    _n.activity == bindparam("activity"),
)
_FORGET: Final = (
    sa.update(schema.notification)
    .where(_n.key == bindparam("of"))
    .values(body=b"", warnings="[]", notification=bindparam("said"))
)
# A copy in another inbox that nobody has decided about: nothing is left of it to judge.
_SETTLE: Final = (
    sa.update(schema.processing)
    .where(_p.notification == bindparam("of"), _p.state.in_(("RECEIVED", "RETRY", "PARKED")))
    .values(
        state=NotificationState.IGNORED.value,
        reason="duplicate",
        retry_at=None,
        owner=None,
        lease_until=None,
        fence=_p.fence + 1,
    )
)
_UNFINISHED: Final = (DeliveryState.PENDING, DeliveryState.RETRYING)
# Whoever has bytes prepared for him may have got them: an attempt is counted when it ends.
_TOLD: Final = sa.select(_d.target).where(
    _d.log == LOG,
    _d.event == bindparam("erased"),
    sa.or_(_d.state == DeliveryState.DELIVERED, _d.attempts > 0, _d.body.is_not(None)),
)
# Who holds one of them is too late now: its fence has moved on.
_CANCEL: Final = (
    sa.update(schema.delivery)
    .where(_d.log == LOG, _d.state.in_(_UNFINISHED))
    .values(
        state=DeliveryState.CANCELLED.value,
        reason=_REASON,
        next_at=None,
        finished=bindparam("now"),
        owner=None,
        lease_until=None,
        fence=_d.fence + 1,
    )
)
# What a hub said may quote what it was sent; and it may be told of the same things anew.
_EMPTY: Final = (
    sa.update(schema.delivery)
    .where(_d.log == LOG)
    .values(body=None, reason=sa.case((_d.reason.is_not(None), _REASON), else_=None), topic=_d.id)
)
_OF_EVENT_ONLY: Final = _d.event == bindparam("erased")
_OF_COPY: Final = _d.told == bindparam("token")
_MAILTO: Final = "mailto:"


class SqlErasure:
    """Takes payloads out of the log; see `ports.erasure.Erasure`."""

    def __init__(self, engine: sa.Engine, writer: Writer, *, public_url: str) -> None:
        """Write through `writer`; events have IRIs under `public_url`."""
        self._engine = engine
        self._writer = writer
        self._public_url = public_url

    async def erase(
        self, sequence: int, tombstone: Draft, *, who: str, note: Mapping[str, object], now: int
    ) -> LifecycleEvent | None:
        """Erase the payload of an event and all that we hold of it."""
        entry = journal.Entry(at=now, what="payload erased", who=who, note={**note, "event": sequence})
        work = partial(_erase, sequence=sequence, tombstone=tombstone, entry=entry, base=self._public_url)
        return await self._writer.write(work)

    async def purge(self) -> bool:
        """Have what was erased leave the database's files too."""
        return await asyncio.to_thread(engines.purge, self._engine)


def _erase(
    transaction: Transaction, *, sequence: int, tombstone: Draft, entry: journal.Entry, base: str
) -> LifecycleEvent | None:
    connection, erased = transaction.connection, {"erased": sequence}
    row = connection.execute(_EVENT, erased).one_or_none()
    if row is None:
        raise NotFound(f"The log has no event {sequence}.")
    if row.is_erased:
        return None
    plans = tuple(Plan(target=told, policies=()) for (told,) in connection.execute(_TOLD, erased).all())
    outcome = Outcome(state=NotificationState.PROCESSED, draft=tombstone, deliveries=plans)
    appending = Appending(transaction, public_url=base, outcomes=[outcome])
    event = appending.append(tombstone, plans, now=entry.at)
    if event is None:
        raise LogAhead
    connection.execute(_CLEAR, erased)
    tokens = _forget_copies(connection, sender=row.sender, activity=row.activity)
    about: list[tuple[sa.ColumnElement[bool], dict[str, object]]] = [(_OF_EVENT_ONLY, {"erased": sequence})]
    about += [(_OF_COPY, {"token": token}) for token in tokens]
    for which, given in about:
        connection.execute(_CANCEL.where(which), {**given, "now": entry.at})
        connection.execute(_EMPTY.where(which), given)
    journal.write(transaction, [entry])
    appending.write()
    appending.advance()
    return event


def _forget_copies(connection: sa.Connection, *, sender: str, activity: str) -> list[str]:
    """Empty the notification wherever it was received; return its tokens."""
    tokens, inbox = [], ""
    while (found := connection.execute(_NEXT_INBOX, {"after": inbox}).scalar()) is not None:
        inbox = found
        given = {"inbox": inbox, "sender": sender, "activity": activity}
        for key, token, said in connection.execute(_COPIES, given).all():
            connection.execute(_FORGET, {"of": key, "said": rows.to_json(_remembered(said))})
            connection.execute(_SETTLE, {"of": key})
            tokens.append(token)
    return tokens


def _remembered(said: str) -> dict[str, Any]:
    """Return by what a notification is known again, should it be sent again: its id, sender and digest."""
    known: Notification = rows.notification(said)
    kept = ("id", "types", "pattern", "digest", "actor", "origin", "in_reply_to")
    found = {name: getattr(known, name) for name in kept}
    return {name: value for name, value in found.items() if not _is_address(value)}


def _is_address(value: object) -> bool:
    return isinstance(value, str) and value[: len(_MAILTO)].lower() == _MAILTO
