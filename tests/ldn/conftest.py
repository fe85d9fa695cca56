"""A peer that answers as it is told, on a real socket of the loopback interface."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

Reply = Callable[[web.Request], web.StreamResponse | Awaitable[web.StreamResponse]]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
StartPeer = Callable[..., Awaitable["Peer"]]
StartRaw = Callable[[Talk], Awaitable[str]]


@dataclass
class Peer:
    """Somebody else's server: `replies` by path; what it was asked stands in `asked`."""

    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    port: int = 0
    host: str = "127.0.0.1"

    def url(self, path: str) -> str:
        return f"http://{self.host}:{self.port}{path}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.raw_path}")
        self.requests.append(request)
        self.bodies.append(await request.read())
        reply = self.replies.get(request.path)
        if reply is None:
            return web.Response(status=404)
        answered = reply(request)
        return answered if isinstance(answered, web.StreamResponse) else await answered


@pytest.fixture
async def start_peer() -> AsyncIterator[StartPeer]:
    servers: list[TestServer] = []

    async def start(host: str = "127.0.0.1", port: int = 0) -> Peer:
        peer = Peer(host=host)
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", peer.answer)
        server = TestServer(app, host=host, port=port or None)
        await server.start_server(shutdown_timeout=0.1)
        servers.append(server)
        peer.port = server.port or 0
        return peer

    yield start
    for server in servers:
        await server.close()


@pytest.fixture
async def peer(start_peer: StartPeer) -> Peer:
    return await start_peer()


@pytest.fixture
async def start_raw() -> AsyncIterator[StartRaw]:
    """Serve bytes that no HTTP library would send; the answer is the server's URL."""
    servers: list[asyncio.Server] = []
    talking: set[asyncio.Task[None] | None] = set()

    async def start(talk: Talk) -> str:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            talking.add(asyncio.current_task())
            with suppress(ConnectionError, asyncio.CancelledError):
                await talk(reader, writer)
            writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

    yield start
    for server in servers:
        server.close()
    for task in filter(None, talking):
        task.cancel()
    await asyncio.gather(*filter(None, talking), return_exceptions=True)
