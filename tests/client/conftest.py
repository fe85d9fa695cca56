"""A pod that answers as it is told, on a real socket of the loopback interface."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

Reply = Callable[[web.Request], web.StreamResponse | Awaitable[web.StreamResponse]]


@dataclass
class Pod:
    """Somebody else's server: `replies` by path and query, or by path; what was asked stands in `asked`."""

    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    root: str = ""

    def url(self, path: str) -> str:
        return self.root + path

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.raw_path}")
        self.requests.append(request)
        self.bodies.append(await request.read())
        reply = self.replies.get(request.raw_path) or self.replies.get(request.path)
        if reply is None:
            return web.Response(status=404)
        answered = reply(request)
        return answered if isinstance(answered, web.StreamResponse) else await answered


@pytest.fixture
async def pod() -> AsyncIterator[Pod]:
    made = Pod()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", made.answer)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server(shutdown_timeout=0.1)
    made.root = str(server.make_url("")).rstrip("/")
    yield made
    await server.close()
