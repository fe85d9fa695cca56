"""Texts that we publish as they are, by name: shapes, policies, problem pages; and their lists."""

import json
from collections.abc import Iterable
from typing import Final

from aiohttp import web

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import NotFound
from orchestrator.web import html
from orchestrator.web.markdown import from_markdown
from orchestrator.web.rendering import RENDERER, convert
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
from orchestrator.web.site import SITE

MARKDOWN: Final = "text/markdown"
_AN_HOUR: Final = "public, max-age=3600"
_CONTEXT: Final = {
    "ldp": v.LDP,
    "id": "@id",
    "type": "@type",
    "contains": {"@id": "ldp:contains", "@type": "@id"},
}


async def index(request: web.Request, path: str, title: str, names: Iterable[str]) -> web.Response:
    """Answer with the list of what is below `path`: JSON-LD, Turtle, or HTML for browsers."""
    site = request.app[SITE]
    url = site.url(path)
    members = [url + name for name in sorted(names)]
    chosen = negotiate(accept_of(request), (*AS_JSON_LD, v.TURTLE, v.HTML))
    headers = cache_headers(entity_tag(chosen, html.EDITION, url, *members))
    if is_unchanged(request, headers):
        return not_modified(headers)
    if chosen == v.HTML:
        targets = [(member, member.removeprefix(url)) for member in members]
        return respond(html.listing(site, title=title, targets=targets), chosen, headers)
    listing = {"@context": _CONTEXT, "id": url, "type": "ldp:BasicContainer", "contains": members}
    return await linked(request, json.dumps(listing).encode(), chosen, headers)


async def linked(
    request: web.Request, document: bytes, media_type: str, headers: dict[str, str]
) -> web.Response:
    """Answer with a JSON-LD document of ours, as itself or as RDF."""
    if media_type in AS_JSON_LD:
        return respond(document, media_type, headers)
    contexts = request.app[SITE].contexts
    body = await request.app[RENDERER].run(convert, document, media_type, contexts)
    return respond(body, media_type, headers)


def turtle(request: web.Request, text: str | None) -> web.Response:
    """Answer with a Turtle file as it is. Raises `NotFound` where there is none."""
    return _plain(request, text, (v.TURTLE,))


def markdown(request: web.Request, text: str | None) -> web.Response:
    """Answer with a page as Markdown, or as HTML for browsers. Raises `NotFound` where there is none."""
    return _plain(request, text, (MARKDOWN, v.HTML))


def _plain(request: web.Request, text: str | None, offers: tuple[str, ...]) -> web.Response:
    if text is None:
        raise NotFound
    chosen = negotiate(accept_of(request), offers)
    headers = cache_headers(entity_tag(chosen, html.EDITION, text), _AN_HOUR)
    if is_unchanged(request, headers):
        return not_modified(headers)
    if chosen == v.HTML:
        title = text.partition("\n")[0].lstrip("# ")
        page = html.article(request.app[SITE], title=title, body=from_markdown(text))
        return respond(page, chosen, headers)
    return respond(text, chosen, headers)
