"""Who we are, where to notify us, and where to read what happened."""

from aiohttp import web

from orchestrator.core import vocabulary as v
from orchestrator.web import collection, html, hypermedia, log
from orchestrator.web.representation import (
    AS_JSON_LD,
    accept_of,
    cache_headers,
    entity_tag,
    is_unchanged,
    negotiate,
    not_modified,
    respond,
)
from orchestrator.web.site import SITE, Site
from orchestrator.web.texts import linked


async def show(request: web.Request) -> web.Response:
    """Answer with our profile; inbox and log stand in its Link header too (W3C LDN, section 3.1.1)."""
    site = request.app[SITE]
    chosen = negotiate(accept_of(request), (*AS_JSON_LD, v.TURTLE, v.N_QUADS, v.HTML))
    body = _page(site).encode() if chosen == v.HTML else _document(site)
    headers = cache_headers(entity_tag(chosen, body)) | log.discovery(site)
    if is_unchanged(request, headers):
        return not_modified(headers)
    if chosen == v.HTML:
        return respond(body, chosen, headers)
    return await linked(request, body, chosen, headers)


def _document(site: Site) -> bytes:
    return collection.document(
        {
            "id": site.identity.id,
            "type": "Service",
            "name": site.identity.name,
            "inbox": site.url("/inbox/"),
            # What we tell the world is the log; ActivityPub's word for that is the outbox.
            "outbox": site.url(hypermedia.PATH),
            "eventLog": site.url(hypermedia.PATH),
            "log:artefactPrefix": list(site.artefacts) or None,
        }
    )


def _page(site: Site) -> str:
    targets = [
        (site.url("/inbox/"), "Inbox"),
        (site.url("/log"), "Event log"),
        (site.url("/shapes/"), "Shapes of notifications"),
        (site.url("/policies/"), "Policies"),
        (site.url("/problems/"), "Problems"),
    ]
    return html.listing(site, title=site.identity.name, targets=targets)
