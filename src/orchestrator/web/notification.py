"""One notification in the inbox: the bytes received, and what became of them."""

from aiohttp import web

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import Erased, NotFound
from orchestrator.ports import Stored
from orchestrator.web.inbox import inbox_of, reader_headers, slash
from orchestrator.web.rendering import RENDERER
from orchestrator.web.representation import (
    AS_JSON_LD,
    accept_of,
    entity_tag,
    is_unchanged,
    link,
    negotiate,
    not_modified,
    respond,
)
from orchestrator.web.security import require_reader
from orchestrator.web.site import SITE, inbox_path
from orchestrator.web.texts import linked
from orchestrator.web.violations import GRAPHS, as_graph, as_json, dump


async def show(request: web.Request) -> web.Response:
    """Answer with the bytes received, under the JSON name that the reader prefers, or as RDF."""
    site = request.app[SITE]
    if "inbox" not in request.match_info and request.match_info["token"] in site.inboxes:
        return await slash(request)
    stored = await _stored(request)
    chosen = negotiate(accept_of(request), (*AS_JSON_LD, v.TURTLE, v.N_QUADS))
    if not stored.body:  # no notification is empty
        raise Erased
    headers = reader_headers(site, entity_tag(chosen, stored.token, stored.notification.digest))
    if is_unchanged(request, headers):
        return not_modified(headers)
    headers["Link"] = link(site.url(f"{inbox_path(stored.inbox)}{stored.token}/report"), "describedby")
    return await linked(request, stored.body, chosen, headers)


async def report(request: web.Request) -> web.Response:
    """Answer with the state of its processing and its warnings, or with the SHACL report of these."""
    site = request.app[SITE]
    stored = await _stored(request)
    chosen = negotiate(accept_of(request), (v.JSON, *GRAPHS))
    state = (stored.state, stored.reason, stored.event, stored.attempts, len(stored.warnings))
    headers = reader_headers(site, entity_tag(chosen, stored.token, *state))
    if is_unchanged(request, headers):
        return not_modified(headers)
    if chosen in GRAPHS:
        body = await request.app[RENDERER].run(as_graph, stored.warnings, chosen)
        return respond(body, chosen, headers)
    members = {
        "notification": site.url(inbox_path(stored.inbox) + stored.token),
        "state": stored.state.value,
        "reason": stored.reason,
        "event": site.url(f"/log/e/{stored.event}") if stored.event is not None else None,
        "pattern": stored.notification.pattern,
        "violations": [as_json(finding) for finding in stored.warnings],
    }
    return respond(dump(members), chosen, headers)


async def _stored(request: web.Request) -> Stored:
    """Return the notification that the path names, to those who may read it. Raises `NotFound`."""
    site = request.app[SITE]
    require_reader(request, site)
    stored = await site.reader.notification(inbox_of(request), request.match_info["token"])
    if stored is None:
        raise NotFound
    return stored
