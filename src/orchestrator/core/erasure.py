"""Erasure of a payload: what the log says of it, and how that is known again (`docs/reference/log.md`).

The payload and its salt go, the envelope and its leaf stay, so every proof still holds. A tombstone tells
of it: an event of ours, caused by the one whose payload it was.
"""

import json
import uuid
from typing import Final

from orchestrator.core import vocabulary as v
from orchestrator.core.delivery import delivery_id
from orchestrator.core.event import Draft, LifecycleEvent
from orchestrator.core.pod import Identity
from orchestrator.core.strict_json import Json, canonical
from orchestrator.core.vocabulary import AS_CONTEXT

ERASURE: Final = v.LOG + "Erasure"
_TYPES: Final = (v.AS + "Delete", ERASURE)
_TOMBSTONE: Final = "Tombstone"


def tombstone(event: LifecycleEvent, *, me: Identity, now: int, salt: str, policy_set: str) -> Draft:
    """Return the event that tells that `event`'s payload was erased.

    Nobody can know its id before: in an open inbox, somebody could have used it by then.
    """
    activity = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{event.iri}#{salt}')}"
    payload: dict[str, Json] = {
        "id": activity,
        "type": "Delete",
        "actor": {"id": me.id, "name": me.name, "type": "Service"},
        "object": {"id": event.iri, "type": _TOMBSTONE},
    }
    return Draft(
        types=_TYPES,
        activity=activity,
        sender=me.id,
        received=now,
        artefact=event.artefact,
        actor=me.id,
        origin=me.id,
        in_reply_to=None,
        correlated_by="erasure",
        caused_by=event.iri,
        policy_set=policy_set,
        payload=canonical(payload),
        salt=salt,
    )


def erased_by(event: LifecycleEvent) -> int | None:
    """Return the sequence of the event whose payload `event` says was erased; None when it is no tombstone.

    The type tells: a stranger's notification may have it, but no event of one.
    """
    if ERASURE not in event.types:
        return None
    cause = json.loads(event.envelope).get("causedBy")
    base, _, number = str(cause).rpartition("/")
    is_ours = base == event.iri.rpartition("/")[0] and number.isascii() and number.isdigit()
    return int(number) if is_ours else None


def withdraw(payload: bytes, *, activity: str, me: Identity, target: str, inbox: str) -> bytes:
    """Return the notification that asks `target` to delete what we told it of an event that was erased.

    A hub knows our announcement by its id, which follows from the event and the hub.
    """
    erased = json.loads(payload)["object"]["id"]
    return canonical(
        {
            "@context": AS_CONTEXT,
            "id": activity,
            "type": "Delete",
            "actor": {"id": me.id, "type": "Service", "name": me.name},
            "origin": {"id": me.id, "type": "Service", "inbox": me.inbox},
            "target": {"id": target, "type": "Service", "inbox": inbox},
            "object": {"id": delivery_id(erased, target), "type": _TOMBSTONE},
        }
    )
