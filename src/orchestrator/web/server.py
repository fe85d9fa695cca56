"""The HTTP server around the application: what aiohttp leaves open to strangers is closed here (T5)."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Any, Final

from aiohttp import web

from orchestrator.core.errors import BadRequest, OrchestratorError
from orchestrator.web import problems
from orchestrator.web.answering import unrouted
from orchestrator.web.headers import finish
from orchestrator.web.site import SITE, Site

_log = logging.getLogger(__name__)

_CONNECTION: Final[Mapping[str, Any]] = {
    # A reader's address is nobody's business, and the log's own lines tell what was done.
    "access_log": None,
    # Compressed bodies are refused, and nothing is unpacked before that.
    "auto_decompress": False,
    # Seconds: longer than reverse proxies keep a connection; and for what a refused sender still sends.
    "keepalive_timeout": 75.0,
    "lingering_time": 5.0,
}
CONNECTIONS: Final = 512
"""Connections at once, without those that were handed over to followers of the log (`web.live`)."""
_DRAIN: Final = 4.0
"""Seconds for answers that are under way when we stop; with the timetable's, a stop takes less than 20."""
_PATIENCE: Final = 10.0
"""Seconds for which a reader may take nothing of what waits for him, however little it is."""
_BAD_REQUEST: Final = 400


@contextlib.asynccontextmanager
async def serve(
    app: web.Application,
    bound: socket.socket,
    *,
    header_timeout: float = 10.0,
    connections: int = CONNECTIONS,
    read_rate: int = 65_536,
) -> AsyncIterator[None]:
    """Serve `app` on a bound socket; leaving finishes the requests that are under way.

    A connection that has not sent a whole request head after `header_timeout` seconds is closed, and so
    is every one beyond `connections`, and a reader who takes fewer than `read_rate` bytes a second of an
    answer that waits for him.
    """
    runner = web.AppRunner(app, shutdown_timeout=_DRAIN)
    await runner.setup()
    server = runner.server
    try:
        if server is None:  # setup makes it; the type does not say so
            raise OrchestratorError

        def connection() -> _Connection:
            return _Connection(
                server,
                app[SITE],
                header_timeout=header_timeout,
                connections=connections,
                read_rate=read_rate,
            )

        loop = asyncio.get_running_loop()
        listening = await loop.create_server(connection, sock=bound, backlog=256)
        try:
            yield
        finally:
            listening.close()
    finally:
        await runner.cleanup()


class _Connection(web.RequestHandler):
    """One client's connection, with the deadlines that aiohttp has not, and our own words for its errors."""

    __slots__ = ("_abort", "_header_timeout", "_most", "_read_rate", "_site")

    def __init__(
        self, server: web.Server, site: Site, *, header_timeout: float, connections: int, read_rate: int
    ) -> None:
        """Belong to `server`, which counts all connections."""
        super().__init__(server, loop=asyncio.get_running_loop(), **_CONNECTION)
        self._site = site
        self._header_timeout = header_timeout
        self._most = connections
        self._read_rate = read_rate
        self._abort: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many already; and wait for a request, but not for ever."""
        super().connection_made(transport)
        if self._manager is not None and len(self._manager.connections) > self._most:
            _log.warning("connection_refused most=%d", self._most)
            self.force_close()
            return
        asyncio.get_running_loop().call_later(self._header_timeout, self._close_silent)

    def pause_writing(self) -> None:
        """Wait for a slow reader, but not for ever: what he does not take lies in our memory."""
        super().pause_writing()
        if self.transport is not None:
            seconds = _PATIENCE + self.transport.get_write_buffer_size() / self._read_rate
            self._abort = asyncio.get_running_loop().call_later(seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the reader took what waited."""
        super().resume_writing()
        self._patient()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection, and the wait for its reader."""
        self._patient()
        super().connection_lost(exc)

    def _patient(self) -> None:
        if self._abort is not None:
            self._abort.cancel()
            self._abort = None

    def _close_silent(self) -> None:
        # Counted when a head is complete; later heads are bounded by the keep-alive timeout.
        if self._request_count == 0:
            self.force_close()

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        """Send an answer; aiohttp's own refusal, when no route was found, in our words."""
        is_plain = type(resp) is web.Response  # asked first, since `isinstance` is slow for these classes
        if not is_plain and isinstance(resp, web.HTTPException) and isinstance(request, web.Request):
            return self._refuse(request, resp, start_time)
        return super().finish_response(request, resp, start_time)

    async def _refuse(
        self, request: web.Request, error: web.HTTPException, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        return await super().finish_response(request, await unrouted(request, error), start_time)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  (it repeats the stranger's bytes)
    ) -> web.StreamResponse:
        """Answer what never reached the application: bytes that are not HTTP, or a fault below it."""
        if request.writer.output_size > 0:
            # Half an answer cannot be mended: the client has to see that it was cut off.
            raise ConnectionResetError
        error: OrchestratorError = OrchestratorError()
        if status == _BAD_REQUEST:
            _log.info("request_unreadable reason=%s", type(exc).__name__)
            error = BadRequest("This cannot be read as HTTP/1.1.")
        else:
            _log.error("request_failed route=none", exc_info=exc)
        response = problems.outside(self._site, error)
        finish(response)
        response.force_close()
        return response
