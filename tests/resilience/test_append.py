"""A crash at any byte of an append leaves a log that is whole, and that continues what any reader saw."""

import asyncio
import base64
import contextlib
import json
import os
import random
import re
import signal
import sqlite3
import struct
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from rdflib import Dataset
from tests.acceptance.conftest import Serve
from tests.acceptance.service import PATIENCE, Service, environment, until_true
from tests.storage.trees import NaiveTree

from orchestrator.core.checkpoint import Checkpoint, VerifierKey, open_note
from orchestrator.core.merkle import verify_consistency
from orchestrator.core.strict_json import canonical

from .test_kill import children, is_alive

APPENDER = Path(__file__).with_name("appender.py")
TOP = Path(__file__).resolve().parents[2]
PAGE = 25
CUTS = 36
"""Lives that end at a byte of their append, from its first to its last."""
KILLS = 26
"""Lives that end at any moment."""
POWER_CUTS = 2
"""Times at which the service that readers ask is killed together with who appends."""
JSON_LD, QUADS = "application/ld+json", "application/n-quads"
_PAYLOAD = ("@graph", "salt")
_IRI = r"<[^\x00-\x20<>\"{}|^`\\]*>"
_BLANK = r"_:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?"
_LITERAL = rf'"(?:[^"\\\n\r]|\\[tbnrf"\'\\]|\\u[0-9A-F]{{4}})*"(?:\^\^{_IRI}|@[A-Za-z]+(?:-[A-Za-z0-9]+)*)?'
_QUAD = rf"(?:{_IRI}|{_BLANK}) {_IRI} (?:{_IRI}|{_BLANK}|{_LITERAL})(?: (?:{_IRI}|{_BLANK}))? \.\n"
_QUADS = re.compile(rf"(?:{_QUAD})*")
"""N-Quads, as their grammar has it."""


@dataclass(kw_only=True)
class Lives:
    """Those who append, one after another, and what they say was committed."""

    process: asyncio.subprocess.Process
    written: dict[int, str] = field(default_factory=dict)
    """Sequence → leaf."""
    bytes: int = 0
    """How much the last group took in the write-ahead log."""

    async def begin(self, byte: int | None = None) -> int:
        """Begin a life; return its process when it is about to append."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"byte": byte}).encode() + b"\n")
        return int((await self._until("begun"))["begun"])

    async def ended(self) -> int:
        """Return the exit code of a life that has come to its end."""
        return int((await self._until("ended"))["ended"])

    async def _until(self, what: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        while True:
            said = json.loads(await asyncio.wait_for(self.process.stdout.readline(), PATIENCE))
            for sequence, leaf in said.get("written", ()):
                self.written[sequence] = leaf
                self.bytes = said["bytes"]
            if what in said:
                return dict(said)


@asynccontextmanager
async def appending(service: Service) -> AsyncIterator[Lives]:
    """Run who begins lives on the service's database."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(APPENDER)),
        *(str(service.folder / "orchestrator.sqlite"), service.url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**environment({}), "PYTHONPATH": os.pathsep.join([environment({})["PYTHONPATH"], str(TOP)])},
        limit=2**20,
    )
    try:
        yield Lives(process=process)
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
        assert await process.stderr.read() == b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@dataclass(kw_only=True)
class Reader:
    """Somebody who reads the whole log again and again, remembers everything, and believes nothing."""

    service: Service
    session: aiohttp.ClientSession
    key: VerifierKey
    chance: random.Random
    size: int = 0
    """Events that there were at least."""
    envelopes: dict[int, bytes] = field(default_factory=dict)
    closed: dict[str, bytes] = field(default_factory=dict)
    """Pages that were said to be final, by form and number."""
    roots: dict[int, bytes] = field(default_factory=dict)
    """By size, as checkpoints had them."""
    rounds: int = 0

    async def read_on(self, done: asyncio.Event) -> None:
        """Read until all is done, and once more."""
        while not done.is_set():
            await self.read()
            # Not synchronisation: who appends needs the processor too.
            await asyncio.sleep(0.03)
        await self.read()

    async def read(self) -> None:
        """Read everything that there is."""
        await self.read_checkpoint()
        root = json.loads(await self.get("/log", JSON_LD))
        self.grown(root["totalItems"])
        assert _QUADS.fullmatch((await self.get("/log", QUADS)).decode())
        for number in range(1, -(-self.size // PAGE) + 1):
            await self.read_page(number, JSON_LD)
            await self.read_page(number, QUADS)
        self.rounds += 1

    def grown(self, size: int) -> None:
        assert size >= self.size, "the log became shorter"
        self.size = size

    async def read_checkpoint(self) -> Checkpoint:
        said = open_note(await self.get("/log/checkpoint", "*/*"), [self.key])
        self.grown(said.size)
        assert self.roots.setdefault(said.size, said.root) == said.root
        earlier = sorted(self.roots)[:-1]
        # The last, and any: that each continues each follows from a chain; that the service can prove it does not.
        for first in {*earlier[-1:], *(self.chance.choices(earlier, k=2) if earlier else ())}:
            proof = json.loads(await self.get(f"/log/proof?first={first}&second={said.size}", "*/*"))
            path = [base64.b64decode(each, validate=True) for each in proof["proof"]]
            assert verify_consistency(first, said.size, self.roots[first], said.root, path)
        return said

    async def read_page(self, number: int, form: str) -> None:
        """Read a page that there was at least a moment ago."""
        name = f"{form} {number}"
        body, caching = await self.ask(f"/log?page={number}", form)
        if name in self.closed:
            assert body == self.closed[name], "a closed page has changed"
            return
        sequences = self.of_quads(body) if form == QUADS else self.of_json(body)
        first = (number - 1) * PAGE + 1
        assert sequences == list(range(first, first + len(sequences)))
        assert len(sequences) >= min(PAGE, self.size - first + 1)
        if "immutable" in caching:
            assert len(sequences) == PAGE
            self.closed[name] = body

    def of_json(self, body: bytes) -> list[int]:
        """Return the sequences on a page, whose envelopes must be as they ever were."""
        page = json.loads(body)
        events = page["orderedItems"]
        assert page["ldp:contains"] == [event["id"] for event in events]
        for event in events:
            assert event["salt"]
            assert event["@graph"][0]["object"]["id"]
            shown = {name: value for name, value in event.items() if name not in _PAYLOAD}
            envelope = canonical(shown)
            assert self.envelopes.setdefault(event["sequence"], envelope) == envelope, "an event has changed"
        return [event["sequence"] for event in events]

    def of_quads(self, body: bytes) -> list[int]:
        text = body.decode()
        assert _QUADS.fullmatch(text)
        event = re.compile(rf"^<{re.escape(self.service.url)}/log/e/([0-9]+)> <[^>]*sequence> ", re.MULTILINE)
        return sorted({int(found) for found in event.findall(text)})

    async def get(self, path: str, accept: str) -> bytes:
        return (await self.ask(path, accept))[0]

    async def ask(self, path: str, accept: str) -> tuple[bytes, str]:
        """Ask until there is an answer: while the service is down there is none."""
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
                    async with self.session.get(
                        self.service.url + path, headers={"Accept": accept}
                    ) as answer:
                        body = await answer.read()
                        assert answer.status == 200, (path, body)
                        return body, answer.headers.get("Cache-Control", "")
                await asyncio.sleep(0.02)

    async def verify(self) -> list[bytes]:
        """Check the whole log against everything that was seen; return its leaves."""
        said = await self.read_checkpoint()
        entries: list[bytes] = []
        for index in range(-(-said.size // 256)):
            width = min(256, said.size - index * 256)
            end = "" if width == 256 else f".p/{width}"
            body = await self.get(f"/log/tile/entries/{index:03d}{end}", "*/*")
            place = 0
            while place < len(body):
                (length,) = struct.unpack_from(">H", body, place)
                entries.append(body[place + 2 : place + 2 + length])
                place += 2 + length
        tree = NaiveTree(entries)
        assert len(entries) == said.size
        assert {size: tree.head(0, size) for size in self.roots} == self.roots
        assert self.envelopes == dict(enumerate(entries, 1))
        return tree.leaves


@pytest.mark.timeout(240)
async def test_a_crash_at_any_byte_of_an_append_leaves_what_readers_saw_and_what_was_committed(
    serve: Serve,
) -> None:
    """I4, I5, I9: others append to the log of a running service, and die of it; readers never notice."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    # Once it has started, the service leaves alone what those who append have received.
    service = await serve({"log.page_size": PAGE, "schedule.interval": 3_600})
    async with aiohttp.ClientSession() as session, appending(service) as lives:
        key = VerifierKey.parse((await service.get("/log/keys", Accept="text/plain")).body.decode().strip())
        reader = Reader(service=service, session=session, key=key, chance=random.Random(seed))
        done = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(reader.read_on(done))
            ends = await cut_at_bytes(lives)
            await kill_at_moments(lives, chance)
            await cut_the_power(service, lives, chance)
            done.set()
        assert ends[-signal.SIGXFSZ] >= CUTS * 2 // 3
        assert (reader.rounds >= 10, len(reader.roots) >= 10) == (True, True)
        leaves = await reader.verify()
        assert {place: leaves[place - 1].hex() for place in lives.written} == lives.written
        await look_whole(reader)
        # And it goes on.
        size = reader.size
        await lives.begin(10**9)
        assert await lives.ended() == 0
        assert (await reader.read_checkpoint()).size > size
    await service.stop()
    check_database(service)


async def cut_at_bytes(lives: Lives) -> Counter[int]:
    """End lives at bytes from the first that an append writes to the last; return how they ended."""
    await lives.begin(10**9)
    assert await lives.ended() == 0
    whole, ends = lives.bytes, Counter[int]()
    assert whole > 10 * 4_120
    for turn in range(CUTS):
        # At the edge of a frame, within its header, within its page: wherever that falls.
        await lives.begin(turn * (whole - 4_120) // (CUTS - 1) + (-1, 0, 1, 13)[turn % 4] * (turn > 0))
        ends[await lives.ended()] += 1
        if turn % 4 == 3:
            # Over what was left there.
            before = len(lives.written)
            await lives.begin(10**9)
            assert (await lives.ended(), len(lives.written)) == (0, before + 3)
    assert set(ends) <= {-signal.SIGXFSZ, 0}
    return ends


async def kill_at_moments(lives: Lives, chance: random.Random) -> None:
    for _ in range(KILLS):
        life = await lives.begin()
        # Not synchronisation: the moment of the kill is the experiment.
        await asyncio.sleep(chance.uniform(0, 0.08))
        os.kill(life, signal.SIGKILL)
        assert await lives.ended() == -signal.SIGKILL


async def cut_the_power(service: Service, lives: Lives, chance: random.Random) -> None:
    """End all at once, so that nobody is left who has the database open."""
    for _ in range(POWER_CUTS):
        life = await lives.begin()
        await asyncio.sleep(chance.uniform(0, 0.08))
        workers = children(service.pid)
        os.kill(life, signal.SIGKILL)
        await service.kill()
        assert await lives.ended() == -signal.SIGKILL
        await until_true(lambda: not any(map(is_alive, workers)))  # noqa: B023  (it waits for this turn's)
        await service.start()


async def look_whole(reader: Reader) -> None:
    """Let an RDF library read every page."""
    for number in range(1, -(-reader.size // PAGE) + 1):
        body = await reader.get(f"/log?page={number}", QUADS)
        found: Sequence[Any] = list(Dataset().parse(data=body, format="nquads").quads())
        assert len(found) == body.count(b"\n")


def check_database(service: Service) -> None:
    with contextlib.closing(sqlite3.connect(service.folder / "orchestrator.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
