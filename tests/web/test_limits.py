"""Bodies and heads that are too large, too slow or malicious (threats T4, T5, T16)."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from orchestrator.core.strict_json import Limits

Specimen = Callable[..., dict[str, Any]]
BASE = "https://orchestrator.example"
HEAD = b"POST /inbox/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/ld+json\r\n"


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def wire(house: Any) -> AsyncIterator[Streams]:
    """Open a connection on which anything can be written."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """Return the head of the answer."""
    return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)


async def test_a_body_that_is_announced_as_too_large_is_refused_before_it_is_sent(house: Any) -> None:
    async with wire(house) as (reader, writer):
        writer.write(HEAD + b"Content-Length: 9000000\r\n\r\n")
        assert (await read_head(reader)).startswith(b"HTTP/1.1 413 ")


async def test_a_body_of_unknown_length_is_refused_as_soon_as_it_is_too_large(build: Any) -> None:
    async with build(limits=Limits(body=1_000)) as house, wire(house) as (reader, writer):
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"800\r\n" + b" " * 2048 + b"\r\n")
        head = await read_head(reader)
        assert head.startswith(b"HTTP/1.1 413 ")
        assert b"constrainedBy" in head
        assert await house.kept() == 0


async def test_a_waiting_sender_is_not_asked_for_a_body_that_is_too_large(house: Any) -> None:
    async with wire(house) as (reader, writer):
        writer.write(HEAD + b"Expect: 100-continue\r\nContent-Length: 9000000\r\n\r\n")
        assert (await read_head(reader)).startswith(b"HTTP/1.1 413 ")


async def test_a_waiting_sender_is_asked_for_a_body_that_fits(house: Any, specimen: Specimen) -> None:
    body = json.dumps(specimen()).encode()
    async with wire(house) as (reader, writer):
        writer.write(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert (await read_head(reader)).startswith(b"HTTP/1.1 100 ")
        writer.write(body)
        assert (await read_head(reader)).startswith(b"HTTP/1.1 201 ")


async def test_a_body_of_exactly_the_limit_is_read(build: Any, specimen: Specimen) -> None:
    body = json.dumps(specimen()).encode()
    async with build(limits=Limits(body=len(body))) as house:
        assert (await house.post(body)).status == 201
        assert (await house.post(body + b" ")).status == 413


async def test_a_body_that_does_not_come_in_time_is_a_408_and_leaves_nothing(build: Any) -> None:
    async with build(body_timeout=0.2) as house, wire(house) as (reader, writer):
        writer.write(HEAD + b"Content-Length: 100\r\n\r\n{")
        head = await read_head(reader)
        assert head.startswith(b"HTTP/1.1 408 ")
        assert b"application/problem+json" in head
        assert await house.kept() == 0


@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("cut", [0, 1, 700])
async def test_a_body_may_come_with_its_head_or_after_it(
    house: Any, specimen: Specimen, framing: str, cut: int
) -> None:
    body = json.dumps(specimen()).encode()
    lines = (
        HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
        if framing == "length"
        else HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    )
    async with wire(house) as (reader, writer):
        writer.write(lines[: len(lines) - cut])
        await writer.drain()
        if cut:
            await asyncio.sleep(0.05)
            writer.write(lines[-cut:])
        assert (await read_head(reader)).startswith(b"HTTP/1.1 201 ")
    token = (await house.store.reader.listing("inbox"))[0].token
    assert (await house.ask(f"/inbox/{token}"))._body == body


async def test_a_chunked_body_that_came_whole_is_not_kept_beyond_the_limit(build: Any) -> None:
    async with build(limits=Limits(body=1_000)) as house, wire(house) as (reader, writer):
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b" " * 1001 + b"\r\n0\r\n\r\n")
        assert (await read_head(reader)).startswith(b"HTTP/1.1 413 ")
        assert await house.kept() == 0


@pytest.mark.parametrize("line", [b"OPTIONS *", b"CONNECT x.example:443", b"GET /inbox/a/b", b"PUT /inbox/"])
async def test_what_no_route_takes_is_a_problem_with_our_headers(house: Any, line: bytes) -> None:
    async with wire(house) as (reader, writer):
        writer.write(line + b" HTTP/1.1\r\nHost: x.example:443\r\nConnection: close\r\n\r\n")
        head, _, body = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0].split()[1] in (b"404", b"405", b"400")
    assert json.loads(body)["type"].startswith(f"{BASE}/problems/")
    assert b"\r\nServer: orchestrator\r\n" in head
    assert (b"constrainedBy" in head) == (b"/inbox/" in line)


async def test_a_head_that_does_not_come_in_time_ends_the_connection(build: Any) -> None:
    async with build(header_timeout=0.2) as house, wire(house) as (reader, writer):
        writer.write(b"POST /inbox/ HTTP/1.1\r\nHost:")
        assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_a_connection_in_use_outlives_the_deadline_for_heads(build: Any) -> None:
    async with build(header_timeout=0.2) as house, wire(house) as (reader, writer):
        for _ in range(2):
            writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await read_head(reader)).startswith(b"HTTP/1.1 200 ")
            await reader.readuntil(b"}\n")
            await asyncio.sleep(0.5)


async def test_a_body_that_is_cut_off_leaves_nothing_and_is_nobodys_fault(
    house: Any, specimen: Specimen, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps(specimen()).encode()
    async with wire(house) as (_, writer):
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body[:-10])
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.transport.abort()
        await asyncio.sleep(0.2)
        assert await house.kept() == 0
        assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
        assert (await house.post(body)).status == 201


async def test_broken_chunks_are_a_400(house: Any) -> None:
    async with wire(house) as (reader, writer):
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nnonsense\r\n")
        assert (await read_head(reader)).startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
        assert await house.kept() == 0


async def test_a_length_beside_chunks_is_refused_as_smuggling(house: Any) -> None:
    async with wire(house) as (reader, writer):
        writer.write(HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        assert (await read_head(reader)).startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))


@pytest.mark.parametrize(
    "path",
    [
        "/log?since=1%0d%0aSet-Cookie:%20a=b",
        "/log?%0d%0aInjected=1",
        "/artefacts?url=https://x.example/%0d%0aInjected:1",
        "/inbox?x=%0d%0aInjected:1",
        "/nothing/%0d%0aInjected:1",
        "/inbox/%1b%5b31m",
        "/problems/%0aInjected",
    ],
)
async def test_line_breaks_of_strangers_reach_neither_headers_nor_logs(
    house: Any, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with wire(house) as (reader, writer):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")
        names = [line.partition(b":")[0] for line in head.split(b"\r\n")[1:]]
        assert b"Injected" not in names
        assert b"Set-Cookie" not in names
        assert head.startswith((b"HTTP/1.1 4", b"HTTP/1.1 308"))
        assert b"\x1b" not in body
        ours = [record.getMessage() for record in caplog.records if record.name.startswith("orchestrator")]
        assert not any("Injected" in line or "\n" in line or "\x1b" in line for line in ours)


async def test_control_characters_in_a_body_come_back_harmless(house: Any) -> None:
    body = json.dumps({"@context": "\x1b[31m\r\nInjected: 1", "id": "\ud800 \x00", "type": ["\x1b"]}).encode()
    for accept in ("*/*", "text/turtle", "application/ld+json"):
        answer = await house.post(body, Accept=accept)
        assert answer.status == 400
        assert b"\x1b" not in answer._body
        assert "Injected" not in answer.headers
    duplicate = rb'{"\ud800\n": 1, "\ud800\n": 2}'
    for accept in ("*/*", "text/turtle", "application/ld+json"):
        assert (await house.post(duplicate, Accept=accept)).status == 400


async def test_every_answer_forbids_guessing_its_type_and_names_no_versions(house: Any) -> None:
    for path in ("/", "/inbox/", "/log", "/nothing", "/shapes/", "/livez"):
        answer = await house.ask(path)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Server"] == "orchestrator"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        exposed = answer.headers["Access-Control-Expose-Headers"]
        assert exposed == "Link, Link-Template, ETag, Location, Accept-Post, Retry-After"


@pytest.mark.parametrize(
    "first", [b"\x16\x03\x01\x02", b"NONSENSE\r\n\r\n", b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n"]
)
async def test_what_is_no_http_is_a_problem_too_and_no_noise_in_the_log(
    house: Any, first: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with wire(house) as (reader, writer):
        writer.write(first + b"\r\n\r\n")
        head, _, body = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")
    assert b" 400 " in head.split(b"\r\n")[0]
    assert b"\r\nServer: orchestrator\r\n" in head
    assert json.loads(body)["type"] == f"{BASE}/problems/bad-request"
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_connections_beyond_the_limit_are_closed_and_the_others_served(build: Any) -> None:
    async with build(connections=2) as house, wire(house) as (reader, writer), wire(house):
        async with wire(house) as (refused, _):
            assert await asyncio.wait_for(refused.read(), 5) == b""
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await read_head(reader)).startswith(b"HTTP/1.1 200 ")
