"""Artefacts that the log speaks of: where to notify about one, and its part of the log."""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlencode

from aiohttp import web

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import BadRequest, NotFound
from orchestrator.core.event import artefact_id
from orchestrator.ports import Query
from orchestrator.web import collection, html, hypermedia, log_page, parameters
from orchestrator.web.log_form import OFFERS, SUFFIXES, forms
from orchestrator.web.representation import (
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
from orchestrator.web.texts import linked


async def find(request: web.Request) -> web.Response:
    """Send whoever knows an artefact's IRI to what we know of it; by `/artefacts/log`, to its log."""
    site = request.app[SITE]
    iri = parameters.iri(parameters.read(request, ("url",)), "url")
    if iri is None:
        raise BadRequest("Give the artefact's IRI as the parameter “url”.")
    identifier = artefact_id(iri)
    if await site.reader.artefact(identifier) != iri:
        raise NotFound("The log has no event about this artefact.")
    part = "/log" if request.path.endswith("/log") else ""
    return web.Response(status=303, headers={"Location": site.url(f"/artefacts/{identifier}{part}")})


async def show(request: web.Request) -> web.Response:
    """Answer with an artefact's inbox and log, in headers and body alike (W3C LDN, section 3.1.1)."""
    site = request.app[SITE]
    iri = await _known(request)
    here = site.url(f"/artefacts/{request.match_info['id']}")
    inbox, log = site.url("/inbox/"), f"{here}/log"
    media_type = chosen(request, OFFERS, SUFFIXES)
    body = collection.document({"id": iri, "inbox": inbox, "eventLog": log})
    headers = cache_headers(entity_tag(media_type, body, html.EDITION))
    headers["Link"] = ", ".join(
        (link(inbox, v.INBOX), link(log, v.DAEN + "eventLog"), link(iri, "describes"))
    )
    if is_unchanged(request, headers):
        return not_modified(headers)
    if media_type == v.HTML:
        shown = html.artefact_page(site, iri=iri, inbox=inbox, log=log, forms=forms(here))
        return respond(shown, media_type, headers)
    return await linked(request, body, media_type, headers)


async def view(request: web.Request) -> web.Response:
    """Answer with events about one artefact, in log order: the first of them is the root of its stream.

    Pages are linked one to the next, so each is found by one look-up however long the log is. One that
    another follows has its members for life.
    """
    site = request.app[SITE]
    given = parameters.read(request, ("since", "limit"))
    since = parameters.integer(given, "since", low=0, high=parameters.LARGEST, default=0)
    limit = parameters.integer(given, "limit", low=1, high=site.page_size, default=site.page_size)
    media_type = chosen(request, OFFERS, SUFFIXES)
    query = Query(since=since, artefact=await _known(request), limit=limit)
    events, is_full = await log_page.some(site, query, log_page.ENOUGH)
    log = site.url(f"/artefacts/{request.match_info['id']}/log")
    onward = await _onward(site, replace(query, since=events[-1].sequence), given, log) if is_full else None
    seen = [(event.sequence, event.payload is None) for event in events]
    tag = entity_tag(media_type, request.query_string, seen, onward, html.EDITION)
    # Never immutable, though a page that another follows is: LDES clients would not read on from it.
    headers = cache_headers(tag, REVALIDATE)
    if onward is not None:
        headers["Link"] = link(onward[0], "next")
    if is_unchanged(request, headers):
        return not_modified(headers)
    url = f"{log}?{urlencode(given)}" if given else log
    members = hypermedia.view(site, url, log=log, iris=[event.iri for event in events], onward=onward)
    return await log_page.as_page(request, members, events, media_type, headers)


async def _onward(site: Site, rest: Query, given: Mapping[str, str], log: str) -> tuple[str, int] | None:
    """Return the page after `rest.since`, and when its first event was written, if there is one."""
    following = await site.reader.events(replace(rest, limit=1))
    if not following:
        return None
    return f"{log}?{urlencode({**given, 'since': rest.since})}", following[0].created


async def _known(request: web.Request) -> str:
    iri = await request.app[SITE].reader.artefact(request.match_info["id"])
    if iri is None:
        raise NotFound("The log has no event about this artefact.")
    return iri
