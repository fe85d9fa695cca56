"""What an app makes of an event: the links that an artefact should have, and what is told of them (pure).

An event of a log is believed to be an event, and nothing more: what it names was written by a stranger.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import ConfigurationError, OrchestratorError
from orchestrator.core.patch import Change, Triple, is_safe, missing
from orchestrator.core.source import is_web
from orchestrator.core.strict_json import Json, canonical

if TYPE_CHECKING:  # pyld, which reading settings does not need
    from orchestrator.core.notification import Notification

USUAL_LINKS: Final[Mapping[str, str]] = {"announce-review": v.CITO + "isReviewedBy"}
"""Pattern → relation, where nobody says otherwise."""
MOST_ANNOUNCED: Final = 10
"""Things that one event may announce; COAR Notify means one."""
_CONTEXTS: Final[list[Json]] = [v.AS_CONTEXT, v.NOTIFY_CONTEXT]
_LONGEST: Final = 2_048

Reason = Literal[
    "self",
    "elsewhere",
    "erased",
    "malformed",
    "pattern",
    "shape",
    "filter",
    "too-costly",
    "about",
    "unsafe",
    "full",
    "vanished",
]
"""Why nothing is made of an event (`docs/howto/run-the-app.md`)."""


class PassedOver(OrchestratorError):
    """Nothing is made of an event."""

    def __init__(self, reason: Reason, message: str) -> None:
        """Take the reason in a word, and in words."""
        super().__init__(message)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenEvent:
    """An event as a reader of a log sees it."""

    sequence: int
    iri: str
    activity: str
    """The sender's own id of the activity."""
    digest: str
    """What it says of its payload; empty where it says nothing."""
    artefact: str | None
    actor: str | None
    origin: str | None
    caused_by: str | None
    """IRI of the event that it follows from."""
    body: bytes | None
    """Its payload as a notification under the official contexts; None once erased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """Who tells of links, to others."""

    id: str
    inbox: str | None = None


def read_event(node: Mapping[str, Any]) -> SeenEvent:
    """Read a node of a log (`docs/reference/log.md`); raises `PassedOver` for what cannot be an event."""
    iri, activity, sequence = node.get("id"), node.get("activity"), node.get("sequence")
    if not isinstance(sequence, int) or not isinstance(iri, str) or not isinstance(activity, str):
        raise PassedOver("malformed", "It lacks an id, a number or an activity.")
    if not is_web(iri) or not is_safe(activity) or ":" not in activity or len(activity) > _LONGEST:
        raise PassedOver("malformed", "Its id or its activity is no IRI.")
    held = node.get("@graph")
    body = None
    if held is not None:
        if not isinstance(held, list) or len(held) != 1 or not isinstance(held[0], dict):
            raise PassedOver("malformed", "Its payload is not one activity.")
        try:
            # The terms of a payload mean the same under the two contexts that are named here.
            body = canonical({**held[0], "@context": _CONTEXTS})
        except ValueError:
            raise PassedOver("malformed", "Its payload cannot be written down.") from None
    return SeenEvent(
        sequence=sequence,
        iri=iri,
        activity=activity,
        digest=_text(node, "digest") or "",
        artefact=_text(node, "artefact"),
        actor=_text(node, "actor"),
        origin=_text(node, "origin"),
        caused_by=_text(node, "causedBy"),
        body=body,
    )


def is_ours(event: SeenEvent, us: str | None, *, sent: Collection[str], caused: Collection[str]) -> bool:
    """Whether we caused an event: we sent its activity, or it follows from one that we caused (P23, P38).

    `us` is our id, `sent` are ids of activities of ours, `caused` IRIs of events that we caused. In an open
    inbox anyone may claim to be us; what that wins them is that we do nothing.
    """
    return (
        (us is not None and us in {event.origin, event.actor})
        or event.activity in sent
        or event.caused_by in caused
    )


def wanted(event: SeenEvent, notification: "Notification", relation: str) -> tuple[Triple, ...]:
    """Return the links that an event's artefact should have to what is announced.

    Raises `PassedOver` where the artefact is not what the announcement is about, and for whatever cannot be
    written into a document safely: no IRI, no web address, too much of it.
    """
    artefact, announced = event.artefact or "", notification.objects
    if not announced:
        raise PassedOver("unsafe", "What it announces has no id.")
    if len(announced) > MOST_ANNOUNCED:
        raise PassedOver("unsafe", f"It announces more than {MOST_ANNOUNCED} things at once.")
    # A journal's own review of another's article is not reviewed by itself. Without a context the log knows
    # the artefact from the request that is answered.
    is_meant = artefact in notification.contexts or not (
        notification.contexts or artefact in notification.cited
    )
    if not is_meant or artefact in announced:
        raise PassedOver("about", f"It is not about {artefact}.")
    unsafe = next((iri for iri in (artefact, *announced) if not (is_web(iri) and is_safe(iri))), None)
    if unsafe is not None:
        raise PassedOver("unsafe", f"{unsafe[:200]} is no web address.")
    return tuple((artefact, relation, thing) for thing in announced)


def enriched(said: Iterable[Triple], links: Sequence[Triple], *, most: int) -> Change:
    """Return what a document that says `said` lacks of `links`.

    Raises `PassedOver` where an artefact would have more than `most` links of a relation, whoever wrote them.
    """
    known = list(said)
    change = missing(known, links)
    for subject, relation, _ in change.inserts:
        there = {target for a, b, target in (*known, *change.inserts) if (a, b) == (subject, relation)}
        if len(there) > most:
            raise PassedOver("full", f"{subject} would have more than {most} such links.")
    return change


def activity_of(us: str, event: str) -> str:
    """Return the id of the activity by which we tell what we made of `event`: always the same one."""
    return "urn:uuid:" + str(uuid.uuid5(uuid.NAMESPACE_URL, f"{us} {event}"))


def update(
    us: Teller, *, event: str, activity: str, links: Sequence[Triple], target: str, inbox: str
) -> bytes:
    """Return the Update that tells `target` (with its `inbox`) that an artefact has `links` now.

    It answers the `activity` of the `event` that caused it, so that the log knows whose event it follows.
    The links are the result of the activity (ActivityStreams 2.0 Vocabulary: `result`, `Relationship`). The
    same links make the same bytes.
    """
    origin: dict[str, Json] = {"id": us.id, "type": "Service"}
    if us.inbox is not None:
        origin["inbox"] = us.inbox
    document: dict[str, Json] = {
        "@context": _CONTEXTS,
        "id": activity_of(us.id, event),
        "type": "Update",
        "actor": {"id": us.id, "type": "Application"},
        "origin": origin,
        "target": {"id": target, "type": "Service", "inbox": inbox},
        "object": {"id": links[0][0]},
        "inReplyTo": activity,
        "result": [
            {"type": "Relationship", "subject": artefact, "relationship": relation, "object": thing}
            for artefact, relation, thing in links
        ],
    }
    return canonical(document)


def read_links(given: object, place: str) -> Mapping[str, str]:
    """Read pattern → relation: a table, or `PATTERN=IRI` in a list or with commas.

    Raises `ConfigurationError`.
    """
    if isinstance(given, str):
        given = [part for part in given.split(",") if part.strip()]
    if isinstance(given, list | tuple):
        given = dict(str(part).partition("=")[::2] for part in given)
    if not isinstance(given, Mapping) or not given:
        raise ConfigurationError(f"{place}: app.links must be PATTERN=IRI, or a table of them")
    found = {str(pattern).strip(): str(relation).strip() for pattern, relation in given.items()}
    for pattern, relation in found.items():
        if not pattern or not is_web(relation):
            raise ConfigurationError(
                f"{place}: app.links: {pattern}={relation} must be a pattern and the IRI of a relation"
            )
    return found


def _text(node: Mapping[str, Any], name: str) -> str | None:
    value = node.get(name)
    return value if isinstance(value, str) and len(value) <= _LONGEST else None
