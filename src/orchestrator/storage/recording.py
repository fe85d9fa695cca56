"""Outcomes, written whole: event, deliveries, journal and state of each, for a group in one transaction."""

import dataclasses
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam

from orchestrator.core.errors import LeaseLost, LogAhead, OrchestratorError
from orchestrator.core.event import LifecycleEvent
from orchestrator.ports import Claimed, Decided, NotificationState, Outcome
from orchestrator.storage import journal
from orchestrator.storage.appending import Appending
from orchestrator.storage.bulk import Bulk, find_each
from orchestrator.storage.schema import processing
from orchestrator.storage.writer import Transaction

_p = processing.c

_HELD: Final = (
    sa.select(_p.notification, _p.owner, _p.fence)
    .where(_p.notification.in_(bindparam("keys", expanding=True)))
    .with_for_update()
)
_SETTLE: Final = Bulk(
    sa.update(processing)
    .where(_p.notification == bindparam("settled"))
    .values(
        state=bindparam("state"),
        reason=bindparam("reason"),
        retry_at=bindparam("retry_at"),
        event=bindparam("event"),
        attempts=_p.attempts - bindparam("uncounted"),
        owner=sa.null(),
        lease_until=sa.null(),
    ),
    ("settled", "state", "reason", "retry_at", "event", "uncounted"),
)


def record(
    transaction: Transaction, requests: Sequence[tuple[Decided, int]], *, public_url: str
) -> Sequence[LifecycleEvent | OrchestratorError | None]:
    """Write what was decided, each with the time of asking; see `ports.Ledger.record`."""
    keys = {int(each.claimed.lease.key) for each, _ in requests}
    held = {
        row.notification: (row.owner, row.fence)
        for row in find_each(transaction.connection, _HELD, "keys", sorted(keys))
    }
    outcomes = [each.outcome for each, _ in requests]
    appending = Appending(transaction, public_url=public_url, outcomes=outcomes)
    results: list[LifecycleEvent | OrchestratorError | None] = []
    settled: list[dict[str, object]] = []
    entries: list[journal.Entry] = []
    for decided, now in requests:
        lease = decided.claimed.lease
        key = int(lease.key)
        if held.get(key) != (lease.owner, lease.fence):
            results.append(LeaseLost())
            continue
        outcome = _without_repeat(decided.outcome, appending)
        event = None
        if outcome.draft is not None:
            event = appending.append(outcome.draft, outcome.deliveries, now=now)
            if event is None:
                results.append(LogAhead())
                continue
        # A lease finishes its notification once, within a group too.
        del held[key]
        settled.append(_settled(key, outcome, event))
        entries.append(_entry(decided.claimed, outcome, event, now, appending))
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
        _SETTLE.run(transaction.connection, settled)
        transaction.changed.add("notification")
    appending.advance()


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
        "state": outcome.state.value,
        "reason": outcome.reason,
        "retry_at": outcome.retry_at if outcome.state is NotificationState.RETRY else None,
        "event": None if event is None else event.sequence,
        "uncounted": 0 if outcome.counts else 1,
    }


def _entry(
    claimed: Claimed, outcome: Outcome, event: LifecycleEvent | None, now: int, appending: Appending
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
        "toldAlready": [] if event is None else appending.told_already(event),
    }
    return journal.Entry(at=now, what="notification processed", who=claimed.lease.owner, note=note)
