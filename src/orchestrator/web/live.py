"""`/log/live`: what is new in the log, as Server-Sent Events (WHATWG HTML, section 9.2).

The head of the answer is aiohttp's work, and so is everything that can be refused. Then the connection is
taken from it and given to a `Follower`: ten thousand of them, of whom none says anything, may not cost what
ten thousand requests cost.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import HttpVersion11, hdrs, web

from orchestrator.web import parameters
from orchestrator.web.blocks import Wish, opening
from orchestrator.web.headers import finish
from orchestrator.web.representation import accept_of, negotiate
from orchestrator.web.tail import TAIL

PATH: Final = "/log/live"
EVENT_STREAM: Final = "text/event-stream"
_LAST: Final = "Last-Event-ID"
_HEADERS: Final[Mapping[str, str]] = {
    "Content-Type": EVENT_STREAM,
    "Cache-Control": "no-store",
    "Vary": "Accept",
    # What nginx and those who learned from it would otherwise collect before they pass it on.
    "X-Accel-Buffering": "no",
}


async def show(request: web.Request) -> web.StreamResponse:
    """Answer with what comes after `Last-Event-ID`, or `after`, or now; without end."""
    given = parameters.read(request, ("after", "type", "artefact"))
    negotiate(accept_of(request), (EVENT_STREAM,))
    asked = _asked(request, given)
    wish = Wish(
        type=parameters.activity_type(given, "type"),
        artefact=parameters.iri(given, "artefact"),
        is_chunked=request.version >= HttpVersion11,
    )
    answer = _Taken(headers=_HEADERS)
    answer.force_close()
    if request.method == hdrs.METH_HEAD:
        return answer
    tail = request.app[TAIL]
    follower = tail.followers.enter(wish)
    try:
        start = await tail.start_of(asked)
        finish(answer)
        await answer.prepare(request)
        await answer.write(opening(start))
        follower.begin(_take(request), start)
    except BaseException:
        tail.followers.forget(follower)
        raise
    tail.lead(follower)
    return answer


def _asked(request: web.Request, given: Mapping[str, str]) -> int | None:
    """Return the sequence after which to begin, where one is named. Raises `BadRequest`."""
    after = parameters.integer(given, "after", low=0, high=parameters.LARGEST, default=-1)
    # A browser that has lost its connection asks for the same URL again: the header knows better.
    last = accept_of(request, _LAST)
    if last is not None:
        return parameters.integer({_LAST: last}, _LAST, low=0, high=parameters.LARGEST, default=0)
    return after if "after" in given else None


def _take(request: web.Request) -> asyncio.Transport:
    """Take the connection from aiohttp, which forgets it, as if it were lost."""
    connection = request.protocol
    transport = connection.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError
    connection.transport = None  # what aiohttp has not, it does not close
    connection.connection_lost(None)
    return transport


class _Taken(web.StreamResponse):
    """An answer that goes on after its request has been dealt with."""

    _send_headers_immediately = False  # but with what is written first

    async def write_eof(self, data: Any = b"") -> None:  # noqa: ANN401  (aiohttp's signature)
        """End the request, not the answer."""
        if self._req is not None and self._req.method == hdrs.METH_HEAD:
            await super().write_eof(data)
            return
        raise ConnectionResetError
