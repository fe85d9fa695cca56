"""The routes, and what holds for all of them: errors as problems, headers, OPTIONS (floor 4)."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web
from multidict import CIMultiDict

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import MethodNotAllowed, OrchestratorError
from orchestrator.web import (
    artefacts,
    health,
    inbox,
    log,
    log_page,
    notification,
    pages,
    problems,
    profile,
    shapes,
)
from orchestrator.web.body import ACCEPT_POST, expect
from orchestrator.web.closed import PAGES, ClosedPages
from orchestrator.web.rendering import PACKER, RENDERER, Renderer
from orchestrator.web.representation import link
from orchestrator.web.site import SITE, Site

_log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_SLUG: Final = "[a-z0-9][a-z0-9.-]{0,79}"
_KEPT: Final = "{token:[A-Za-z0-9_-]{1,128}}"
_ARTEFACT: Final = "{id:[a-z2-7]{26}}"
_ROUTES: Final[Mapping[str, Mapping[str, Handler]]] = {
    "/": {"GET": profile.show},
    "/inbox": {"GET": inbox.slash, "POST": inbox.post},
    inbox.PATH: {"GET": inbox.show, "POST": inbox.post},
    f"/inbox/{_KEPT}": {"GET": notification.show},
    f"/inbox/{_KEPT}/report": {"GET": notification.report},
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
    "/livez": {"GET": health.live},
    "/readyz": {"GET": health.ready},
}
_ALWAYS: Final = CIMultiDict(
    {
        "Server": "orchestrator",
        "X-Content-Type-Options": "nosniff",
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "Link, Link-Template, ETag, Location, Accept-Post, Retry-After",
    }
)


def make_app(site: Site) -> web.Application:
    """Return the application that serves `site`."""
    app = web.Application(middlewares=[_answer_errors])
    app[SITE] = site
    app[RENDERER] = Renderer()
    app[PACKER] = Renderer(waiting=1_000)
    app[PAGES] = ClosedPages(page_size=site.page_size, most=site.page_cache)
    app.on_response_prepare.append(_finisher(site))
    for path, methods in _ROUTES.items():
        resource = app.router.add_resource(path)
        for method, handler in methods.items():
            resource.add_route(method, handler, expect_handler=expect)
            if method == "GET":
                resource.add_route("HEAD", handler, expect_handler=expect)
        takes_posts = "POST" in methods
        resource.add_route("OPTIONS", _options(takes_posts=takes_posts), expect_handler=expect)
    return app


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer whatever goes wrong as a problem, and tell the log what is our own fault."""
    try:
        return await handler(request)
    except Exception as error:
        if request.writer.output_size > 0:
            # Half an answer cannot be mended: the reader has to see that it was cut off.
            if not _has_gone(request):
                _log.exception("answer_cut route=%s", problems.route_of(request))
            raise ConnectionResetError from error
        return await _as_answer(request, error)


async def _as_answer(request: web.Request, error: Exception) -> web.Response:
    if isinstance(error, OrchestratorError):
        return await problems.answer(request, error)
    if isinstance(error, web.HTTPMethodNotAllowed):
        response = await problems.answer(request, MethodNotAllowed())
        response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
        return response
    if isinstance(error, web.HTTPException):
        return await problems.answer(request, problems.from_http(error))
    if _has_gone(request):
        # In the middle of its body: nobody reads this, and no fault is ours.
        return web.Response(status=400)
    # Whatever it is, a stranger is not told, and the log is.
    _log.error("request_failed route=%s", problems.route_of(request), exc_info=error)
    return problems.outside(request.app[SITE], OrchestratorError())


def _has_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _options(*, takes_posts: bool) -> Handler:
    """Return the handler that says what a resource takes, to people and to browsers' preflights."""
    allow = "GET, HEAD, OPTIONS, POST" if takes_posts else "GET, HEAD, OPTIONS"
    headers = {
        "Allow": allow,
        "Access-Control-Allow-Methods": allow,
        "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, If-None-Match, Last-Event-ID",
        "Access-Control-Max-Age": "86400",
    }
    if takes_posts:
        headers["Accept-Post"] = ACCEPT_POST

    async def options(_request: web.Request) -> web.Response:
        return web.Response(status=204, headers=headers)

    return options


def _finisher(site: Site) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Return what adds the headers that every answer carries, errors too."""
    # W3C LDP section 4.2.1.6, as W3C LDN section 3.2.1 asks of receivers.
    constrained = link(site.url("/shapes/"), v.CONSTRAINED_BY)

    async def finish(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        headers.update(_ALWAYS)
        if headers.get("Content-Type", "").startswith(v.HTML):
            headers["Content-Security-Policy"] = pages.CSP
            headers["Referrer-Policy"] = "no-referrer"
        if request.path.startswith("/inbox") and (request.path == "/inbox" or request.path[6] == "/"):
            said = headers.get("Link")
            headers["Link"] = f"{said}, {constrained}" if said else constrained

    return finish
