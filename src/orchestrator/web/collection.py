"""Pages of the log, written from the bytes that were stored (`wire.md` section 2, first form).

An event is a node of the page's list; its payload is the named graph of that node, named by the event's
IRI. Nothing stored is parsed or written again: what is read is what was hashed.
"""

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from orchestrator.core import vocabulary as v
from orchestrator.core.event import CONTEXT, LifecycleEvent, member
from orchestrator.core.event_quads import Meaning
from orchestrator.core.quads import Quad

_IRI: Final = "@id"
_PAGE_PREFIXES: Final = {"daen": v.DAEN, "hydra": v.HYDRA, "ldes": v.LDES, "tree": v.TREE}
_PAGE_TERMS: Final[dict[str, Any]] = {
    "eventLog": {"@id": "daen:eventLog", "@type": _IRI},
    "first": {"@id": "as:first", "@type": _IRI},
    "hydra:next": {"@id": "hydra:next", "@type": _IRI},
    "last": {"@id": "as:last", "@type": _IRI},
    "ldp:contains": {"@id": "ldp:contains", "@type": _IRI},
    "member": {"@id": "tree:member", "@type": _IRI},
    "next": {"@id": "as:next", "@type": _IRI},
    "node": {"@id": "tree:node", "@type": _IRI},
    "outbox": {"@id": "as:outbox", "@type": _IRI},
    "partOf": {"@id": "as:partOf", "@type": _IRI},
    "path": {"@id": "tree:path", "@type": _IRI},
    "prev": {"@id": "as:prev", "@type": _IRI},
    "relation": {"@id": "tree:relation", "@type": _IRI},
    "shape": {"@id": "tree:shape", "@type": _IRI},
    "timestampPath": {"@id": "ldes:timestampPath", "@type": _IRI},
    "totalItems": {"@id": "as:totalItems", "@type": "xsd:nonNegativeInteger"},
    "value": {"@id": "tree:value", "@type": "xsd:dateTime"},
    "view": {"@id": "tree:view", "@type": _IRI},
}
# Events are read under `CONTEXT` and nothing else, whatever the page's own terms mean: a payload that
# says `"next": "text"` must stay text (JSON-LD 1.1, section 4.1.8, property-scoped contexts).
_AS_STORED: Final[dict[str, Any]] = {
    **dict.fromkeys(_PAGE_PREFIXES),
    "hydra:next": None,
    "ldp:contains": {"@id": "ldp:contains"},
    **{term: {"@id": "as:" + term} for term in (*_PAGE_TERMS, "orderedItems") if ":" not in term},
}
PAGE_CONTEXT: Final[Mapping[str, Any]] = {
    "@version": 1.1,
    **CONTEXT,
    **_PAGE_PREFIXES,
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


def outline(members: Mapping[str, object], iris: Sequence[str] | None = None) -> list[Quad]:
    """Return what a document with `members` says, as RDF; of a page, which events it lists too.

    pyld would take time that grows with the square of their number.
    """
    said: dict[str, Any] = {key: value for key, value in members.items() if value is not None}
    if iris is not None:
        said |= {"ldp:contains": iris, "orderedItems": iris}
    included = said.pop("@included", [])
    meaning = _meaning()
    found = [meaning.quads(node, blank=f"p{number}n") for number, node in enumerate([said, *included])]
    return [quad for quads in found for quad in quads]


@functools.cache
def _meaning() -> Meaning:
    listed: dict[str, Any] = {"@id": "as:items", "@type": _IRI, "@container": "@list"}
    return Meaning({**CONTEXT, **_PAGE_PREFIXES, **_PAGE_TERMS, "orderedItems": listed})


def listed(events: Iterable[LifecycleEvent]) -> bytes:
    """Return events as nodes of a page's list."""
    return b",".join(member(event.envelope, event.payload, event.salt) for event in events)


def one(event: LifecycleEvent) -> bytes:
    """Return one event as a document of its own."""
    node = member(event.envelope, event.payload, event.salt)
    return b'{"@context":%s,%s' % (_EVENT_CONTEXT, node[1:])
