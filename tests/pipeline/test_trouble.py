"""What a server may do to a pass, on a real socket: none of it costs a member, or anybody else his turn."""

import asyncio

import pytest
from aiohttp import web

from orchestrator.core.vocabulary import LDP, N_TRIPLES
from orchestrator.ports.sources import MemberState

from .conftest import Specimen
from .remote import World, answers, fill

DAY = 86_400_000


async def slow(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    raise AssertionError


async def test_a_pass_has_a_time_and_what_was_answered_within_it_counts(
    world: World, specimen: Specimen
) -> None:
    names = fill(world, specimen, 6)
    for name in names[3:]:
        world.pod.replies[f"/inbox/{name}"] = slow
    world.settle(budget=0.5)
    await world.add(schedule="1d")
    done = await world.poll()
    assert (done.reason, done.tally.kept) == (None, 3)
    found = await world.status()
    assert (found.succeeded, found.failures) == (None, 0)
    assert found.next_at == world.house.clock.time + 1_000
    world.pod.replies.clear()
    world.pod.forget()
    assert (await world.poll()).tally.kept == 3
    assert sorted(world.pod.fetched()) == names[3:]


async def test_a_listing_that_takes_all_the_time_there_is_is_a_failure(world: World) -> None:
    world.pod.replies["/inbox/"] = slow
    world.settle(budget=0.2)
    await world.add()
    assert "took more than 0.2 s" in str((await world.poll()).reason)
    assert (await world.status()).failures == 1


async def test_an_inbox_that_has_shrunk_is_listed_again_at_once(world: World, specimen: Specimen) -> None:
    """A page that we remember is there no more; a new member on another one does not wait for tomorrow."""
    world.pod.page = 2
    names = fill(world, specimen, 5)
    await world.add()
    await world.poll()
    for name in names[2:]:
        del world.pod.members[name]
    world.pod.put("new", specimen())
    world.pod.replies["/inbox/?page=3"] = answers(404)
    done = await world.poll()
    assert (done.reason, done.tally.kept) == (None, 1)


async def test_an_inbox_that_lists_another_server_only_is_a_failure(world: World) -> None:
    """Its URL leads to where it is really; read as empty, it would be silent and well for ever."""
    world.pod.elsewhere = ["https://pod.example/inbox/1"]
    await world.add()
    done = await world.poll()
    assert "on another server only, such as https://pod.example/inbox/1" in str(done.reason)
    assert (await world.status()).state == "failing"


async def test_a_listing_that_is_cut_off_is_a_failure(world: World, specimen: Specimen) -> None:
    names = fill(world, specimen, 2)
    triples = "".join(f"<{world.pod.url()}> <{LDP}contains> <{world.pod.url(name)}> .\n" for name in names)
    world.pod.replies["/inbox/"] = lambda _: web.Response(
        body=triples[:-20].encode(), headers={"Content-Type": N_TRIPLES, "ETag": '"1"'}
    )
    await world.add()
    assert "ended in the middle of a line" in str((await world.poll()).reason)
    del world.pod.replies["/inbox/"]
    assert (await world.poll()).tally.kept == 2


@pytest.mark.parametrize("field", ["ETag", "Content-Type", "Link"])
async def test_bytes_that_cannot_be_kept_in_a_header_do_no_harm(
    world: World, specimen: Specimen, field: str
) -> None:
    fill(world, specimen, 1)

    async def odd(request: web.Request) -> web.StreamResponse:
        listing = f"<{world.pod.url()}> <{LDP}contains> <{world.pod.url('000')}> .\n".encode()
        given = {b"ETag": b'"1"', b"Content-Type": N_TRIPLES.encode()}
        odd = b"\xff\xfe"
        given[field.encode()] = b'<\xff>; rel="next"' if field == "Link" else given[field.encode()] + odd
        head = b"".join(b"%s: %s\r\n" % each for each in given.items())
        assert request.transport is not None
        request.transport.write(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n%s"
            % (len(listing), head, listing)
        )
        request.transport.close()
        return web.Response()

    world.pod.replies["/inbox/"] = odd
    await world.add()
    for _ in range(2):
        done = await world.poll()
        assert done.reason is None
        assert (await world.status()).state == "well"
    assert await world.kept() == 1


async def test_junk_that_changes_all_the_time_is_journalled_once(world: World, specimen: Specimen) -> None:
    await world.add()
    for time in range(5):
        world.pod.put("junk", b"{", modified=f"2031-01-0{time + 1}T00:00:00Z", size=10**9)
        assert (await world.poll()).tally.invalid == 1
    assert (await world.members())["junk"].attempts == 5
    with world.house.store.engine.connect() as connection:
        told = connection.exec_driver_sql("SELECT count(*) FROM journal WHERE what = 'member not taken'")
        assert told.scalar() == 1
    world.pod.put("junk", specimen(), modified="2031-02-01T00:00:00Z")
    assert (await world.poll()).tally.kept == 1
    assert (await world.states())["junk"] is MemberState.KEPT


async def test_an_inbox_that_lists_others_each_time_does_not_fill_our_database(
    world: World, specimen: Specimen
) -> None:
    world.settle(members=2)
    await world.add()
    for time in range(10):
        world.pod.members.clear()
        fill(world, specimen, 2, start=2 * time)
        assert (await world.poll()).tally.kept == 2
    fill(world, specimen, 1, start=50)
    world.pod.members.pop("018")
    assert "has listed 20 members by now" in str((await world.poll()).reason)
    assert len(await world.members()) == 20
