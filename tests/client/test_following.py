"""Following a log over real sockets, whatever its stream does: every event once, in order, none left out."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from orchestrator.client import Client
from orchestrator.client.following import Pace, batches
from orchestrator.core.errors import AnswerRefused, PeerUnreachable

from .event_log import EventLog, Live, frame

if TYPE_CHECKING:
    from tests.client.conftest import Pod


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(backoff=0.01, timeout=5.0) as made:
        yield made


@pytest.fixture
async def log(pod: "Pod") -> AsyncIterator[EventLog]:
    served = EventLog(pod)
    yield served
    served.ended.set()


async def hang(live: Live) -> None:
    await live.hang()


async def followed(client: Client, url: str, until: int, *, since: int = 0, live: bool = True) -> list[int]:
    """Follow until an event with the number `until`; return all numbers."""
    found = []
    async with (
        asyncio.timeout(20),
        aclosing(client.follow(url, since=since, live=live, interval=0.02)) as events,
    ):
        async for event in events:
            found.append(event["sequence"])
            if event["sequence"] >= until:
                break
    return found


async def test_what_was_there_is_read_from_pages_and_what_comes_is_told_live(
    log: EventLog, client: Client
) -> None:
    async def speak(live: Live) -> None:
        assert live.after == 5
        log.write(6)
        await live.tell(6)
        await live.say(b": heartbeat\n\n")
        log.write(7, 8)
        await live.tell(7, 8)
        await live.hang()

    log.write(*range(1, 6))
    log.live = [speak]
    assert await followed(client, log.url, 8) == list(range(1, 9))
    assert log.asked == ["after=5"]


async def test_a_reader_goes_on_where_it_stopped(log: EventLog, client: Client) -> None:
    async def speak(live: Live) -> None:
        log.write(6)
        await live.tell(6)
        await live.hang()

    log.write(*range(1, 6))
    log.live = [speak]
    assert await followed(client, log.url, 6, since=3) == [4, 5, 6]


async def test_what_is_told_twice_is_handed_on_once(log: EventLog, client: Client) -> None:
    async def speak(live: Live) -> None:
        log.write(4, 5)
        await live.tell(2, 4, 4, 3, 4, 5)
        await live.hang()

    log.write(1, 2, 3)
    log.live = [speak]
    assert await followed(client, log.url, 5) == [1, 2, 3, 4, 5]


async def test_what_the_stream_leaves_out_is_read_from_the_pages(log: EventLog, client: Client) -> None:
    async def speak(live: Live) -> None:
        log.write(*range(3, 10))
        await live.tell(3, 9)
        log.write(10, 11)
        await live.tell(11)
        await live.hang()

    log.write(1, 2)
    log.live = [speak]
    assert await followed(client, log.url, 11) == list(range(1, 12))
    assert log.asked == ["after=2"]


async def test_an_id_without_data_is_looked_into_when_no_event_may_be_left_out(
    log: EventLog, client: Client
) -> None:
    async def speak(live: Live) -> None:
        log.write(2, 3)
        await live.say(b"id: 3\n\n")
        await live.hang()

    log.write(1)
    log.live = [speak]
    assert await followed(client, log.url, 3) == [1, 2, 3]


async def test_pages_that_are_behind_the_stream_are_waited_for(
    log: EventLog, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async def early(live: Live) -> None:
        await live.tell(9)
        await live.hang()

    async def in_time(live: Live) -> None:
        log.write(*range(2, 10))
        await live.tell(9)
        await live.hang()

    log.write(1)
    log.live = [early, in_time]
    assert await followed(client, log.url, 9) == list(range(1, 10))
    assert "tells of event 9, and its pages end with 1" in caplog.text


@pytest.mark.parametrize("way", ["ends", "breaks off", "is cut in the middle of an event"])
async def test_a_stream_that_is_lost_is_asked_for_again_after_the_last_event(
    way: str, log: EventLog, client: Client
) -> None:
    async def speak(live: Live) -> None:
        log.write(live.after + 1)
        await live.tell(live.after + 1)
        if way == "is cut in the middle of an event":
            await live.say(frame(log.event(live.after + 2))[:-1])
        if way == "breaks off":
            await live.break_off()

    log.write(1)
    log.live = [speak]
    assert await followed(client, log.url, 4) == [1, 2, 3, 4]
    assert log.asked[:3] == ["after=1", "after=2", "after=3"]


async def test_a_stream_that_falls_silent_is_left(log: EventLog, client: Client) -> None:
    async def speak(live: Live) -> None:
        log.write(live.after + 1)
        await live.tell(live.after + 1)
        await live.hang()

    log.write(1)
    log.live = [hang, hang, speak]
    found = []
    following = batches(client._exchange, log.url, 0, Pace(silence=0.1))
    async with asyncio.timeout(20), aclosing(following) as arriving:
        async for batch in arriving:
            found += [event["sequence"] for event in batch]
            if 2 in found:
                break
    assert found == [1, 2]
    assert len(log.asked) >= 3


async def test_a_heartbeat_keeps_a_stream(log: EventLog, client: Client) -> None:
    async def speak(live: Live) -> None:
        for _ in range(10):
            await live.say(b":\n\n")
            # Not synchronisation: ten pauses are longer than the silence that is borne, each is shorter.
            await asyncio.sleep(0.1)
        log.write(2)
        await live.tell(2)
        await live.hang()

    log.write(1)
    log.live = [speak]
    following = batches(client._exchange, log.url, 1, Pace(silence=0.5))
    async with asyncio.timeout(20), aclosing(following) as arriving:
        assert [event["sequence"] for event in await anext(arriving)] == [2]
    assert log.asked == ["after=1"]


NOT_LIVE = {
    "404": web.Response(status=404),
    "405": web.Response(status=405),
    "406": web.Response(status=406),
    "400": web.Response(status=400),
    "204": web.Response(status=204),
    "html": web.Response(text="<p>A page", content_type="text/html"),
}


@pytest.mark.parametrize("status", NOT_LIVE)
async def test_a_log_without_a_live_stream_is_polled(
    status: str, log: EventLog, pod: "Pod", client: Client
) -> None:
    made = NOT_LIVE[status]
    pod.replies["/log/live"] = lambda _: web.Response(
        status=made.status, text=made.text, content_type=made.content_type
    )
    await _poll(log, pod, client, live=True)
    assert len(log.asked) == 1


async def test_whoever_does_not_want_the_stream_polls(log: EventLog, pod: "Pod", client: Client) -> None:
    await _poll(log, pod, client, live=False)
    assert log.asked == []


async def _poll(log: EventLog, pod: "Pod", client: Client, *, live: bool) -> None:
    """See that new events are found by looking again, and that looking costs little."""
    log.write(1, 2, 3)
    page = pod.replies["/log"]

    def answer(request: web.Request) -> object:
        if len([line for line in pod.asked if "since=3" in line]) == 4:
            log.write(4)
        return page(request)

    pod.replies["/log"] = answer  # type: ignore[assignment]
    assert await followed(client, log.url, 4, live=live) == [1, 2, 3, 4]
    known = [request.headers.get("If-None-Match") for request in pod.requests if "since=3" in request.path_qs]
    assert known[0] is None
    assert set(known[1:]) == {'"since=3&limit=1000-3"'}


async def test_a_log_that_got_a_live_stream_is_heard(log: EventLog, pod: "Pod", client: Client) -> None:
    async def speak(live: Live) -> None:
        log.write(2)
        await live.tell(2)
        await live.hang()

    log.write(1)
    log.live = [speak]
    stream = pod.replies["/log/live"]
    left = [2]

    def answer(request: web.Request) -> object:
        left[0] -= 1
        return web.Response(status=404) if left[0] >= 0 else stream(request)

    pod.replies["/log/live"] = answer  # type: ignore[assignment]
    assert await followed(client, log.url, 2) == [1, 2]
    assert len(log.asked) == 3


@pytest.mark.parametrize("status", [429, 503])
async def test_a_stream_that_is_full_is_asked_again_when_it_says(
    status: int, log: EventLog, pod: "Pod", client: Client
) -> None:
    async def speak(live: Live) -> None:
        log.write(2)
        await live.tell(2)
        await live.hang()

    log.write(1)
    log.live = [speak]
    stream = pod.replies["/log/live"]
    times: list[float] = []

    def answer(request: web.Request) -> object:
        times.append(asyncio.get_running_loop().time())
        full = web.Response(status=status, headers={"Retry-After": "1"})
        return full if len(times) == 1 else stream(request)

    pod.replies["/log/live"] = answer  # type: ignore[assignment]
    assert await followed(client, log.url, 2) == [1, 2]
    first, second = times
    assert second - first > 0.75  # it comes back within a fifth of what is asked


async def test_a_log_that_is_away_for_a_while_is_waited_for(
    log: EventLog, pod: "Pod", client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async def speak(live: Live) -> None:
        page = pod.replies["/log"]
        left = [4]

        def answer(request: web.Request) -> object:
            left[0] -= 1
            if left[0] >= 0:
                return web.Response(status=502)
            pod.replies["/log"] = page
            log.write(2)
            return page(request)

        pod.replies["/log"] = answer  # type: ignore[assignment]
        await live.break_off()

    log.write(1)
    log.live = [speak, hang]
    with caplog.at_level(logging.WARNING):
        assert await followed(client, log.url, 2) == [1, 2]
    assert [record.getMessage().split()[0] for record in caplog.records] == ["log_lost", "log_lost"]
    assert "answered 502" in caplog.text


async def test_a_log_that_cannot_be_read_at_first_is_an_error(pod: "Pod", client: Client) -> None:
    log = EventLog(pod)
    for status, error in ((404, AnswerRefused), (500, PeerUnreachable)):
        pod.replies["/log"] = lambda _, status=status: web.Response(status=status)  # type: ignore[misc]
        with pytest.raises(error, match=str(status)):
            await anext(client.follow(log.url))


@pytest.mark.parametrize("live", [True, False])
async def test_a_log_that_ends_before_the_reader_is_refused(
    live: bool, log: EventLog, client: Client
) -> None:
    log.write(1, 2, 3)
    with pytest.raises(AnswerRefused, match="ends with event 3, but event 7 was read from it before"):
        await anext(client.follow(log.url, since=7, live=live))
    log.live = [hang]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(client.follow(log.url, since=3)), 0.3)


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("left", [0, 2])
async def test_a_log_that_is_put_back_while_it_is_followed_is_refused(
    left: int, live: bool, log: EventLog, client: Client
) -> None:
    restored = asyncio.Event()

    async def end_when_restored(_: Live) -> None:
        await restored.wait()

    log.write(1, 2, 3, 4)
    log.live = [end_when_restored]
    following = client.follow(log.url, live=live, interval=0.02)
    async with asyncio.timeout(20), aclosing(following) as events:
        assert [(await anext(events))["sequence"] for _ in range(4)] == [1, 2, 3, 4]
        del log.sequences[left:]
        restored.set()
        with pytest.raises(AnswerRefused, match=f"ends with event {left}"):
            await anext(events)


async def test_a_stream_that_begins_too_early_is_a_reason_to_look(log: EventLog, client: Client) -> None:
    """The pages may be older than the stream: somebody caches them."""

    async def begin_earlier(live: Live) -> None:
        log.root = {"totalItems": 1}
        await live.say(b"id: 1\n\n")
        await live.hang()

    log.write(1, 2)
    log.live = [begin_earlier]
    log.greets = False
    with pytest.raises(AnswerRefused, match="ends with event 1"):
        await followed(client, log.url, 3)


async def test_a_log_with_a_gap_is_refused(log: EventLog, client: Client) -> None:
    log.write(1, 2, 3, 5)
    with pytest.raises(AnswerRefused, match="has no event 4: the next one after 3 is 5"):
        await followed(client, log.url, 5)
    log.sequences = [2]
    with pytest.raises(AnswerRefused, match="has no event 1: the next one after 0 is 2"):
        await followed(client, log.url, 2)


async def test_a_filter_goes_to_pages_and_stream_and_numbers_may_jump(
    log: EventLog, pod: "Pod", client: Client
) -> None:
    async def first(live: Live) -> None:
        log.write(9, 14)
        await live.tell(9, 14)
        await live.say(b":\nid: 40\n\n")

    async def second(live: Live) -> None:
        log.write(41)
        await live.tell(41)
        await live.hang()

    log.write(2, 3, 7)
    log.live = [first, second]
    assert await followed(client, log.url + "?type=Announce", 41) == [2, 3, 7, 9, 14, 41]
    assert log.asked == ["type=Announce&after=7", "type=Announce&after=40"]
    assert all("type=Announce" in line for line in pod.asked if "since" in line)


async def test_the_log_of_an_artefact_may_jump(pod: "Pod", client: Client) -> None:
    log = EventLog(pod, path="/artefacts/a/log")
    log.root = {"totalItems": "", "partOf": pod.url("/log")}
    log.write(3, 8)

    async def speak(live: Live) -> None:
        await live.tell(12)
        await live.hang()

    log.live = [speak]
    assert await followed(client, log.url, 12) == [3, 8, 12]
    log.ended.set()


TELLS: dict[str, tuple[bytes, str]] = {
    "a long line": (b"data: " + b"x" * 1_048_577 + b"\n\n", "a line of more than 1048576 bytes"),
    "a long message": (b"data: x\n" * 200_000 + b"\n", "a message of more than 1048576 bytes"),
    "no JSON": (b"id: 2\ndata: {\n\n", "is not JSON"),
    "no event": (b'id: 2\ndata: {"id": "urn:x"}\n\n', "no event, under the id '2'"),
    "another's number": (b'id: 3\ndata: {"sequence": 2}\n\n', "no event, under the id '3'"),
    "no number": (b'data: {"sequence": 2}\n\n', "no event, under the id"),
}


@pytest.mark.parametrize(("told", "said"), TELLS.values(), ids=TELLS)
async def test_what_no_log_tells_ends_the_following(
    told: bytes, said: str, log: EventLog, client: Client
) -> None:
    async def speak(live: Live) -> None:
        await live.say(told)
        await live.hang()

    log.write(1)
    log.live = [speak]
    with pytest.raises(AnswerRefused, match=said):
        await followed(client, log.url, 2)


async def test_messages_of_another_type_are_passed_over(log: EventLog, client: Client) -> None:
    async def speak(live: Live) -> None:
        await live.say(b"event: news\ndata: {\n\n")
        log.write(2)
        await live.tell(2)
        await live.hang()

    log.write(1)
    log.live = [speak]
    assert await followed(client, log.url, 2) == [1, 2]


async def test_a_log_is_read_to_its_end_once(log: EventLog, client: Client) -> None:
    log.write(*range(1, 6))
    found = [[event["sequence"] for event in batch] async for batch in client.batches(log.url, once=True)]
    assert found == [[1, 2], [3, 4], [5]]
    assert [batch async for batch in client.batches(log.url, since=5, once=True)] == []
    assert log.asked == []


async def test_a_log_that_is_lost_before_its_end_is_an_error_when_it_is_read_once(
    log: EventLog, pod: "Pod", client: Client
) -> None:
    log.write(*range(1, 6))
    async with aclosing(client.batches(log.url, once=True)) as batches:
        assert [event["sequence"] for event in await anext(batches)] == [1, 2]
        pod.replies["/log"] = lambda _: web.Response(status=429)
        with pytest.raises(PeerUnreachable, match="answered 429"):
            await anext(batches)


async def test_numbers_and_depths_that_strangers_may_publish_are_read(
    log: EventLog, pod: "Pod", client: Client
) -> None:
    """Canonical JSON writes 1e17 as an integer; a notification may nest 32 levels, inside of a page."""
    nested: object = 1e17
    for _ in range(40):
        nested = [nested]
    text = (
        '{"orderedItems": [{"sequence": 1, "@graph": ['
        + str(nested).replace("1e+17", "1" + "0" * 17)
        + "]}]}"
    )
    pod.replies["/log"] = lambda request: web.Response(
        text=text if "since" in request.query else "{}", content_type="application/ld+json"
    )
    [event] = [event async for event in client.log(log.url)]
    assert event["@graph"] == [nested]


async def test_whatever_a_stream_does_the_reader_has_every_event_once(pod: "Pod", client: Client) -> None:
    """A stream that repeats, leaves out, falls back and breaks off at random; the log grows meanwhile."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    log = EventLog(pod)
    log.page_size = 7

    async def speak(live: Live) -> None:
        place = live.after
        for _ in range(chance.randrange(1, 12)):
            if len(log.sequences) < 400:
                end = len(log.sequences)
                log.write(*range(end + 1, end + 1 + chance.randrange(0, 12)))
            place = max(1, place + chance.choice([-2, 0, 1, 1, 1, 1, 2, 5]))
            if place <= len(log.sequences):
                told = frame(log.event(place))
                cut = chance.randrange(0, len(told))
                await live.say(told[:cut], told[cut:])
            if chance.random() < 0.05:
                await live.say(b"id: %d\n\n" % chance.randrange(1, len(log.sequences) + 1))
        if chance.random() < 0.3:
            await live.break_off()

    log.live = [speak]
    log.write(1)
    found = await followed(client, log.url, 400)
    assert found == list(range(1, len(found) + 1))
