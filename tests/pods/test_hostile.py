"""Sources that hang, lie, fail, lead inwards and list without end: the others do not notice."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from tests.acceptance.service import JSON_LD, Service, until
from tests.pods.conftest import Serve
from tests.pods.steps import review, source

LDP = "http://www.w3.org/ns/ldp#"
MANY = 100_000
MOST_MEMORY = 320 * 1024 * 1024
"""Bytes that the service may have in memory; without sources it has some 100 MiB."""
KINDS = (
    "hangs",
    "drips",
    "lies",
    "fails",
    "inwards",
    "circles",
    "endless",
    "packed",
    "nonsense",
    "many",
    "more",
)


class Sources:
    """One server for all of them: `/{kind}/` is an inbox."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self._released = asyncio.Event()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        kind, _, member = request.path.strip("/").partition("/")
        if member:
            return self._member(kind, member)
        method = getattr(self, f"_{kind}")
        found: web.StreamResponse = await method(request)
        return found

    def release(self) -> None:
        self._released.set()

    def _member(self, kind: str, member: str) -> web.Response:
        if kind == "good":
            return web.json_response(review(int(member)))
        return web.Response(status=404)

    async def _good(self, _request: web.BaseRequest) -> web.StreamResponse:
        listing = {
            "@id": f"{self.url}good/",
            LDP + "contains": [{"@id": f"{self.url}good/{n}"} for n in range(50)],
        }
        return web.Response(body=json.dumps(listing), content_type=JSON_LD, headers={"ETag": '"1"'})

    async def _hangs(self, _request: web.BaseRequest) -> web.StreamResponse:
        await self._released.wait()
        return web.Response()

    async def _drips(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/n-triples"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while not self._released.is_set():
                await response.write(b"#")
                await asyncio.sleep(0.05)
        return response

    async def _lies(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/turtle\r\nContent-Length: 9999\r\n\r\n<> "
        )
        request.transport.close()
        return web.Response()

    async def _fails(self, _request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=500)

    async def _inwards(self, _request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data/"})

    async def _circles(self, _request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": f"{self.url}circles/"})

    async def _endless(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/n-triples"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while not self._released.is_set():
                await response.write(b"x" * 65_536)
        return response

    async def _packed(self, _request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"\x1f\x8b" + bytes(1_000), headers={"Content-Encoding": "gzip"})

    async def _nonsense(self, _request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"<html>No inbox here.</html>", content_type="text/html")

    async def _many(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._list(request, MANY)

    async def _more(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._list(request, MANY + 1)

    async def _list(self, request: web.BaseRequest, members: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/n-triples"})
        await response.prepare(request)
        inbox = f"{self.url}{request.path.strip('/')}/"
        with contextlib.suppress(ConnectionError):
            for start in range(0, members, 500):
                triples = (
                    f"<{inbox}> <{LDP}contains> <{inbox}{number}> .\n"
                    f'<{inbox}{number}> <http://www.w3.org/ns/posix/stat#size> "700" .\n'
                    for number in range(start, min(members, start + 500))
                )
                await response.write("".join(triples).encode())
        return response


@pytest.fixture
async def sources() -> AsyncIterator[Sources]:
    made = Sources()
    runner = web.ServerRunner(web.Server(made.answer, access_log=None), shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield made
    made.release()
    await runner.cleanup()


def memory(service: Service) -> int:
    """Return the bytes that the service's process has in memory."""
    lines = Path(f"/proc/{service.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.timeout(240)
async def test_a_source_that_misbehaves_harms_no_other(sources: Sources, serve: Serve) -> None:
    """Each says why it fails and is polled again; the good one is read, and POSTs are answered meanwhile."""
    tables = (
        f'[[source]]\nname = "{kind}"\ninbox = "{sources.url}{kind}/"\nschedule = "5s"\n'
        for kind in (*KINDS, "good")
    )
    # They stand for servers of their own; one host would not get so many places.
    settings = {"polling.sources": 12, "polling.per_host": 12}
    service = await serve("service", "".join(tables), settings=settings, start=False)
    service.expected.add("source_polled")
    begun = time.monotonic()
    await service.start()
    slowest = 0.0
    for number in range(1_000, 1_040):
        posted = time.monotonic()
        assert (await service.post(review(number))).status == 201
        slowest = max(slowest, time.monotonic() - posted)
        await asyncio.sleep(0.05)
    await until(lambda: source(service, "good"), lambda found: found["members"]["KEPT"] == 50, within=30)
    events = await until(service.events, lambda found: len(found) == 90, within=30)
    assert len({event["activity"] for event in events}) == 90
    # The silence of one that hangs is told after 15 s.
    assert time.monotonic() - begun < 30
    assert slowest < 2.0

    said = {
        "hangs": "no answer in time",
        "lies": "not HTTP",
        "fails": "answered 500",
        "inwards": "169.254.169.254 is not a public address",
        "circles": "redirects more than 3 times",
        "endless": "a line has more than",
        "packed": "an encoding that nobody asked for",
        "nonsense": "text/html, neither JSON-LD nor Turtle",
        "more": "lists more than 100000 members",
    }
    for kind, words in said.items():
        found = await until(
            lambda kind=kind: source(service, kind),  # type: ignore[misc]
            lambda found: found["failures"] > 0,
        )
        assert found["state"] in {"failing", "polling"}, kind
        assert words in found["reason"], (kind, found["reason"])
        assert found["next"] is not None
    # It goes through 100,000 members that are not there, a part in each pass.
    found = await until(
        lambda: source(service, "many"), lambda found: found["members"]["GONE"] >= 2_000, within=60
    )
    assert found["reason"] is None
    assert memory(service) < MOST_MEMORY
    assert {asked.partition(" ")[0] for asked in sources.asked} == {"GET"}
    code, out, _ = await service.run("source", "list", "--json")
    assert code == 0
    assert {each["name"] for each in json.loads(out)} == {*KINDS, "good"}
    sources.release()
    await service.stop()
