"""A lifecycle event: the envelope that is proven, the payload that may be erased (`docs/reference/log.md`).

The envelope's members and order of meaning are fixed: readers keep its bytes, and its hash is a leaf of
the log's tree for ever (RFC 6962, section 2.1).
"""

import base64
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from orchestrator.core import vocabulary as v
from orchestrator.core.merkle import leaf_hash
from orchestrator.core.notification import Notification
from orchestrator.core.strict_json import Json, canonical

SALT_BYTES: Final = 16
_MAX_LEAD: Final = 250
_PREFIXES: Final = {
    "coar-notify": v.NOTIFY,
    "ietf": v.IETF,
    "sorg": v.SCHEMA,
    "ldp": v.LDP,
    "log": v.LOG,
}

# Written into every page and event, so that a reader needs nothing else. Terms and prefixes are those
# of AS2 and COAR Notify: a payload reads the same under the official contexts.
CONTEXT: Final[dict[str, Json]] = {
    "@vocab": v.AS,
    "as": v.AS,
    "id": "@id",
    "type": "@type",
    "ldp": v.LDP,
    "coar-notify": v.NOTIFY,
    "ietf": v.IETF,
    "sorg": v.SCHEMA,
    "log": v.LOG,
    "prov": v.PROV,
    "xsd": v.XSD,
    "LifecycleEvent": "log:LifecycleEvent",
    "activity": {"@id": "log:activity", "@type": "@id"},
    "actor": {"@id": "as:actor", "@type": "@id"},
    "artefact": {"@id": "log:artefact", "@type": "@id"},
    "attributedTo": {"@id": "as:attributedTo", "@type": "@id"},
    "causedBy": {"@id": "log:causedBy", "@type": "@id"},
    "context": {"@id": "as:context", "@type": "@id"},
    "correlatedBy": "log:correlatedBy",
    "created": {"@id": "prov:generatedAtTime", "@type": "xsd:dateTime"},
    "digest": "log:digest",
    "href": {"@id": "as:href", "@type": "@id"},
    "inReplyTo": {"@id": "as:inReplyTo", "@type": "@id"},
    "inbox": {"@id": "ldp:inbox", "@type": "@id"},
    "instrument": {"@id": "as:instrument", "@type": "@id"},
    "object": {"@id": "as:object", "@type": "@id"},
    "origin": {"@id": "as:origin", "@type": "@id"},
    "policySet": {"@id": "log:policySet", "@type": "@id"},
    "published": {"@id": "as:published", "@type": "xsd:dateTime"},
    "received": {"@id": "log:received", "@type": "xsd:dateTime"},
    "relationship": {"@id": "as:relationship", "@type": "@id"},
    "result": {"@id": "as:result", "@type": "@id"},
    "salt": "log:salt",
    "sequence": {"@id": "log:sequence", "@type": "xsd:integer"},
    "subject": {"@id": "as:subject", "@type": "@id"},
    "tag": {"@id": "as:tag", "@type": "@id"},
    "target": {"@id": "as:target", "@type": "@id"},
    "updated": {"@id": "as:updated", "@type": "xsd:dateTime"},
    "url": {"@id": "as:url", "@type": "@id"},
    "ietf:cite-as": {"@id": "ietf:cite-as", "@type": "@id"},
}
PREFIXES: Final = frozenset(
    {"as", "coar-notify", "daen", "hydra", "ietf", "ldes", "ldp", "log", "prov", "sorg", "tree", "xsd"}
)
"""The prefixes of `CONTEXT` and of pages: an IRI that has one for its scheme could not be written there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An event before the log gives it a number and a time."""

    types: tuple[str, ...]
    """IRIs of the activity's types."""
    activity: str
    sender: str
    received: int
    """When the notification came, in ms since the epoch."""
    artefact: str | None
    actor: str | None
    origin: str | None
    in_reply_to: str | None
    correlated_by: str | None
    """How it belongs to something earlier: `inReplyTo`, or None."""
    caused_by: str | None
    """IRI of the event that it follows from."""
    policy_set: str
    payload: bytes
    """The published part of the notification: canonical JSON, read under `CONTEXT`."""
    salt: str
    title: str | None = None
    pattern: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 over the salt's text and the payload, in hex."""
        return hashlib.sha256(self.salt.encode() + self.payload).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleEvent:
    """An event as it stands in the log."""

    sequence: int
    iri: str
    created: int
    """Time of writing, ms since the epoch; strictly increasing along the log."""
    envelope: bytes
    """Canonical JSON (RFC 8785), final."""
    payload: bytes | None
    """None once erased."""
    salt: str | None
    activity: str
    sender: str
    artefact: str | None
    types: tuple[str, ...]

    @property
    def leaf(self) -> bytes:
        """The leaf of the log's Merkle tree (RFC 6962, section 2.1)."""
        return leaf_hash(self.envelope)


def stamp(milliseconds: int) -> str:
    """Return a time as xsd:dateTime in UTC with milliseconds."""
    return f"{_to_the_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


@functools.lru_cache(maxsize=64)
def _to_the_second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


@functools.lru_cache(maxsize=1024)
def artefact_id(iri: str) -> str:
    """Return the last part of `/artefacts/{id}` for an artefact's IRI."""
    digest = hashlib.sha256(iri.encode()).digest()
    return base64.b32encode(digest[:20]).decode().lower()[:26]


def next_time(last: int, now: int) -> int | None:
    """Return the time of the next event: after `last`, strictly; None when that would lead `now` too far."""
    time = max(now, last + 1)
    return time if time - now <= _MAX_LEAD else None


def seal(draft: Draft, *, sequence: int, created: int, public_url: str) -> LifecycleEvent:
    """Give `draft` its number, time and final bytes."""
    iri = f"{public_url}/log/e/{sequence}"
    members: dict[str, Json] = {
        "id": iri,
        "type": [*(short(name) for name in draft.types), "LifecycleEvent"],
        "sequence": sequence,
        "created": stamp(created),
        "received": stamp(draft.received),
        "artefact": draft.artefact,
        "activity": draft.activity,
        "actor": draft.actor,
        "origin": draft.origin,
        "inReplyTo": draft.in_reply_to,
        "correlatedBy": draft.correlated_by,
        "causedBy": draft.caused_by,
        "policySet": draft.policy_set,
        "digest": draft.digest,
    }
    return LifecycleEvent(
        sequence=sequence,
        iri=iri,
        created=created,
        envelope=canonical(members),
        payload=draft.payload,
        salt=draft.salt,
        activity=draft.activity,
        sender=draft.sender,
        artefact=draft.artefact,
        types=draft.types,
    )


@functools.lru_cache(maxsize=256)
def short(iri: str) -> str:
    """Return `iri` as `CONTEXT` abbreviates it."""
    if iri.startswith(v.AS):
        return iri[len(v.AS) :]
    for prefix, namespace in _PREFIXES.items():
        if iri.startswith(namespace):
            return f"{prefix}:{iri[len(namespace) :]}"
    return iri


def member(envelope: bytes, payload: bytes | None, salt: str | None) -> bytes:
    """Return the event as one JSON-LD node: its envelope, and its payload as its named graph.

    The bytes of both are kept as they are, so that what is read is what was hashed.
    """
    if payload is None or salt is None:
        return envelope
    return b'{"@graph":[%s],"salt":"%s",%s' % (payload, salt.encode(), envelope[1:])


def artefact_of(notification: Notification, thread: str | None, prefixes: Sequence[str]) -> str | None:
    """Return the artefact that a notification is about.

    Looked for in context, object, cite-as and the thread's artefact, in that order: COAR puts the
    artefact of an Announce in `context` and of an Offer in `object`; an answer's object is the Offer.
    """
    answers = bool(notification.inner_objects)
    objects = notification.inner_objects if answers else notification.objects
    candidates = [*notification.contexts, *objects, *notification.cited, *([thread] if thread else [])]
    ours = [iri for iri in candidates if iri.startswith(tuple(prefixes))] if prefixes else []
    if ours:
        return ours[0]
    if thread and not notification.contexts and not answers:
        # `object` of a bare answer names the activity that it answers, which is no artefact.
        return thread
    return next((iri for iri in candidates if iri != notification.in_reply_to), None)
