"""The inbox: an LDN receiver (W3C LDN, sections 3.2 and 3.3)."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from aiohttp import web

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import NotFound
from orchestrator.core.screening import Screening
from orchestrator.core.source import MAIN
from orchestrator.pipeline.receive import receive
from orchestrator.web import parameters
from orchestrator.web.body import posted_type, read_body
from orchestrator.web.headers import constrain
from orchestrator.web.ready import Ready, head_of, takes_ready
from orchestrator.web.rendering import RENDERER
from orchestrator.web.representation import (
    AS_JSON_LD,
    PRIVATE,
    REVALIDATE,
    accept_of,
    cache_headers,
    entity_tag,
    is_unchanged,
    link,
    negotiate,
    not_modified,
    respond,
)
from orchestrator.web.security import require_reader
from orchestrator.web.site import SITE, Site, inbox_path
from orchestrator.web.violations import GRAPHS, as_graph, as_json, dump

PATH: Final = inbox_path(MAIN)


async def post(request: web.Request) -> web.StreamResponse:
    """Take a notification: 201 once it is kept, and the first receipt again for the same content.

    Never 200 or 202: the reference client takes the one for a failure, and nothing is done later that
    could still refuse.
    """
    site = request.app[SITE]
    inbox = inbox_of(request)
    rehearses = parameters.flag(request, "dry-run")
    media_type = posted_type(request)
    body = await read_body(request, limit=site.limits.body, timeout=site.body_timeout)
    if rehearses:
        return await _rehearse(request, await site.screener.screen(body))
    received = await receive(
        body,
        inbox=inbox,
        media_type=media_type,
        screener=site.screener,
        ledger=site.ledger,
        clock=site.clock,
    )
    location = site.url(inbox_path(inbox) + received.receipt.token)
    headers = {"Location": location}
    if received.warnings:
        headers["Link"] = link(f"{location}/report", "describedby")
    if not takes_ready(request):
        return web.Response(status=HTTPStatus.CREATED, headers=headers)
    constrain(headers, site)
    head = head_of(HTTPStatus.CREATED, headers, 0)
    return Ready(HTTPStatus.CREATED, head, b"", now=site.clock.now())


async def _rehearse(request: web.Request, screening: Screening) -> web.Response:
    """Answer what a POST would have been told; nothing is stored."""
    chosen = negotiate(accept_of(request), (v.JSON, *GRAPHS))
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    if chosen in GRAPHS:
        body = await request.app[RENDERER].run(as_graph, screening.findings, chosen)
        return respond(body, chosen, headers)
    notification = screening.notification
    report = {
        "accepted": screening.accepted,
        "pattern": notification.pattern if notification else None,
        "refusal": screening.refusal,
        "violations": [as_json(finding) for finding in screening.findings],
    }
    return respond(dump(report), chosen, headers)


async def show(request: web.Request) -> web.Response:
    """Answer with the listing; a reader who has it already costs one look-up, not a list."""
    site = request.app[SITE]
    require_reader(request, site)
    inbox = inbox_of(request)
    url = site.url(inbox_path(inbox))
    given = parameters.read(request, ("after",))
    after = parameters.integer(given, "after", low=0, high=parameters.LARGEST, default=0)
    chosen = negotiate(accept_of(request), (*AS_JSON_LD, v.TURTLE))
    latest = await site.reader.latest(inbox)
    headers = reader_headers(site, entity_tag(chosen, url, latest, after, site.listing_size))
    if is_unchanged(request, headers):
        return not_modified(headers)
    kept = await site.reader.tokens(inbox, after=after, limit=site.listing_size)
    if len(kept) >= site.listing_size and kept[-1][0] < latest:
        headers["Link"] = link(f"{url}?after={kept[-1][0]}", "next")
    render = _turtle if chosen == v.TURTLE else _json_ld
    return respond(render(url, [token for _, token in kept]), chosen, headers)


def inbox_of(request: web.Request) -> str:
    """Return the name of the inbox that the path is about. Raises `NotFound` where we have none such."""
    name = request.match_info.get("inbox")
    if name is None:
        return MAIN
    if name not in request.app[SITE].inboxes:
        raise NotFound
    return name


def reader_headers(site: Site, tag: str) -> dict[str, str]:
    """Return the cache headers of what may be private."""
    if site.inbox_read == "public":
        return cache_headers(tag, REVALIDATE)
    return cache_headers(tag, PRIVATE, vary="Accept, Authorization")


def _json_ld(inbox: str, tokens: Sequence[str]) -> str:
    """Return the listing as LDN's own example writes it (section 3.3.2): consumers read it as plain JSON."""
    return json.dumps(
        {
            "@context": v.LDP_CONTEXT,
            "@id": inbox,
            "@type": v.LDP + "BasicContainer",
            "contains": [inbox + token for token in tokens],
        }
    )


def _turtle(inbox: str, tokens: Sequence[str]) -> str:
    members = ",\n        ".join(f"<{inbox}{token}>" for token in tokens)
    contains = f" ;\n    ldp:contains\n        {members}" if members else ""
    return f"@prefix ldp: <{v.LDP}> .\n\n<{inbox}> a ldp:BasicContainer , ldp:Container{contains} .\n"


async def slash(request: web.Request) -> web.Response:
    """Send a reader of `/inbox` to the inbox's one URL, with what was asked; others likewise."""
    query = request.rel_url.raw_query_string
    name = request.match_info.get("token", MAIN)
    location = request.app[SITE].url(inbox_path(name)) + (f"?{query}" if query else "")
    return web.Response(status=308, headers={"Location": location})
