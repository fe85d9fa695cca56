"""The routes, and OPTIONS for all of them (floor 4)."""

from collections.abc import Iterable, Mapping
from typing import Final

from aiohttp import web

from orchestrator.web import (
    artefacts,
    health,
    inbox,
    log,
    log_page,
    metrics,
    notification,
    problems,
    profile,
    shapes,
    sources,
)
from orchestrator.web.answering import Handler, guarded
from orchestrator.web.body import ACCEPT_POST, expect
from orchestrator.web.closed import PAGES, ClosedPages
from orchestrator.web.rendering import PACKER, RENDERER, Renderer
from orchestrator.web.site import SITE, Site

_SLUG: Final = "[a-z0-9][a-z0-9.-]{0,79}"
_KEPT: Final = "{token:[A-Za-z0-9_-]{1,128}}"
# A name is shorter than a token, so that neither is taken for the other.
_INBOX: Final = "{inbox:[a-z][a-z0-9-]{0,30}}"
_IN_IT: Final = "{token:[0-9a-f]{32}}"
_SOURCE: Final = "{name:[a-z0-9][a-z0-9-]{0,63}}"
_ARTEFACT: Final = "{id:[a-z2-7]{26}}"
_ROUTES: Final[Mapping[str, Mapping[str, Handler]]] = {
    "/": {"GET": profile.show},
    "/inbox": {"GET": inbox.slash, "POST": inbox.post},
    inbox.PATH: {"GET": inbox.show, "POST": inbox.post},
    f"/inbox/{_KEPT}": {"GET": notification.show},
    f"/inbox/{_KEPT}/report": {"GET": notification.report},
    f"/inbox/{_INBOX}/": {"GET": inbox.show, "POST": inbox.post},
    f"/inbox/{_INBOX}/{_IN_IT}": {"GET": notification.show},
    f"/inbox/{_INBOX}/{_IN_IT}/report": {"GET": notification.report},
    log_page.PATH: {"GET": log.show},
    "/log/e/{sequence:[1-9][0-9]{0,17}}": {"GET": log.event},
    "/artefacts": {"GET": artefacts.find},
    "/artefacts/log": {"GET": artefacts.find},
    f"/artefacts/{_ARTEFACT}": {"GET": artefacts.show},
    f"/artefacts/{_ARTEFACT}/log": {"GET": artefacts.view},
    "/shapes/": {"GET": shapes.shapes},
    f"/shapes/{{name:{_SLUG}}}": {"GET": shapes.shape},
    "/policies/": {"GET": shapes.policies},
    f"/policies/{{name:{_SLUG}}}": {"GET": shapes.policy},
    "/problems/": {"GET": problems.index},
    f"/problems/{{slug:{_SLUG}}}": {"GET": problems.page},
    sources.PATH: {"GET": sources.listing, "POST": sources.add},
    f"{sources.PATH}{_SOURCE}": {"GET": sources.show, "DELETE": sources.remove},
    f"{sources.PATH}{_SOURCE}/{{change:{sources.CHANGES}}}": {"POST": sources.change},
    "/metrics": {"GET": metrics.show},
    "/livez": {"GET": health.live},
    "/readyz": {"GET": health.ready},
}


def make_app(site: Site) -> web.Application:
    """Return the application that serves `site`."""
    app = web.Application()
    app[SITE] = site
    app[RENDERER] = Renderer()
    app[PACKER] = Renderer(waiting=1_000)
    app[PAGES] = ClosedPages(page_size=site.page_size, most=site.page_cache)
    for path, methods in _ROUTES.items():
        resource = app.router.add_resource(path)
        handlers = dict(methods)
        if "GET" in methods:
            handlers["HEAD"] = handlers["GET"]
        handlers["OPTIONS"] = _options((*handlers, "OPTIONS"))
        for method, handler in handlers.items():
            resource.add_route(method, guarded(handler, path=path), expect_handler=expect)
    return app


def _options(methods: Iterable[str]) -> Handler:
    """Return the handler that says what a resource takes, to people and to browsers' preflights."""
    allow = ", ".join(sorted(methods))
    headers = {
        "Allow": allow,
        "Access-Control-Allow-Methods": allow,
        "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, If-None-Match, Last-Event-ID",
        "Access-Control-Max-Age": "86400",
    }
    if "POST" in allow:
        headers["Accept-Post"] = ACCEPT_POST

    async def options(_request: web.Request) -> web.Response:
        return web.Response(status=204, headers=headers)

    return options
