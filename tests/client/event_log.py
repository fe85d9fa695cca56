"""An event log that somebody serves, with whatever a stream can do to a reader."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from tests.client.conftest import Pod

Speak = Callable[["Live"], Awaitable[None]]
Event = dict[str, Any]


def frame(event: Event) -> bytes:
    return b"id: %d\ndata: %b\n\n" % (event["sequence"], json.dumps(event).encode())


class Live:
    """One answer of the live stream, after its head."""

    def __init__(self, log: "EventLog", response: web.StreamResponse, after: int) -> None:
        self.log = log
        self.after = after
        self._response = response

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            await self._response.write(part)

    async def tell(self, *sequences: int) -> None:
        await self.say(*(frame(self.log.event(sequence)) for sequence in sequences))

    async def break_off(self) -> None:
        transport = self._response._req.transport  # type: ignore[union-attr]
        assert transport is not None
        transport.abort()
        await asyncio.sleep(0)

    async def hang(self) -> None:
        await self.log.ended.wait()


class EventLog:
    """The log at `/log` of a pod: pages of `page_size`, and a live stream that does as it is told."""

    def __init__(self, pod: "Pod", *, path: str = "/log") -> None:
        self.pod = pod
        self.path = path
        self.url = pod.url(path)
        self.page_size = 2
        self.sequences: list[int] = []
        self.ended = asyncio.Event()
        self.live: list[Speak] = []
        """What each connection to the live stream gets, in turn; the last one again and again."""
        self.greets = True
        """Whether the stream says first where it begins."""
        self.root: dict[str, object] = {"totalItems": None}
        pod.replies[path] = self._page
        pod.replies[f"{path}/live"] = self._stream

    def event(self, sequence: int) -> Event:
        return {"id": f"{self.url}/e/{sequence}", "type": ["Announce"], "sequence": sequence}

    def events(self, sequences: Iterable[int]) -> list[Event]:
        return [self.event(sequence) for sequence in sequences]

    def write(self, *sequences: int) -> None:
        self.sequences += sequences

    @property
    def asked(self) -> list[str]:
        """What was asked of the stream: parameters only."""
        return [line.partition("?")[2] for line in self.pod.asked if f"{self.path}/live" in line]

    def _page(self, request: web.Request) -> web.Response:
        end = max(self.sequences, default=0)
        tag = f'"{request.query_string}-{end}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag})
        if "since" not in request.query:
            root = {"id": self.url, **self.root}
            if root["totalItems"] is None:
                root["totalItems"] = end
            return web.json_response({key: value for key, value in root.items() if value != ""})
        since = int(request.query["since"])
        found = [sequence for sequence in self.sequences if sequence > since][: self.page_size]
        page: dict[str, object] = {
            "id": str(request.url),
            "partOf": self.url,
            "orderedItems": self.events(found),
        }
        if found and found[-1] < end:
            page["next"] = f"{self.url}?since={found[-1]}"
        return web.json_response(page, headers={"ETag": tag}, content_type="application/ld+json")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        speak = self.live.pop(0) if len(self.live) > 1 else self.live[0]
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        live = Live(self, response, int(request.query["after"]))
        await live.say(b"retry: 10\n")
        if self.greets:
            await live.say(b"id: %d\n\n" % live.after)
        await speak(live)
        return response
