"""`kill -9` at any moment: what was acknowledged is in the log exactly once, and hubs hear of it."""

import asyncio
import random
import signal
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.acceptance.conftest import Serve
from tests.acceptance.notifications import announce, policy
from tests.acceptance.peers import Asked, Hub, Party, Say
from tests.acceptance.service import Answer, Service, until, until_true

from orchestrator.core.delivery import DeliveryState

from .driver import METHODS, PLACES

DRIVER = Path(__file__).with_name("driver.py")
# Long enough for any attempt of a test, short enough to wait for what a killed process held.
LEASES = {"schedule.processing_lease": 2, "schedule.delivery_lease": 5}
# Where a hub has been told, and we do not know it yet.
TOLD_BUT_NOT_WRITTEN = {"sent", "half finished"}
# The places in the order in which a notification comes to them.
LIVES = (
    ("half kept", "kept", "claimed", "decided", "half recorded", "all but committed", "recorded"),
    ("delivery claimed", "inbox discovered", "prepared", "sent", "half finished", "finished"),
)
KILLS = 10
SENDER = Party(id="https://certifier.example.org/", inbox="https://certifier.example.org/inbox/")
Notification = dict[str, Any]


def notification(service: Service, number: int) -> Notification:
    us = Party(id=f"{service.url}/", inbox=service.inbox)
    return announce(SENDER, us, f"https://pod.example.org/articles/{number}")


async def post(service: Service, document: Notification) -> Answer | None:
    """POST a document; None when the service did not live to answer."""
    try:
        return await service.post(document)
    except (aiohttp.ClientError, ConnectionError, TimeoutError):
        return None


async def check(
    service: Service, sent: Sequence[Notification], acknowledged: dict[str, str], hub: Hub
) -> None:
    """Look at everything that must hold of notifications that were sent, some of them acknowledged before."""
    # I9: what was not acknowledged is in whole or not at all, so that sending again is safe.
    for document in sent:
        answer = await service.post(document)
        assert answer.status == 201
        assert acknowledged.setdefault(document["id"], answer.location) == answer.location
    # I1: every acknowledgement has its notification.
    listing = (await service.get("/inbox/")).json["contains"]
    assert sorted(listing) == sorted(acknowledged.values())
    reports = {}
    for document in sent:
        location = acknowledged[document["id"]]
        assert (await service.get(location)).json == document
        reports[document["id"]] = await service.settled(location)
    # I2: one event for each; I4: numbered without a gap, in the order of time.
    events = await service.events()
    assert sorted(event["activity"] for event in events) == sorted(document["id"] for document in sent)
    assert [event["sequence"] for event in events] == list(range(1, len(sent) + 1))
    created = [event["created"] for event in events]
    assert created == sorted(set(created))
    # I3: an event for a notification that is processed, and a delivery for each event.
    for event in events:
        report = reports[event["activity"]]
        assert (report["state"], report["reason"], report["event"]) == ("PROCESSED", "logged", event["id"])
    deliveries = await service.delivered(len(sent))
    assert sorted(delivery.event or 0 for delivery in deliveries) == [event["sequence"] for event in events]
    # I6: each has ended; I7: whatever was sent more than once had the same bytes.
    assert {delivery.state for delivery in deliveries} == {DeliveryState.DELIVERED}
    bodies: dict[str, set[bytes]] = defaultdict(set)
    for sent_to_hub in hub.posts:
        bodies[sent_to_hub.document["id"]].add(sent_to_hub.body)
    assert set(bodies) == {delivery.id for delivery in deliveries}
    assert all(len(found) == 1 for found in bodies.values())


@pytest.mark.timeout(240)
@pytest.mark.parametrize("places", LIVES, ids=["to the log", "to the hub"])
async def test_killed_between_any_two_stages_nothing_is_lost_and_nothing_happens_twice(
    serve: Serve, places: Sequence[str]
) -> None:
    """C1a.3, I1 to I4, I6 to I9: "post same again … and crash between write and ack → still one event".

    One life for each place, all on the same database; each life finds what the last one has left.
    """
    async with Hub() as hub:
        service = await serve(LEASES, {"hub.ttl": policy("as:Announce", hubs=(hub.url,))}, start=False)
        sent: list[Notification] = []
        acknowledged: dict[str, str] = {}
        for place in places:
            service.begin([DRIVER, place, "2"])
            await until(lambda: one_more(service, sent, acknowledged), lambda _: not service.is_running, 60)
            assert await service.gone() == -signal.SIGKILL, place
        assert len(acknowledged) >= len(places)

        await service.start()
        await check(service, sent, acknowledged, hub)
        # An attempt is repeated when it is not known that it succeeded, and never otherwise.
        assert len(hub.posts) - len(sent) == len(TOLD_BUT_NOT_WRITTEN & set(places))


async def one_more(service: Service, sent: list[Notification], acknowledged: dict[str, str]) -> None:
    """Send the last notification once more if it was not acknowledged, else a new one, when all is quiet.

    Nothing else is under way when the process ends, so that what is repeated can be counted.
    """

    async def quiet() -> bool:
        found = await service.deliveries()
        return len(found) >= len(acknowledged) and {each.state for each in found} <= {DeliveryState.DELIVERED}

    await until(quiet, lambda found: found or not service.is_running)
    if not sent or sent[-1]["id"] in acknowledged:
        sent.append(notification(service, len(sent)))
    answer = await post(service, sent[-1])
    if answer is not None:
        assert answer.status == 201
        acknowledged[sent[-1]["id"]] = answer.location


def test_the_places_cover_every_write_of_a_notification_s_way() -> None:
    """A port's method that writes and is in no place would go untested."""
    assert sorted(place for places in LIVES for place in places) == sorted(PLACES)
    writes = {("ledger", name) for name in ("keep", "claim", "record")}
    writes |= {("outbox", name) for name in ("claim", "prepare", "finish")}
    assert writes <= {(whose, method) for whose, method, _ in METHODS.values()}


async def test_a_stop_in_order_sends_nothing_twice(serve: Serve) -> None:
    """I13: "SIGTERM: stop accepting, finish …, 0 duplicate deliveries caused by a clean stop"."""
    async with Hub("hang") as hub:
        service = await serve(LEASES, {"hub.ttl": policy("as:Announce", hubs=(hub.url,))})
        document = notification(service, 1)
        answer = await service.post(document)
        await until_true(lambda: hub.posts)
        stopping = asyncio.create_task(service.stop())

        async def said() -> bool:
            return any(line["action"] == "stopping" for line in service.told())

        await until(said)
        assert service.is_running
        hub.release.set()
        await stopping
        await service.start()
        await check(service, [document], {document["id"]: answer.location}, hub)
        assert len(hub.posts) == 1


@pytest.mark.timeout(240)
async def test_killed_again_and_again_under_load_everything_holds(serve: Serve) -> None:
    """I1 to I4, I6, I7, I9: the crash driver, with 25 % re-posts and a hub that fails now and then."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    async with Moody(chance) as hub:
        service = await serve(LEASES, {"hub.ttl": policy("as:Announce", hubs=(hub.url,))})
        sent: list[Notification] = []
        acknowledged: dict[str, str] = {}
        done = asyncio.Event()

        async def client() -> None:
            while not done.is_set():
                again = bool(sent) and chance.random() < 0.25
                document = chance.choice(sent) if again else notification(service, len(sent))
                if not again:
                    sent.append(document)
                await send(document, copies=2 if chance.random() < 0.2 else 1)

        async def send(document: Notification, copies: int) -> None:
            """Send until it is acknowledged, as senders do, with a pause after each failure."""
            while not done.is_set():
                answers = await asyncio.gather(*(post(service, document) for _ in range(copies)))
                for answer in answers:
                    assert answer is None or answer.status in (201, 503), answer.body
                    if answer is not None and answer.status == 201:
                        known = acknowledged.setdefault(document["id"], answer.location)
                        assert known == answer.location
                if document["id"] in acknowledged:
                    return
                await asyncio.sleep(0.05)

        clients = [asyncio.create_task(client()) for _ in range(4)]
        for _ in range(KILLS):
            before = len(acknowledged)
            await until_true(lambda: len(acknowledged) > before or any(each.done() for each in clients))  # noqa: B023
            # Not synchronisation: the moment of the kill is the experiment.
            await asyncio.sleep(chance.uniform(0.05, 0.7))
            workers = children(service.pid)
            await service.kill()
            await until_true(lambda: not any(map(is_alive, workers)))  # noqa: B023
            await service.start()
        done.set()
        await asyncio.gather(*clients)
        assert len(acknowledged) >= KILLS
        await check(service, sent, acknowledged, hub)
        repeated = len(hub.posts) - len(sent) - hub.answers.count(503)
        assert repeated <= 4 * KILLS


class Moody(Hub):
    """A hub that cannot take one notification in twenty at first; twice would be five minutes' wait."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance
        self._seen: set[str] = set()

    def say(self, asked: Asked) -> Say:
        identifier = asked.document["id"]
        is_new = identifier not in self._seen
        self._seen.add(identifier)
        return 503 if is_new and self._chance.random() < 0.05 else 202


def children(process: int) -> list[int]:
    """Return the child processes of a process, where the system tells."""
    place = Path(f"/proc/{process}/task/{process}/children")
    return [int(word) for word in place.read_text().split()] if place.exists() else []


def is_alive(process: int) -> bool:
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    # A zombie has ended; who should have fetched it is gone as well.
    return status.rpartition(")")[2].split()[0] != "Z"
