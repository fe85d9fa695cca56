"""`kill -9` at every request that the app makes, before it is answered and after: once is once."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from typing import Any

import pytest
from aiohttp import web
from tests.acceptance.service import environment
from tests.app.world import US, Runs, World, outcomes

from orchestrator.core import vocabulary as v

# Requests of one link in their order, whether the kill comes after the answer, and what the state must say then.
PLACES = (
    ("GET", "/papers", True, None),
    ("PATCH", "/papers", False, "writing"),
    ("PATCH", "/papers", True, "writing"),
    ("HEAD", "/log", True, "writing"),
    ("POST", "/inbox", False, "reporting"),
    ("POST", "/inbox", True, "reporting"),
)


class Killer:
    """Kills a process when it makes a certain request."""

    def __init__(self, method: str, path: str, *, is_answered: bool) -> None:
        self._wanted = method, path
        self._is_answered = is_answered
        self.pid = 0
        self.has_struck = False

    async def before(self, request: web.Request) -> None:
        if not self._is_answered:
            await self._strike(request)

    async def after(self, request: web.Request) -> None:
        if self._is_answered:
            await self._strike(request)

    async def _strike(self, request: web.Request) -> None:
        method, path = self._wanted
        if request.method == method and request.path.startswith(path) and not self.has_struck:
            self.has_struck = True
            os.kill(self.pid, signal.SIGKILL)


async def start(runs: Runs) -> asyncio.subprocess.Process:
    given = {"log": runs.settings.app_log, "state": runs.settings.app_state, "id": US}
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "orchestrator",
        *("app", "run", "--once", "--artefacts", runs.settings.app_artefacts[0], *words),
        stdout=asyncio.subprocess.DEVNULL,
        cwd=runs.folder,
        env=environment({"egress.allow_private": "127.0.0.0/8"}),
    )


@pytest.mark.timeout(240)
async def test_killed_at_any_request_it_writes_once_and_tells_once(world: World, runs: Runs) -> None:
    """Each life finds one event more than the last one, and whatever that has left."""
    bodies: list[bytes] = []
    for number, (method, path, is_answered, stage) in enumerate(PLACES):
        artefact = world.document(f"/papers/{number}", f'<> <{v.RDFS}label> "Paper {number}" .')
        world.announce(artefact, f"https://reviews.example/{number}")
        killer = Killer(method, path, is_answered=is_answered)
        world.before, world.after = killer.before, killer.after
        process = await start(runs)
        killer.pid = process.pid
        assert await process.wait() == -signal.SIGKILL, (method, path, is_answered)
        if stage is not None:
            state: dict[str, Any] = json.loads(runs.state.read_text())
            assert stage in {pending["stage"] for pending in state["pending"]}

    async def note(request: web.Request) -> None:
        if request.method == "POST":
            bodies.append(await request.read())

    world.before, world.after = note, None
    await runs.once()
    assert set(outcomes(await runs.once())) <= {"skipped self"}
    assert world.asked.count("POST /inbox/") > len(world.told), "one was sent twice"
    for number in range(len(PLACES)):
        assert world.links(f"/papers/{number}") == [f"https://reviews.example/{number}"]
        # Nothing that was there already was written again: that would wake every watcher.
        assert world.documents[f"/papers/{number}"].version == 2
    answered = Counter(document["inReplyTo"] for document in world.told)
    reviews = [event for event in world.events if "Announce" in event["type"]]
    assert answered == {event["activity"]: 1 for event in reviews}
    assert len({document["id"] for document in world.told}) == len(PLACES)
