"""Around every handler: errors become problems, and every answer gets its headers.

Not as aiohttp's middlewares and signals: these cost a quarter of a small answer.
"""

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from orchestrator.core.errors import MethodNotAllowed, OrchestratorError
from orchestrator.web import problems
from orchestrator.web.headers import constrain, finish
from orchestrator.web.site import SITE

_log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guarded(handler: Handler, *, path: str) -> Handler:
    """Return `handler`, which serves `path`, with what holds for every answer."""
    of_inbox = _is_inbox(path)

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            response = await handler(request)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is answered and logged)
            response = await _as_answer(request, error)
        if not response.prepared:
            _complete(request, response, of_inbox=of_inbox)
        return response

    return handle


async def unrouted(request: web.Request, error: web.HTTPException) -> web.Response:
    """Return the answer to what no handler of ours was found for."""
    response = await _as_answer(request, error)
    _complete(request, response, of_inbox=_is_inbox(request.path))
    return response


def _is_inbox(path: str) -> bool:
    return path == "/inbox" or path.startswith("/inbox/")


def _complete(request: web.Request, response: web.StreamResponse, *, of_inbox: bool) -> None:
    finish(response)
    if of_inbox:
        constrain(response.headers, request.app[SITE])


async def _as_answer(request: web.Request, error: Exception) -> web.Response:
    """Answer whatever went wrong as a problem, and tell the log what is our own fault."""
    has_gone = request.transport is None or request.transport.is_closing()
    if request.writer.output_size > 0:
        # Half an answer cannot be mended: the reader has to see that it was cut off.
        if not has_gone:
            _log.error("answer_cut route=%s", problems.route_of(request), exc_info=error)
        raise ConnectionResetError from error
    if isinstance(error, OrchestratorError):
        return await problems.answer(request, error)
    if isinstance(error, web.HTTPMethodNotAllowed):
        response = await problems.answer(request, MethodNotAllowed())
        response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
        return response
    if isinstance(error, web.HTTPException):
        return await problems.answer(request, problems.from_http(error))
    if has_gone:
        # In the middle of its body: nobody reads this, and no fault is ours.
        return web.Response(status=400)
    # Whatever it is, a stranger is not told, and the log is.
    _log.error("request_failed route=%s", problems.route_of(request), exc_info=error)
    return problems.outside(request.app[SITE], OrchestratorError())
