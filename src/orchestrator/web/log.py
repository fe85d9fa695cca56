"""The event log, for everyone to read: root, pages for life, filtered reads, single events."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import BadRequest, NotFound
from orchestrator.core.event import LifecycleEvent
from orchestrator.ports import Query
from orchestrator.web import collection, log_page, parameters
from orchestrator.web.log_page import OFFERS, PATH, TYPES, end_of_log, last_page, page_url
from orchestrator.web.representation import (
    REVALIDATE,
    accept_of,
    cache_headers,
    entity_tag,
    is_unchanged,
    link,
    negotiate,
    not_modified,
)
from orchestrator.web.site import SITE, Site
from orchestrator.web.texts import linked

_FILTERS: Final = ("since", "type", "artefact", "actor", "in-reply-to", "limit")
_MAX_LIMIT: Final = 1_000
_READ_AT_ONCE: Final = 50
_ENOUGH: Final = 1024 * 1024
"""Bytes of events after which a filtered read ends, and `next` leads on."""
_Headers = dict[str, str]


async def show(request: web.Request) -> web.StreamResponse:
    """Answer with the root, a page, or a filtered read, as the parameters say."""
    known = log_page.recall(request)
    if known is not None:
        return known
    given = parameters.read(request, ("page", *_FILTERS))
    if "page" in given:
        if len(given) > 1:
            raise BadRequest("The parameter “page” goes alone: a page has the same members for everyone.")
        return await log_page.show(request, given)
    if given:
        return await _filtered(request, given)
    return await _root(request)


async def _root(request: web.Request) -> web.Response:
    site = request.app[SITE]
    chosen = negotiate(accept_of(request), OFFERS)
    head = await end_of_log(request)
    url = site.url(PATH)
    headers = cache_headers(entity_tag(chosen, url, head.sequence, site.page_size))
    headers |= discovery(site)
    if is_unchanged(request, headers):
        return not_modified(headers)
    ends = {"first": page_url(site, 1), "last": page_url(site, last_page(site, head.sequence))}
    headers["Link"] = ", ".join((*(link(to, rel) for rel, to in ends.items()), headers["Link"]))
    root = collection.document(
        {
            "id": url,
            "type": ["OrderedCollection", v.DAEN + "ArtefactLifecycleEventLog"],
            "inbox": site.url("/inbox/"),
            "totalItems": head.sequence,
            **ends,
        }
    )
    return await linked(request, root, chosen, headers)


async def _filtered(request: web.Request, given: Mapping[str, str]) -> web.Response:
    site = request.app[SITE]
    artefact = parameters.iri(given, "artefact")
    return await filtered(request, given, base=site.url(PATH), artefact=artefact)


async def filtered(
    request: web.Request, given: Mapping[str, str], *, base: str, artefact: str | None
) -> web.Response:
    """Answer with the events after `since` that match, and where to go on with the same filter."""
    site = request.app[SITE]
    query = Query(
        since=parameters.integer(given, "since", low=0, high=parameters.LARGEST, default=0),
        type=parameters.activity_type(given, "type"),
        artefact=artefact,
        actor=parameters.iri(given, "actor"),
        in_reply_to=parameters.iri(given, "in-reply-to"),
        limit=parameters.integer(given, "limit", low=1, high=_MAX_LIMIT, default=site.page_size),
    )
    chosen = negotiate(accept_of(request), OFFERS)
    head = await end_of_log(request)
    url = f"{base}?{urlencode(given)}" if given else base
    headers = cache_headers(entity_tag(chosen, url, query, head.sequence))
    if is_unchanged(request, headers):
        return not_modified(headers)
    events = await _some(site, query)
    following = None
    # The end may be an empty page, which is cheaper than asking the log twice each time.
    if events and _is_full(events, query) and events[-1].sequence < head.sequence:
        following = f"{base}?{urlencode({**given, 'since': events[-1].sequence})}"
        headers["Link"] = link(following, "next")
    part_of = base if given else None
    body = collection.page({"id": url, "type": TYPES, "partOf": part_of, "next": following}, events)
    return await linked(request, body, chosen, headers)


async def _some(site: Site, query: Query) -> list[LifecycleEvent]:
    """Return events up to the limit of the query, or of an answer: senders choose how large each is."""
    found: list[LifecycleEvent] = []
    while not _is_full(found, query):
        since = found[-1].sequence if found else query.since
        wanted = min(_READ_AT_ONCE, query.limit - len(found))
        more = await site.reader.events(replace(query, since=since, limit=wanted))
        found += more
        if len(more) < wanted:
            break
    return found


def _is_full(events: Sequence[LifecycleEvent], query: Query) -> bool:
    size = sum(len(event.envelope) + len(event.payload or b"") for event in events)
    return len(events) >= query.limit or size >= _ENOUGH


async def event(request: web.Request) -> web.Response:
    """Answer with one event."""
    site = request.app[SITE]
    chosen = negotiate(accept_of(request), OFFERS)
    found = await site.reader.event(int(request.match_info["sequence"]))
    if found is None:
        raise NotFound
    body = collection.one(found)
    headers = cache_headers(entity_tag(chosen, body), REVALIDATE)
    if is_unchanged(request, headers):
        return not_modified(headers)
    headers["Link"] = link(site.url(PATH), "collection")
    return await linked(request, body, chosen, headers)


def discovery(site: Site) -> _Headers:
    """Return the headers by which readers find inbox, log and the logs of artefacts."""
    return {
        "Link": ", ".join(
            (
                link(site.url("/inbox/"), v.INBOX),
                link(site.url(PATH), v.DAEN + "eventLog"),
                link(site.url(PATH), "eventlog_catalog"),
            )
        ),
        # RFC 9652: a structured field, whose template is a string (RFC 6570).
        "Link-Template": f'"{site.url("/artefacts/log{?url}")}"; rel="eventlog"',
    }
