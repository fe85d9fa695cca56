"""The service as others meet it: a process of its own on a loopback port, asked over HTTP only."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

import orchestrator
from orchestrator.config import environment_name
from orchestrator.core.delivery import DeliveryState
from orchestrator.ports import Delivery
from orchestrator.storage import Store

_T = TypeVar("_T")
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
"""Seconds in which something must have happened."""
JSON_LD = "application/ld+json"
QUICK: Mapping[str, object] = {
    "egress.allow_private": "127.0.0.0/8",
    "schedule.interval": 0.2,
    "schedule.processing_lease": 2,
    "schedule.delivery_lease": 20,
    "screening.workers": 1,
    # The budget is for a quiet machine, which that of the tests is not.
    "screening.budget": 30,
}
"""Settings that make a test quick; everything else is as it comes out of the box."""
_UNDER_WAY = (DeliveryState.PENDING, DeliveryState.RETRYING)


async def until(
    ask: Callable[[], Awaitable[_T]], enough: Callable[[_T], object] = bool, within: float = PATIENCE
) -> _T:
    """Ask until the answer is enough; fail with the last answer when that takes too long."""
    deadline = time.monotonic() + within
    while True:
        found = await ask()
        if enough(found):
            return found
        if time.monotonic() > deadline:
            message = f"not within {within:g} s; last seen: {found!r}"
            raise AssertionError(message)
        await asyncio.sleep(0.02)


async def until_true(condition: Callable[[], object], within: float = PATIENCE) -> None:
    """Wait until something in this process holds."""

    async def ask() -> bool:
        return bool(condition())

    await until(ask, within=within)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def location(self) -> str:
        return self.headers["Location"]


async def ask(method: str, url: str, body: bytes | None = None, /, **headers: str) -> Answer:
    """Make one request on a connection of its own; redirects are not followed."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    connector = aiohttp.TCPConnector(force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        session.request(method, url, data=body, headers=named, allow_redirects=False) as answer,
    ):
        return Answer(status=answer.status, headers=answer.headers.copy(), body=await answer.read())


def free_port() -> int:
    """Return a port that nobody listens on now; a service keeps it over its lives."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """Return the environment of a process of ours: nothing of the operator's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
    given = {environment_name(key): str(value) for key, value in settings.items()}
    return {**kept, "PYTHONPATH": str(Path(orchestrator.__file__).parents[1]), **given}


@dataclass(kw_only=True)
class Service:
    """A server process and its folder; `start` it, and `end` it whatever happens."""

    folder: Path
    settings: Mapping[str, object]
    command: Sequence[str | Path] = ("-m", "orchestrator")
    """What Python runs."""
    url: str = field(default_factory=lambda: f"http://127.0.0.1:{free_port()}")
    expected: set[str] = field(default_factory=set)
    """Actions that the log may tell of as errors."""
    _process: subprocess.Popen[bytes] | None = None
    _starts: int = 0

    @property
    def inbox(self) -> str:
        return f"{self.url}/inbox/"

    @property
    def log(self) -> str:
        return f"{self.url}/log"

    @property
    def policies(self) -> Path:
        return self.folder / "policies"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def start(self, command: Sequence[str | Path] | None = None) -> None:
        """Start the process, always at the same address, and wait for the line that says it is ready."""
        self.begin(command)
        await self.ready()

    def begin(self, command: Sequence[str | Path] | None = None) -> None:
        """Start the process without waiting for it."""
        assert not self.is_running
        self._starts += 1
        port = self.url.rpartition(":")[2]
        words = [*(command or self.command), "serve", "--json", "--port", port]
        words += ["--database", f"sqlite:///{self.folder / 'orchestrator.sqlite'}"]
        if self.policies.is_dir():
            words += ["--policies", self.policies]
        with self._out.open("wb") as out, self._err.open("ab") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", *map(str, words)],
                stdout=out,
                stderr=err,
                cwd=self.folder,
                env=environment({**QUICK, **self.settings}),
            )

    async def ready(self) -> None:
        """Wait until the process says where it is."""

        async def said() -> str:
            assert self.is_running, f"it ended: {self._err.read_text()[-2_000:]}"
            return self._out.read_text()

        line = await until(said, lambda text: text.endswith("\n"), within=90)
        assert json.loads(line)["inbox"] == self.inbox

    async def stop(self) -> None:
        """End it as an operator does: in order, with exit code 0."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        await until_true(lambda: not self.is_running, within=40)
        assert self._process.returncode == 0

    async def kill(self) -> None:
        """End it as a power cut or the kernel does, at this very moment."""
        assert self._process is not None
        self._process.kill()
        await self.gone()

    async def gone(self) -> int:
        """Wait until the process has ended, by whatever means; return its exit code."""
        assert self._process is not None
        await until_true(lambda: not self.is_running)
        return self._process.returncode

    async def restart(self) -> None:
        """Stop it in order and start it again."""
        await self.stop()
        await self.start()

    async def end(self) -> None:
        """Leave no process behind, and look at what it said."""
        if self.is_running:
            await self.kill()
        if not self._starts:
            return
        unexpected = [
            line
            for line in self.told()
            if line["action"] not in self.expected
            and (line["level"] in ("error", "critical") or "Traceback" in json.dumps(line))
        ]
        assert not unexpected, unexpected

    def told(self) -> list[dict[str, Any]]:
        """Return the lines of its log, of all its lives."""
        return [json.loads(line) for line in self._err.read_text().splitlines()]

    async def run(self, *words: str) -> tuple[int, str, str]:
        """Run a command of ours beside the service, with its settings; return code, output and errors."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "error",
            "-m",
            "orchestrator",
            *words,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=environment(
                {
                    **QUICK,
                    **self.settings,
                    "database.url": f"sqlite:///{self.folder / 'orchestrator.sqlite'}",
                }
            ),
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def post(self, document: object, *, path: str = "/inbox/", **headers: str) -> Answer:
        """POST a document (or bytes as they are) to the inbox."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return await ask("POST", self.url + path, body, **{"Content_Type": JSON_LD, **headers})

    async def get(self, place: str, method: str = "GET", **headers: str) -> Answer:
        """Ask for a path or a URL."""
        url = place if place.startswith("http") else self.url + place
        return await ask(method, url, **headers)

    async def report(self, location: str) -> dict[str, Any]:
        """Return what has become of a notification so far."""
        answer = await self.get(f"{location}/report", Accept="application/json")
        assert answer.status == 200
        found: dict[str, Any] = answer.json
        return found

    async def settled(self, location: str) -> dict[str, Any]:
        """Wait until a notification has come to something; return its report."""
        return await until(
            lambda: self.report(location), lambda report: report["state"] not in ("RECEIVED", "RETRY")
        )

    async def take(self, document: object) -> dict[str, Any]:
        """POST a document that must be accepted, and wait for what becomes of it."""
        answer = await self.post(document)
        assert answer.status == 201, answer.body
        return await self.settled(answer.location)

    async def events(self, query: str = "since=0") -> list[dict[str, Any]]:
        """Read the log from a cursor on, as far as it goes."""
        found: list[dict[str, Any]] = []
        place: str | None = f"{self.log}?{query}"
        while place is not None:
            answer = await self.get(place)
            assert answer.status == 200, answer.body
            found += answer.json["orderedItems"]
            place = answer.json.get("next")
        return found

    async def deliveries(self) -> list[Delivery]:
        """Return all deliveries, as the database has them."""
        url = f"sqlite:///{self.folder / 'orchestrator.sqlite'}"
        store = await asyncio.to_thread(Store.open, url)
        try:
            return list(await store.outbox.deliveries(limit=10_000))
        finally:
            await store.close()

    async def delivered(self, number: int) -> list[Delivery]:
        """Wait until there are so many deliveries and none is under way; return them."""
        return await until(
            self.deliveries,
            lambda found: len(found) == number and not any(each.state in _UNDER_WAY for each in found),
        )

    @property
    def _out(self) -> Path:
        return self.folder / f"ready-{self._starts}.json"

    @property
    def _err(self) -> Path:
        return self.folder / "log.jsonl"
