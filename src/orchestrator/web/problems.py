"""The one place that writes errors (RFC 9457), and the pages that explain them.

A problem's `type` is the URL of its page. Nothing but our own sentences reaches a client: what went
wrong inside is for the log.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Final

from aiohttp import web

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import (
    BadRequest,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    OrchestratorError,
    Overloaded,
    ScreeningRefused,
    TooLarge,
    UnsupportedMediaType,
)
from orchestrator.web import texts
from orchestrator.web.body import ACCEPT_POST
from orchestrator.web.rendering import RENDERER
from orchestrator.web.representation import accept_of, names, negotiate
from orchestrator.web.site import SITE, Site
from orchestrator.web.violations import GRAPHS, as_graph, as_json, clean, dump

_log = logging.getLogger(__name__)

STATUSES: Final[Mapping[str, int]] = {
    "unreadable-bytes": 400,
    "unacceptable-document": 400,
    "shape-violated": 400,  # not 422, which the W3C LDN suite counts as a failure to refuse
    "too-costly": 400,
    "refused": 400,
    "bad-request": 400,
    "authentication-required": 401,
    "not-found": 404,
    "method-not-allowed": 405,
    "not-acceptable": 406,
    "request-timeout": 408,
    "conflicting-content": 409,
    "erased": 410,
    "too-large": 413,
    "unsupported-media-type": 415,
    "internal-error": 500,
    "overloaded": 503,
    "storage-error": 503,
    "lease-lost": 503,
    "log-ahead": 503,
}
"""Every problem that can reach a client; what is not here is an internal error to them."""
_UNAVAILABLE: Final = 503
_SERVER_ERROR: Final = 500
_RETRY_LATER: Final = "5"
_RETRY_SOON: Final = "1"
_NOT_REUSABLE: Final = (408, 413)
"""After these the rest of a body may still be on its way."""
_BY_STATUS: Final[Mapping[int, type[OrchestratorError]]] = {
    404: NotFound,
    405: MethodNotAllowed,
    406: NotAcceptable,
    413: TooLarge,
    415: UnsupportedMediaType,
}


def kinds(root: type[OrchestratorError] = OrchestratorError) -> Iterator[type[OrchestratorError]]:
    """Yield every class of error."""
    yield root
    for kind in root.__subclasses__():
        yield from kinds(kind)


async def answer(request: web.Request, error: OrchestratorError) -> web.Response:
    """Return `error` as its response: problem+json, or the SHACL report for those who name RDF."""
    status = STATUSES[_public(error)]
    if status >= _SERVER_ERROR and not isinstance(error, Overloaded):
        _log.error("request_failed route=%s problem=%s", route_of(request), error.slug, exc_info=error)
    headers = _headers(request, error, status)
    graph = await _graph(request, error)
    media_type, body = graph or (v.PROBLEM_JSON, dump(_members(request.app[SITE], error)))
    response = web.Response(body=body, status=status, headers={**headers, "Content-Type": media_type})
    if status in _NOT_REUSABLE:
        response.force_close()
    return response


def outside(site: Site, error: OrchestratorError) -> web.Response:
    """Return `error` as an answer to what is no request, or to a fault that the caller has logged."""
    headers = {"Content-Type": v.PROBLEM_JSON, "Cache-Control": "no-store"}
    return web.Response(body=dump(_members(site, error)), status=STATUSES[error.slug], headers=headers)


def from_http(error: web.HTTPException) -> OrchestratorError:
    """Return what aiohttp's own refusal means here."""
    kind = _BY_STATUS.get(error.status)
    if kind is not None:
        return kind()
    return BadRequest("The request cannot be read.") if error.status < _SERVER_ERROR else OrchestratorError()


def route_of(request: web.Request) -> str:
    """Return the pattern of the requested path: a word for logs that no stranger can choose."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"


def _members(site: Site, error: OrchestratorError) -> dict[str, object]:
    """Return the members of the problem (RFC 9457, section 3.1)."""
    slug = _public(error)
    status = STATUSES[slug]
    kind = type(error) if error.slug == slug else OrchestratorError
    title = _title(kind)
    # What an adapter says about our insides stays inside.
    detail = title if status >= _SERVER_ERROR else clean(error.message)
    members: dict[str, object] = {
        "type": site.url(f"/problems/{slug}"),
        "title": title,
        "status": status,
        "detail": detail,
    }
    if isinstance(error, ScreeningRefused):
        members["violations"] = [as_json(finding) for finding in error.findings]
    return members


def _public(error: OrchestratorError) -> str:
    """Return the slug under which strangers hear of `error`."""
    return error.slug if error.slug in STATUSES else OrchestratorError.slug


def _title(kind: type[OrchestratorError]) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


async def _graph(request: web.Request, error: OrchestratorError) -> tuple[str, bytes] | None:
    """Return the report graph and its media type, where there are findings and somebody names RDF."""
    if not isinstance(error, ScreeningRefused) or not error.findings:
        return None
    accept = accept_of(request)
    try:
        chosen = negotiate(accept, (v.PROBLEM_JSON, v.JSON, *GRAPHS))
        if chosen not in GRAPHS or not names(accept, chosen):
            return None
        return chosen, await request.app[RENDERER].run(as_graph, error.findings, chosen)
    except (NotAcceptable, Overloaded):
        return None


def _headers(request: web.Request, error: OrchestratorError, status: int) -> dict[str, str]:
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    if status == _UNAVAILABLE:
        headers["Retry-After"] = _RETRY_SOON if isinstance(error, Overloaded) else _RETRY_LATER
    if error.slug == "unsupported-media-type":
        headers["Accept-Post"] = ACCEPT_POST
    if error.slug == "authentication-required":
        # RFC 6750, section 3: a token that was shown and does not open is named as the reason.
        reason = ', error="invalid_token"' if "Authorization" in request.headers else ""
        realm = "inbox" if request.path.startswith("/inbox") else "admin"
        headers["WWW-Authenticate"] = f'Bearer realm="{realm}"{reason}'
    return headers


async def index(request: web.Request) -> web.Response:
    """Answer with the list of problems."""
    return await texts.index(request, "/problems/", "Problems", request.app[SITE].problems)


async def page(request: web.Request) -> web.Response:
    """Answer with the page of one problem."""
    return texts.markdown(request, request.app[SITE].problems.get(request.match_info["slug"]))
