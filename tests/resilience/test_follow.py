"""`log follow` killed again and again: its file has every event once, in order, and none is missing."""

import asyncio
import json
import random
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from tests.acceptance.conftest import Serve
from tests.acceptance.notifications import announce
from tests.acceptance.peers import Party
from tests.acceptance.service import Service, environment, until, until_true

KILLS = 20
SENDER = Party(id="https://certifier.example.org/", inbox="https://certifier.example.org/inbox/")


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def follow(service: Service, output: Path) -> subprocess.Popen[bytes]:
    words = ["-m", "orchestrator", "log", "follow", service.log, "--output", str(output)]
    return subprocess.Popen([sys.executable, *words], env=environment({}), stderr=subprocess.DEVNULL)


async def post_until(service: Service, done: asyncio.Event) -> int:
    """Post new notifications, each until it is acknowledged; return how many."""
    us = Party(id=f"{service.url}/", inbox=service.inbox)
    number = 0
    while not done.is_set():
        number += 1
        document = announce(SENDER, us, f"https://pod.example.org/articles/{number}")
        await until(partial(accepted, service, document))
    return number


async def accepted(service: Service, document: object) -> bool:
    try:
        return (await service.post(document)).status == 201
    except (aiohttp.ClientError, ConnectionError, TimeoutError):
        return False


@pytest.mark.timeout(240)
async def test_a_follower_that_is_killed_writes_every_event_once_and_in_order(
    serve: Serve, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    service = await serve({"schedule.processing_lease": 2})
    output = tmp_path / "events.jsonl"
    done = asyncio.Event()
    posting = asyncio.create_task(post_until(service, done))
    killed = 0
    for life in range(4 * KILLS):
        before = size_of(output)
        follower = follow(service, output)
        try:
            await until_true(
                lambda: size_of(output) > before or follower.poll() is not None or posting.done()  # noqa: B023
            )
            # Not synchronisation: the moment of the kill is the experiment.
            await asyncio.sleep(chance.uniform(0, 0.3))
            if killed in (KILLS // 3, 2 * KILLS // 3) and service.is_running:
                await (service.restart() if killed == KILLS // 3 else restart_by_force(service))
                await until_true(lambda: size_of(output) > before)  # noqa: B023
        finally:
            follower.kill()
            ended = follower.wait()
        killed += ended == -signal.SIGKILL
        if killed == KILLS:
            break
        assert life < 4 * KILLS - 1, "it ended by itself too often"
    done.set()
    posted = await posting

    async def read() -> int:
        return len(await service.events())

    await until(read, lambda number: number == posted)
    found = await service.events()
    code, out, err = await service.run("log", "follow", service.log, "--once", "--output", str(output))
    assert (code, out) == (0, ""), err
    written = [json.loads(line) for line in output.read_text().splitlines()]
    assert [event["sequence"] for event in written] == list(range(1, len(found) + 1))
    assert written == found


async def restart_by_force(service: Service) -> None:
    await service.kill()
    await service.start()
