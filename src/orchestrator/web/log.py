"""The event log, for everyone to read: root, indexes, pages for life, filtered reads, single events."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import BadRequest, NotFound
from orchestrator.ports import Head, Query
from orchestrator.web import html, hypermedia, log_form, log_page, parameters
from orchestrator.web.closed import PAGES
from orchestrator.web.hypermedia import PATH, page_url
from orchestrator.web.log_form import OFFERS, SUFFIXES
from orchestrator.web.log_page import end_of_log
from orchestrator.web.rendering import RENDERER
from orchestrator.web.representation import (
    AS_JSON_LD,
    IMMUTABLE,
    REVALIDATE,
    cache_headers,
    chosen,
    entity_tag,
    is_unchanged,
    link,
    not_modified,
    respond,
)
from orchestrator.web.site import SITE, Site

_FILTERS: Final = ("since", "type", "artefact", "actor", "in-reply-to", "limit")
_ALONE: Final = ("page", "index")
_MAX_LIMIT: Final = 1_000
_Headers = dict[str, str]


async def show(request: web.Request) -> web.StreamResponse:
    """Answer with the root, an index, a page, or a filtered read, as the parameters say."""
    known = log_page.recall(request)
    if known is not None:
        return known
    given = parameters.read(request, (*_ALONE, *_FILTERS))
    for name in _ALONE:
        if name in given and len(given) > 1:
            raise BadRequest(f"The parameter “{name}” goes alone: a page has the same members for everyone.")
    if "page" in given:
        return await log_page.show(request, given)
    if "index" in given:
        return await _index(request, given)
    if given:
        return await _filtered(request, given)
    return await _root(request)


async def _root(request: web.Request) -> web.Response:
    site = request.app[SITE]
    media_type = chosen(request, OFFERS, SUFFIXES)
    head = await end_of_log(request)
    url = site.url(PATH)
    headers = cache_headers(entity_tag(media_type, url, head, site.page_size, html.EDITION))
    headers |= discovery(site)
    if is_unchanged(request, headers):
        return not_modified(headers)
    last = hypermedia.last_page(site, head.sequence)
    ends = {"first": page_url(site, 1), "last": page_url(site, last)}
    headers["Link"] = ", ".join((*(link(to, rel) for rel, to in ends.items()), headers["Link"]))
    if media_type == v.HTML:
        return respond(_for_people(site, head, ends), media_type, headers)
    times = await _times(request, hypermedia.root_pages(last))
    root = hypermedia.root(site, head.sequence, times)
    return respond(await _described(request, root, media_type), media_type, headers)


def _for_people(site: Site, head: Head, ends: Mapping[str, str]) -> str:
    return html.log_root(
        site, head=head, first=ends["first"], last=ends["last"], forms=log_form.forms(site.url(PATH))
    )


async def _index(request: web.Request, given: Mapping[str, str]) -> web.Response:
    """Answer with an index: the relations to so many closed pages, for life."""
    site = request.app[SITE]
    highest = parameters.LARGEST // site.page_size
    number = parameters.integer(given, "index", low=1, high=highest, default=1)
    media_type = chosen(request, log_form.WITHOUT_HTML, SUFFIXES)
    head = await end_of_log(request)
    pages = hypermedia.index_pages(number)
    if pages[-1] > hypermedia.last_page(site, head.sequence):
        raise NotFound("The log is not that long yet; its root leads to every page.")
    times = await _times(request, pages)
    body = await _described(request, hypermedia.index(site, number, times), media_type)
    headers = cache_headers(entity_tag(media_type, body), IMMUTABLE)
    return not_modified(headers) if is_unchanged(request, headers) else respond(body, media_type, headers)


async def _described(request: web.Request, members: Mapping[str, Any], media_type: str) -> bytes:
    if media_type in AS_JSON_LD:
        return log_form.description(members, media_type)
    return await request.app[RENDERER].run(log_form.description, members, media_type)


async def _times(request: web.Request, pages: Sequence[int]) -> Mapping[int, int]:
    """Return when the first event of each of `pages` was written; they are asked for once."""
    site, known = request.app[SITE], request.app[PAGES].times
    firsts = {(page - 1) * site.page_size + 1: page for page in pages if page not in known}
    if firsts:
        found = await site.reader.times([*firsts])
        known.update({firsts[sequence]: created for sequence, created in found.items()})
    return {page: known[page] for page in pages if page in known}


async def _filtered(request: web.Request, given: Mapping[str, str]) -> web.Response:
    """Answer with the events after `since` that match, and where to go on with the same filter."""
    site = request.app[SITE]
    media_type = chosen(request, OFFERS, SUFFIXES)
    if media_type == v.HTML:
        # A form sends the fields that were left empty, too.
        given = {name: value for name, value in given.items() if value}
    query = Query(
        since=parameters.integer(given, "since", low=0, high=parameters.LARGEST, default=0),
        type=parameters.activity_type(given, "type"),
        artefact=parameters.iri(given, "artefact"),
        actor=parameters.iri(given, "actor"),
        in_reply_to=parameters.iri(given, "in-reply-to"),
        limit=parameters.integer(given, "limit", low=1, high=_MAX_LIMIT, default=site.page_size),
    )
    head = await end_of_log(request)
    base = site.url(PATH)
    url = f"{base}?{urlencode(given)}" if given else f"{base}?since=0"
    headers = cache_headers(entity_tag(media_type, url, query, head, html.EDITION))
    if is_unchanged(request, headers):
        return not_modified(headers)
    events, is_full = await log_page.some(site, query, log_page.ENOUGH)
    following = None
    # The end may be an empty page, which is cheaper than asking the log twice each time.
    if is_full and events[-1].sequence < head.sequence:
        following = f"{base}?{urlencode({**given, 'since': events[-1].sequence})}"
        headers["Link"] = link(following, "next")
    members = hypermedia.filtered(site, url, following)
    filters = {name: value for name, value in given.items() if name not in {"since", "limit"}}
    return await log_page.as_page(request, members, events, media_type, headers, filters)


async def event(request: web.Request) -> web.Response:
    """Answer with one event."""
    site = request.app[SITE]
    media_type = chosen(request, OFFERS, SUFFIXES)
    found = await site.reader.event(int(request.match_info["sequence"]))
    if found is None:
        raise NotFound
    tag = entity_tag(media_type, found.envelope, found.payload is None, html.EDITION)
    headers = cache_headers(tag, REVALIDATE)
    if is_unchanged(request, headers):
        return not_modified(headers)
    headers["Link"] = link(site.url(PATH), "collection")
    if media_type in AS_JSON_LD:
        return respond(log_form.one(site, found, media_type), media_type, headers)
    body = await request.app[RENDERER].run(log_form.one, site, found, media_type)
    return respond(body, media_type, headers)


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
