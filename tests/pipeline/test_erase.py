"""Erasing on the way through all stages: the files, the hubs, the policies, and other orchestrators."""

import asyncio
import dataclasses
import json
import random
import resource
import sqlite3
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa
from aiohttp import web
from tests.acceptance.notifications import policy
from tests.acceptance.peers import Hub
from tests.acceptance.service import until_true

from orchestrator.core import vocabulary as v
from orchestrator.core.delivery import DeliveryState
from orchestrator.core.erasure import ERASURE, erased_by, tombstone
from orchestrator.core.errors import BadRequest, ConflictingContent, NotFound, StorageError
from orchestrator.core.event import LifecycleEvent, member
from orchestrator.core.policy import published
from orchestrator.core.screening import Rules, screen
from orchestrator.core.source import FOLLOWED
from orchestrator.ldn import EgressSettings, Peers
from orchestrator.pipeline import erase as erasing
from orchestrator.pipeline.deliver import Delivering
from orchestrator.ports import Answer, NotificationState, Query, Stored
from orchestrator.ports.sources import MemberState
from orchestrator.storage import Store
from orchestrator.storage import engine as engines
from orchestrator.web import collection

from .conftest import BASE, CONTEXTS, SHAPES, FakeClock, House, Specimen
from .remote import World

HUB = "https://hub.example/"
OTHER = "https://other.example/"
WORDS = 16_000
"""Characters in one text, as many as a string may have."""


async def erase(house: House, sequence: int, because: str = "asked") -> erasing.Erased:
    """Erase an event's payload as the command does."""
    house.clock.time += 1_000
    return await erasing.erase(
        sequence,
        because=because,
        who="operator",
        me=house.pod.me,
        policy_set=house.policies.current.id,
        reader=house.store.reader,
        erasure=house.store.erasure,
        clock=house.clock,
    )


def secret(number: int) -> str:
    return f"SECRET-{number:04}-WORD "


def telling(specimen: Specimen, number: int, size: int = 100) -> dict[str, Any]:
    """Return a notification of about `size` characters, of which each hundred says the secret."""
    text = secret(number) * (size // len(secret(number)) + 1)
    document = specimen()
    about = f"https://review.example/{number}"
    thing = {**document["object"], "id": about, "ietf:cite-as": about, "name": text[: min(size, WORDS)]}
    place = document["context"]
    if size > WORDS:
        thing["summary"] = text[: min(size - WORDS, WORDS)]
        place = {**place, "content": text[: min(max(size - 2 * WORDS, 1), WORDS)]}
    if size > 3 * WORDS:
        place["summary"] = text[: size - 3 * WORDS]
    return {**document, "summary": secret(number), "object": thing, "context": place}


def found_in(folder: Path, words: list[str]) -> dict[str, list[str]]:
    """Return which of `words` stand in each file of `folder`."""
    found: dict[str, list[str]] = {}
    for path in folder.iterdir():
        body = path.read_bytes()
        held = [word for word in words if word.strip().encode() in body]
        if held:
            found[path.name] = held
    return found


@pytest.fixture
async def plain(house: House, tmp_path: Path) -> AsyncIterator[House]:
    """A pod whose SQLite leaves what it deletes where it was, unless it is told otherwise.

    So it is built by default; Debian's, on which most tests run, is not.
    """
    await house.store.close()
    before = engines._prepare

    def prepare(connection: Any, *, foreign_keys: bool) -> None:
        connection.execute("PRAGMA secure_delete=OFF").fetchall()
        before(connection, foreign_keys=foreign_keys)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "_prepare", prepare)
        house.store = await asyncio.to_thread(Store.open, f"sqlite:///{tmp_path}/pod.sqlite", public_url=BASE)
        yield house
    await house.store.close()


async def test_what_was_erased_is_told_with_its_tombstone(house: House, specimen: Specimen) -> None:
    stored = await house.take(specimen())
    before = await house.store.reader.event(1)
    done = await erase(house, 1, because="request of 3 May")
    assert done.event == before
    assert done.tombstone == await house.store.reader.event(2)
    assert done.tombstone is not None
    assert (done.tombstone.sender, erased_by(done.tombstone)) == (f"{BASE}/", 1)
    assert done.is_purged
    found = await house.stored(stored.token)
    assert (found.body, found.state, found.event) == (b"", NotificationState.PROCESSED, 1)
    with house.store.engine.connect() as connection:
        notes = [note for (note,) in connection.execute(sa.text("SELECT note FROM journal"))]
    assert [json.loads(note).get("because") for note in notes][-1] == "request of 3 May"
    for event in await house.events():
        assert b"3 May" not in member(event.envelope, event.payload, event.salt)


async def test_what_was_erased_before_is_said_to_have_been(house: House, specimen: Specimen) -> None:
    await house.take(specimen())
    await erase(house, 1)
    again = await erase(house, 1)
    assert (again.tombstone, again.is_purged, again.event.payload) == (None, True, None)
    assert len(await house.events()) == 2


@pytest.mark.parametrize("sequence", [0, 3, 10**9])
async def test_what_is_not_there_cannot_be_erased(house: House, specimen: Specimen, sequence: int) -> None:
    await house.take(specimen())
    with pytest.raises(NotFound, match=f"no event {sequence}"):
        await erase(house, sequence)
    assert len(await house.events()) == 1


async def test_a_tombstone_cannot_be_erased(house: House, specimen: Specimen) -> None:
    await house.take(specimen())
    await erase(house, 1)
    before = await house.events()
    with pytest.raises(BadRequest, match="Event 2 is a tombstone"):
        await erase(house, 2)
    assert await house.events() == before


async def test_what_a_stranger_calls_an_erasure_of_ours_is_none_and_can_be_erased(
    house: House, specimen: Specimen
) -> None:
    """In an open inbox anyone may claim our origin: then the log says that we sent it, and no more."""
    secretive = await house.take(telling(specimen, 1))
    us = {"id": house.pod.me.id, "type": "Service", "inbox": house.pod.me.inbox}
    forged = specimen(
        "notification",
        type=["Delete", ERASURE],
        origin=us,
        actor={**us, "name": "Orchestrator"},
        inReplyTo=secretive.notification.id,
        object={"id": f"{BASE}/log/e/1", "type": "Tombstone"},
    )
    assert (await house.take(forged)).state is NotificationState.PROCESSED
    first, second = await house.events()
    assert first.payload is not None
    assert (second.sender, second.types) == (house.pod.me.id, (f"{v.AS}Delete",))
    # Even the payload does not repeat what only we may say.
    assert b"Erasure" not in (second.payload or b"")
    # An answer to an event follows it, as a tombstone would.
    assert json.loads(second.envelope)["causedBy"] == first.iri
    assert erased_by(second) is None
    assert (await erase(house, 2)).tombstone is not None


async def test_a_tombstone_cannot_be_forestalled(house: House, specimen: Specimen) -> None:
    """Its id would be one of ours that a stranger used first, and the log takes each once."""
    await house.take(telling(specimen, 1))
    await house.take(telling(specimen, 2))
    first = (await erase(house, 1)).tombstone
    # What of its id follows from the event's number, somebody else can follow as well.
    another = tombstone(
        (await house.events())[1], me=house.pod.me, now=0, salt="00" * 16, policy_set=""
    ).activity
    us = {"id": house.pod.me.id, "type": "Service", "inbox": house.pod.me.inbox}
    forged = specimen("notification", id=another, type="Announce", origin=us)
    assert (await house.take(forged)).state is NotificationState.PROCESSED
    done = await erase(house, 2)
    assert first is not None
    assert done.tombstone is not None
    assert first.activity != done.tombstone.activity


@pytest.mark.parametrize("member", ["context", "object", "inReplyTo", "actor"])
async def test_no_address_of_a_person_is_in_an_envelope_which_nothing_erases(
    house: House, specimen: Specimen, member: str
) -> None:
    address = "MailTo:marie@example.org"
    person = {"id": address, "type": "Person", "name": "Marie"}
    await house.take(specimen("notification", **{member: address if member == "inReplyTo" else person}))
    await erase(house, 1)
    for event in await house.events():
        assert b"marie@example.org" not in event.envelope
        assert event.payload is None or b"marie" not in event.payload


async def test_sent_again_it_is_known_and_nothing_of_it_comes_back(
    house: House, specimen: Specimen, tmp_path: Path
) -> None:
    document = telling(specimen, 1, 60_000)
    first = (await house.receive(document)).receipt
    await house.process()
    await erase(house, 1)
    again = (await house.receive(document)).receipt
    assert (again.token, again.fresh) == (first.token, False)
    with pytest.raises(ConflictingContent):
        await house.receive({**document, "summary": "Something else"})
    assert await house.process() == []
    assert len(await house.events()) == 2
    assert (await house.stored(first.token)).body == b""
    await house.store.erasure.purge()
    assert found_in(tmp_path, [secret(1)]) == {}


@pytest.mark.parametrize("size", [100, 2_500, 60_000])
async def test_nothing_of_it_is_in_the_files(
    plain: House, specimen: Specimen, tmp_path: Path, size: int
) -> None:
    """Threat T22: "body absent from DB file incl. WAL after `VACUUM`/checkpoint". It may fill many pages."""
    plain.rule(policy("as:Announce", hubs=(HUB, OTHER)))
    for number in range(1, 5):
        await plain.take(telling(specimen, number, size))
        plain.peers.answers = [Answer(status=503, detail="busy " * 20)]
        await plain.deliver()
    plain.clock.time += 10_000
    await plain.deliver()
    words = [secret(1), secret(3)]
    sizes = {len(body) for _, body in plain.peers.sent}
    assert min(sizes) > size * 0.9
    assert found_in(tmp_path, words)["pod.sqlite-wal"] == words
    assert (await erase(plain, 1)).is_purged
    assert (await erase(plain, 3)).is_purged
    assert found_in(tmp_path, words) == {}
    # And those of others are there.
    assert found_in(tmp_path, [secret(2), secret(4)]) == {"pod.sqlite": [secret(2), secret(4)]}
    await plain.store.close()
    assert found_in(tmp_path, words) == {}


async def test_rows_that_moved_before_have_left_no_copy_behind(
    plain: House, specimen: Specimen, tmp_path: Path
) -> None:
    """A delivery's row grows with each attempt, and the database puts it elsewhere."""
    chance = random.Random(17)
    plain.rule(policy("as:Announce", hubs=(HUB, OTHER)))
    count = 40
    for number in range(1, count + 1):
        await plain.take(telling(specimen, number, chance.choice((100, 900, 1_500, 3_000, 9_000))))
        plain.peers.answers = [
            Answer(status=chance.choice((202, 400, 503)), detail="no " * chance.randrange(150))
            for _ in range(2)
        ]
        await plain.deliver()
    words = [secret(number) for number in range(1, count + 1, 3)]
    for number in range(1, count + 1, 3):
        assert (await erase(plain, number)).is_purged
    assert found_in(tmp_path, words) == {}
    assert len(found_in(tmp_path, [secret(number) for number in range(2, count, 3)])["pod.sqlite"]) == 13


async def test_who_reads_the_database_meanwhile_keeps_old_pages_in_its_files(
    house: House, specimen: Specimen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said, and done by doing it once more."""
    await house.take(telling(specimen, 1))
    await house.store.close()
    monkeypatch.setattr(engines, "_BUSY_MS", 50)
    house.store = await asyncio.to_thread(Store.open, f"sqlite:///{tmp_path}/pod.sqlite", public_url=BASE)
    await house.take(specimen())
    reading = sqlite3.connect(tmp_path / "pod.sqlite", isolation_level=None)
    reading.execute("BEGIN")
    [[before]] = reading.execute("SELECT payload FROM event WHERE sequence = 1").fetchall()
    assert secret(1).strip().encode() in before
    done = await erase(house, 1)
    assert (done.tombstone is not None, done.is_purged) == (True, False)
    assert found_in(tmp_path, [secret(1)])
    reading.execute("COMMIT")
    reading.close()
    again = await erase(house, 1)
    assert (again.tombstone, again.is_purged) == (None, True)
    assert found_in(tmp_path, [secret(1)]) == {}
    await house.store.close()


async def test_a_purge_that_the_disk_refuses_is_a_storage_error_of_ours(
    house: House, specimen: Specimen, tmp_path: Path
) -> None:
    """The driver's own error would be a traceback. What was erased stays erased, and it can be done again."""
    for number in range(1, 4):
        await house.take(telling(specimen, number, 60_000))
    most = (tmp_path / "pod.sqlite").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        with pytest.raises(StorageError, match="disk of the database"):
            await house.store.erasure.purge()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (await erase(house, 2)).is_purged
    assert found_in(tmp_path, [secret(2)]) == {}


def sending(house: House, peers: Peers) -> Delivering:
    """Return the stage that sends, with the real way out."""
    return Delivering(
        pod=house.pod,
        reader=house.store.reader,
        outbox=house.store.outbox,
        peers=peers,
        clock=house.clock,
        published=partial(published, contexts=CONTEXTS),
    )


async def send(house: House, peers: Peers) -> dict[str, DeliveryState | None]:
    """Attempt what is due; return by target what came of it."""
    house.clock.time += 100  # an event may lead the clock a little
    due = await house.store.outbox.claim("us", limit=100, now=house.clock.time, lease=45_000)
    return {each.target: await sending(house, peers).deliver(each) for each in due}


@pytest.fixture
async def peers(house: House) -> AsyncIterator[Peers]:
    egress = EgressSettings(allow_private=("127.0.0.0/8",))
    async with Peers(egress, CONTEXTS, house.clock.now) as out:
        yield out


async def test_hubs_that_were_told_are_asked_to_delete_what_they_were_told(
    house: House, specimen: Specimen, peers: Peers
) -> None:
    """By the id of our announcement; what we ask passes our own strict shapes; others hear nothing."""
    async with Hub() as told, Hub(503) as tried, Hub(503) as waiting, Hub() as never:
        house.rule(policy("as:Announce", hubs=(told.url, tried.url)))
        await house.take(telling(specimen, 1))
        assert set((await send(house, peers)).values()) == {DeliveryState.DELIVERED, DeliveryState.RETRYING}
        house.rule(policy("as:Announce", hubs=(waiting.url,)))
        await house.take(telling(specimen, 2))
        assert (await send(house, peers)) == {waiting.url: DeliveryState.RETRYING}
        house.rule(policy("as:Announce", hubs=(never.url,)))
        await house.take(telling(specimen, 3))
        await erase(house, 3)
        await erase(house, 1)
        assert await send(house, peers) == {hub.url: DeliveryState.DELIVERED for hub in (told, tried)}
        for hub in (told, tried):
            announced, asked = hub.posts
            assert asked.headers["Content-Type"] == v.AS_PROFILE
            said = asked.document
            assert (said["type"], said["object"]) == (
                "Delete",
                {"id": announced.document["id"], "type": "Tombstone"},
            )
            assert said["id"] not in {announced.document["id"], announced.document["object"]["id"]}
            assert said["origin"]["id"] == house.pod.me.id
            assert said["target"] == {"id": hub.url, "type": "Service", "inbox": hub.inbox}
            assert secret(1).strip() not in asked.body.decode()
            verdict = screen(asked.body, Rules(contexts=CONTEXTS, shapes=SHAPES, profile="strict"))
            assert (verdict.refusal, verdict.findings) == (None, ())
        assert len(waiting.posts) == 1
        assert never.asked == []
        house.clock.time += 10_000
        assert await send(house, peers) == {waiting.url: DeliveryState.DELIVERED}
        house.clock.time += 10**9
        assert await send(house, peers) == {}


async def test_what_a_hub_is_asked_keeps_to_the_schedule_with_the_same_bytes(
    house: House, specimen: Specimen, peers: Peers
) -> None:
    """Invariant I7, for what is asked after an erasure as well."""
    async with Hub(202, 503) as hub:
        house.rule(policy("as:Announce", hubs=(hub.url,)))
        await house.take(specimen())
        await send(house, peers)
        await erase(house, 1)
        assert await send(house, peers) == {hub.url: DeliveryState.RETRYING}
        house.clock.time += 10_000
        assert await send(house, peers) == {hub.url: DeliveryState.DELIVERED}
        _, first, second = hub.posts
        assert first.body == second.body


async def test_what_is_being_sent_while_it_is_erased_is_fenced_off_and_taken_back(
    house: House, specimen: Specimen, peers: Peers, tmp_path: Path
) -> None:
    """The hub has it, and is asked to delete it; our own copy does not come back."""
    async with Hub("hang") as hub:
        house.rule(policy("as:Announce", hubs=(hub.url,)))
        await house.take(telling(specimen, 1))
        attempt = asyncio.create_task(send(house, peers))
        await until_true(lambda: hub.posts)
        await erase(house, 1)
        hub.release.set()
        assert await attempt == {hub.url: None}
        found = {each.event: each for each in await house.store.outbox.deliveries()}
        assert (found[1].state, found[1].body, found[1].lease) == (DeliveryState.CANCELLED, None, None)
        await house.store.erasure.purge()
        assert found_in(tmp_path, [secret(1)]) == {}
        house.clock.time += 1_000_000
        assert await send(house, peers) == {hub.url: DeliveryState.DELIVERED}
        announced, asked = hub.posts
        assert asked.document["object"]["id"] == announced.document["id"]


async def test_what_was_claimed_and_not_sent_yet_is_not_sent_any_more(
    house: House, specimen: Specimen
) -> None:
    house.rule(policy("as:Announce", hubs=(HUB,)))
    await house.take(specimen())
    [held] = await house.store.outbox.claim("us", limit=9, now=house.clock.time, lease=45_000)
    await erase(house, 1)
    assert await house.delivering.deliver(held) is None
    assert house.peers.sent == []
    house.clock.time += 10**9
    assert await house.deliver() == []


async def test_a_dead_delivery_of_what_was_erased_is_never_sent_again(
    house: House, specimen: Specimen
) -> None:
    house.rule(policy("as:Announce", hubs=(HUB,)))
    await house.take(specimen())
    house.peers.answers = [Answer(status=403)]
    assert await house.deliver() == [DeliveryState.DEAD]
    await erase(house, 1)
    assert await house.deliver() == [DeliveryState.DELIVERED]
    sent = list(house.peers.sent)
    [first] = [each for each in await house.store.outbox.deliveries() if each.event == 1]
    try:
        await house.store.outbox.retry(first.id, now=house.clock.time)
    except BadRequest:
        assert first.state is DeliveryState.CANCELLED
    assert DeliveryState.DELIVERED not in await house.deliver()
    assert house.peers.sent == sent


async def test_no_policy_is_asked_about_a_tombstone(house: House, specimen: Specimen) -> None:
    """It is what we say ourselves: hubs that were not told of the event do not hear of its end."""
    house.rule(policy("as:Announce", hubs=(HUB,)), policy("as:Delete", hubs=(OTHER,)))
    await house.take(specimen())
    await house.deliver()
    done = await erase(house, 1)
    assert done.tombstone is not None
    assert json.loads(done.tombstone.envelope)["policySet"] == house.policies.current.id
    assert await house.process() == []
    assert await house.deliver() == [DeliveryState.DELIVERED]
    assert {inbox for inbox, _ in house.peers.sent} == {f"{HUB}inbox/"}
    assert {each.policies for each in await house.store.outbox.deliveries() if each.event == 2} == {()}


async def test_our_own_request_to_delete_that_comes_back_is_ours(house: House, specimen: Specimen) -> None:
    """A hub that forwards it to our inbox starts no new round."""
    house.rule(policy("as:Announce", hubs=(HUB,)), policy("as:Delete", hubs=(HUB, OTHER)))
    await house.take(specimen())
    await house.deliver()
    await erase(house, 1)
    await house.deliver()
    _, (_, body) = house.peers.sent
    came_back = await house.take(body)
    assert (came_back.state, came_back.reason) == (NotificationState.IGNORED, "self")
    assert len(await house.events()) == 2


async def test_an_answer_to_what_was_erased_goes_on(house: House, specimen: Specimen) -> None:
    """Its thread, and what it is about, are in the envelope."""
    offered = specimen("request-review")
    await house.take(offered)
    await erase(house, 1)
    answer = specimen("accept", inReplyTo=offered["id"], object=offered["id"])
    assert (await house.take(answer)).event == 3
    first, _, third = (json.loads(event.envelope) for event in await house.events())
    assert (third["causedBy"], third["artefact"]) == (first["id"], first["artefact"])


class Theirs:
    """Another orchestrator's log, as `/log?since=N` shows it."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def answer(self, request: web.Request) -> web.StreamResponse:
        head = await self.house.store.reader.head()
        tag = f'"{head.sequence}-{request.raw_path}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag})
        kind = request.query.get("type")
        query = Query(since=int(request.query["since"]), type=kind and v.AS + kind)
        events = await self.house.store.reader.events(query)
        page = {"id": str(request.url), "type": ["OrderedCollectionPage", "ldp:BasicContainer"]}
        body = collection.page(page, events)
        return web.Response(body=body, headers={"Content-Type": v.JSON_LD, "ETag": tag})


@pytest.fixture
async def theirs(world: World, tmp_path: Path) -> AsyncIterator[House]:
    """Another orchestrator, whose log `world` can follow."""
    base = "https://local.example"
    store = await asyncio.to_thread(Store.open, f"sqlite:///{tmp_path}/theirs.sqlite", public_url=base)
    house = House(store=store, clock=FakeClock())
    me = dataclasses.replace(house.pod.me, id=f"{base}/", inbox=f"{base}/inbox/")
    house.pod = dataclasses.replace(house.pod, public_url=base, me=me)
    reply = Theirs(house).answer
    for since in range(20):
        for query in ("", "type=Announce&"):
            world.pod.replies[f"/log?{query}since={since}"] = reply
    yield house
    await store.close()


async def followed(world: World) -> list[Stored]:
    return list(await world.house.store.reader.listing(FOLLOWED))


async def test_who_follows_our_log_later_takes_what_is_left_of_it(
    world: World, theirs: House, specimen: Specimen
) -> None:
    """The erased event tells him nothing, and the tombstone is no news of his."""
    for number in (1, 2, 3):
        await theirs.take(telling(specimen, number))
    await erase(theirs, 2)
    await world.add(log=f"{world.pod.origin}/log")
    done = await world.poll()
    assert (done.reason, done.tally.kept, done.tally.invalid) == (None, 2, 2)
    texts = [each.body.decode() for each in await followed(world)]
    assert [secret(number).strip() in text for number, text in zip((1, 3), texts, strict=True)] == [
        True,
        True,
    ]
    found = {member.url: member for member in await world.house.store.sources.members("pod")}
    erased = found["https://local.example/log/e/2"]
    assert (erased.state, erased.reason) == (MemberState.INVALID, "its payload was erased")
    await world.house.process()
    assert await world.house.events() == []
    assert (await world.poll()).tally.seen == 0


async def test_who_has_followed_our_log_goes_on_after_an_erasure(
    world: World, theirs: House, specimen: Specimen
) -> None:
    """He reads the tombstone only, once; what he has received is his own to erase."""
    world.house.own("https://preprints.")
    for number in (1, 2):
        await theirs.take(telling(specimen, number))
    await world.add(log=f"{world.pod.origin}/log")
    assert (await world.poll()).tally.kept == 2
    before = await followed(world)
    await erase(theirs, 2)
    done = await world.poll()
    assert (done.reason, done.tally.seen) == (None, 1)
    assert await followed(world) == before
    await theirs.take(telling(specimen, 3))
    assert (await world.poll()).tally.kept == 1
    assert (await world.poll()).reason is None
    assert (await world.status()).failures == 0


async def test_an_erasure_in_a_log_that_is_followed_in_part_is_no_reset_of_it(
    world: World, theirs: House, specimen: Specimen
) -> None:
    """The last event that we know has lost its payload, and the tombstone is of a type that we do not ask for."""
    for number in (1, 2):
        await theirs.take(telling(specimen, number))
    await world.add(log=f"{world.pod.origin}/log?type=Announce")
    assert (await world.poll()).tally.kept == 2
    await erase(theirs, 2)
    for _ in range(2):
        done = await world.poll()
        assert (done.reason, done.tally.seen) == (None, 0)
    await theirs.take(telling(specimen, 3))
    assert (await world.poll()).tally.kept == 1


async def test_whoever_follows_us_believes_a_tombstone_of_ours_only_of_our_log(
    theirs: House, specimen: Specimen, world: World
) -> None:
    """What another log erased is not erased in ours."""
    document = telling(specimen, 1)
    await world.house.take(document)
    await theirs.take(document)
    await erase(theirs, 1)
    await world.add(log=f"{world.pod.origin}/log")
    await world.poll()
    await world.house.process()
    [event] = await world.house.events()
    assert event.payload is not None
    told = cast("LifecycleEvent", await theirs.store.reader.event(2))
    assert erased_by(told) == 1
    assert not told.iri.startswith(world.house.pod.public_url)
