"""The end of stage 2: what was decided is written, as soon as the log has a time for it."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from orchestrator.core.errors import LeaseLost, LogAhead, StorageError
from orchestrator.ports import Clock, Decided, Ledger, NotificationState, Outcome

_log = logging.getLogger(__name__)
_LOG_AHEAD: Final = 250
"""Milliseconds by which the log's time may lead the clock."""


async def record(decided: Sequence[Decided], *, ledger: Ledger, clock: Clock) -> None:
    """Record all in one transaction; what the log has no time for yet comes a moment later."""
    ahead = await _write(decided, ledger, clock)
    if ahead:
        # One event a millisecond: soon there is room for these, unless the clock was set back.
        await asyncio.sleep((len(ahead) + 1) / 1_000)
        ahead = await _write(ahead, ledger, clock)
    if ahead:
        later = Outcome(
            state=NotificationState.RETRY,
            reason="log ahead",
            retry_at=clock.now() + _LOG_AHEAD,
            counts=False,
        )
        await _write([Decided(claimed=each.claimed, outcome=later) for each in ahead], ledger, clock)


async def _write(decided: Sequence[Decided], ledger: Ledger, clock: Clock) -> list[Decided]:
    """Record; return those for which the log's time would lead the clock too far."""
    if not decided:
        return []
    results: Sequence[object]
    try:
        results = await ledger.record(decided, now=clock.now())
    except StorageError as error:
        results = [error] * len(decided)
    ahead: list[Decided] = []
    for each, result in zip(decided, results, strict=True):
        key = each.claimed.lease.key
        if isinstance(result, LogAhead):
            ahead.append(each)
        elif isinstance(result, LeaseLost):
            _log.warning("lease_lost key=%s", key)
        elif isinstance(result, Exception):
            _log.error("record_failed key=%s", key, exc_info=result)
    return ahead
