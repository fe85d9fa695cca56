"""Pages of the log, written from the bytes that were stored (`wire.md` section 2, first form).

An event is a node of the page's list; its payload is the named graph of that node, named by the event's
IRI. Nothing stored is parsed or written again: what is read is what was hashed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from orchestrator.core import vocabulary as v
from orchestrator.core.event import CONTEXT, LifecycleEvent, member

_IRI: Final = "@id"
_PAGE_TERMS: Final[dict[str, Any]] = {
    "first": {"@id": "as:first", "@type": _IRI},
    "last": {"@id": "as:last", "@type": _IRI},
    "ldp:contains": {"@id": "ldp:contains", "@type": _IRI},
    "eventLog": {"@id": v.DAEN + "eventLog", "@type": _IRI},
    "next": {"@id": "as:next", "@type": _IRI},
    "outbox": {"@id": "as:outbox", "@type": _IRI},
    "partOf": {"@id": "as:partOf", "@type": _IRI},
    "prev": {"@id": "as:prev", "@type": _IRI},
    "totalItems": {"@id": "as:totalItems", "@type": "xsd:nonNegativeInteger"},
}
# Events are read under `CONTEXT` and nothing else, whatever the page's own terms mean: a payload that
# says `"next": "text"` must stay text (JSON-LD 1.1, section 4.1.8, property-scoped contexts).
_AS_STORED: Final = {
    **{term: {"@id": definition["@id"]} for term, definition in _PAGE_TERMS.items() if ":" in term},
    **{term: {"@id": "as:" + term} for term in (*_PAGE_TERMS, "orderedItems") if ":" not in term},
}
PAGE_CONTEXT: Final[Mapping[str, Any]] = {
    "@version": 1.1,
    **CONTEXT,
    **_PAGE_TERMS,
    "orderedItems": {"@id": "as:items", "@type": _IRI, "@container": "@list", "@context": _AS_STORED},
}
"""What every document about the log is read under; written into each, so that readers fetch nothing."""
_COMPACT: Final = (",", ":")
END: Final = b"]}"
"""What closes a page."""
_EVENT_CONTEXT: Final = json.dumps({"@version": 1.1, **CONTEXT}, separators=_COMPACT).encode()


def document(members: Mapping[str, object]) -> bytes:
    """Return a JSON-LD document with `members`, under the log's context."""
    said = {key: value for key, value in members.items() if value is not None}
    whole = {"@context": PAGE_CONTEXT, **said}
    return json.dumps(whole, ensure_ascii=False, separators=_COMPACT).encode()


def page(members: Mapping[str, object], events: Sequence[LifecycleEvent]) -> bytes:
    """Return a page with `members` of its own and its events, in the order given."""
    return opening(members, [event.iri for event in events]) + listed(events) + END


def opening(members: Mapping[str, object], iris: Sequence[str]) -> bytes:
    """Return the beginning of a page that contains the events `iris`; their nodes follow, then `END`."""
    return document({**members, "ldp:contains": iris})[:-1] + b',"orderedItems":['


def listed(events: Iterable[LifecycleEvent]) -> bytes:
    """Return events as nodes of a page's list."""
    return b",".join(member(event.envelope, event.payload, event.salt) for event in events)


def one(event: LifecycleEvent) -> bytes:
    """Return one event as a document of its own."""
    node = member(event.envelope, event.payload, event.salt)
    return b'{"@context":%s,%s' % (_EVENT_CONTEXT, node[1:])
