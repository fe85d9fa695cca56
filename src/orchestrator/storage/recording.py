"""Outcomes, written whole: event, deliveries, journal and state of each, for a group in one transaction."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import bindparam

from orchestrator.core.errors import LeaseLost, LogAhead, OrchestratorError
from orchestrator.core.event import LifecycleEvent
from orchestrator.ports import Claimed, Decided, Lease, NotificationState, Outcome
from orchestrator.storage import journal, schema
from orchestrator.storage.appending import Appending
from orchestrator.storage.bulk import Bulk, find_each
from orchestrator.storage.engine import update_each
from orchestrator.storage.schema import notification, processing
from orchestrator.storage.writer import Transaction

_n = notification.c
_p = processing.c

_HELD: Final = (
    sa.select(_n.token, _p.notification, _p.owner, _p.fence)
    .join(processing, _p.notification == _n.key)
    .where(_n.token.in_(bindparam("tokens", expanding=True)))
    .with_for_update(of=processing)
)
_CHANGES: Final = ("state", "reason", "retry_at", "owner", "lease_until", "event")
_ADDS: Final = ("attempts", "fence")
_Row = dict[str, object]


def settling(engine: sa.Engine) -> Bulk:
    """Return the statement that writes what became of notifications."""
    columns = [column.name for column in processing.columns]
    return Bulk(update_each(engine, processing, ["notification"], _CHANGES, _ADDS), columns)


def record(
    transaction: Transaction,
    requests: Sequence[tuple[Decided, int]],
    *,
    public_url: str,
    settle: Bulk,
) -> Sequence[LifecycleEvent | OrchestratorError | None]:
    """Write what was decided, each with the time of asking; see `ports.Ledger.record`."""
    tokens = {each.claimed.lease.key for each, _ in requests}
    held = {row.token: row for row in find_each(transaction.connection, _HELD, "tokens", sorted(tokens))}
    outcomes = [each.outcome for each, _ in requests]
    appending = Appending(transaction, public_url=public_url, outcomes=outcomes)
    results: list[LifecycleEvent | OrchestratorError | None] = []
    settled: list[_Row] = []
    entries: list[journal.Entry] = []
    for decided, now in requests:
        lease = decided.claimed.lease
        row = held.get(lease.key)
        if row is None or not _holds(lease, row):
            results.append(LeaseLost())
            continue
        outcome = _without_repeat(decided.outcome, appending)
        event, untold = None, list[str]()
        if outcome.draft is not None and not outcome.is_logged:
            untold = appending.tell(lease.key, outcome.deliveries, now=now)
        elif outcome.draft is not None:
            event = appending.append(outcome.draft, outcome.deliveries, now=now)
            if event is None:
                results.append(LogAhead())
                continue
            untold = appending.told_already(event)
        # A lease finishes its notification once, within a group too.
        del held[lease.key]
        settled.append(_settled(row.notification, lease, outcome, event))
        entries.append(_entry(decided.claimed, outcome, event, now, untold))
        results.append(event)
    appending.write()
    journal.write(transaction, entries)
    settle.run(transaction.connection, settled)
    appending.advance()
    return results


def _holds(lease: Lease, row: sa.Row[Any]) -> bool:
    """Whether what was decided under `lease` still counts; with fence 0, as long as nobody took it."""
    return bool((row.owner, row.fence) == ((lease.owner if lease.fence else None), lease.fence))


def _without_repeat(outcome: Outcome, appending: Appending) -> Outcome:
    """Return `outcome`, or, when the log tells of its activity already, that it changes nothing."""
    if outcome.draft is None or not appending.has(outcome.draft):
        return outcome
    return dataclasses.replace(
        outcome, state=NotificationState.IGNORED, reason="duplicate", draft=None, deliveries=(), retry_at=None
    )


def _settled(key: int, lease: Lease, outcome: Outcome, event: LifecycleEvent | None) -> _Row:
    return {
        "notification": key,
        "log": schema.LOG,
        "state": outcome.state.value,
        "reason": outcome.reason,
        # A claim has counted its attempt already.
        "attempts": int(outcome.counts) - (1 if lease.fence else 0),
        "accepted": False,
        "retry_at": outcome.retry_at if outcome.state is NotificationState.RETRY else None,
        "owner": None,
        # Who decided the same thing at the same time is too late now.
        "fence": 0 if lease.fence else 1,
        "lease_until": None,
        "event": None if event is None else event.sequence,
    }


def _entry(
    claimed: Claimed, outcome: Outcome, event: LifecycleEvent | None, now: int, untold: Sequence[str]
) -> journal.Entry:
    note: dict[str, object] = {
        **outcome.note,
        "inbox": claimed.inbox,
        "notification": claimed.token,
        "activity": claimed.notification.id,
        "state": outcome.state,
        "reason": outcome.reason,
        "event": None if event is None else event.sequence,
        # A policy asked, and no delivery was made: here is why.
        "toldAlready": untold,
    }
    return journal.Entry(at=now, what="notification processed", who=claimed.lease.owner, note=note)
