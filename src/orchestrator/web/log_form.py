"""A page of events, or one, in the form that a reader wants: always in the order of the log.

JSON-LD is written from stored bytes; the forms of RDF are made from them, statement by statement. Turtle
has no named graphs, so it holds the envelopes only, and says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from orchestrator.core import vocabulary as v
from orchestrator.core.event import LifecycleEvent
from orchestrator.core.event_quads import event_quads
from orchestrator.core.quads import Quad, n_quads
from orchestrator.web import collection, html
from orchestrator.web.rendering import MAX_BYTES, too_large, written
from orchestrator.web.representation import AS_JSON_LD
from orchestrator.web.site import Site

SUFFIXES: Final = {
    "jsonld": v.JSON_LD,
    "json": v.JSON,
    "nq": v.N_QUADS,
    "trig": v.TRIG,
    "ttl": v.TURTLE,
    "html": v.HTML,
}
"""The forms that have addresses of their own: `/log.nq?page=3`."""
OFFERS: Final = (*AS_JSON_LD, v.N_QUADS, v.TRIG, v.TURTLE, v.HTML)
"""What the log is available as."""
WITHOUT_HTML: Final = tuple(name for name in OFFERS if name != v.HTML)
"""What is for programs only is available as."""
REMARK: Final = "Envelopes only: payloads are named graphs, which application/trig and n-quads can hold."


def size_of(events: Sequence[LifecycleEvent]) -> int:
    """Return how many bytes are stored for `events`."""
    return sum(len(event.envelope) + len(event.payload or b"") for event in events)


def page(
    site: Site,
    members: Mapping[str, Any],
    events: Sequence[LifecycleEvent],
    media_type: str,
    filters: Mapping[str, str] | None = None,
) -> bytes:
    """Return a page with `members` of its own and `events`; not for the event loop, unless as JSON-LD.

    `filters` are those of a filtered read, for people. Raises `NotAcceptable` for what would cost too much
    in that form.
    """
    if media_type in AS_JSON_LD:
        return collection.page(members, events)
    if media_type == v.HTML:
        url = members["id"]
        links = {rel: members[rel] for rel in ("first", "prev", "next") if members.get(rel)}
        shown = html.log_page(
            site,
            title=_title(url, events),
            events=events,
            links=links,
            forms=forms(url),
            filters=filters,
            live=None if "next" in links else site.url("/log/live"),
        )
        return shown.encode()
    if size_of(events) > MAX_BYTES:
        raise too_large(media_type)
    return written(_page_quads(members, events), media_type, REMARK)


def one(site: Site, event: LifecycleEvent, media_type: str) -> bytes:
    """Return one event as a document of its own."""
    if media_type in AS_JSON_LD:
        return collection.one(event)
    if media_type == v.HTML:
        links = {"collection": site.url("/log")}
        return html.event_page(site, event=event, links=links, forms=forms(event.iri)).encode()
    return written(event_quads(event), media_type, REMARK)


def forms(url: str) -> dict[str, str]:
    """Return the addresses of the other forms of the page or event `url`, by media type."""
    place, mark, query = url.partition("?")
    return {SUFFIXES[end]: f"{place}.{end}{mark}{query}" for end in ("jsonld", "nq", "trig", "ttl")}


def _title(url: str, events: Sequence[LifecycleEvent]) -> str:
    if not events:
        return "Event log: no events"
    is_view = "/artefacts/" in url
    span = f"events {events[0].sequence} to {events[-1].sequence}"
    return f"Artefact: {span}" if is_view else f"Event log: {span}"


def description(members: Mapping[str, Any], media_type: str) -> bytes:
    """Return a document about the log that holds no events: its root, an index."""
    if media_type in AS_JSON_LD:
        return collection.document(members)
    return written(collection.outline(members), media_type)


def outline(members: Mapping[str, Any], iris: Sequence[str]) -> bytes:
    """Return what a page says of itself and of which events it holds, as N-Quads."""
    return n_quads(collection.outline(members, iris)).encode()


def quads_of(events: Sequence[LifecycleEvent]) -> bytes:
    """Return what `events` say, as N-Quads."""
    return "".join(n_quads(event_quads(event)) for event in events).encode()


def _page_quads(members: Mapping[str, Any], events: Sequence[LifecycleEvent]) -> Iterator[Quad]:
    yield from collection.outline(members, [event.iri for event in events])
    for event in events:
        yield from event_quads(event)
