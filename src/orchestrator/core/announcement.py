"""What we send: a new activity of ours about an event, for one hub (`docs/reference/deliveries.md`)."""

import hashlib
import json
from collections.abc import Iterable

from orchestrator.core.notification import Notification
from orchestrator.core.pod import Identity
from orchestrator.core.strict_json import Json, canonical
from orchestrator.core.vocabulary import AS_CONTEXT, NOTIFY_CONTEXT


def compose(payload: bytes, *, activity: str, me: Identity, target: str, inbox: str) -> bytes:
    """Return the notification that tells `target` (with its `inbox`) of an event with this `payload`.

    It has the event's types, object, context and actor; `origin` is us. An announcement answers nobody,
    since the hub did not ask; but an answer that is passed on (an Accept, say) keeps `inReplyTo` and
    `summary`, without which it would not be one. The terms of a payload mean the same under the two
    contexts that are named here.
    """
    event: dict[str, Json] = json.loads(payload)
    document: dict[str, Json] = {
        "@context": [AS_CONTEXT, NOTIFY_CONTEXT],
        "id": activity,
        "type": event.get("type"),
        "actor": event.get("actor") or {"id": me.id, "type": "Service", "name": me.name},
        "origin": {"id": me.id, "type": "Service", "inbox": me.inbox},
        "target": {"id": target, "type": "Service", "inbox": inbox},
        "object": event.get("object"),
    }
    kept = ["context"]
    if event.get("inReplyTo") is not None and event["inReplyTo"] == _identifier(event.get("object")):
        kept += ["inReplyTo", "summary"]
    document.update((name, event[name]) for name in kept if name in event)
    return canonical(document)


def _identifier(value: Json) -> Json:
    return value.get("id") if isinstance(value, dict) else value


def topic_of(notification: Notification) -> str:
    """Return who says what of what, as a key: origin, types, objects and contexts, not its id.

    A hub is told of a topic once. Two orchestrators whose policies name each other would otherwise
    announce the same review to each other for ever, each time under a new id.
    """
    return _key((notification.sender,), notification.types, notification.objects, notification.contexts)


def _key(*parts: Iterable[str]) -> str:
    said: list[Json] = [list[Json](sorted(part)) for part in parts]
    return hashlib.sha256(canonical(said)).hexdigest()
