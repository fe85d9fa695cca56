"""Erasing the payload of an event: looked up, told of by a tombstone, taken out whole."""

import secrets
from dataclasses import dataclass

from orchestrator.core.erasure import ERASURE, tombstone
from orchestrator.core.errors import BadRequest, NotFound
from orchestrator.core.event import SALT_BYTES, LifecycleEvent
from orchestrator.core.pod import Identity
from orchestrator.ports import Clock, Reader
from orchestrator.ports.erasure import Erasure


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What erasing came to."""

    event: LifecycleEvent
    tombstone: LifecycleEvent | None
    """The event that tells of it; None when the payload had been erased before."""
    is_purged: bool
    """Whether the database's files hold nothing of it any more."""


async def erase(
    sequence: int,
    *,
    because: str,
    who: str,
    me: Identity,
    policy_set: str,
    reader: Reader,
    erasure: Erasure,
    clock: Clock,
) -> Erased:
    """Erase the payload of an event; twice is once. The reason goes into the private journal only.

    Raises `NotFound`, `BadRequest` for a tombstone, which holds nothing of anybody, `LogAhead` when
    the log is too busy for one more event just now, or another `StorageError`.
    """
    event = await reader.event(sequence)
    if event is None:
        raise NotFound(f"The log has no event {sequence}.")
    if ERASURE in event.types:
        raise BadRequest(f"Event {sequence} is a tombstone: it holds nothing of anybody.")
    now = clock.now()
    draft = tombstone(event, me=me, now=now, salt=secrets.token_hex(SALT_BYTES), policy_set=policy_set)
    note = {"because": because}
    told = await erasure.erase(sequence, draft, who=who, note=note, now=now)
    return Erased(event=event, tombstone=told, is_purged=await erasure.purge())
