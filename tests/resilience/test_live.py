"""Those who follow the log live, when the service stops, is killed, or has few file descriptors."""

import asyncio
import contextlib
import time

import pytest
from tests.acceptance.conftest import Serve
from tests.acceptance.notifications import announce
from tests.acceptance.peers import Party
from tests.acceptance.service import Service
from tests.web.listening import connected, following

SENDER = Party(id="https://certifier.example.org/", inbox="https://certifier.example.org/inbox/")
FEW = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1_034))
from orchestrator.__main__ import main
main()
"""


def port_of(service: Service) -> int:
    return int(service.url.rpartition(":")[2])


async def post(service: Service, number: int) -> None:
    us = Party(id=f"{service.url}/", inbox=service.inbox)
    document = announce(SENDER, us, f"https://pod.example.org/articles/{number}")
    assert (await service.post(document)).status == 201


async def test_a_stop_ends_all_answers_in_order_and_at_once(serve: Serve) -> None:
    service = await serve()
    await post(service, 1)
    async with contextlib.AsyncExitStack() as stack:
        listeners = [
            await stack.enter_async_context(following(port_of(service), "?after=0")) for _ in range(300)
        ]
        assert [await each.event() for each in listeners] == [1] * 300
        begun = time.monotonic()
        stopping = asyncio.create_task(service.stop())
        assert [await each.ended() for each in listeners] == [True] * 300
        await stopping
        assert time.monotonic() - begun < 20
        # They come back one after the other.
        assert sorted(each.retry or 0 for each in listeners) == list(range(3_000, 3_300))


async def test_who_comes_back_after_a_kill_goes_on_where_he_was(serve: Serve) -> None:
    service = await serve()
    seen: list[int] = []
    last = "0"
    for life in range(3):
        async with following(port_of(service), Last_Event_ID=last) as listener:
            for number in range(3):
                await post(service, 10 * life + number)
                if number < 2:  # what is posted last is told in the next life
                    seen.append(await listener.event())
            await service.kill()
            assert not await listener.ended()
            last = str(seen[-1])
        await service.start()
    async with following(port_of(service), Last_Event_ID=last) as listener:
        while seen[-1] < 9:
            seen.append(await listener.event())
    assert seen == list(range(1, 10))


@pytest.mark.parametrize("most", [10])
async def test_followers_are_bounded_by_the_descriptors_that_there_are(serve: Serve, most: int) -> None:
    service = await serve(start=False)
    await service.start(("-c", FEW))
    assert [line["text"] for line in service.told() if line["action"] == "followers_bounded"] == [
        f"followers_bounded wanted=10000 most={most} descriptors=1034"
    ]
    async with contextlib.AsyncExitStack() as stack:
        listeners = [await stack.enter_async_context(following(port_of(service))) for _ in range(most)]
        asked = "GET /log/live HTTP/1.1\r\nHost: x\r\n\r\n"
        refused = await stack.enter_async_context(connected(port_of(service), asked))
        await refused.begin()
        assert refused.head.startswith(b"HTTP/1.1 503 ")
        await post(service, 1)
        assert [await each.event() for each in listeners] == [1] * most
    await service.stop()
