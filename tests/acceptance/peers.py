"""Other people's servers, on sockets: services with an LDN inbox, hubs that misbehave, a host of artefacts."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self
from urllib.parse import urljoin

from aiohttp import web
from tests.acceptance.service import JSON_LD, Answer, ask

LDP_INBOX = "http://www.w3.org/ns/ldp#inbox"
Say = int | tuple[int, Mapping[str, str]] | Literal["hang"]
"""What to answer to a POST: a status, with headers, or nothing until `release`."""
Advertise = Literal["header", "body", "turtle"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that a peer got."""

    method: str
    path: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Peer:
    """A server on a free loopback port: `async with Peer() as peer`."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self._runner: web.ServerRunner | None = None

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = Asked(
            method=request.method,
            path=request.path,
            body=await request.read(),
            headers=request.headers.copy(),
        )
        self.asked.append(asked)
        return await self.answer(asked)

    async def answer(self, asked: Asked) -> web.StreamResponse:
        """Return what this peer says to a request."""
        raise NotImplementedError


class Host(Peer):
    """A host of artefacts. Each advertises the inbox that is responsible for it, unless it is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.inbox = ""
        """The inbox that artefacts advertise."""
        self.statuses: dict[str, int] = {}

    def put(self, path: str, status: int = 200) -> str:
        """Have an artefact that answers with `status`; return its URL."""
        self.statuses[f"/{path}"] = status
        return self.url + path

    async def answer(self, asked: Asked) -> web.StreamResponse:
        """Answer HEAD and GET of artefacts."""
        status = self.statuses.get(asked.path, 404)
        headers = {"Link": f'<{self.inbox}>; rel="{LDP_INBOX}"'} if self.inbox and status == 200 else {}
        return web.Response(status=status, headers=headers, text="An artefact." if status == 200 else "")


class Hub(Peer):
    """A service with an LDN inbox (W3C LDN, section 3.2) that answers POSTs as its script says, then 202."""

    def __init__(self, *script: Say, advertise: Advertise = "header", inbox: str = "inbox/") -> None:
        super().__init__()
        self.script: list[Say] = list(script)
        self._advertise = advertise
        self._inbox = inbox
        self.release = asyncio.Event()
        """Set: those who hang are answered with 202."""
        self.answers: list[int] = []
        """The status of each POST that was answered, in order."""

    @property
    def inbox(self) -> str:
        return self.url + self._inbox

    @property
    def posts(self) -> Sequence[Asked]:
        """Everything that was posted, repeats too."""
        return [asked for asked in self.asked if asked.method == "POST"]

    @property
    def ids(self) -> set[str]:
        return {post.document["id"] for post in self.posts}

    async def answer(self, asked: Asked) -> web.StreamResponse:
        """Advertise the inbox, or take a notification as the script says."""
        if asked.method == "POST":
            return await self._take(asked)
        if asked.path != "/":
            return web.Response(status=404)
        if self._advertise == "header":
            return web.Response(headers={"Link": f'<{self._inbox}>; rel="{LDP_INBOX}"'})
        if self._advertise == "turtle":
            return web.Response(text=f"<> <{LDP_INBOX}> <{self.inbox}> .", content_type="text/turtle")
        body = {"@id": self.url, LDP_INBOX: {"@id": self.inbox}}
        return web.Response(text=json.dumps(body), content_type=JSON_LD)

    def say(self, asked: Asked) -> Say:  # noqa: ARG002  (for hubs that look at what they were sent)
        """Return the answer to a POST."""
        return self.script.pop(0) if self.script else 202

    async def _take(self, asked: Asked) -> web.StreamResponse:
        say = self.say(asked)
        if say == "hang":
            await self.release.wait()
            say = 202
        status, headers = (say, {}) if isinstance(say, int) else say
        self.answers.append(status)
        return web.Response(status=status, headers=headers)


@dataclass(kw_only=True)
class Party:
    """Somebody as notifications name them."""

    id: str
    inbox: str
    name: str = "A service"
    extra: dict[str, object] = field(default_factory=dict)

    @property
    def system(self) -> dict[str, object]:
        return {"id": self.id, "type": "Service", "inbox": self.inbox}

    @property
    def actor(self) -> dict[str, object]:
        return {"id": f"{self.id}about", "type": "Organization", "name": self.name}


def party(peer: Hub, name: str = "A service") -> Party:
    """Return a peer as notifications name it."""
    return Party(id=peer.url, inbox=peer.inbox, name=name)


async def discover(resource: str) -> str:
    """Return the inbox that a resource advertises in its Link header, as the simplest LDN sender does."""
    answer = await ask("HEAD", resource)
    assert answer.status == 200
    for link in answer.headers.get("Link", "").split(","):
        place, _, rest = link.strip().partition(">")
        if f'rel="{LDP_INBOX}"' in rest:
            return urljoin(resource, place.removeprefix("<"))
    message = f"{resource} advertises no inbox"
    raise AssertionError(message)


async def notify(resource: str, document: object) -> Answer:
    """Send a notification about a resource to the inbox that it advertises."""
    return await ask(
        "POST", await discover(resource), json.dumps(document).encode(), Content_Type="application/ld+json"
    )
