"""The demo's round: Offer, Accept and Announce over real HTTP, and what has to be true afterwards."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from orchestrator.bootstrap import Running
from orchestrator.cli.demo_notifications import prepare
from orchestrator.cli.demo_peers import Peer
from orchestrator.client import Client
from orchestrator.core.delivery import DeliveryState
from orchestrator.core.source import MAIN
from orchestrator.ports import Delivery, NotificationState, Query, Stored

_T = TypeVar("_T")
_PATIENCE: Final = 30.0
"""Seconds for anything to happen."""
_PAUSE: Final = 0.02
_CREATED: Final = 201
_WAITING: Final = (NotificationState.RECEIVED, NotificationState.RETRY)
_UNDER_WAY: Final = (DeliveryState.PENDING, DeliveryState.RETRYING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One notification in our inbox, and what became of it."""

    title: str
    notification: dict[str, Any]
    status: int
    location: str
    stored: Stored | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much there is of everything."""

    inbox: int
    events: int
    deliveries: int
    at_hub: int
    """Notifications that the hub keeps."""
    posts: int
    """Notifications that were posted to the hub."""


@dataclass(slots=True)
class Round:
    """A request for a review, between a repository with our orchestrator and two other services."""

    service: Running
    repository: Peer
    certifier: Peer
    hub: Peer
    client: Client
    steps: list[Step] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    expected: dict[str, bool] = field(default_factory=dict)
    """What has to be true, and whether it is."""

    @property
    def inbox(self) -> str:
        """URL of our inbox."""
        return f"{self.service.url}/inbox/"

    async def go(self, *, twice: bool) -> None:
        """Go through the round; `twice`: send everything again and see that nothing changes."""
        exchange = prepare(self.service.url, self.repository, self.certifier)
        profile = f"{self.service.url}/"
        asked = await self.client.send(exchange.offer)
        self.expected["The certification service took the Offer"] = asked.status == _CREATED
        ways = (
            ("The repository asks for a review, and posts a copy here", exchange.offer, profile),
            ("The certification service accepts", exchange.accept, exchange.artefact),
            ("The certification service announces its review", exchange.announce, exchange.artefact),
        )
        for title, notification, found_from in ways:
            self.steps.append(await self._step(title, notification, found_from))
        await self._deliver()
        await self._judge()
        if twice:
            before = await self._counts()
            await self.client.send(exchange.offer)
            again = [
                await self.client.send(notification, to=found_from) for _, notification, found_from in ways
            ]
            same = [sent.location for sent in again] == [step.location for step in self.steps]
            self.expected["Everything sent a second time got the same Locations"] = same
            self.expected["A second time changed nothing"] = await self._settled() == before

    async def _step(self, title: str, notification: dict[str, Any], found_from: str) -> Step:
        """Send a notification to the inbox that a resource advertises, and wait for what becomes of it."""
        sent = await self.client.send(notification, to=found_from)
        location = sent.location or ""
        token = location.removeprefix(self.inbox)

        async def stored() -> Stored | None:
            return await self.service.store.reader.notification(MAIN, token)

        last = await _until(stored, lambda found: found is None or found.state not in _WAITING)
        return Step(
            title=title, notification=notification, status=sent.status, location=location, stored=last
        )

    async def _deliver(self) -> None:
        async def deliveries() -> list[Delivery]:
            return list(await self.service.store.outbox.deliveries())

        self.deliveries = await _until(
            deliveries, lambda found: bool(found) and not any(each.state in _UNDER_WAY for each in found)
        )

    async def _judge(self) -> None:
        """Look at the result as others see it: over HTTP, and at the hub."""
        offer, accept, announce = self.steps
        events = [event async for event in self.client.log(f"{self.service.url}/log")]
        read = [received async for received in self.client.read(self.inbox)]
        told = self.hub.kept[0] if self.hub.kept else {}
        causes = [event.get("causedBy") for event in events]
        first = f"{self.service.url}/log/e/1"
        self.expected |= {
            "The inbox answered 201 with a Location": all(
                step.status == _CREATED and step.location.startswith(self.inbox) for step in self.steps
            ),
            "All three were accepted and logged": [_event(step) for step in self.steps] == [1, 2, 3],
            "Anybody can read them in the inbox": [member.document for member in read]
            == [step.notification for step in self.steps],
            "Anybody can read the events in the log": [event["activity"] for event in events]
            == [step.notification["id"] for step in (offer, accept, announce)],
            "The answers follow from the Offer": causes == [None, first, first],
            "The policy told the hub, once": len(self.deliveries) == len(self.hub.kept) == 1
            and self.deliveries[0].state is DeliveryState.DELIVERED,
            "The hub got an Announce of ours": told.get("type") == announce.notification["type"]
            and told.get("origin", {}).get("id") == f"{self.service.url}/"
            and told.get("id") == (self.deliveries[0].id if self.deliveries else None),
        }

    async def _settled(self) -> Counts:
        """Wait until nothing waits, and count."""

        async def waits() -> bool:
            store = self.service.store
            return await store.ledger.pending() > 0 or await store.outbox.due() is not None

        await _until(waits, lambda found: not found)
        return await self._counts()

    async def _counts(self) -> Counts:
        reader = self.service.store.reader
        return Counts(
            inbox=len(await reader.listing(MAIN)),
            events=len(await reader.events(Query())),
            deliveries=len(await self.service.store.outbox.deliveries()),
            at_hub=len(self.hub.kept),
            posts=self.hub.posts,
        )

    def account(self) -> dict[str, object]:
        """Return what happened, as JSON."""
        return {
            "ok": all(self.expected.values()),
            "expected": self.expected,
            "received": [self._told(step) for step in self.steps],
            "deliveries": [
                {
                    "id": each.id,
                    "hub": each.target,
                    "state": each.state.value,
                    "status": each.status,
                    "location": each.location,
                    "policies": list(each.policies),
                }
                for each in self.deliveries
            ],
        }

    def _told(self, step: Step) -> dict[str, object]:
        stored, event = step.stored, _event(step)
        return {
            "title": step.title,
            "id": step.notification["id"],
            "status": step.status,
            "location": step.location,
            "pattern": stored.notification.pattern if stored else None,
            "warnings": len(stored.warnings) if stored else None,
            "state": stored.state.value if stored else None,
            "reason": stored.reason if stored else None,
            "sequence": event,
            "event": f"{self.service.url}/log/e/{event}" if event else None,
        }


def _event(step: Step) -> int | None:
    return step.stored.event if step.stored else None


async def _until(ask: Callable[[], Awaitable[_T]], enough: Callable[[_T], bool]) -> _T:
    """Ask until the answer is enough, or patience ends; return the last answer."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PATIENCE
    while True:
        found = await ask()
        if enough(found) or loop.time() > deadline:
            return found
        await asyncio.sleep(_PAUSE)
