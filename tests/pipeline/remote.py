"""A remote inbox on a real socket, and our stages that read it."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from aiohttp import web

from orchestrator.core.source import read_source
from orchestrator.core.vocabulary import JSON_LD, LDP, MODIFIED, N_TRIPLES, RDF, SIZE
from orchestrator.pipeline.collect import Collecting, Done
from orchestrator.ports.sources import Member, MemberState, Pass, Status

if TYPE_CHECKING:
    from .conftest import House, Specimen

Reply = Callable[[web.Request], web.StreamResponse | Awaitable[web.StreamResponse]]
LEASE = 60_000


@dataclass(kw_only=True)
class Put:
    """A member of the inbox."""

    body: bytes
    media_type: str = JSON_LD
    modified: str | None = None
    size: int | None = None


@dataclass
class RemotePod:
    """Somebody else's server, with an inbox: what is in it is asked for and listed; `replies` come first."""

    form: str = N_TRIPLES
    members: dict[str, Put] = field(default_factory=dict)
    """By name, in the order of the listing."""
    elsewhere: list[str] = field(default_factory=list)
    """URLs on other servers that it lists too."""
    page: int = 1_000
    """Members on a page of the listing."""
    has_etags: bool = True
    replies: dict[str, Reply] = field(default_factory=dict)
    """By path with query."""
    asked: list[str] = field(default_factory=list)
    requests: list[web.Request] = field(default_factory=list)
    origin: str = ""
    inbox: str = "/inbox/"

    def url(self, name: str = "") -> str:
        return f"{self.origin}{self.inbox}{name}"

    def put(self, name: str, document: object, **more: Any) -> str:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.members[name] = Put(body=body, **more)
        return self.url(name)

    def fetched(self) -> list[str]:
        """Return the names of members that were asked for since the last time, and forget all requests."""
        asked = [each.removeprefix(f"GET {self.inbox}") for each in self.asked]
        self.forget()
        return [name for name in asked if name and not name.startswith("?")]

    def forget(self) -> None:
        self.asked.clear()
        self.requests.clear()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.raw_path}")
        self.requests.append(request)
        reply = self.replies.get(request.raw_path)
        if reply is not None:
            answered = reply(request)
            return answered if isinstance(answered, web.StreamResponse) else await answered
        if request.path == self.inbox:
            return self._listing(request, int(request.query.get("page", "1")))
        found = self.members.get(request.path.removeprefix(self.inbox))
        if found is None:
            return web.Response(status=404)
        return web.Response(body=found.body, headers={"Content-Type": found.media_type})

    def _listing(self, request: web.Request, page: int) -> web.Response:
        names = list(self.members)[(page - 1) * self.page : page * self.page]
        is_last = page * self.page >= len(self.members)
        body = self._written(names).encode()
        headers = {"Content-Type": self.form}
        if not is_last:
            headers["Link"] = f'<?page={page + 1}>; rel="next"'
        if self.has_etags:
            tag = hashlib.sha256(body + str(is_last).encode()).hexdigest()[:16]
            headers["ETag"] = f'"{tag}"'
            if request.headers.get("If-None-Match") == headers["ETag"]:
                return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers=headers)

    def _written(self, names: Sequence[str]) -> str:
        urls = [*map(self.url, names), *self.elsewhere]
        if self.form == JSON_LD:
            said = {"@context": "http://www.w3.org/ns/ldp", "@id": self.url(), "contains": urls}
            return json.dumps(said | {"@type": f"{LDP}BasicContainer"})
        lines = [f"<{self.url()}> <{RDF}type> <{LDP}BasicContainer> ."]
        lines += [f"<{self.url()}> <{LDP}contains> <{url}> ." for url in urls]
        for name in names:
            put = self.members[name]
            if put.modified is not None:
                lines.append(f'<{self.url(name)}> <{MODIFIED}> "{put.modified}" .')
            if put.size is not None:
                lines.append(f'<{self.url(name)}> <{SIZE}> "{put.size}" .')
        return "\n".join([*lines, ""])


@dataclass(kw_only=True)
class World:
    """Our stages, and a pod that they read."""

    house: "House"
    pod: RemotePod
    collecting: Collecting

    async def add(self, **members: object) -> None:
        """Have a source named `pod`; its inbox unless something else is said."""
        given: dict[str, object] = {"name": "pod", **members}
        if not {"artefact", "log"} & given.keys():
            given["inbox"] = self.pod.url()
        source = read_source(given, "here")
        await self.house.store.sources.add(source, who="test", now=self.house.clock.time)

    def settle(self, **changes: object) -> None:
        self.collecting.settings = replace(self.collecting.settings, **changes)  # type: ignore[arg-type]

    async def claim(self, owner: str = "us", *, lease: int = LEASE) -> Pass:
        progress = self.house.store.progress
        [claimed] = await progress.claim(owner, limit=1, now=self.house.clock.time, lease=lease, name="pod")
        return claimed

    async def poll(self) -> Done:
        return await self.collecting.collect(await self.claim())

    async def status(self) -> Status:
        [found] = await self.house.store.sources.statuses("pod")
        return found

    async def members(self) -> dict[str, Member]:
        """Return what we know of the pod's members, by name."""
        found = await self.house.store.sources.members("pod", limit=100_000)
        return {member.url.removeprefix(self.pod.url()): member for member in found}

    async def states(self) -> dict[str, MemberState]:
        return {name: member.state for name, member in (await self.members()).items()}

    async def kept(self, inbox: str = "inbox") -> int:
        return len(await self.house.store.reader.listing(inbox, limit=10_000))

    def later(self, milliseconds: int) -> None:
        self.house.clock.time += milliseconds


StartPod = Callable[..., Awaitable[RemotePod]]


def answers(status: int, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: web.Response(status=status, headers=named)


async def hangs_up(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def fill(world: World, specimen: "Specimen", count: int, start: int = 0) -> list[str]:
    names = [f"{number:03}" for number in range(start, start + count)]
    for name in names:
        world.pod.put(name, specimen())
    return names
