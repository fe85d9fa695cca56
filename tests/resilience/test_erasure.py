"""Erasing beside a service that runs: its files, what it serves, and `kill -9` at any moment."""

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from tests.acceptance.conftest import Serve
from tests.acceptance.notifications import announce, policy
from tests.acceptance.peers import Hub, Party
from tests.acceptance.service import QUICK, Service, environment, until

SENDER = Party(id="https://certifier.example.org/", inbox="https://certifier.example.org/inbox/")
KILLS = 24
WHOLE = {"payload", "notification", "delivery", "tombstone", "journal", "asked"}
"""What an erasure changes, of a notification that one hub was told of."""
# Forks a process for each command, which has imported all that it needs, and says how it ended. The command
# is as it is, but that it ends itself at a place, if one is named.
COMMANDS = """
import json, os, signal, sys
import sqlalchemy as sa
import orchestrator.bootstrap, orchestrator.cli.log, orchestrator.pipeline.erase
from orchestrator import __main__
from orchestrator.storage import engine as engines

def run(place, words):
    def end(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    def executed(_connection, _cursor, text, *_):
        if text.startswith(place):
            end()

    if place == "purge":
        engines.purge = end
    elif place:
        sa.event.listen(sa.Engine, "after_cursor_execute", executed)
    sys.argv = ["orchestrator", *words]
    __main__.main()

print("ready", flush=True)
while line := sys.stdin.readline():
    place, *words = json.loads(line)
    child = os.fork()
    if not child:
        run(place, words)
    print(child, flush=True)
    sys.stdin.readline()  # until then nobody else has its number
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def secret(number: int) -> str:
    return f"SECRET-{number:04}-WORD "


def telling(service: Service, number: int, size: int = 300) -> dict[str, Any]:
    """Return a notification with `size` characters of a secret in each of several texts."""
    us = Party(id=f"{service.url}/", inbox=service.inbox)
    document = announce(SENDER, us, f"https://pod.example.org/articles/{number}")
    text = secret(number) * (size // len(secret(number)) + 1)
    document["object"] |= {"name": text[:size], "summary": text[:size]}
    document["context"] |= {"name": text[:size]}
    return {**document, "summary": text[:size]}


def files_with(service: Service, numbers: Sequence[int]) -> dict[str, list[int]]:
    """Return by file of the service which secrets stand in it."""
    found = {}
    for path in service.folder.rglob("*"):
        body = path.read_bytes() if path.is_file() else b""
        held = [number for number in numbers if secret(number).strip().encode() in body]
        if held:
            found[path.name] = held
    return found


def done_of(service: Service, sequence: int) -> set[str]:
    """Return what of the erasure of an event is done, as the database's file has it."""
    by_cause = "event WHERE CAST(envelope AS TEXT) LIKE :cause"
    of_it = "JOIN processing p ON p.notification = n.key WHERE p.event = :event"
    questions = {
        "payload": "SELECT payload IS NULL AND salt IS NULL FROM event WHERE sequence = :event",
        "notification": f"SELECT n.body = x'' FROM notification n {of_it}",
        "delivery": "SELECT body IS NULL FROM delivery WHERE event = :event",
        "tombstone": f"SELECT count(*) = 1 FROM {by_cause} AND types LIKE '%log#Erasure%'",
        "journal": "SELECT count(*) = 1 FROM journal WHERE what = 'payload erased' AND note LIKE :note",
        "asked": f"SELECT count(*) = 1 FROM delivery WHERE event = (SELECT sequence FROM {by_cause})",
    }
    values = {
        "event": sequence,
        "cause": f'%"causedBy":"{service.log}/e/{sequence}"%',
        "note": f'%"event":{sequence}}}%',
    }
    connection = sqlite3.connect(service.folder / "orchestrator.sqlite")
    try:
        with connection:
            return {
                name for name, ask in questions.items() if connection.execute(ask, values).fetchone() == (1,)
            }
    finally:
        connection.close()


class Commands:
    """Commands that are killed, each a process; one after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @contextlib.asynccontextmanager
    async def beside(cls, service: Service) -> AsyncIterator["Commands"]:
        """Make them beside a service, with its settings."""
        url = f"sqlite:///{service.folder / 'orchestrator.sqlite'}"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-c", COMMANDS),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=service.folder,
            env=environment({**QUICK, **service.settings, "database.url": url}),
        )
        commands = cls(process)
        try:
            assert await commands._line() == "ready"
            yield commands
        finally:
            process.kill()
            await process.wait()

    async def begin(self, sequence: int, place: str = "") -> int:
        """Begin to erase; return the process."""
        words = [place, "log", "erase", str(sequence), "--because", "asked", "--yes"]
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words).encode() + b"\n")
        return int(await self._line())

    async def ended(self) -> int:
        """Wait for its end; return its exit code."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        return int(await self._line())

    async def _line(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()


async def erase(service: Service, sequence: int) -> dict[str, Any]:
    """Run the command as an operator does."""
    code, out, err = await service.run("log", "erase", str(sequence), "--because", "asked", "--yes", "--json")
    assert code == 0, err
    said: dict[str, Any] = json.loads(out)
    return said


async def told(service: Service, hub: Hub, documents: Sequence[dict[str, Any]]) -> list[str]:
    """Publish `documents`, let the hub hear of each, and return where they are."""
    places = []
    for document in documents:
        answer = await service.post(document)
        assert answer.status == 201
        places.append(answer.location)
    await service.delivered(len(documents))
    assert len(hub.posts) == len(documents)
    return places


async def test_nothing_of_it_is_in_the_files_of_a_service_that_runs_nor_of_one_that_has_stopped(
    serve: Serve,
) -> None:
    """Threat T22: "body absent from DB file incl. WAL"; of 60 KB, in a file of many pages, and its log."""
    async with Hub() as hub:
        service = await serve({"log.page_size": 2}, {"hub.ttl": policy("as:Announce", hubs=(hub.url,))})
        places = await told(service, hub, [telling(service, number, 15_000) for number in range(1, 6)])
        assert len(hub.posts[0].body) > 40_000
        erased, left = (1, 4), (2, 3, 5)
        assert sorted({number for held in files_with(service, erased).values() for number in held}) == [1, 4]
        for sequence in erased:
            assert (await erase(service, sequence))["purged"]
        # Who was told is asked to delete; and what is sent again is known.
        await service.delivered(7)
        assert {post.document["object"]["id"] for post in hub.posts[5:]} == {
            post.document["id"]
            for post in hub.posts[:5]
            if any(secret(number) in post.body.decode() for number in erased)
        }
        assert (await service.get(places[0])).status == 410
        assert files_with(service, erased) == {}
        assert {number for held in files_with(service, left).values() for number in held} == set(left)
        await service.restart()
        assert (await service.get(places[0])).status == 410
        await service.stop()
        assert files_with(service, erased) == {}


async def test_a_service_forgets_what_another_process_has_erased_within_a_look(serve: Serve) -> None:
    """Its closed pages, in all that it keeps of them; its log still verifies, from before and from now."""
    async with Hub() as hub:
        service = await serve({"log.page_size": 2}, {"hub.ttl": policy("as:Announce", hubs=(hub.url,))})
        await told(service, hub, [telling(service, number) for number in range(1, 6)])
        kept = service.folder / "kept.checkpoint"
        code, _, err = await service.run("log", "verify", service.log, "--save", str(kept))
        assert code == 0, err
        forms: list[dict[str, str]] = [
            {"Accept": "application/ld+json"},
            {"Accept": "application/n-quads"},
            {"Accept": "text/html"},
            {"Accept": "application/activity+json", "Accept_Encoding": "gzip"},
        ]
        page = f"{service.log}?page=1"
        before = [(await service.get(page, **form), await service.get(page, **form)) for form in forms]
        assert secret(1) in before[0][1].body.decode()
        await erase(service, 1)
        began = time.monotonic()
        await until(lambda: service.get(page), lambda answer: secret(1).encode() not in answer.body)
        # A look of 0.2 s, and what a busy machine adds to it.
        assert time.monotonic() - began < 10
        for form, (_, was) in zip(forms, before, strict=True):
            after = await service.get(page, **form, If_None_Match=was.headers["ETag"])
            if form["Accept"] == "text/html":  # shows no payloads
                assert after.status == 304
            else:
                assert (after.status, secret(1).encode() in after.body) == (200, False)
                assert after.headers["ETag"] != was.headers["ETag"]
        code, out, err = await service.run("log", "verify", service.log, "--checkpoint", str(kept), "--json")
        assert code == 0, err
        assert json.loads(out)["erased"] == 1
        assert [event["sequence"] for event in await service.events()] == [1, 2, 3, 4, 5, 6]


async def test_killed_at_a_place_nothing_or_all_of_it_is_done(serve: Serve) -> None:
    """Before the commit nothing is; after it all of it, and the files are purged the next time."""
    places = ("UPDATE event SET", "UPDATE log_head ", "purge")
    async with Hub() as hub:
        service = await serve(None, {"hub.ttl": policy("as:Announce", hubs=(hub.url,))})
        await told(service, hub, [telling(service, number) for number in range(1, len(places) + 1)])
        for sequence, place in enumerate(places, 1):
            async with Commands.beside(service) as commands:
                await commands.begin(sequence, place)
                assert await commands.ended() == -signal.SIGKILL
            assert done_of(service, sequence) == (WHOLE if place == "purge" else set())
            said = await erase(service, sequence)
            assert (said["tombstone"] is None, said["purged"]) == (place == "purge", True)
            assert done_of(service, sequence) == WHOLE
        assert files_with(service, range(1, len(places) + 1)) == {}
        await service.delivered(2 * len(places))


@pytest.mark.timeout(240)
async def test_killed_at_any_moment_no_payload_goes_without_a_tombstone(serve: Serve) -> None:
    """Invariant I3, for an erasure: all of it or nothing, and the service goes on meanwhile."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    async with Hub() as hub:
        service = await serve({"log.page_size": 4}, {"hub.ttl": policy("as:Announce", hubs=(hub.url,))})
        await told(service, hub, [telling(service, number) for number in range(1, KILLS + 2)])
        ends: list[int] = []
        erased: set[int] = set()
        async with Commands.beside(service) as commands:
            # How long it takes when nothing is in its way.
            began = time.monotonic()
            await commands.begin(1)
            assert await commands.ended() == 0
            took = time.monotonic() - began
            for sequence in range(2, KILLS + 2):
                process = await commands.begin(sequence)
                # Not synchronisation: the moment of the kill is the experiment.
                await asyncio.sleep(chance.uniform(0, 1.2 * took))
                os.kill(process, signal.SIGKILL)
                ends.append(await commands.ended())
                done = done_of(service, sequence)
                assert done in (set(), WHOLE), f"event {sequence}"
                erased |= {sequence} if done else set()
            # Whoever was killed before the purge has left pages behind.
            await commands.begin(1)
            assert await commands.ended() == 0
        erased.add(1)
        print(f"erased {sorted(erased)}, ended with {ends}")
        assert -signal.SIGKILL in ends
        events = await service.events()
        assert [event["sequence"] for event in events] == list(range(1, KILLS + 2 + len(erased)))
        assert {event["sequence"] for event in events if "@graph" not in event} == erased
        causes = [event["causedBy"] for event in events if "log:Erasure" in event["type"]]
        assert sorted(causes) == sorted(f"{service.log}/e/{number}" for number in erased)
        await service.delivered(KILLS + 1 + len(erased))
        assert files_with(service, sorted(erased)) == {}
        code, _, err = await service.run("log", "verify", service.log)
        assert code == 0, err
