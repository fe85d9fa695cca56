"""A whole site on a socket: the real store, the real screening, no network beyond the loopback."""

import asyncio
import contextlib
import copy
import dataclasses
import json
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from orchestrator.catalogue import packaged, read_folder
from orchestrator.contexts import bundled_contexts
from orchestrator.core.checkpoint import SignerKey
from orchestrator.core.event import LifecycleEvent
from orchestrator.core.pod import Identity, Pod
from orchestrator.core.policy import Facts, Judgement, PolicySet, judge
from orchestrator.core.screening import Rules, Screening, screen
from orchestrator.core.shapes.shape_set import ShapeSet
from orchestrator.core.strict_json import DEFAULT_LIMITS, Limits
from orchestrator.pipeline.existence import Existence
from orchestrator.pipeline.process import Processing
from orchestrator.ports import Peers, Query, Reader
from orchestrator.storage import Store
from orchestrator.web import Live, Site, make_app, serve

TOP = Path(__file__).resolve().parents[2]
BASE = "https://orchestrator.example"
SHAPES = {path.stem: path.read_text("utf-8") for path in sorted((TOP / "shapes").glob("*.ttl"))}
SHAPE_SET = ShapeSet(SHAPES)
PROBLEMS = {path.stem: path.read_text("utf-8") for path in sorted((TOP / "docs/problems").glob("*.md"))}
AS_PROFILE = 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'


class SteppingClock:
    """A second passes between any two looks."""

    def __init__(self) -> None:
        self.time = 1_900_000_000_000

    def now(self) -> int:
        self.time += 1_000
        return self.time


class InProcessScreener:
    """The real functions, without the processes that bound them."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    async def screen(self, body: bytes) -> Screening:
        return screen(body, Rules(contexts=bundled_contexts(), shapes=SHAPE_SET, limits=self.limits))

    async def judge(self, body: bytes, facts: Facts, policies: PolicySet) -> Judgement:
        return judge(body, facts, contexts=bundled_contexts(), policies=policies)

    def judge_at_once(self, body: bytes, facts: Facts, policies: PolicySet) -> Judgement | None:  # noqa: ARG002
        return None


class NoPolicies:
    """Everything is logged."""

    def snapshot(self) -> PolicySet:
        return PolicySet({})


class Watched:
    """A reader that writes down by name what it is asked."""

    def __init__(self, reader: Reader) -> None:
        self.asked: list[str] = []
        self._reader = reader

    def __getattr__(self, name: str) -> object:
        self.asked.append(name)
        return getattr(self._reader, name)


@dataclasses.dataclass(kw_only=True, repr=False)
class House:
    """A served site, with what a test wants to look at behind it."""

    site: Site
    app: web.Application
    asked: list[str]
    """Questions of the site to the database."""
    store: Store
    session: aiohttp.ClientSession
    port: int

    async def post(
        self, document: object, *, path: str = "/inbox/", **headers: str
    ) -> aiohttp.ClientResponse:
        """POST a document (or bytes as they are), read the answer whole and return it."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        named = {"Content-Type": "application/ld+json"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(path, data=body, headers=named, allow_redirects=False) as answer:
            await answer.read()
            return answer

    async def ask(self, path: str, method: str = "GET", **headers: str) -> aiohttp.ClientResponse:
        """Ask for `path`, read the answer whole and return it."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(method, path, headers=named, allow_redirects=False) as answer:
            await answer.read()
            return answer

    async def kept(self) -> int:
        """Return how many notifications are in the inbox."""
        return len(await self.store.reader.listing("inbox"))

    async def process(self) -> list[LifecycleEvent]:
        """Let everything that waits become events, as the service does."""
        identity = self.site.identity
        processing = Processing(
            pod=Pod(public_url=self.site.public_url, me=identity),
            ledger=self.store.ledger,
            reader=self.store.reader,
            screener=self.site.screener,
            policies=NoPolicies(),
            existence=Existence(peers=cast("Peers", None), clock=self.site.clock),
            clock=self.site.clock,
        )
        now = self.site.clock.now()
        claimed = await self.store.ledger.claim("test", limit=1_000, now=now, lease=60_000)
        before = await self.store.reader.head()
        await processing.process(claimed)
        return list(await self.store.reader.events(Query(since=before.sequence, limit=1_000)))

    async def publish(self, *documents: object) -> None:
        """POST documents and let them become events, in this order."""
        for document in documents:
            assert (await self.post(document)).status == 201
            await self.process()


Build = Callable[..., "contextlib.AbstractAsyncContextManager[House]"]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Return what serves a site with the given changes."""

    @contextlib.asynccontextmanager
    async def make(
        *, header_timeout: float = 10.0, connections: int = 512, **changes: Any
    ) -> AsyncIterator[House]:
        store = await asyncio.to_thread(
            Store.open, f"sqlite:///{tmp_path}/{uuid.uuid4().hex}.sqlite", public_url=BASE
        )

        async def ready() -> Mapping[str, object]:
            return {"ok": True, "database": True}

        watched = Watched(store.reader)
        site = Site(
            public_url=BASE,
            identity=Identity(id=f"{BASE}/", name="Test <orchestrator>", inbox=f"{BASE}/inbox/"),
            screener=InProcessScreener(changes.get("limits", DEFAULT_LIMITS)),
            ledger=store.ledger,
            reader=cast("Reader", watched),
            sources=store.sources,
            tree=store.tree,
            signer=SignerKey.generate("orchestrator.example/log", b"k" * 32),
            clock=SteppingClock(),
            contexts=bundled_contexts(),
            shapes=SHAPES,
            policies=lambda: {"announce.ttl": "# a policy\n"},
            problems=PROBLEMS,
            vocabularies=read_folder(packaged("vocabularies"), ".ttl"),
            ready=ready,
            # Or its look for what is new would be one question more now and then.
            live=Live(interval=3_600),
        )
        site = dataclasses.replace(site, **changes)
        app = make_app(site)
        bound = socket.create_server(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        try:
            async with serve(app, bound, header_timeout=header_timeout, connections=connections):
                base = f"http://127.0.0.1:{port}"
                async with aiohttp.ClientSession(
                    base, auto_decompress=False, headers={"Accept-Encoding": "identity"}
                ) as session:
                    yield House(
                        site=site, app=app, asked=watched.asked, store=store, session=session, port=port
                    )
        finally:
            bound.close()
            await store.close()

    return make


@pytest.fixture
async def house(build: Build) -> AsyncIterator[House]:
    """A served site as it is out of the box: open and public."""
    async with build() as served:
        yield served


@pytest.fixture
def specimen() -> Callable[..., dict[str, Any]]:
    """Return what makes a fresh valid notification of a pattern, with members changed."""

    def make(slug: str = "announce-review", **changes: object) -> dict[str, Any]:
        text = (TOP / "fixtures/notifications" / slug / "valid.json").read_text("utf-8")
        document = copy.deepcopy(json.loads(text))
        document["id"] = f"urn:uuid:{uuid.uuid4()}"
        return {**document, **changes}

    return make


@pytest.fixture
def write(specimen: Callable[..., dict[str, Any]]) -> Callable[..., Awaitable[list[dict[str, Any]]]]:
    """Return what posts `count` fresh notifications of a pattern, lets them become events, and returns them."""

    async def publish(
        house: House, count: int, *, slug: str = "announce-review", **changes: object
    ) -> list[dict[str, Any]]:
        sent = [specimen(slug, **changes) for _ in range(count)]
        await house.publish(*sent)
        return sent

    return publish
