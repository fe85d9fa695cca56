"""A notification as received: one ActivityStreams 2 activity, and who sent it about what."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.core import vocabulary as v
from orchestrator.core.jsonld import Expanded
from orchestrator.core.strict_json import Json, canonical


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What the code needs to know of an activity; every IRI is expanded and absolute."""

    id: str
    types: tuple[str, ...]
    """IRIs of its types, sorted."""
    pattern: str | None
    """Slug of the COAR pattern that it follows."""
    digest: str
    """SHA-256 of its canonical form (RFC 8785), in hex: what “the same content” means."""
    actor: str | None = None
    origin: str | None = None
    origin_inbox: str | None = None
    target: str | None = None
    target_inbox: str | None = None
    in_reply_to: str | None = None
    objects: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()
    """What the activity is about, beside its object (as:context)."""
    inner_objects: tuple[str, ...] = ()
    """Objects of its object: the artefact that a nested Offer is about."""
    cited: tuple[str, ...] = ()
    """Persistent identifiers (ietf:cite-as) of its objects and contexts."""
    title: str | None = None
    """A name for people: as:name or as:summary, shortened."""

    @property
    def sender(self) -> str:
        """The party that answers for the id: its origin, else its actor, else nobody (`''`).

        Never None: in a unique index two NULLs differ.
        """
        return self.origin or self.actor or ""

    @property
    def answered(self) -> str | None:
        """The id of the activity that it answers; nothing answers itself."""
        return self.in_reply_to if self.in_reply_to != self.id else None

    @property
    def is_offer(self) -> bool:
        """Whether it asks for something."""
        return v.AS + "Offer" in self.types


_ACTOR: Final = v.AS + "actor"
_CONTEXT: Final = v.AS + "context"
_IN_REPLY_TO: Final = v.AS + "inReplyTo"
_NAME: Final = v.AS + "name"
_OBJECT: Final = v.AS + "object"
_ORIGIN: Final = v.AS + "origin"
_SUMMARY: Final = v.AS + "summary"
_TARGET: Final = v.AS + "target"
_NO_NODE: Final[Mapping[str, Any]] = {}


def digest_of(document: Json) -> str:
    """Return the SHA-256 of the canonical form, in hex."""
    return hashlib.sha256(canonical(document)).hexdigest()


def read(document: Json, root: Mapping[str, Any], pattern: str | None) -> Notification:
    """Return the notification that `root`, the expanded `document`, describes."""
    origin = _node(root, _ORIGIN)
    target = _node(root, _TARGET)
    objects = _nodes(root, _OBJECT)
    contexts = _nodes(root, _CONTEXT)
    inner = [node for thing in objects for node in _nodes(thing, _OBJECT)]
    things = (*contexts, *objects, *inner)
    cited = [node for thing in things if v.CITE_AS in thing for node in _nodes(thing, v.CITE_AS)]
    return Notification(
        id=root["@id"],
        types=tuple(sorted(root.get("@type", ()))),
        pattern=pattern,
        digest=digest_of(document),
        actor=_first(root, _ACTOR),
        origin=origin.get("@id"),
        origin_inbox=_first(origin, v.INBOX),
        target=target.get("@id"),
        target_inbox=_first(target, v.INBOX),
        in_reply_to=_first(root, _IN_REPLY_TO),
        objects=_identifiers(objects),
        contexts=_identifiers(contexts),
        inner_objects=_identifiers(inner),
        cited=_identifiers(cited),
        title=_text(root, _SUMMARY) or _text(root, _NAME),
    )


def activity_root(expanded: Expanded) -> dict[str, Any]:
    """Return the one root of a document that passed stage 3."""
    return expanded[0]


def _nodes(node: Mapping[str, Any], prop: str) -> Sequence[dict[str, Any]]:
    values = node.get(prop)
    if not values:
        return ()
    return [value for value in values if "@value" not in value and "@list" not in value]


def _node(node: Mapping[str, Any], prop: str) -> Mapping[str, Any]:
    for value in node.get(prop, ()):
        if "@value" not in value and "@list" not in value:
            return value  # type: ignore[no-any-return]
    return _NO_NODE


def _first(node: Mapping[str, Any], prop: str) -> str | None:
    for value in node.get(prop, ()):
        if "@id" in value:
            return value["@id"]  # type: ignore[no-any-return]
    return None


def _identifiers(nodes: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([node["@id"] for node in nodes if "@id" in node])) if nodes else ()


def _text(node: Mapping[str, Any], prop: str) -> str | None:
    for value in node.get(prop, ()):
        text = value.get("@value")
        if isinstance(text, str):
            return text[:200]
    return None
