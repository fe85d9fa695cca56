"""Deliveries: the notifications that we send, their states and their schedule (pure)."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_SECOND: Final = 1_000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
# Milliseconds between attempts: 0, 5 s, 5 m, 30 m, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
SCHEDULE: Final = (
    0,
    5 * _SECOND,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
JITTER: Final = 0.2
_GONE: Final = 410
_RETRYABLE: Final = frozenset({408, 425, 429})


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "PENDING"
    """Not tried yet."""
    RETRYING = "RETRYING"
    """Tried, and to be tried again at its next time."""
    DELIVERED = "DELIVERED"
    """The hub answered 2xx."""
    DEAD = "DEAD"
    """Given up, with a reason; an operator may retry it."""
    CANCELLED = "CANCELLED"
    """Withdrawn before it arrived."""


LAWFUL: Final[Mapping[DeliveryState, frozenset[DeliveryState]]] = {
    DeliveryState.PENDING: frozenset(
        {DeliveryState.DELIVERED, DeliveryState.RETRYING, DeliveryState.DEAD, DeliveryState.CANCELLED}
    ),
    DeliveryState.RETRYING: frozenset(
        {DeliveryState.DELIVERED, DeliveryState.RETRYING, DeliveryState.DEAD, DeliveryState.CANCELLED}
    ),
    DeliveryState.DELIVERED: frozenset(),
    DeliveryState.DEAD: frozenset({DeliveryState.RETRYING, DeliveryState.CANCELLED}),
    DeliveryState.CANCELLED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one attempt came to."""

    status: int | None
    """HTTP status of the hub; None when there was no usable answer."""
    detail: str = ""
    """The hub's words or the reason why there was no answer."""
    location: str | None = None
    retry_after: float | None = None
    """Seconds that the hub asks us to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an attempt changes."""

    state: DeliveryState
    reason: str | None = None
    next_at: int | None = None
    """When to try again, in ms since the epoch; only when RETRYING."""


def delivery_id(event: str, target: str) -> str:
    """Return the id of the activity that tells `target` of `event`: the same in every attempt."""
    return "urn:uuid:" + str(uuid.uuid5(uuid.NAMESPACE_URL, f"{event} {target}"))


def verdict(attempt: Attempt, *, attempts: int, now: int, chance: float) -> Verdict:
    """Decide what becomes of a delivery after its attempt number `attempts` (1-based).

    `chance` is a number in [0, 1) that spreads retries. 2xx delivers; 410 and other 3xx and 4xx end
    it; 408, 425, 429, 5xx and no answer follow the schedule, then end it.
    """
    status = attempt.status
    if status is not None:
        if 200 <= status < 300:  # noqa: PLR2004
            return Verdict(state=DeliveryState.DELIVERED)
        if status == _GONE:
            return Verdict(state=DeliveryState.DEAD, reason="the hub is gone (410)")
        if status < 500 and status not in _RETRYABLE:  # noqa: PLR2004
            return Verdict(state=DeliveryState.DEAD, reason=f"refused with {status}")
    if attempts >= len(SCHEDULE):
        return Verdict(state=DeliveryState.DEAD, reason=f"no success in {attempts} attempts")
    wait = SCHEDULE[attempts] * (1 + JITTER * chance)
    if attempt.retry_after is not None:
        wait = min(max(wait, attempt.retry_after * _SECOND), 2 * SCHEDULE[attempts])
    return Verdict(state=DeliveryState.RETRYING, next_at=now + round(wait))
