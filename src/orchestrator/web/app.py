"""The routes, and OPTIONS for all of them (floor 4)."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final

from aiohttp import web

from orchestrator.core.erasure import erased_by
from orchestrator.core.event import LifecycleEvent
from orchestrator.web import (
    artefacts,
    health,
    hypermedia,
    inbox,
    live,
    log,
    metrics,
    notification,
    problems,
    profile,
    proofs,
    shapes,
    sources,
    style,
    tail,
    vocabularies,
)
from orchestrator.web.answering import Handler, guarded
from orchestrator.web.body import ACCEPT_POST, expect
from orchestrator.web.closed import PAGES, ClosedPages
from orchestrator.web.log_form import SUFFIXES
from orchestrator.web.proofs import SIGNED, Signed
from orchestrator.web.rendering import PACKER, RENDERER, Renderer
from orchestrator.web.site import SITE, Site
from orchestrator.web.tail import TAIL

_SLUG: Final = "[a-z0-9][a-z0-9.-]{0,79}"
_KEPT: Final = "{token:[A-Za-z0-9_-]{1,128}}"
# A name is shorter than a token, so that neither is taken for the other.
_INBOX: Final = "{inbox:[a-z][a-z0-9-]{0,30}}"
_IN_IT: Final = "{token:[0-9a-f]{32}}"
_SOURCE: Final = "{name:[a-z0-9][a-z0-9-]{0,63}}"
_ARTEFACT: Final = "{id:[a-z2-7]{26}}"
_SEQUENCE: Final = "{sequence:[1-9][0-9]{0,17}}"
_FORM: Final = f".{{form:{'|'.join(SUFFIXES)}}}"
_ROUTES: Final[Mapping[str, Mapping[str, Handler]]] = {
    "/": {"GET": profile.show},
    "/inbox": {"GET": inbox.slash, "POST": inbox.post},
    inbox.PATH: {"GET": inbox.show, "POST": inbox.post},
    f"/inbox/{_KEPT}": {"GET": notification.show},
    f"/inbox/{_KEPT}/report": {"GET": notification.report},
    f"/inbox/{_INBOX}/": {"GET": inbox.show, "POST": inbox.post},
    f"/inbox/{_INBOX}/{_IN_IT}": {"GET": notification.show},
    f"/inbox/{_INBOX}/{_IN_IT}/report": {"GET": notification.report},
    hypermedia.PATH: {"GET": log.show},
    f"/log{_FORM}": {"GET": log.show},
    proofs.CHECKPOINT: {"GET": proofs.checkpoint},
    "/log/keys": {"GET": proofs.keys},
    "/log/proof": {"GET": proofs.proof},
    "/log/tile/entries/{tile:.{1,60}}": {"GET": proofs.entries},
    "/log/tile/{tile:.{1,60}}": {"GET": proofs.tile},
    live.PATH: {"GET": live.show},
    f"/log/e/{_SEQUENCE}": {"GET": log.event},
    f"/log/e/{_SEQUENCE}{_FORM}": {"GET": log.event},
    "/artefacts": {"GET": artefacts.find},
    "/artefacts/log": {"GET": artefacts.find},
    f"/artefacts/{_ARTEFACT}": {"GET": artefacts.show},
    f"/artefacts/{_ARTEFACT}{_FORM}": {"GET": artefacts.show},
    f"/artefacts/{_ARTEFACT}/log": {"GET": artefacts.view},
    f"/artefacts/{_ARTEFACT}/log{_FORM}": {"GET": artefacts.view},
    "/shapes/": {"GET": shapes.shapes},
    f"/shapes/{{name:{_SLUG}}}": {"GET": shapes.shape},
    "/policies/": {"GET": shapes.policies},
    f"/policies/{{name:{_SLUG}}}": {"GET": shapes.policy},
    f"/ns/{{name:{_SLUG}}}": {"GET": vocabularies.show},
    "/problems/": {"GET": problems.index},
    f"/problems/{{slug:{_SLUG}}}": {"GET": problems.page},
    sources.PATH: {"GET": sources.listing, "POST": sources.add},
    f"{sources.PATH}{_SOURCE}": {"GET": sources.show, "DELETE": sources.remove},
    f"{sources.PATH}{_SOURCE}/{{change:{sources.CHANGES}}}": {"POST": sources.change},
    style.PATH: {"GET": style.show},
    "/metrics": {"GET": metrics.show},
    "/livez": {"GET": health.live},
    "/readyz": {"GET": health.ready},
}


def make_app(site: Site) -> web.Application:
    """Return the application that serves `site`."""
    app = web.Application()
    app[SITE] = site
    app[RENDERER] = Renderer()
    app[SIGNED] = Signed()
    app[PACKER] = Renderer(waiting=1_000)
    app[PAGES] = ClosedPages(page_size=site.page_size, most=site.page_cache)
    app[TAIL] = tail.Tail(site.reader, site.live, site.listen)
    app[TAIL].on_event.append(partial(_forget, app))
    app.on_startup.append(tail.start)
    app.on_shutdown.append(tail.stop)
    for path, methods in _ROUTES.items():
        resource = app.router.add_resource(path)
        handlers = dict(methods)
        if "GET" in methods:
            handlers["HEAD"] = handlers["GET"]
        handlers["OPTIONS"] = _options((*handlers, "OPTIONS"))
        for method, handler in handlers.items():
            resource.add_route(method, guarded(handler, path=path), expect_handler=expect)
    return app


def _forget(app: web.Application, event: LifecycleEvent) -> None:
    """Make the page of an event anew whose payload was erased, by this process or another."""
    erased = erased_by(event)
    if erased is not None:
        app[PAGES].forget(erased)


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
