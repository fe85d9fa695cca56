"""Other logs on a real socket: nothing that they tell is passed over, whatever ends a pass."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp import web

from orchestrator.core.vocabulary import AS, JSON_LD, LDES, N_QUADS, RDF, TREE
from orchestrator.pipeline import follow
from orchestrator.ports.sources import MemberState

from .conftest import Specimen
from .remote import Reply, World, answers

HOUR = 3_600_000


def events(first: int, last: int, *, again: str = "") -> list[dict[str, Any]]:
    """Return events in the form of our log."""
    return [
        {
            "id": f"https://local.example/log/e/{number}",
            "type": ["Announce", "LifecycleEvent"],
            "sequence": number,
            "digest": "0",
            "@graph": [told(f"urn:uuid:{again}{number:08}-0000-4000-8000-000000000000")],
        }
        for number in range(first, last + 1)
    ]


def told(identifier: str) -> dict[str, Any]:
    service = {"id": "https://review.example/", "type": "Service", "inbox": "https://review.example/inbox/"}
    return {
        "id": identifier,
        "type": "Announce",
        "actor": {"id": "https://review.example/", "type": "Service"},
        "origin": service,
        "target": {**service, "id": "https://us.example/"},
        "object": {"id": "https://review.example/1", "type": "Document"},
    }


def log_of(held: Sequence[dict[str, Any]]) -> Reply:
    """Return how a log of ours with these events answers."""

    def reply(request: web.Request) -> web.StreamResponse:
        tag = f'"{len(held)}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag})
        since = int(request.query.get("since", "0"))
        page = {"type": ["OrderedCollectionPage", "ldp:BasicContainer"]}
        items = [event for event in held if event["sequence"] > since]
        body = json.dumps({**page, "orderedItems": items}).encode()
        return web.Response(body=body, headers={"Content-Type": JSON_LD, "ETag": tag})

    return reply


def serve(world: World, reply: Reply, most: int = 60) -> None:
    for since in range(most):
        world.pod.replies[f"/log?since={since}"] = reply


def page(url: str, members: Sequence[int], *following: str) -> Reply:
    """Return a page of an LDES as N-Quads."""
    lines = [f"<{url}> <{RDF}type> <{LDES}EventStream> ."]
    for number in members:
        name = f"urn:uuid:{number:08}-0000-4000-8000-000000000001"
        lines.append(f"<{url}> <{TREE}member> <{name}> .")
        lines.append(f"<{name}> <{RDF}type> <{AS}Announce> .")
        for term, value in (("object", "https://review.example/1"), ("actor", "https://review.example/")):
            lines.append(f"<{name}> <{AS}{term}> <{value}> .")
        lines.append(f"<{name}> <{AS}origin> <https://review.example/> .")
    lines += [
        f"<{url}> <{TREE}relation> _:r{each[1:]} .\n_:r{each[1:]} <{TREE}node> <{_at(url, each)}> ."
        for each in following
    ]
    body = "\n".join([*lines, ""]).encode()

    def reply(request: web.Request) -> web.StreamResponse:
        tag = f'"{hash(body)}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag})
        return web.Response(body=body, headers={"Content-Type": N_QUADS, "ETag": tag})

    return reply


def _at(url: str, path: str) -> str:
    return url.rpartition("/")[0] + path


def stream(world: World) -> None:
    """Have an LDES whose root leads to three pages."""
    log = f"{world.pod.origin}/log"
    world.pod.replies |= {
        "/log?since=0": answers(404),
        "/log": page(log, [], "/p1", "/p2", "/p3"),
        **{f"/p{number}": page(_at(log, f"/p{number}"), [number]) for number in (1, 2, 3)},
    }


async def followed(world: World) -> int:
    return await world.kept("log")


async def test_a_page_that_failed_once_is_read_the_next_time(world: World) -> None:
    """Its root says by then that nothing has changed."""
    stream(world)
    good, world.pod.replies["/p2"] = world.pod.replies["/p2"], answers(500)
    await world.add(log=f"{world.pod.origin}/log")
    assert "answered 500" in str((await world.poll()).reason)
    world.pod.replies["/p2"] = good
    world.later(HOUR)
    assert (await world.poll()).reason is None
    assert len(await world.members()) == 3
    world.pod.forget()
    assert (await world.poll()).requests == 4


async def test_a_pass_that_is_stopped_leaves_no_page_behind(world: World) -> None:
    stream(world)
    asked = asyncio.Event()
    good = world.pod.replies["/p2"]

    async def hang(_: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.sleep(30)
        raise AssertionError

    world.pod.replies["/p2"] = hang
    await world.add(log=f"{world.pod.origin}/log")
    passing = asyncio.create_task(world.poll())
    await asked.wait()
    passing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await passing
    world.pod.replies["/p2"] = good
    assert (await world.poll()).reason is None
    assert len(await world.members()) == 3


async def test_what_is_too_much_for_one_pass_is_left_to_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream(world)
    monkeypatch.setattr(follow, "_MOST_EVENTS", 1)
    await world.add(log=f"{world.pod.origin}/log")
    for known in (1, 2, 3):
        assert (await world.poll()).reason is None
        assert len(await world.members()) == known
    assert (await world.poll()).tally.seen == 0
    assert (await world.status()).succeeded is not None


async def test_a_log_of_ours_is_read_from_where_it_was(world: World) -> None:
    serve(world, log_of(events(1, 20)))
    await world.add(log=f"{world.pod.origin}/log")
    done = await world.poll()
    assert (done.reason, done.tally.kept) == (None, 20)
    serve(world, log_of(events(1, 25)))
    assert (await world.poll()).tally.kept == 5
    # It has nothing new: it is asked for its last event, and from then on whether anything has changed.
    assert (await world.poll()).requests == 2
    assert (await world.poll()).requests == 1
    assert await followed(world) == 25


@pytest.mark.parametrize("left", [events(1, 10, again="9"), events(1, 10), events(1, 20, again="9"), []])
async def test_a_log_that_was_reset_or_restored_is_read_again(
    world: World, left: list[dict[str, Any]]
) -> None:
    """Its numbers are behind ours, or mean other events: it would have nothing new for a long time."""
    serve(world, log_of(events(1, 20)))
    await world.add(log=f"{world.pod.origin}/log")
    await world.poll()
    # Another log, whose state another ETag stands for.
    serve(world, log_of([*left, *events(30, 31)][: len(left)]) if len(left) != 20 else _retagged(left))
    done = await world.poll()
    assert "was reset or restored" in str(done.reason)
    assert (await world.poll()).reason is None
    ids = {event["@graph"][0]["id"] for event in (*events(1, 20), *left)}
    assert await followed(world) == len(ids)


def _retagged(held: Sequence[dict[str, Any]]) -> Reply:
    inner = log_of(held)

    def reply(request: web.Request) -> web.StreamResponse:
        if request.headers.get("If-None-Match") == '"20"':
            request = request.clone(headers={})
        answer = inner(request)
        assert isinstance(answer, web.StreamResponse)
        return answer

    return reply


@pytest.mark.parametrize("status", [401, 403, 500, 502])
async def test_a_log_that_fails_at_first_is_not_taken_for_another_kind(world: World, status: int) -> None:
    serve(world, answers(status))
    await world.add(log=f"{world.pod.origin}/log")
    assert str(status) in str((await world.poll()).reason)
    serve(world, log_of(events(1, 3)))
    world.later(HOUR)
    assert (await world.poll()).tally.kept == 3


async def test_an_event_that_comes_twice_on_a_page_is_taken_once(world: World) -> None:
    log = f"{world.pod.origin}/log"
    world.pod.replies |= {"/log?since=0": answers(404), "/log": page(log, [1, 1, 2])}
    await world.add(log=log)
    done = await world.poll()
    assert (done.reason, done.tally.seen) == (None, 2)


async def test_an_answer_that_nothing_has_changed_needs_a_question(world: World) -> None:
    world.pod.replies |= {"/log?since=0": answers(404), "/log": answers(304)}
    await world.add(log=f"{world.pod.origin}/log")
    assert "answered 304" in str((await world.poll()).reason)


async def test_a_member_without_an_activity_is_explained_and_others_are_taken(
    world: World, specimen: Specimen
) -> None:
    held = events(1, 2)
    held[0]["@graph"] = [specimen(), specimen()]
    serve(world, log_of(held))
    await world.add(log=f"{world.pod.origin}/log")
    assert (await world.poll()).reason is None
    found = await world.house.store.sources.members("pod")
    assert {member.state for member in found} == {MemberState.INVALID, MemberState.KEPT}
