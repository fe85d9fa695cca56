"""A log with its inbox, and a pod with documents: one server on a loopback socket, which does as it is told."""

import asyncio
import contextlib
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import web
from rdflib import Graph, URIRef

from orchestrator.app import StateFile, Told, opened
from orchestrator.bootstrap import catalogue_of, rulebook_of
from orchestrator.cli.app import app_of
from orchestrator.config import Settings
from orchestrator.core import vocabulary as v
from orchestrator.core.enrichment import Teller
from orchestrator.core.vocabulary import CITO
from orchestrator.screener import DirectScreener, ScreenerSettings, ScreeningPool

REVIEWED = f"{CITO}isReviewedBy"
US = "https://app.example/"
OTHER = "http://xmlns.com/foaf/0.1/topic"
Event = dict[str, Any]
Reply = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


@dataclass
class Document:
    """What a pod keeps at one path."""

    graph: Graph
    version: int = 1
    media_type: str = v.TURTLE
    links: str = ""

    @property
    def etag(self) -> str:
        return f'"{self.version}"'


@dataclass
class World:
    """The log at `/log`, its inbox, and everything else is the pod."""

    root: str = ""
    page_size: int = 250
    inbox_path: str = "/inbox/"
    events: list[Event] = field(default_factory=list)
    documents: dict[str, Document] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    """What the inbox has taken, each once."""
    tokens: set[str | None] = field(default_factory=set)
    before: Reply | None = None
    """Asked before each request is answered; its answer, if any, is the answer."""
    after: Reply | None = None
    """Asked when a request has done what it does; its answer, if any, is given instead."""
    publishes: bool = True
    """Whether what the inbox takes becomes an event."""

    @property
    def log(self) -> str:
        return f"{self.root}/log"

    @property
    def inbox(self) -> str:
        return f"{self.root}{self.inbox_path}"

    def url(self, path: str) -> str:
        return f"{self.root}{path}"

    def document(self, path: str, turtle: str = "", **more: str) -> str:
        """Have a document; return its URL."""
        graph = Graph()
        graph.parse(
            data=turtle or f'<> <{v.RDFS}label> "A paper" .', format="turtle", publicID=self.url(path)
        )
        self.documents[path] = Document(graph=graph)
        for name, value in more.items():
            setattr(self.documents[path], name, value)
        return self.url(path)

    def links(self, path: str) -> list[str]:
        """Return what the document at `path` says its artefact is reviewed by."""
        found = self.documents[path].graph.objects(URIRef(self.url(path)), URIRef(REVIEWED))
        return sorted(map(str, found))

    def announce(self, artefact: str, review: str = "https://reviews.example/1", **more: Any) -> Event:
        """Have an event that announces a review; `more` are members of the event."""
        return self.add(announcement(artefact, review, len(self.events) + 1), artefact=artefact, **more)

    def add(self, payload: Mapping[str, Any] | None, **more: Any) -> Event:
        """Have an event with this payload; None is an erased one."""
        number = len(self.events) + 1
        said: Mapping[str, Any] = payload or {}
        event: Event = {
            "id": f"{self.log}/e/{number}",
            "type": [*_list(said.get("type", "Announce")), "LifecycleEvent"],
            "sequence": number,
            "created": f"2031-01-01T00:00:{number % 60:02}.000Z",
            "activity": said.get("id", f"urn:uuid:{number}"),
            "actor": _id(said.get("actor")),
            "origin": _id(said.get("origin")),
            "artefact": None,
            "inReplyTo": said.get("inReplyTo"),
            "causedBy": None,
            "digest": f"digest {number}",
            **more,
        }
        if payload is not None:
            event |= {"@graph": [dict(payload)], "salt": "00"}
        self.events.append(event)
        return event

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        answered = await self.before(request) if self.before else None
        if answered is None:
            answered = await self._answer(request)
            said = await self.after(request) if self.after else None
            answered = said or answered
        return answered

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/log":
            return self._log(request)
        if request.path == self.inbox_path:
            return self._take(await request.json())
        document = self.documents.get(request.path)
        if document is None:
            return web.Response(status=404)
        self.tokens.add(request.headers.get("Authorization"))
        if request.method == "PATCH":
            if request.headers.get("If-Match") != document.etag:
                return web.Response(status=412)
            document.graph.update((await request.read()).decode())
            document.version += 1
            return web.Response(status=205)
        headers = {"Content-Type": document.media_type, "ETag": document.etag}
        headers |= {"Accept-Patch": v.SPARQL_UPDATE, "Link": document.links}
        return web.Response(body=document.graph.serialize(format="nt11").encode(), headers=headers)

    def _log(self, request: web.Request) -> web.Response:
        headers = {"Link": f'<{self.inbox}>; rel="{v.INBOX}"', "Content-Type": v.JSON_LD}
        if "since" not in request.query:
            body: dict[str, Any] = {
                "id": self.log,
                "type": "OrderedCollection",
                "totalItems": len(self.events),
            }
            return web.Response(body=json.dumps(body).encode(), headers=headers)
        since = int(request.query["since"])
        page = [event for event in self.events if event["sequence"] > since][: self.page_size]
        body = {"type": "OrderedCollectionPage", "orderedItems": page}
        if page and page[-1] is not self.events[-1]:
            body["next"] = f"{self.log}?since={page[-1]['sequence']}"
        return web.Response(body=json.dumps(body).encode(), headers=headers)

    def _take(self, document: dict[str, Any]) -> web.Response:
        """Take a notification as our inbox does: the same one again is the same, another one is none."""
        known = {each["id"]: each for each in self.told}
        if document["id"] not in known:
            self.told.append(document)
            if self.publishes:
                thread = next((e for e in self.events if e["activity"] == document.get("inReplyTo")), None)
                caused = {"causedBy": thread["id"]} if thread else {}
                payload = {name: value for name, value in document.items() if name != "@context"}
                self.add(payload, artefact=_id(document["object"]), **caused)
        elif known[document["id"]] != document:
            return web.Response(status=409, text="It is another one.")
        return web.Response(status=201, headers={"Location": f"{self.inbox}{document['id'][-12:]}"})


def announcement(artefact: str, review: str, number: int) -> dict[str, Any]:
    """Return the announcement of a review, as a log publishes it."""
    return {
        "id": f"urn:uuid:00000000-0000-4000-8000-{number:012}",
        "type": ["Announce", "coar-notify:ReviewAction"],
        "actor": {"id": "https://reviews.example/about", "type": "Organization", "name": "Reviews"},
        "origin": {
            "id": "https://reviews.example/",
            "type": "Service",
            "inbox": "https://reviews.example/inbox/",
        },
        "target": {"id": "https://pod.example/", "type": "Service", "inbox": "https://pod.example/inbox/"},
        "object": {"id": review, "type": ["Document", "sorg:Review"], "ietf:cite-as": review},
        "context": {"id": artefact, "type": ["Page", "sorg:AboutPage"]},
    }


@contextlib.asynccontextmanager
async def served(world: World) -> AsyncIterator[World]:
    """Serve `world` on a free port."""
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", world.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    world.root = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield world
    finally:
        await runner.cleanup()


@dataclass
class Runs:
    """Runs of the app, as its command makes them, in this process."""

    world: World
    folder: Path
    settings: Settings

    @property
    def state(self) -> Path:
        return Path(self.settings.app_state)

    async def once(self, *, rehearses: bool = False, state: str = "", **changes: Any) -> list[Told]:
        """Run until the log ends; return what was told."""
        told: list[Told] = []
        settings = replace(self.settings, **changes)
        if state:
            settings = replace(settings, app_state=str(self.folder / state))
        async with self.made(settings, told.append, rehearses=rehearses) as made:
            await asyncio.wait_for(made.run(once=True), 60)
        return told

    @contextlib.asynccontextmanager
    async def made(
        self, settings: Settings, tell: Callable[[Told], None], *, rehearses: bool = False
    ) -> AsyncIterator[Any]:
        """Put an app together."""
        with opened(Path(settings.app_state), settings.app_log, rehearses=rehearses) as file:
            kept: StateFile = file
            lent = screener()
            async with app_of(settings, kept, tell, rehearses=rehearses, screener=lent) as made:
                yield made


@functools.cache
def screener() -> DirectScreener:
    """Return what screens as the app does: to compile the shapes takes longer than all else."""
    settings = Settings()
    rulebook = rulebook_of(settings, catalogue_of(settings))
    return DirectScreener(rulebook, ScreeningPool(rulebook, ScreenerSettings(workers=1)))


def outcomes(told: list[Told]) -> list[str]:
    """Return outcomes, and reasons, in order."""
    return [each.outcome if each.reason is None else f"{each.outcome} {each.reason}" for each in told]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _id(value: Any) -> Any:
    return value.get("id") if isinstance(value, dict) else value


TELLER = Teller(id=US, inbox=f"{US}inbox/")
