"""The stages with the real store and the real screening; only the time and other people's servers are made up."""

import asyncio
import copy
import dataclasses
import json
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from orchestrator.catalogue import packaged, read_folder
from orchestrator.contexts import bundled_contexts
from orchestrator.core.delivery import DeliveryState
from orchestrator.core.event import LifecycleEvent
from orchestrator.core.pod import Identity, Pod
from orchestrator.core.policy import Facts, Judgement, PolicySet, judge, published
from orchestrator.core.screening import Rules, Screening, screen
from orchestrator.core.shapes.shape_set import ShapeSet
from orchestrator.core.strict_json import DEFAULT_LIMITS
from orchestrator.ldn import EgressSettings, Peers, Remotes
from orchestrator.pipeline.collect import Collecting, CollectSettings
from orchestrator.pipeline.deliver import Delivering
from orchestrator.pipeline.existence import Existence
from orchestrator.pipeline.process import Processing
from orchestrator.pipeline.receive import Received, receive
from orchestrator.ports import Answer, Claimed, Delivery, Query, Stored
from orchestrator.scheduler import next_time
from orchestrator.screener import ListingReader, Rulebook
from orchestrator.storage import Store

from .remote import RemotePod, StartPod, World

BASE = "https://pod.example"
START = 1_900_000_000_000
LEASE = 60_000
SHAPES = ShapeSet(read_folder(packaged("shapes"), ".ttl"))
CONTEXTS = bundled_contexts()


@dataclass
class FakeClock:
    """Stands still until it is moved."""

    time: int = START

    def now(self) -> int:
        return self.time


@dataclass
class InProcessScreener:
    """The real functions, without the processes that bound them."""

    trouble: list[Exception] = field(default_factory=list)
    """What is raised instead of an answer, one for each call."""

    async def screen(self, body: bytes) -> Screening:
        if self.trouble:
            raise self.trouble.pop(0)
        return screen(body, Rules(contexts=CONTEXTS, shapes=SHAPES))

    async def judge(self, body: bytes, facts: Facts, policies: PolicySet) -> Judgement:
        if self.trouble:
            raise self.trouble.pop(0)
        return judge(body, facts, contexts=CONTEXTS, policies=policies)

    def judge_at_once(self, body: bytes, facts: Facts, policies: PolicySet) -> Judgement | None:  # noqa: ARG002
        return None


@dataclass
class FixedPolicies:
    """The policies that a test has put in force."""

    current: PolicySet = field(default_factory=lambda: PolicySet({}))

    def snapshot(self) -> PolicySet:
        return self.current


@dataclass
class FakePeers:
    """Other people's servers: what they answer, and what they were asked."""

    inboxes: dict[str, str | Exception] = field(default_factory=dict)
    """Target → its inbox; a target that is not here has one of the usual name."""
    answers: list[Answer | Exception] = field(default_factory=list)
    """What to say to each POST, in order; then 202."""
    statuses: dict[str, int | Exception] = field(default_factory=dict)
    """Artefact → what a HEAD of it is told; 200 unless given."""
    discovered: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    sent: list[tuple[str, bytes]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    meanwhile: Callable[[], Any] | None = None
    """Awaited while a POST is under way."""

    async def discover(self, target: str) -> str:
        self.discovered.append(target)
        found = self.inboxes.get(target, f"{target}inbox/")
        if isinstance(found, Exception):
            raise found
        return found

    def forget(self, target: str) -> None:
        self.forgotten.append(target)

    async def send(self, inbox: str, body: bytes) -> Answer:
        self.sent.append((inbox, body))
        if self.meanwhile is not None:
            await self.meanwhile()
        answer = self.answers.pop(0) if self.answers else Answer(status=202)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def status(self, url: str) -> int:
        self.asked.append(url)
        found = self.statuses.get(url, 200)
        if isinstance(found, Exception):
            raise found
        return found


@dataclass(kw_only=True)
class House:
    """A pod's stages around one database, driven step by step."""

    store: Store
    pod: Pod = field(
        default_factory=lambda: Pod(
            public_url=BASE, me=Identity(id=f"{BASE}/", name="Pod", inbox=f"{BASE}/inbox/")
        )
    )
    clock: FakeClock = field(default_factory=FakeClock)
    screener: InProcessScreener = field(default_factory=InProcessScreener)
    policies: FixedPolicies = field(default_factory=FixedPolicies)
    peers: FakePeers = field(default_factory=FakePeers)
    attempt_timeout: float = 15.0
    _processing: Processing | None = None

    @property
    def processing(self) -> Processing:
        if self._processing is None or self._processing.pod != self.pod:
            self._processing = Processing(
                pod=self.pod,
                ledger=self.store.ledger,
                reader=self.store.reader,
                screener=self.screener,
                policies=self.policies,
                existence=Existence(peers=self.peers, clock=self.clock),
                clock=self.clock,
            )
        return self._processing

    @property
    def delivering(self) -> Delivering:
        return Delivering(
            pod=self.pod,
            reader=self.store.reader,
            outbox=self.store.outbox,
            peers=self.peers,
            clock=self.clock,
            published=partial(published, contexts=bundled_contexts()),
            attempt_timeout=self.attempt_timeout,
        )

    def own(self, *prefixes: str) -> None:
        """Have artefacts of our own."""
        self.pod = dataclasses.replace(self.pod, artefacts=prefixes)

    def rule(self, *texts: str) -> None:
        """Put policies in force."""
        self.policies.current = PolicySet({f"{number}.ttl": text for number, text in enumerate(texts)})

    async def receive(self, document: object, *, inbox: str = "inbox") -> Received:
        """Receive a document (or bytes as they are)."""
        return await receive(
            document if isinstance(document, bytes) else json.dumps(document).encode(),
            inbox=inbox,
            media_type="application/ld+json",
            screener=self.screener,
            ledger=self.store.ledger,
            clock=self.clock,
        )

    async def claim(self, owner: str = "us", lease: int = LEASE) -> Sequence[Claimed]:
        """Claim all notifications that wait."""
        return await self.store.ledger.claim(owner, limit=1_000, now=self.clock.time, lease=lease)

    async def process(self) -> list[LifecycleEvent | None]:
        """Process all notifications that wait, as the timetable does; return what each became."""
        return await self.decide(await self.claim())

    async def decide(self, claimed: Sequence[Claimed]) -> list[LifecycleEvent | None]:
        """Decide about `claimed`; return the event that each became now."""
        before = await self.store.reader.head()
        await self.processing.process(claimed)
        await self.processing.finish()
        events = await self.store.reader.events(Query(since=before.sequence, limit=1_000))
        found = {(event.sender, event.activity): event for event in events}
        return [found.pop((each.notification.sender, each.notification.id), None) for each in claimed]

    async def take(self, document: object, *, inbox: str = "inbox") -> Stored:
        """Receive and process a document; return what became of it."""
        received = await self.receive(document, inbox=inbox)
        await self.process()
        return await self.stored(received.receipt.token, inbox=inbox)

    async def stored(self, token: str, *, inbox: str = "inbox") -> Stored:
        found = await self.store.reader.notification(inbox, token)
        assert found is not None
        return found

    async def events(self) -> Sequence[LifecycleEvent]:
        return await self.store.reader.events(Query())

    async def deliver(self) -> list[DeliveryState | None]:
        """Attempt all deliveries that are due, as the timetable does."""
        due = await self.store.outbox.claim("us", limit=1_000, now=self.clock.time, lease=45_000)
        return [await self.delivering.deliver(delivery) for delivery in due]

    async def deliveries(self) -> dict[str, Delivery]:
        """Return all deliveries by target; there must be one for each."""
        found = await self.store.outbox.deliveries(limit=1_000)
        by_target = {delivery.target: delivery for delivery in found}
        assert len(by_target) == len(found)
        return by_target

    async def only(self) -> Delivery:
        """Return the one delivery."""
        [found] = (await self.deliveries()).values()
        return found


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A pod that takes whatever is posted to it, without policies."""
    store = await asyncio.to_thread(Store.open, f"sqlite:///{tmp_path}/pod.sqlite", public_url=BASE)
    yield House(store=store)
    await store.close()


Specimen = Callable[..., dict[str, Any]]


@pytest.fixture
def specimen() -> Specimen:
    """Return what makes a fresh valid notification of a pattern, with members changed."""

    def make(slug: str = "announce-review", **changes: object) -> dict[str, Any]:
        text = (packaged("specimens") / slug / "valid.json").read_text("utf-8")
        document = copy.deepcopy(json.loads(text))
        if "inReplyTo" in document and "announce" in slug:
            del document["inReplyTo"]
        return {**document, "id": f"urn:uuid:{uuid.uuid4()}", **changes}

    return make


@pytest.fixture
async def start_pod() -> AsyncIterator[StartPod]:
    servers: list[TestServer] = []

    async def start(**given: Any) -> RemotePod:
        pod = RemotePod(**given)
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", pod.answer)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server(shutdown_timeout=0.1)
        servers.append(server)
        pod.origin = f"http://127.0.0.1:{server.port}"
        return pod

    yield start
    for server in servers:
        await server.close()


@pytest.fixture
async def world(house: House, start_pod: StartPod) -> AsyncIterator[World]:
    egress = EgressSettings(allow_private=("127.0.0.0/8",), per_host=8)
    listings = ListingReader(
        Rulebook(
            contexts=CONTEXTS,
            shapes=read_folder(packaged("shapes"), ".ttl"),
            profile="lenient",
            limits=DEFAULT_LIMITS,
        )
    )
    now = house.clock.now
    async with Peers(egress, CONTEXTS, now) as peers, Remotes(egress, now) as remotes:
        collecting = Collecting(
            progress=house.store.progress,
            peers=peers,
            remotes=remotes,
            listings=listings,
            screener=house.screener,
            ledger=house.store.ledger,
            clock=house.clock,
            next_time=next_time,
            settings=CollectSettings(),
            chance=lambda: 0.0,
        )
        yield World(house=house, pod=await start_pod(), collecting=collecting)
    await listings.close()
