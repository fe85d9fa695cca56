"""Passes over a remote inbox on a real socket: what is asked for, what is kept, and how each pass ends."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web
from tests.acceptance.service import until, until_true

from orchestrator.core.errors import Overloaded
from orchestrator.core.vocabulary import JSON_LD, N_TRIPLES, TURTLE
from orchestrator.pipeline import collect, taking
from orchestrator.pipeline.collect import CollectSettings, Done
from orchestrator.ports.sources import MemberState, Pass

from .conftest import LEASE, START, Specimen
from .remote import Reply, StartPod, World, answers, fill, hangs_up

KEPT, IGNORED, INVALID = MemberState.KEPT, MemberState.IGNORED, MemberState.INVALID
GONE, RETRY = MemberState.GONE, MemberState.RETRY
LIMIT = CollectSettings().body
DAY = 86_400_000
MINUTE = 60_000
HOUR = 3_600_000
SENDER = "https://meridian-reviews.example.org/"
"""Who sends the specimens of announce-review."""


# What is asked for


@pytest.mark.parametrize("form", [N_TRIPLES, TURTLE, JSON_LD])
async def test_when_nothing_has_changed_one_request_is_the_whole_pass(
    world: World, specimen: Specimen, form: str
) -> None:
    world.pod.form = form
    names = fill(world, specimen, 3)
    await world.add()
    done = await world.poll()
    assert (done.reason, done.tally.members, done.tally.kept, done.requests) == (None, 3, 3, 4)
    first = world.pod.requests[0].headers
    assert world.pod.asked[0] == "GET /inbox/"
    assert sorted(world.pod.fetched()) == names
    for _ in range(2):
        done = await world.poll()
        assert (done.reason, done.tally.members, done.requests) == (None, 0, 1)
        [again] = [request.headers for request in world.pod.requests]
        assert world.pod.asked == ["GET /inbox/"]
        assert "If-None-Match" in again
        assert "If-None-Match" not in first
        assert again["Accept"] == first["Accept"]
        world.pod.forget()
    assert (await world.status()).requests == 6
    assert await world.kept() == 3


async def test_an_empty_inbox_is_well(world: World) -> None:
    await world.add()
    done = await world.poll()
    assert (done.reason, done.requests, done.tally.members) == (None, 1, 0)
    assert (await world.poll()).requests == 1
    assert (await world.status()).state == "well"


async def test_a_new_member_alone_is_fetched(world: World, specimen: Specimen) -> None:
    fill(world, specimen, 3)
    await world.add()
    await world.poll()
    world.pod.forget()
    world.pod.put("new", specimen())
    done = await world.poll()
    assert (done.requests, done.tally.kept) == (2, 1)
    assert world.pod.fetched() == ["new"]
    assert await world.kept() == 4


async def test_without_an_etag_the_listing_is_read_and_no_member_twice(
    world: World, specimen: Specimen
) -> None:
    world.pod.has_etags = False
    fill(world, specimen, 3)
    await world.add()
    assert (await world.poll()).requests == 4
    assert (await world.poll()).requests == 1
    assert "If-None-Match" not in world.pod.requests[-1].headers


async def test_a_listing_is_read_anew_once_a_day_whatever_its_etag_says(
    world: World, specimen: Specimen
) -> None:
    """Some servers change it only when members come and go."""
    world.pod.put("one", specimen(), modified="2031-01-01T00:00:00Z")
    await world.add()
    await world.poll()
    world.pod.put("one", specimen(), modified="2031-01-02T00:00:00Z")
    world.pod.replies["/inbox/"] = lambda request: (
        web.Response(status=304) if "If-None-Match" in request.headers else world.pod._listing(request, 1)
    )
    world.later(DAY - 1)
    assert (await world.poll()).tally.members == 0
    world.later(1)
    done = await world.poll()
    assert (done.reason, done.tally.kept) == (None, 1)
    assert (await world.poll()).requests == 1


async def test_a_listing_in_pages_that_has_not_changed_is_two_requests(
    world: World, specimen: Specimen
) -> None:
    world.pod.page = 3
    names = fill(world, specimen, 11)
    await world.add()
    done = await world.poll()
    assert (done.reason, done.tally.kept, done.requests) == (None, 11, 4 + 11)
    assert sorted(world.pod.fetched()) == names
    done = await world.poll()
    assert (done.reason, done.requests) == (None, 2)
    assert world.pod.asked == ["GET /inbox/", "GET /inbox/?page=4"]


async def test_what_is_new_on_the_last_page_or_on_new_ones_is_found_with_few_requests(
    world: World, specimen: Specimen
) -> None:
    world.pod.page = 3
    fill(world, specimen, 11)
    await world.add()
    await world.poll()
    world.pod.forget()
    fill(world, specimen, 1, start=11)
    assert (await world.poll()).requests == 3
    assert world.pod.asked == ["GET /inbox/", "GET /inbox/?page=4", "GET /inbox/011"]
    world.pod.forget()
    fill(world, specimen, 4, start=12)
    done = await world.poll()
    assert (done.requests, done.tally.kept) == (4 + 4, 4)
    assert world.pod.asked[:4] == [f"GET /inbox/{page}" for page in ("", "?page=4", "?page=5", "?page=6")]
    world.pod.forget()
    assert (await world.poll()).requests == 2
    assert world.pod.asked == ["GET /inbox/", "GET /inbox/?page=6"]
    assert await world.kept() == 16


async def test_a_page_in_the_middle_that_has_not_changed_is_not_read_when_the_first_has(
    world: World, specimen: Specimen
) -> None:
    world.pod.page = 3
    fill(world, specimen, 8)
    await world.add()
    await world.poll()
    world.pod.members["001"] = replace(world.pod.members["001"], modified="2031-01-01T00:00:00Z")
    world.pod.forget()
    done = await world.poll()
    assert (done.reason, done.tally.known, done.requests) == (None, 1, 4)
    assert all("If-None-Match" in request.headers for request in world.pod.requests[:3])
    assert world.pod.fetched() == ["001"]


async def test_every_page_is_read_anew_once_a_day(world: World, specimen: Specimen) -> None:
    world.pod.page = 2
    fill(world, specimen, 3)
    await world.add()
    await world.poll()
    asked = []
    for hour in range(3 * 24):
        world.later(DAY // 24)
        world.pod.members["000"] = replace(world.pod.members["000"], modified=str(hour))
        world.pod.forget()
        assert (await world.poll()).reason is None
        asked += [request for request in world.pod.requests if request.raw_path.endswith("?page=2")]
    assert len([request for request in asked if "If-None-Match" not in request.headers]) == 3


async def test_pages_that_lead_in_a_circle_end(world: World, specimen: Specimen) -> None:
    world.pod.page = 2
    fill(world, specimen, 4)
    listing = world.pod._listing

    def back(request: web.Request) -> web.Response:
        answer = listing(request, 2)
        answer.headers["Link"] = '</inbox/>; rel="next"'
        return answer

    world.pod.replies["/inbox/?page=2"] = back
    await world.add()
    done = await world.poll()
    assert (done.reason, done.tally.kept, done.requests) == (None, 4, 6)


async def test_members_and_pages_on_other_servers_are_not_asked_for(
    world: World, specimen: Specimen, start_pod: StartPod
) -> None:
    other = await start_pod()
    fill(world, specimen, 2)
    # Another scheme is another origin too, and so is another name of the same host.
    port = world.pod.origin.rpartition(":")[2]
    world.pod.elsewhere = [
        other.put("theirs", specimen()),
        f"https://127.0.0.1:{port}/inbox/000",
        f"http://localhost:{port}/inbox/000",
    ]
    listing = world.pod._listing

    def leads_away(request: web.Request) -> web.Response:
        answer = listing(request, 1)
        answer.headers["Link"] = f'<{other.url()}>; rel="next"'
        return answer

    world.pod.replies["/inbox/"] = leads_away
    await world.add()
    done = await world.poll()
    assert (done.reason, done.tally.members, done.tally.kept) == (None, 2, 2)
    assert other.asked == []
    assert set(await world.members()) == {"000", "001"}
    assert len(world.pod.fetched()) == 2


async def test_nothing_but_get_is_ever_asked(world: World, specimen: Specimen) -> None:
    fill(world, specimen, 3)
    world.pod.put("broken", b"{")
    world.pod.replies["/inbox/001"] = answers(500)
    await world.add()
    await world.poll()
    world.later(MINUTE)
    await world.poll()
    assert {each.partition(" ")[0] for each in world.pod.asked} == {"GET"}
    assert not any(request.can_read_body for request in world.pod.requests)


async def test_one_host_gets_few_requests_at_once(world: World, specimen: Specimen) -> None:
    world.settle(per_host=3)
    world.collecting.__post_init__()
    several = asyncio.Event()
    under_way = most = 0

    def gated(name: str) -> Reply:
        async def answer(_: web.Request) -> web.Response:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            if under_way == 3:
                several.set()
            await several.wait()
            under_way -= 1
            return web.Response(body=world.pod.members[name].body, content_type=JSON_LD)

        return answer

    for name in fill(world, specimen, 20):
        world.pod.replies[f"/inbox/{name}"] = gated(name)
    await world.add()
    assert (await asyncio.wait_for(world.poll(), 60)).tally.kept == 20
    assert most == 3


# What becomes of members


async def test_what_is_found_is_kept_as_it_came_with_where_it_was_found(
    world: World, specimen: Specimen
) -> None:
    body = json.dumps(specimen(), indent=3).encode()
    url = world.pod.put("one", body, media_type="application/activity+json; charset=utf-8")
    await world.add(into="reviews")
    done = await world.poll()
    assert done.tally.kept == 1
    assert await world.kept() == 0
    [stored] = await world.house.store.reader.listing("reviews")
    assert (stored.body, stored.media_type) == (body, "application/activity+json")
    assert stored.provenance is not None
    assert (stored.provenance.source, stored.provenance.via) == ("pod", url)
    member = (await world.members())["one"]
    assert (member.state, member.token, member.reason) == (KEPT, stored.token, None)


async def test_what_we_have_already_is_known_and_not_kept_twice(world: World, specimen: Specimen) -> None:
    document = specimen()
    received = await world.house.receive(document)
    world.pod.put("posted", document)
    world.pod.put("copied", json.dumps(document, indent=2).encode())
    await world.add()
    done = await world.poll()
    assert (done.tally.kept, done.tally.known, await world.kept()) == (0, 2, 1)
    assert {member.token for member in (await world.members()).values()} == {received.receipt.token}


async def test_junk_is_explained_journalled_and_in_nobodys_way(world: World, specimen: Specimen) -> None:
    document = specimen()
    world.pod.put("broken", b'{"id": ')
    world.pod.put("image", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), media_type="image/png")
    world.pod.put("page", b"<html></html>", media_type="text/html")
    world.pod.put("empty", b"")
    world.pod.put("stranger", {"@context": "https://unknown.example/", "id": "urn:x:1", "type": "Thing"})
    world.pod.put("shapeless", {**specimen(), "target": "nobody"})
    world.pod.put("good", document)
    await world.add()
    done = await world.poll()
    assert (done.reason, done.tally.kept, done.tally.invalid) == (None, 1, 6)
    world.pod.put("conflict", {**document, "summary": "Another text"})
    assert (await world.poll()).tally.invalid == 1

    slugs = {
        "broken": "unreadable-bytes",
        "image": "unreadable-bytes",
        "page": "unreadable-bytes",
        "empty": "unreadable-bytes",
        "stranger": "unacceptable-document",
        "shapeless": "shape-violated",
        "conflict": "conflicting-content",
    }
    members = await world.members()
    assert members.pop("good").state is KEPT
    for name, member in members.items():
        assert (member.state, member.token, member.retry_at) == (INVALID, None, None)
        assert member.reason is not None
        slug, _, said = member.reason.partition(": ")
        assert slug == slugs[name]
        assert said
    with world.house.store.engine.connect() as connection:
        told = connection.execute(sa.text("SELECT note FROM journal WHERE what = 'member not taken'"))
        notes = {note["member"]: note for note in map(json.loads, told.scalars())}
    assert {url: note["reason"] for url, note in notes.items()} == {
        member.url: member.reason for member in members.values()
    }


async def test_junk_is_fetched_again_when_it_has_changed_and_else_never(
    world: World, specimen: Specimen
) -> None:
    world.pod.put("one", b"{", modified="2031-01-01T00:00:00Z", size=1)
    world.pod.put("other", b"{")
    await world.add()
    assert (await world.poll()).tally.invalid == 2
    world.pod.forget()
    for number in range(4):
        world.later(10 * DAY)
        world.pod.put(f"more{number}", specimen())  # so that the listing changes
        assert (await world.poll()).requests == 2
    assert world.pod.fetched() == [f"more{number}" for number in range(4)]
    good = specimen()
    world.pod.put("one", good, modified="2031-01-01T00:00:00Z", size=len(json.dumps(good)))
    assert (await world.poll()).tally.kept == 1
    assert world.pod.fetched() == ["one"]
    assert await world.states() == {
        "one": KEPT,
        "other": INVALID,
        **{f"more{number}": KEPT for number in range(4)},
    }


@pytest.mark.parametrize("change", [{"modified": "2031-01-02T00:00:00Z"}, {"size": 7}, {"size": None}])
async def test_a_member_of_which_the_listing_says_something_else_is_fetched_again(
    world: World, specimen: Specimen, change: dict[str, Any]
) -> None:
    marks = {"modified": "2031-01-01T00:00:00Z", "size": 8}
    world.pod.put("one", specimen(), **marks)
    world.pod.put("other", specimen(), **marks)
    await world.add()
    await world.poll()
    world.pod.forget()
    world.pod.put("one", specimen(), **{**marks, **change})
    assert (await world.poll()).tally.kept == 1
    assert world.pod.fetched() == ["one"]


@pytest.mark.parametrize(("status", "times"), [(404, 5), (410, 1)])
async def test_a_member_that_is_listed_and_not_there_is_gone(
    world: World, specimen: Specimen, status: int, times: int
) -> None:
    """A 404 may be a moment's: it is looked for again, but not for ever."""
    fill(world, specimen, 2)
    world.pod.replies["/inbox/000"] = answers(status)
    await world.add()
    done = await world.poll()
    assert (done.reason, done.tally.gone, done.tally.kept) == (None, 1, 1)
    for time in range(1, times + 1):
        member = (await world.members())["000"]
        assert (member.state, member.attempts) == (GONE, time)
        assert str(status) in str(member.reason)
        assert (member.retry_at is None) == (time == times)
        world.pod.forget()
        if time < times:
            world.later(HOUR)
            assert (await world.poll()).requests == 2
    world.later(HOUR)
    assert (await world.poll()).requests == 1


async def test_a_member_that_was_not_there_yet_is_kept_when_it_is(world: World, specimen: Specimen) -> None:
    fill(world, specimen, 1)
    world.pod.replies["/inbox/000"] = answers(404)
    await world.add()
    await world.poll()
    world.pod.replies.clear()
    world.later(MINUTE)
    assert (await world.poll()).tally.kept == 1


@pytest.mark.parametrize(
    "reply", [answers(500), answers(401), answers(204), hangs_up], ids=["500", "401", "204", "none"]
)
async def test_a_member_without_a_usable_answer_is_fetched_again_when_its_time_has_come(
    world: World, specimen: Specimen, reply: Reply
) -> None:
    fill(world, specimen, 2)
    world.pod.replies["/inbox/000"] = reply
    await world.add()
    done = await world.poll()
    assert (done.reason, done.tally.retry, done.tally.kept) == (None, 1, 1)
    member = (await world.members())["000"]
    assert (member.state, member.retry_at) == (RETRY, START + MINUTE)
    assert member.reason
    world.later(MINUTE - 1)
    assert (await world.poll()).requests == 1
    world.later(1)
    done = await world.poll()
    assert (done.requests, done.tally.retry) == (2, 1)
    member = (await world.members())["000"]
    # Less and less often.
    assert (member.attempts, member.retry_at) == (2, START + 3 * MINUTE)
    del world.pod.replies["/inbox/000"]
    world.later(2 * MINUTE)
    assert (await world.poll()).tally.kept == 1
    assert await world.states() == {"000": KEPT, "001": KEPT}
    world.later(DAY - 10 * MINUTE)
    assert (await world.poll()).requests == 1


async def test_a_member_without_a_usable_answer_is_retried_once_a_day_at_last(
    world: World, specimen: Specimen
) -> None:
    """As docs/reference/sources.md has it."""
    fill(world, specimen, 1)
    world.pod.replies["/inbox/000"] = answers(500)
    await world.add()
    waited = []
    for _ in range(16):
        await world.poll()
        member = (await world.members())["000"]
        assert member.retry_at is not None
        waited.append(member.retry_at - world.house.clock.time)
        world.later(waited[-1])
    assert waited[:3] == [MINUTE, 2 * MINUTE, 4 * MINUTE]
    assert waited == sorted(waited)
    assert waited[-1] == DAY


async def test_a_member_that_the_listing_says_is_too_large_is_not_asked_for(
    world: World, specimen: Specimen
) -> None:
    world.pod.put("large", specimen(), size=LIMIT + 1)
    world.pod.put("fits", specimen(), size=LIMIT)
    await world.add()
    done = await world.poll()
    assert (done.requests, done.tally.kept, done.tally.invalid) == (2, 1, 1)
    assert world.pod.fetched() == ["fits"]
    member = (await world.members())["large"]
    assert str(member.reason).startswith("too-large: ")


@pytest.mark.parametrize(
    "more",
    [
        0,
        1,
        *(
            pytest.param(
                more,
            )
            for more in (2, 20_000, 1_000_000)
        ),
    ],
)
async def test_a_member_is_taken_up_to_what_an_inbox_takes(
    world: World, specimen: Specimen, more: int
) -> None:
    body = json.dumps(specimen()).encode()
    world.pod.put("one", body + b" " * (LIMIT + more - len(body)))
    await world.add()
    await world.poll()
    member = (await world.members())["one"]
    assert member.state is (INVALID if more else KEPT)
    assert more == 0 or str(member.reason).startswith("too-large: ")


async def test_a_member_without_an_end_is_not_read_to_it(world: World) -> None:
    cut = asyncio.Event()

    async def goes_on(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": JSON_LD})
        await response.prepare(request)
        try:
            while True:
                await response.write(b" " * 65_536)
        finally:
            cut.set()

    world.pod.put("endless", b"")
    world.pod.replies["/inbox/endless"] = goes_on
    await world.add()
    done = await asyncio.wait_for(world.poll(), 60)
    await asyncio.wait_for(cut.wait(), 60)
    assert (done.reason, done.tally.members, done.tally.kept) == (None, 1, 0)


@pytest.mark.parametrize("name", ["id", "@id"])
@pytest.mark.parametrize("own", ["", "#it"])
async def test_a_relative_id_is_the_members_url(
    world: World, specimen: Specimen, name: str, own: str
) -> None:
    document = specimen()
    del document["id"]
    url = world.pod.put("one", {**document, name: own})
    await world.add()
    done = await world.poll()
    assert (done.reason, done.tally.kept) == (None, 1)
    [stored] = await world.house.store.reader.listing("inbox")
    assert stored.notification.id == f"{url}{own}"
    assert json.loads(stored.body)[name] == f"{url}{own}"
    [event] = [each for each in await world.house.process() if each]
    assert event.activity == f"{url}{own}"


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param("user", id="a URL that names a user"),
        pytest.param("long", id="a URL that is too long to be asked"),
        pytest.param("inwards", id="a redirect to an address that is not public"),
    ],
)
async def test_a_member_that_cannot_be_asked_for_is_its_own_trouble(
    world: World, specimen: Specimen, poison: str
) -> None:
    fill(world, specimen, 2)
    if poison == "user":
        world.pod.elsewhere = [world.pod.url("000").replace("://", "://me:secret@")]
    elif poison == "long":
        world.pod.elsewhere = [world.pod.url("x" * 2_100)]
    else:
        world.pod.replies["/inbox/000"] = answers(302, Location="http://10.0.0.1/")
    await world.add()
    done = await world.poll()
    assert done.reason is None
    assert (await world.states())["001"] is KEPT


# Who has written it


@pytest.mark.parametrize(
    ("policy", "trust"), [("open", "unknown"), ("registered", "unknown"), ("authenticated", "verified")]
)
async def test_what_a_source_vouches_for_reaches_those_who_decide(
    world: World, specimen: Specimen, policy: str, trust: str
) -> None:
    url = world.pod.put("one", specimen())
    await world.add(policy=policy, **({} if policy == "open" else {"senders": [SENDER]}))
    assert (await world.poll()).tally.kept == 1
    [claimed] = await world.house.claim()
    assert claimed.provenance is not None
    found = claimed.provenance
    assert (found.source, found.via, found.trust) == ("pod", url, trust)


@pytest.mark.parametrize("policy", ["registered", "authenticated"])
async def test_what_is_of_none_of_the_senders_is_ignored(
    world: World, specimen: Specimen, policy: str
) -> None:
    evil = {"id": "https://evil.example/", "type": "Service", "inbox": "https://evil.example/inbox/"}
    world.pod.put("right", specimen())
    world.pod.put("own-id", specimen(id=f"{SENDER}notifications/1"))
    world.pod.put("foreign-origin", specimen(origin=evil))
    world.pod.put("foreign-id", specimen(id="https://evil.example/1"))
    world.pod.put("broken", b"{")
    await world.add(policy=policy, senders=["https://other.example/", SENDER])
    done = await world.poll()
    assert (done.reason, done.tally.ignored) == (None, 2)
    assert await world.states() == {
        "right": KEPT,
        "own-id": KEPT,
        "foreign-origin": IGNORED,
        "foreign-id": IGNORED,
        "broken": INVALID,
    }
    reason = (await world.members())["foreign-origin"].reason
    assert str(reason).startswith("untrusted: ")
    assert await world.kept() == 2


# When it goes wrong


@pytest.mark.parametrize("of", ["the listing", "every member"])
@pytest.mark.parametrize(
    ("asks", "waits"), [("7200", 7_200_000), ("10", MINUTE), ("9999999", DAY), ("nonsense", MINUTE)]
)
@pytest.mark.parametrize("status", [429, 503])
async def test_a_server_that_asks_to_be_let_alone_is(
    world: World, specimen: Specimen, of: str, asks: str, waits: int, status: int
) -> None:
    names = fill(world, specimen, 9)
    for path in ["/inbox/"] if of == "the listing" else [f"/inbox/{name}" for name in names]:
        world.pod.replies[path] = answers(status, Retry_After=asks)
    await world.add()
    done = await world.poll()
    assert str(status) in str(done.reason)
    found = await world.status()
    assert (found.state, found.failures, found.reason) == ("failing", 1, done.reason)
    assert found.next_at == START + waits
    world.pod.replies.clear()
    world.later(waits)
    assert (await world.poll()).tally.kept == 9
    found = await world.status()
    assert (found.state, found.failures, found.reason) == ("well", 0, None)


async def test_eight_members_in_a_row_without_an_answer_fail_the_pass(
    world: World, specimen: Specimen
) -> None:
    for name in fill(world, specimen, 30):
        world.pod.replies[f"/inbox/{name}"] = hangs_up
    await world.add()
    done = await world.poll()
    assert "without an answer" in str(done.reason)
    assert 1 + 8 <= done.requests <= 1 + 8 + 4
    assert list((await world.states()).values()) == [RETRY] * 8
    found = await world.status()
    assert (found.failures, found.next_at) == (1, START + MINUTE)
    world.pod.replies.clear()
    world.later(MINUTE)
    assert (await world.poll()).reason is None
    assert set((await world.states()).values()) == {KEPT}
    assert await world.kept() == 30


async def test_one_member_that_always_says_503_keeps_nobody_from_the_others(
    world: World, specimen: Specimen
) -> None:
    fill(world, specimen, 30)
    world.pod.replies["/inbox/000"] = answers(503)
    await world.add()
    for _ in range(5):
        await world.poll()
        world.later(DAY)
    assert await world.kept() == 29


async def test_seven_silent_members_are_their_own_trouble(world: World, specimen: Specimen) -> None:
    names = fill(world, specimen, 20)
    for name in names[:7]:
        world.pod.replies[f"/inbox/{name}"] = hangs_up
    await world.add()
    done = await world.poll()
    assert (done.reason, done.tally.retry, done.tally.kept) == (None, 7, 13)


async def test_members_that_answer_in_between_show_that_the_server_is_well(
    world: World, specimen: Specimen
) -> None:
    world.settle(per_host=1)  # so that they are asked for in order
    world.collecting.__post_init__()
    names = fill(world, specimen, 30)
    for number, name in enumerate(names):
        if number % 6:
            world.pod.replies[f"/inbox/{name}"] = hangs_up
    await world.add()
    done = await world.poll()
    assert (done.reason, done.tally.retry, done.tally.kept) == (None, 25, 5)


async def test_what_cannot_be_read_as_a_listing_fails_the_pass_and_is_read_when_it_can(
    world: World, specimen: Specimen
) -> None:
    fill(world, specimen, 1)
    await world.add()
    listing = "/inbox/"

    def says(body: bytes, media_type: str) -> Reply:
        return lambda _: web.Response(body=body, headers={"Content-Type": media_type})

    trouble: list[tuple[Reply, str]] = [
        (answers(500), "answered 500"),
        (answers(401), "answered 401"),
        (answers(304), "answered 304"),
        (hangs_up, "connection"),
        (says(b"<html>", "text/html"), "text/html"),
        (says(b"{", JSON_LD), "not JSON"),
        (says(b"<", TURTLE), "not Turtle"),
        (says(b'{"@context": "http://www.w3.org/ns/ldp"}', JSON_LD), "no listing"),
        (says(b"<urn:x:1> <urn:x:2> <urn:x:3> .\n", N_TRIPLES), "no listing"),
    ]
    for number, (reply, words) in enumerate(trouble, 1):
        world.pod.replies[listing] = reply
        done = await world.poll()
        assert words in str(done.reason)
        found = await world.status()
        assert (found.failures, found.reason, found.succeeded) == (number, done.reason, None)
    world.pod.replies.clear()
    assert (await world.poll()).tally.kept == 1


async def test_a_listing_is_read_up_to_its_limit(world: World, specimen: Specimen) -> None:
    fill(world, specimen, 20)
    world.settle(listing=1_000)
    await world.add()
    done = await world.poll()
    assert "more than 1000 bytes" in str(done.reason)
    assert world.pod.asked == ["GET /inbox/"]


@pytest.mark.parametrize("form", [N_TRIPLES, JSON_LD])
@pytest.mark.parametrize("page", [1_000, 2])
async def test_more_members_than_are_read_at_once_fail_with_the_reason(
    world: World, specimen: Specimen, form: str, page: int
) -> None:
    world.pod.form, world.pod.page = form, page
    fill(world, specimen, 4)
    world.settle(members=3)
    await world.add()
    done = await world.poll()
    assert "lists more than 3 members" in str(done.reason)
    assert (await world.status()).reason == done.reason
    assert world.pod.fetched() == []
    world.settle(members=4)
    assert (await world.poll()).tally.kept == 4


async def test_more_than_one_pass_fetches_is_left_to_the_next_which_follows_at_once(
    world: World, specimen: Specimen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "_MOST_AT_ONCE", 5)
    names = fill(world, specimen, 12)
    await world.add()
    for kept in (5, 5, 2):
        done = await world.poll()
        assert (done.reason, done.tally.kept) == (None, kept)
        is_done = await world.kept() == 12
        assert ((await world.status()).next_at == world.house.clock.time + 1_000) is not is_done
        world.later(1_000)
    assert sorted(world.pod.fetched()) == names
    assert (await world.poll()).requests == 1


async def test_overload_of_ours_is_waited_out(world: World, specimen: Specimen) -> None:
    fill(world, specimen, 3)
    world.house.screener.trouble = [Overloaded(), Overloaded()]
    await world.add()
    done = await world.poll()
    assert (done.reason, done.tally.kept) == (None, 3)
    assert len(world.pod.fetched()) == 3


async def test_overload_of_ours_that_lasts_fails_the_pass_and_nothing_is_lost(
    world: World, specimen: Specimen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "_TURNS", 2)
    fill(world, specimen, 12)
    world.house.screener.trouble = [Overloaded() for _ in range(1_000)]
    await world.add()
    done = await world.poll()
    assert done.reason == Overloaded().message
    assert (await world.status()).next_at == START + MINUTE
    assert await world.kept() == 0
    world.house.screener.trouble.clear()
    world.later(MINUTE)
    done = await world.poll()
    assert (done.reason, done.tally.kept, await world.kept()) == (None, 12, 12)


async def test_whatever_goes_wrong_the_source_is_polled_again(
    world: World, specimen: Specimen, caplog: pytest.LogCaptureFixture
) -> None:
    fill(world, specimen, 1)
    world.house.screener.trouble = [RuntimeError("unforeseen")]
    await world.add()
    done = await world.poll()
    assert done.reason == "failed: RuntimeError"
    assert any("pass_failed source=pod" in record.getMessage() for record in caplog.records)
    assert (await world.status()).next_at == START + MINUTE
    assert (await world.poll()).tally.kept == 1


# Leases, and stopping


@dataclass(frozen=True)
class Held:
    """A pass that waits for members."""

    task: asyncio.Task[Done]
    goes_on: asyncio.Event
    """Set to let these answer."""


@contextlib.asynccontextmanager
async def held_up(world: World, names: Sequence[str], claimed: Pass) -> AsyncIterator["Held"]:
    """Begin a pass; the body begins when nothing is left but `names`, which answer when they may."""
    goes_on = asyncio.Event()

    def late(name: str) -> Reply:
        async def answer(_: web.Request) -> web.Response:
            await goes_on.wait()
            return web.Response(body=world.pod.members[name].body, content_type=JSON_LD)

        return answer

    for name in names:
        world.pod.replies[f"/inbox/{name}"] = late(name)
    task = asyncio.create_task(world.collecting.collect(claimed))
    most = min(len(names), world.collecting.settings.per_host)
    wanted = {f"GET /inbox/{name}" for name in names}
    await until_true(lambda: task.done() or len(wanted.intersection(world.pod.asked)) == most)
    others = len(world.pod.members) - len(names)

    async def kept() -> int:
        return await world.kept()

    await until(kept, lambda found: found == others)
    try:
        yield Held(task, goes_on)
    finally:
        goes_on.set()
        for name in names:
            del world.pod.replies[f"/inbox/{name}"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_pass_that_is_cancelled_gives_the_source_back_and_the_next_goes_on(
    world: World, specimen: Specimen
) -> None:
    names = fill(world, specimen, 80)
    await world.add()
    async with held_up(world, names[-6:], await world.claim()) as held:
        await until(world.members, lambda found: len(found) >= 64)
        held.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await held.task
    found = await world.status()
    assert (found.is_polled, found.next_at) == (False, START)
    assert await world.house.store.progress.due() == START
    noted = await world.members()
    assert len(noted) >= 64
    world.pod.forget()
    done = await world.poll()
    assert done.reason is None
    again = world.pod.fetched()
    assert len(again) == len(set(again))
    assert set(again) == set(names) - set(noted)
    assert await world.kept() == 80
    assert set((await world.states()).values()) == {KEPT}


async def test_a_pass_that_is_cancelled_is_no_good_one(world: World, specimen: Specimen) -> None:
    """Its source was not read to its end, which the metrics and the state are about."""
    names = fill(world, specimen, 2)
    world.pod.replies["/inbox/"] = answers(500)
    await world.add()
    await world.poll()
    world.pod.replies.clear()
    async with held_up(world, names, await world.claim()) as held:
        held.task.cancel()
        await asyncio.gather(held.task, return_exceptions=True)
    assert (await world.status()).succeeded is None


async def test_a_pass_that_loses_its_lease_ends_and_changes_nothing(
    world: World, specimen: Specimen, caplog: pytest.LogCaptureFixture
) -> None:
    names = fill(world, specimen, 3)
    world.settle(lease=30)  # looked after every 10 ms
    await world.add()
    async with held_up(world, names[2:], await world.claim(lease=30)) as held:
        world.later(LEASE)
        other = await world.claim("other")
        # Long before the server's silence would end it.
        done = await asyncio.wait_for(asyncio.shield(held.task), 10)
        assert done.reason is not None
        assert "lease_lost source=pod" in caplog.text
        found = await world.status()
        assert (found.is_polled, found.failures, found.requests, found.attempted) == (True, 0, 0, None)
    done = await world.collecting.collect(other)
    assert (done.reason, done.tally.kept, done.tally.known) == (None, 1, 2)
    assert await world.kept() == 3


async def test_a_lease_is_renewed_for_as_long_as_a_pass_takes(world: World, specimen: Specimen) -> None:
    names = fill(world, specimen, 1)
    world.settle(lease=30)
    await world.add()
    progress = world.house.store.progress
    async with held_up(world, names, await world.claim(lease=30)):
        for _ in range(3):
            world.later(20)
            until_then = world.house.clock.time + 30
            await until(progress.due, lambda found: found == until_then)  # noqa: B023
            assert not await progress.claim("other", limit=1, now=world.house.clock.time, lease=LEASE)


async def test_a_source_that_is_removed_while_it_is_read_stays_removed(
    world: World, specimen: Specimen
) -> None:
    names = fill(world, specimen, 3)
    await world.add()
    now = world.house.clock.time
    async with held_up(world, names[2:], await world.claim()) as held:
        await world.house.store.sources.remove("pod", who="test", now=now)
        held.goes_on.set()
        assert (await held.task).reason is not None
    assert await world.house.store.sources.statuses() == []
    await world.add()
    assert (await world.poll()).tally.known == 3


# Tokens and discovery


async def test_the_token_is_read_at_every_pass_and_shown_with_every_request(
    world: World, specimen: Specimen, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    names = fill(world, specimen, 2)
    await world.add(token_file=str(file))
    for token in ("first", "second"):
        file.write_text(f"  {token}\n")
        fill(world, specimen, 1, start=len(names))
        names += ["next"]
        await world.poll()
        shown = [request.headers.get("Authorization") for request in world.pod.requests]
        assert len(shown) > 1
        assert set(shown) == {f"Bearer {token}"}
        world.pod.forget()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"", "holds no token"),
        (b"two words", "holds no token"),
        (b"\xff", "not text"),
    ],
)
async def test_without_its_token_a_source_fails_with_the_reason_and_nothing_is_asked(
    world: World, specimen: Specimen, tmp_path: Path, content: bytes | None, words: str
) -> None:
    fill(world, specimen, 1)
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    await world.add(token_file=str(file))
    done = await world.poll()
    assert words in str(done.reason)
    assert str(file) in str(done.reason)
    found = await world.status()
    assert (found.state, found.reason, found.next_at) == ("failing", done.reason, START + MINUTE)
    assert world.pod.asked == []
    file.write_text("token")
    assert (await world.poll()).tally.kept == 1


async def test_the_token_is_not_shown_to_another_server(
    world: World, specimen: Specimen, start_pod: StartPod, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("secret")
    other = await start_pod()
    theirs = other.put("one", specimen())
    world.pod.put("leads-away", b"")
    world.pod.replies["/inbox/leads-away"] = answers(302, Location=theirs)
    await world.add(token_file=str(file))
    done = await world.poll()
    assert done.tally.kept == 1
    [asked] = other.requests
    assert "Authorization" not in asked.headers


def advertises(inbox: str) -> Reply:
    return answers(200, Link=f'<{inbox}>; rel="http://www.w3.org/ns/ldp#inbox"')


async def test_the_token_is_not_shown_to_another_server_that_an_artefact_advertises(
    world: World, specimen: Specimen, start_pod: StartPod, tmp_path: Path
) -> None:
    """It is shown to the source's own origin only (docs/reference/settings.md)."""
    file = tmp_path / "token"
    file.write_text("secret")
    other = await start_pod()
    other.put("one", specimen())
    world.pod.replies["/paper"] = advertises(other.url())
    await world.add(artefact=f"{world.pod.origin}/paper", token_file=str(file))
    await world.poll()
    assert len(other.requests) > 0
    assert not any("Authorization" in request.headers for request in other.requests)


async def test_an_inbox_is_found_by_what_advertises_it(world: World, specimen: Specimen) -> None:
    fill(world, specimen, 2)
    world.pod.replies["/paper"] = advertises("/inbox/")
    await world.add(artefact=f"{world.pod.origin}/paper")
    done = await world.poll()
    assert (done.reason, done.tally.kept) == (None, 2)
    assert world.pod.asked[0] == "HEAD /paper"
    assert (await world.status()).progress["inbox"] == world.pod.url()
    world.pod.forget()
    assert (await world.poll()).requests == 1
    assert world.pod.asked == ["GET /inbox/"]


async def test_an_inbox_that_has_moved_is_found_anew(world: World, specimen: Specimen) -> None:
    fill(world, specimen, 2)
    world.pod.replies["/paper"] = advertises("/inbox/")
    await world.add(artefact=f"{world.pod.origin}/paper")
    await world.poll()
    world.pod.inbox = "/elsewhere/"
    world.pod.put("new", specimen())
    world.pod.replies["/paper"] = advertises("/elsewhere/")
    done = await world.poll()
    assert "answered 404" in str(done.reason)
    done = await world.poll()
    assert (done.reason, done.tally.kept, done.tally.known) == (None, 1, 2)
    assert (await world.status()).progress["inbox"] == world.pod.url()
    world.pod.forget()
    assert (await world.poll()).requests == 1


async def test_what_advertises_no_inbox_fails_until_it_does(world: World, specimen: Specimen) -> None:
    fill(world, specimen, 1)
    world.pod.replies["/paper"] = answers(200, Content_Type="text/html")
    await world.add(artefact=f"{world.pod.origin}/paper")
    done = await world.poll()
    assert "advertises no LDN inbox" in str(done.reason)
    assert done.requests == 0
    world.pod.replies["/paper"] = advertises("/inbox/")
    assert (await world.poll()).tally.kept == 1


# When it is polled again


@pytest.mark.parametrize(
    ("schedule", "after"),
    # START is 2030-03-17T17:46:40Z, a Sunday.
    [("90s", 90_000), ("2h", 7_200_000), ("0 * * * *", 800_000), ("0 0 18 ? * SUN", 800_000)],
)
async def test_after_a_good_pass_the_schedule_says_when(world: World, schedule: str, after: int) -> None:
    await world.add(schedule=schedule)
    await world.poll()
    found = await world.status()
    assert (found.next_at, found.attempted, found.succeeded) == (START + after, START, START)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("1s", [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600]),
        ("30s", [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]),
        ("1d", [60, 120, 240]),
        ("0 0 1 1 *", [60, 120, 240]),
    ],
)
async def test_after_failures_it_is_polled_less_and_less_often_and_never_given_up(
    world: World, schedule: str, expected: list[int]
) -> None:
    world.pod.replies["/inbox/"] = answers(500)
    await world.add(schedule=schedule)
    waited = []
    for _ in expected:
        await world.poll()
        waited.append((await world.status()).next_at - world.house.clock.time)
        world.later(waited[-1])
    assert waited == [seconds * 1_000 for seconds in expected]
    world.pod.replies.clear()
    await world.poll()
    world.pod.replies["/inbox/"] = answers(500)
    await world.poll()
    assert (await world.status()).next_at - world.house.clock.time == expected[0] * 1_000


async def test_many_sources_of_one_host_do_not_come_back_at_once(world: World) -> None:
    world.pod.replies["/inbox/"] = answers(500)
    await world.add()
    chances = itertools.cycle([0.0, 0.5, 1.0])
    world.collecting.chance = lambda: next(chances)
    waited = []
    for number in range(3):
        await world.poll()
        waited.append(((await world.status()).next_at - START) / (MINUTE << number))
    assert waited == [1.0, 1.1, 1.2]


async def test_who_asks_for_a_poll_while_one_is_under_way_gets_another(
    world: World, specimen: Specimen
) -> None:
    names = fill(world, specimen, 1)
    await world.add()
    async with held_up(world, names, await world.claim()) as held:
        await world.house.store.sources.hurry("pod", now=world.house.clock.time)
        held.goes_on.set()
        assert (await held.task).tally.kept == 1
    assert (await world.status()).next_at == START
    await world.poll()
    assert (await world.status()).next_at == START + 5 * MINUTE
