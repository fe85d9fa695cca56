"""Sources, for admins: what is polled, how it goes, and changes to it."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import BadRequest, ConfigurationError, ScreeningRefused
from orchestrator.core.source import MAIN, SourceKind, read_source
from orchestrator.core.strict_json import parse
from orchestrator.ports.sources import MemberState, Status
from orchestrator.web import parameters
from orchestrator.web.body import posted_type, read_body
from orchestrator.web.security import require_admin
from orchestrator.web.site import SITE, Site
from orchestrator.web.violations import dump

PATH: Final = "/sources/"
_WHO: Final = "admin over HTTP"
_MOST_MEMBERS: Final = 1_000
_LATEST: Final = 20
_Change = Callable[[Site, str, int], Awaitable[None]]


async def listing(request: web.Request) -> web.Response:
    """Answer with every source, and how the last pass over it went."""
    site = request.app[SITE]
    require_admin(request, site)
    parameters.read(request, ())
    return _answer(
        {"sources": [_shown(site, status) for status in await site.sources.statuses(now=site.clock.now())]}
    )


async def add(request: web.Request) -> web.Response:
    """Take a new source: a JSON object with the members that a table of the configuration has."""
    site = request.app[SITE]
    require_admin(request, site)
    posted_type(request)
    body = await read_body(request, limit=site.limits.body, timeout=site.body_timeout)
    try:
        source = read_source(parse(body, site.limits), "source")
    except ConfigurationError as error:
        raise BadRequest(error.message) from None
    except ScreeningRefused as error:
        raise BadRequest(f"The body is not JSON: {error.findings[0].message}") from None
    if source.token_file is not None:
        # It would read any file of the server, and show it to any other.
        raise BadRequest("A source with a token_file is added on the server itself: orchestrator source add.")
    if source.kind is SourceKind.INBOX and source.into not in {MAIN, *site.inboxes}:
        raise BadRequest(f"into names no inbox of ours: {source.into}.")
    await site.sources.add(source, who=_WHO, now=site.clock.now())
    [status] = await site.sources.statuses(source.name, now=site.clock.now())
    headers = {"Location": site.url(PATH + source.name)}
    return _answer(_shown(site, status), status=HTTPStatus.CREATED, headers=headers)


async def show(request: web.Request) -> web.Response:
    """Answer with one source, and the members that were looked at last."""
    site = request.app[SITE]
    require_admin(request, site)
    given = parameters.read(request, ("state", "limit"))
    state = _state(given.get("state"))
    limit = parameters.integer(given, "limit", low=0, high=_MOST_MEMBERS, default=_LATEST)
    name = request.match_info["name"]
    [status] = await site.sources.statuses(name, now=site.clock.now())
    members = await site.sources.members(name, state=state, limit=limit) if limit else ()
    return _answer({**_shown(site, status), "latest": [member.described() for member in members]})


async def remove(request: web.Request) -> web.Response:
    """Forget a source that the configuration does not declare."""
    site = request.app[SITE]
    require_admin(request, site)
    await site.sources.remove(request.match_info["name"], who=_WHO, now=site.clock.now())
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def change(request: web.Request) -> web.Response:
    """Poll a source now, pause it, or resume it; answer with what it is then."""
    site = request.app[SITE]
    require_admin(request, site)
    name = request.match_info["name"]
    await _CHANGES[request.match_info["change"]](site, name, site.clock.now())
    [status] = await site.sources.statuses(name, now=site.clock.now())
    return _answer(_shown(site, status), status=HTTPStatus.ACCEPTED)


_CHANGES: Final[dict[str, _Change]] = {
    "poll": lambda site, name, now: site.sources.hurry(name, now=now),
    "pause": lambda site, name, now: site.sources.pause(name, paused=True, who=_WHO, now=now),
    "resume": lambda site, name, now: site.sources.pause(name, paused=False, who=_WHO, now=now),
}
CHANGES: Final = "|".join(_CHANGES)


def _state(text: str | None) -> MemberState | None:
    if text is None:
        return None
    try:
        return MemberState(text.upper())
    except ValueError:
        raise BadRequest(f"The parameter “state” must be one of {', '.join(MemberState)}.") from None


def _shown(site: Site, status: Status) -> dict[str, object]:
    return {"id": site.url(PATH + status.source.name), **status.described()}


def _answer(
    content: Mapping[str, object],
    *,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    said = {"Content-Type": v.JSON, "Cache-Control": "no-store", **(headers or {})}
    return web.Response(body=dump(content), status=status, headers=said)
