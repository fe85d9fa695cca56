"""`/log/live`: every event once and in order, to as many as follow, whatever one of them does."""

import asyncio
import contextlib
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tests.web.listening import PATIENCE, Listener, connected, following

from orchestrator.core.event import member
from orchestrator.ports import Query
from orchestrator.storage import Store
from orchestrator.web import Live
from orchestrator.web.follower import WAITING
from orchestrator.web.tail import TAIL

BASE = "https://orchestrator.example"
QUICK = Live(interval=0.02)
Write = Callable[..., Awaitable[list[dict[str, Any]]]]
Specimen = Callable[..., dict[str, Any]]


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  (nobody tells of it)
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def many(house: Any, number: int) -> AsyncIterator[list[Listener]]:
    """Let so many follow."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(following(house.port)) for _ in range(number)]


def followers(house: Any) -> int:
    return len(house.app[TAIL].followers)


async def large(house: Any, specimen: Specimen, number: int) -> None:
    """Publish events of about 50 kB."""
    await house.publish(*(specimen(summary=["x" * 10_000] * 5) for _ in range(number)))


async def test_a_follower_is_led_from_a_sequence_to_the_end_and_then_told_what_is_new(
    build: Any, write: Write
) -> None:
    async with build(live=QUICK) as house:
        await write(house, 30)
        async with following(house.port, "?after=3") as listener:
            assert await listener.events(27) == list(range(4, 31))
            await write(house, 2)
            assert await listener.events(2) == [31, 32]


async def test_without_a_sequence_a_follower_begins_with_the_next_event(build: Any, write: Write) -> None:
    async with build(live=QUICK) as house:
        await write(house, 2)
        async with following(house.port) as listener:
            assert (listener.last, listener.retry) == ("2", 3_000)
            await write(house, 1)
            assert await listener.event() == 3


async def test_what_a_follower_has_seen_last_counts_for_more_than_the_url(build: Any, write: Write) -> None:
    async with build(live=QUICK) as house:
        await write(house, 5)
        async with following(house.port, "?after=0", Last_Event_ID="3") as listener:
            assert await listener.events(2) == [4, 5]
        async with following(house.port, "?after=3", Last_Event_ID="") as listener:
            assert await listener.events(2) == [4, 5]


async def test_who_has_seen_more_than_the_log_holds_begins_at_its_end(build: Any, write: Write) -> None:
    async with build(live=QUICK) as house:
        await write(house, 2)
        async with following(house.port, Last_Event_ID="900") as listener:
            assert listener.last == "2"
            await write(house, 1)
            assert await listener.event() == 3


@pytest.mark.parametrize(
    "query",
    ["?after=-1", "?after=x", "?after=", "?after=1000000000000000000", "?since=1", "?type=", "?artefact=x"],
)
async def test_a_parameter_that_cannot_be_read_is_refused(house: Any, query: str) -> None:
    for method in ("GET", "HEAD"):
        answer = await house.ask(f"/log/live{query}", method)
        assert (answer.status, answer.content_type) == (400, "application/problem+json")
    assert followers(house) == 0


@pytest.mark.parametrize("last", ["x", "-1", "1.0", "1, 2", "\u00b2", "1" * 40])
async def test_a_last_event_id_that_is_none_of_ours_is_refused(house: Any, last: str) -> None:
    answer = await house.ask("/log/live", Last_Event_ID=last)
    assert answer.status == 400


async def test_only_those_who_take_an_event_stream_get_one(house: Any) -> None:
    assert (await house.ask("/log/live", Accept="text/html, application/json")).status == 406
    for accept in ("text/event-stream", "*/*", "text/*;q=0.1"):
        async with following(house.port, Accept=accept) as listener:
            assert b"\r\nContent-Type: text/event-stream\r\n" in listener.head


async def test_the_head_tells_caches_proxies_and_browsers_what_they_need(house: Any) -> None:
    answer = await house.ask("/log/live", "HEAD")
    async with following(house.port) as listener:
        told = dict(line.split(": ", 1) for line in listener.head.decode().split("\r\n")[1:-2])
        assert told["Cache-Control"] == "no-store"
        assert told["X-Accel-Buffering"] == "no"
        assert told["Access-Control-Allow-Origin"] == "*"
        assert told["Vary"] == "Accept"
        assert "Content-Length" not in told
        headed = {**answer.headers, "Transfer-Encoding": "chunked", "Date": told["Date"]}
        assert (answer.status, headed) == (200, told)
    options = await house.ask("/log/live", "OPTIONS")
    assert options.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert "Last-Event-ID" in options.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_reader_of_http_1_0_and_one_who_says_close_are_told_the_same(
    build: Any, write: Write, version: str
) -> None:
    async with build(live=QUICK) as house:
        await write(house, 1)
        asked = f"GET /log/live?after=0 HTTP/{version}\r\nHost: x\r\nConnection: close\r\n\r\n"
        async with connected(house.port, asked) as listener:
            listener.head = await listener.reader.readuntil(b"\r\n\r\n")
            assert (b"chunked" in listener.head) == (version == "1.1")
            assert await listener.event() == 1
            await write(house, 1)
            assert await listener.event() == 2


async def test_the_data_is_the_node_that_pages_have_on_one_line(build: Any, specimen: Specimen) -> None:
    async with build(live=QUICK) as house:
        await house.publish(specimen(summary="one\ntwo\r\nthree\rfour\u2028five\u0085"))
        async with following(house.port, "?after=0") as listener:
            name, data = await listener.block()
        [event] = await house.store.reader.events(Query())
        assert name == b"id: 1"
        assert data.removeprefix(b"data: ") == member(event.envelope, event.payload, event.salt)
        page = json.loads((await house.ask("/log?page=1"))._body)
        assert json.loads(data.removeprefix(b"data: ")) == page["orderedItems"][0]


async def test_nothing_is_missing_or_told_twice_while_others_write(build: Any, write: Write) -> None:
    async with build(live=QUICK) as house:
        await write(house, 40)
        house.store.listen(house.app[TAIL].wake)
        end = 120

        async def append() -> None:
            while (await house.store.reader.head()).sequence < end:
                await write(house, 1)

        async def follow(after: int, wait: float) -> None:
            await asyncio.sleep(wait)
            async with following(house.port, f"?after={after}") as listener:
                assert await listener.events(end - after) == list(range(after + 1, end + 1))

        async with asyncio.TaskGroup() as group:
            group.create_task(append())
            for number in range(40):
                group.create_task(follow(number, number / 60))


async def test_a_filter_holds_for_what_was_and_for_what_is_new(
    build: Any, write: Write, specimen: Specimen
) -> None:
    about = "https://preprints.lakeside.example.org/item/2"
    async with build(live=QUICK) as house:
        for slug in ("announce-review", "request-review", "announce-review"):
            await write(house, 1, slug=slug)
        other = specimen()
        other["context"] = {**other["context"], "id": about}
        await house.publish(other)
        async with (
            following(house.port, "?after=0&type=Announce") as announcements,
            following(house.port, "?after=0&type=coar-notify:ReviewAction") as reviews,
            following(house.port, f"?after=0&artefact={about}") as of_one,
            following(house.port, f"?after=0&type=Offer&artefact={about}") as of_none,
        ):
            assert await announcements.events(3) == [1, 3, 4]
            assert await reviews.events(4) == [1, 2, 3, 4]
            assert await of_one.event() == 4
            await write(house, 1, slug="request-review")
            await house.publish({**other, "id": "urn:uuid:00000000-0000-4000-8000-000000000001"})
            assert await announcements.event() == 6
            assert await reviews.events(2) == [5, 6]
            assert await of_one.event() == 6
            assert of_none.last == "0"


async def test_a_heartbeat_moves_on_who_is_told_of_few_events_only(build: Any, write: Write) -> None:
    async with build(live=Live(interval=0.02, heartbeat=0.05)) as house:
        async with (
            following(house.port) as everything,
            following(house.port, "?artefact=urn:x:none") as nothing,
        ):
            assert await everything.block() == [b":"]
            await write(house, 3)
            assert await everything.events(3) == [1, 2, 3]
            while nothing.last != "3":
                assert (await nothing.block())[0] in (b":", b"id: 3")
        async with following(house.port, "?artefact=urn:x:none", Last_Event_ID="1") as again:
            while again.last != "3":
                await again.block()


async def test_who_never_reads_is_cut_off_and_nobody_else_waits(build: Any, specimen: Specimen) -> None:
    async with build(live=Live(interval=0.02, patience=0.5)) as house:
        asked = "GET /log/live HTTP/1.1\r\nHost: x\r\n\r\n"
        async with following(house.port) as good, connected(house.port, asked, limit=1_024):
            await until(lambda: followers(house) == 2)
            held = []
            number = 0
            while followers(house) == 2:
                await large(house, specimen, 5)
                number += 5
                assert (await good.events(5))[-1] == number
                held.append(max(each.transport.get_write_buffer_size() for each in _of(house)))
            assert max(held) < WAITING + 2 * 65_536
            await large(house, specimen, 1)
            assert await good.event() == number + 1


def _of(house: Any) -> list[Any]:
    """Return the followers that have a connection."""
    return [each for each in house.app[TAIL].followers._all if each.transport is not None]


async def test_who_is_slow_for_a_while_misses_nothing(build: Any, specimen: Specimen) -> None:
    async with build(live=QUICK) as house:
        asked = "GET /log/live HTTP/1.1\r\nHost: x\r\n\r\n"
        async with contextlib.AsyncExitStack() as stack:
            slow = await stack.enter_async_context(connected(house.port, asked, limit=1_024))
            await until(lambda: _of(house))
            [follower] = _of(house)
            good = await stack.enter_async_context(following(house.port))
            number = 0
            while follower.has_room:
                await large(house, specimen, 5)
                number += 5
                assert (await good.events(5))[-1] == number
            await slow.begin()
            assert await slow.events(number) == list(range(1, number + 1))
            await large(house, specimen, 2)
            assert await slow.events(2) == [number + 1, number + 2]


async def test_there_is_room_for_so_many_and_a_place_is_free_when_one_leaves(
    build: Any, write: Write
) -> None:
    async with build(live=Live(interval=0.02, followers=2)) as house:
        async with following(house.port) as stays:
            async with following(house.port):
                answer = await house.ask("/log/live")
                assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
                assert json.loads(answer._body)["type"] == f"{BASE}/problems/overloaded"
            await until(lambda: followers(house) == 1)
            async with following(house.port) as comes:
                await write(house, 1)
                assert [await stays.event(), await comes.event()] == [1, 1]
        await until(lambda: followers(house) == 0)


async def test_followers_do_not_keep_requests_out_nor_requests_followers(build: Any, write: Write) -> None:
    async with build(connections=4, live=QUICK) as house, many(house, 12) as listeners:
        assert (await house.ask("/livez")).status == 200
        await write(house, 1)
        assert [await each.event() for each in listeners] == [1] * 12
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(8):
                await stack.enter_async_context(connected(house.port, ""))
            await write(house, 1)  # over the connection that was there before
            assert [await each.event() for each in listeners] == [2] * 12


async def test_posts_are_answered_while_500_follow(build: Any, write: Write) -> None:
    async with build(live=QUICK) as house:
        house.store.listen(house.app[TAIL].wake)
        async with many(house, 500) as listeners:
            await write(house, 5)
            assert [await each.events(5) for each in listeners] == [[1, 2, 3, 4, 5]] * 500
        await until(lambda: followers(house) == 0)


async def test_a_stop_ends_every_answer_in_order(build: Any, write: Write) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with build(live=QUICK) as house:
            listeners = [await stack.enter_async_context(following(house.port)) for _ in range(5)]
            behind = await stack.enter_async_context(following(house.port, "?after=0"))
            await write(house, 1)
            assert await behind.event() == 1
        assert all([await each.ended() for each in (*listeners, behind)])
        assert sorted(each.retry or 0 for each in (*listeners, behind)) == list(range(3_000, 3_006))


async def test_what_another_process_writes_is_told_too(build: Any, write: Write, specimen: Specimen) -> None:
    async with build(live=QUICK) as house:
        other = await asyncio.to_thread(Store.open, str(house.store.engine.url), public_url=BASE)
        house.store.listen(house.app[TAIL].wake)
        ours, house.store = house.store, other
        try:
            async with following(house.port) as listener:
                assert (await house.post(specimen())).status == 201
                assert len(await house.process()) == 1
                assert await listener.event() == 1
        finally:
            house.store = ours
            await other.close()


async def test_others_in_the_house_hear_of_every_event_though_nobody_follows(
    build: Any, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    async with build(live=QUICK) as house:
        heard: list[int] = []

        def fail(_event: object) -> None:
            raise RuntimeError

        house.app[TAIL].on_event += [fail, lambda event: heard.append(event.sequence)]
        with caplog.at_level(logging.CRITICAL):
            await write(house, 3)
            await until(lambda: len(heard) == 3)
        assert heard == [1, 2, 3]


def rename(house: Any, table: str, other: str) -> None:
    """Rename a table, so that nothing is found in it."""
    with contextlib.closing(sqlite3.connect(house.store.engine.url.database)) as database:
        database.execute(f"ALTER TABLE {table} RENAME TO {other}")


async def test_a_database_that_fails_for_a_while_loses_nothing(
    build: Any, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    async with build(live=QUICK) as house:
        await write(house, 1)
        async with following(house.port, "?after=0") as listener:
            assert await listener.event() == 1
            rename(house, "event", "elsewhere")
            await until(lambda: any(each.getMessage() == "store_unavailable" for each in caplog.records))
            async with following(house.port, "?after=0") as behind:
                assert await behind.ended()
                assert (behind.last, behind.retry) == ("0", 3_000)
            rename(house, "elsewhere", "event")
            await write(house, 2)
            assert await listener.events(2) == [2, 3]


async def test_who_talks_instead_of_listening_is_cut_off(build: Any) -> None:
    async with build(live=QUICK) as house, following(house.port) as listener:
        listener.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await listener.writer.drain()
        assert followers(house) == 1
        listener.writer.write(b"x" * 5_000)
        await until(lambda: followers(house) == 0)
