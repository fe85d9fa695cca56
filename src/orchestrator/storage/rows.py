"""Rows ↔ values: the one place that knows how a value is spread over columns."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import orjson
import sqlalchemy as sa

from orchestrator.core.delivery import DeliveryState
from orchestrator.core.event import Draft, LifecycleEvent, artefact_id
from orchestrator.core.finding import Finding
from orchestrator.core.notification import Notification
from orchestrator.ports import Arrival, Claimed, Delivery, Lease, NotificationState, Provenance, Stored
from orchestrator.storage import schema

# Name → default; what must be given has none.
_NOTIFICATION: Final = {field.name: field.default for field in dataclasses.fields(Notification)}
_FINDING: Final = {field.name: field.default for field in dataclasses.fields(Finding)}

AnyRow = sa.Row[*tuple[Any, ...]]
"""A row of whatever columns."""

_n = schema.notification.c
_p = schema.processing.c
_e = schema.event.c
_o = schema.provenance.c

STORED: Final = (
    _n.key,
    _n.token,
    _n.inbox,
    _n.body,
    _n.media_type,
    _n.received,
    _n.notification,
    _n.warnings,
    _p.state,
    _p.reason,
    _p.attempts,
    _p.event,
    _o.source,
    _o.via,
    _o.trust,
)
"""The columns of `stored`."""
CLAIMED: Final = (
    _n.key,
    _n.inbox,
    _n.token,
    _n.body,
    _n.received,
    _n.notification,
    _p.attempts,
    _p.accepted,
    _p.fence,
    _o.source,
    _o.via,
    _o.trust,
)
"""The columns of `claimed`."""
FOUND: Final = _o.notification == _n.key
"""How provenance is joined; most notifications have none."""
EVENT: Final = (
    _e.sequence,
    _e.created,
    _e.envelope,
    _e.payload,
    _e.salt,
    _e.activity,
    _e.sender,
    _e.artefact,
    _e.types,
)
"""The columns of `event`."""


def to_json(value: object) -> str:
    """Return `value` as compact JSON text; what JSON cannot hold is written as its `str`."""
    return orjson.dumps(value, default=str).decode()


def storable(text: str | None) -> str | None:
    """Return what a stranger said as every database can hold it: without half surrogates and NUL."""
    return None if text is None else text.encode("utf-8", "replace").decode().replace("\0", "")


@functools.lru_cache(maxsize=1024)
def names_json(names: tuple[str, ...]) -> str:
    """Return a list of names that come again and again as JSON."""
    return to_json(names)


def from_arrival(arrival: Arrival, token: str) -> dict[str, object]:
    """Return the row of a notification that has just come."""
    notification = arrival.notification
    return {
        "log": schema.LOG,
        "inbox": arrival.inbox,
        "token": token,
        "sender": notification.sender,
        "activity": notification.id,
        "digest": notification.digest,
        "media_type": arrival.media_type,
        "received": arrival.received,
        "notification": to_json(_said(notification, _NOTIFICATION)),
        "warnings": to_json([_said(found, _FINDING) for found in arrival.warnings])
        if arrival.warnings
        else "[]",
        "body": arrival.body,
    }


def stored(row: AnyRow) -> Stored:
    """Return a notification from its `STORED` columns."""
    return Stored(
        key=row.key,
        token=row.token,
        inbox=row.inbox,
        body=row.body,
        media_type=row.media_type,
        received=row.received,
        notification=notification(row.notification),
        warnings=tuple(Finding(**_known(members, _FINDING)) for members in json.loads(row.warnings)),
        state=NotificationState(row.state),
        reason=row.reason,
        attempts=row.attempts,
        event=row.event,
        provenance=_provenance(row.source, row.via, row.trust),
    )


def _provenance(source: str | None, via: str, trust: Any) -> Provenance | None:  # noqa: ANN401
    return None if source is None else Provenance(source=source, via=via, trust=trust)


def fresh(arrival: Arrival, token: str, *, owner: str) -> Claimed:
    """Return a notification that was kept under `token`, and that nobody has claimed."""
    return Claimed(
        lease=Lease(key=token, owner=owner, fence=0, until=0),
        inbox=arrival.inbox,
        token=token,
        body=arrival.body,
        received=arrival.received,
        notification=arrival.notification,
        attempts=1,
        provenance=arrival.provenance,
    )


def claimed(row: AnyRow, *, owner: str, until: int) -> Claimed:
    """Return a notification from its `CLAIMED` columns, read just before `owner` took it."""
    _, inbox, token, body, received, text, attempts, accepted, fence, source, via, trust = row
    return Claimed(
        lease=Lease(key=token, owner=owner, fence=fence + 1, until=until),
        inbox=inbox,
        token=token,
        body=body,
        received=received,
        notification=notification(text),
        attempts=attempts + 1,
        accepted=bool(accepted),
        provenance=_provenance(source, via, trust),
    )


def from_event(draft: Draft, event: LifecycleEvent, identity: bytes) -> dict[str, object]:
    """Return the row of `event`, which `draft` has become."""
    return {
        "log": schema.LOG,
        "sequence": event.sequence,
        "created": event.created,
        "received": draft.received,
        "identity": identity,
        "sender": event.sender,
        "activity": event.activity,
        "artefact": event.artefact,
        "artefact_id": None if event.artefact is None else artefact_id(event.artefact),
        "actor": draft.actor,
        "in_reply_to": draft.in_reply_to,
        "envelope": event.envelope,
        "payload": event.payload,
        "salt": event.salt,
        "leaf": event.leaf,
        "types": names_json(event.types),
    }


def identity(sender: str, activity: str) -> bytes:
    """Return what stands for (sender, activity) where events are looked up: a SHA-256."""
    return hashlib.sha256(f"{len(sender)}:{sender}{activity}".encode()).digest()


def event(row: AnyRow, *, public_url: str) -> LifecycleEvent:
    """Return an event from its `EVENT` columns."""
    return LifecycleEvent(
        sequence=row.sequence,
        iri=event_iri(public_url, row.sequence),
        created=row.created,
        envelope=row.envelope,
        payload=row.payload,
        salt=row.salt,
        activity=row.activity,
        sender=row.sender,
        artefact=row.artefact,
        types=tuple(json.loads(row.types)),
    )


def event_iri(public_url: str, sequence: int) -> str:
    """Return the IRI of an event (wire.md section 2)."""
    return f"{public_url}/log/e/{sequence}"


def delivery(row: AnyRow) -> Delivery:
    """Return a delivery from all its columns."""
    held = row.owner is not None
    return Delivery(
        id=row.id,
        event=row.event,
        told=row.told,
        target=row.target,
        policies=tuple(json.loads(row.policies)),
        state=DeliveryState(row.state),
        reason=row.reason,
        attempts=row.attempts,
        next_at=row.next_at,
        inbox=row.inbox,
        body=row.body,
        location=row.location,
        status=row.status,
        created=row.created,
        finished=row.finished,
        lease=Lease(key=row.id, owner=row.owner, fence=row.fence, until=row.lease_until) if held else None,
    )


def claimed_delivery(row: AnyRow, *, owner: str, until: int) -> Delivery:
    """Return a delivery from all its columns, read just before `owner` took it."""
    lease = Lease(key=row.id, owner=owner, fence=row.fence + 1, until=until)
    return dataclasses.replace(delivery(row), lease=lease)


def notification(text: str) -> Notification:
    """Return what is known of a notification, from its column."""
    members: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in _known(json.loads(text), _NOTIFICATION).items()
    }
    return Notification(**members)


def _said(value: object, fields: Mapping[str, object]) -> dict[str, object]:
    # What is as it is by default reads back as that.
    return {name: said for name, default in fields.items() if (said := getattr(value, name)) != default}


def _known(members: Mapping[str, Any], fields: Mapping[str, object]) -> dict[str, Any]:
    # Rows outlive the code: a member that this version has given up is left out.
    return {name: value for name, value in members.items() if name in fields}
