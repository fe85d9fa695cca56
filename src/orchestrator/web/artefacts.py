"""Artefacts that the log speaks of: where to notify about one, and its part of the log."""

from aiohttp import web

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import BadRequest, NotFound
from orchestrator.core.event import artefact_id
from orchestrator.web import collection, log, parameters
from orchestrator.web.representation import (
    AS_JSON_LD,
    accept_of,
    cache_headers,
    entity_tag,
    is_unchanged,
    link,
    negotiate,
    not_modified,
)
from orchestrator.web.site import SITE
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
    view = site.url(f"/artefacts/{request.match_info['id']}/log")
    chosen = negotiate(accept_of(request), (*AS_JSON_LD, v.TURTLE, v.N_QUADS))
    body = collection.document({"id": iri, "inbox": site.url("/inbox/"), "eventLog": view})
    headers = cache_headers(entity_tag(chosen, body))
    headers["Link"] = ", ".join(
        (link(site.url("/inbox/"), v.INBOX), link(view, v.DAEN + "eventLog"), link(iri, "describes"))
    )
    if is_unchanged(request, headers):
        return not_modified(headers)
    return await linked(request, body, chosen, headers)


async def view(request: web.Request) -> web.Response:
    """Answer with the events about one artefact."""
    given = parameters.read(request, ("since", "limit"))
    iri = await _known(request)
    base = request.app[SITE].url(f"/artefacts/{request.match_info['id']}/log")
    return await log.filtered(request, given, base=base, artefact=iri)


async def _known(request: web.Request) -> str:
    iri = await request.app[SITE].reader.artefact(request.match_info["id"])
    if iri is None:
        raise NotFound("The log has no event about this artefact.")
    return iri
