"""Closed pages of the log come from memory: right, within a bound, and compressed for those who ask."""

import asyncio
import dataclasses
import gzip
import json
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import pytest

from orchestrator.web.closed import PAGES
from orchestrator.web.ready import head_of

Write = Callable[..., Awaitable[list[dict[str, Any]]]]
QUADS = "application/n-quads"


async def test_a_closed_page_that_was_read_is_answered_without_the_database(build: Any, write: Write) -> None:
    async with build(page_size=2) as house:
        await write(house, 3)
        first = await house.ask("/log?page=1")
        house.asked.clear()
        again = await house.ask("/log?page=1")
        packed = await house.ask("/log?page=1", Accept_Encoding="gzip")
        unchanged = await house.ask("/log?page=1", If_None_Match=first.headers["ETag"])
        head = await house.ask("/log?page=1", "HEAD")
        assert house.asked == []
        assert (again._body, again.headers["ETag"]) == (first._body, first.headers["ETag"])
        assert gzip.decompress(packed._body) == first._body
        assert (unchanged.status, unchanged._body) == (304, b"")
        assert head._body == b""
        for name in ("ETag", "Content-Length", "Link", "Cache-Control", "Content-Type", "Vary"):
            assert head.headers[name] == again.headers[name] == first.headers[name]


async def test_a_full_page_stays_open_until_another_follows(build: Any, write: Write) -> None:
    async with build(page_size=2) as house:
        await write(house, 1)
        for _ in range(2):
            assert len(json.loads((await house.ask("/log?page=1"))._body)["orderedItems"]) == 1
        await write(house, 1)
        full = await house.ask("/log?page=1")
        assert len(json.loads(full._body)["orderedItems"]) == 2
        assert "next" not in full.links
        assert full.headers["Cache-Control"] == "no-cache"
        await write(house, 1)
        closed = await house.ask("/log?page=1")
        assert "next" in json.loads(closed._body)
        assert "next" in closed.links
        assert closed.headers["Cache-Control"].endswith("immutable")
        assert closed.headers["ETag"] != full.headers["ETag"]


@pytest.mark.parametrize("media_type", ["application/ld+json", "application/activity+json", QUADS])
async def test_the_compressed_form_is_the_plain_one_with_a_tag_of_its_own(
    build: Any, write: Write, media_type: str
) -> None:
    async with build(page_size=2) as house:
        await write(house, 3)
        plain = await house.ask("/log?page=1", Accept=media_type)
        packed = await house.ask("/log?page=1", Accept=media_type, Accept_Encoding="gzip, deflate, br")
        assert "Content-Encoding" not in plain.headers
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed._body) == plain._body
        assert len(packed._body) < len(plain._body) / 2
        assert plain.headers["Content-Type"] == packed.headers["Content-Type"] == media_type
        assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept, Accept-Encoding"
        tags = {"identity": plain.headers["ETag"], "gzip": packed.headers["ETag"]}
        assert len(set(tags.values())) == 2
        assert not any(tag.startswith("W/") for tag in tags.values())
        for coding, own in tags.items():
            for known, tag in tags.items():
                answer = await house.ask(
                    "/log?page=1", Accept=media_type, Accept_Encoding=coding, If_None_Match=tag
                )
                assert answer.status == (304 if coding == known else 200)
                assert answer.headers["ETag"] == own


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("*", "gzip"),
        ("br, gzip;q=0.5", "gzip"),
        ("gzip;q=1.0, identity;q=0.5", "gzip"),
        ("identity;q=0, *", "gzip"),
        ("identity;q=0, gzip;q=0.001", "gzip"),
        ("gzip ; q = 0.8", "gzip"),
        ("", None),
        ("identity", None),
        ("br, deflate", None),
        ("gzip;q=0", None),
        ("gzip;q=0.000, *", None),
        ("*;q=0, identity", None),
        ("gzip;q=0.2, identity;q=0.9", None),
        ("gzip;q=nonsense", None),
        (";;,,=", None),
        ("x" * 5_000 + ", gzip", None),
    ],
)
async def test_a_reader_gets_the_coding_that_it_asks_for(
    build: Any, write: Write, accept: str, coding: str | None
) -> None:
    async with build(page_size=1) as house:
        await write(house, 2)
        for _ in range(2):
            answer = await house.ask("/log?page=1", Accept_Encoding=accept)
            assert answer.status == 200
            assert answer.headers.get("Content-Encoding") == coding


@pytest.mark.parametrize("accept", ["identity;q=0", "*;q=0", "gzip;q=0, identity;q=0", "br, *;q=0"])
async def test_a_reader_who_takes_neither_coding_is_told_which_there_are(
    build: Any, write: Write, accept: str
) -> None:
    async with build(page_size=1) as house:
        await write(house, 2)
        answer = await house.ask("/log?page=1", Accept_Encoding=accept)
        assert answer.status == 406
        assert "gzip" in json.loads(answer._body)["detail"]


async def test_nothing_but_closed_pages_is_compressed(build: Any, write: Write) -> None:
    async with build(page_size=2) as house:
        await write(house, 3)
        token = (await house.store.reader.listing("inbox"))[0].token
        paths = (
            "/",
            "/log",
            "/log?page=2",
            "/log?since=0",
            "/log/e/1",
            "/inbox/",
            f"/inbox/{token}",
            "/shapes/",
        )
        for path in paths:
            answer = await house.ask(path, Accept_Encoding="gzip")
            assert answer.status == 200
            assert "Content-Encoding" not in answer.headers


async def test_pages_beyond_the_bound_are_read_again(build: Any, write: Write) -> None:
    async with build(page_size=1, page_cache=12_000) as house:
        await write(house, 4)
        bodies = {}
        for number in (1, 2, 3):
            bodies[number] = (await house.ask(f"/log?page={number}"))._body
        house.asked.clear()
        assert (await house.ask("/log?page=3"))._body == bodies[3]
        assert house.asked == []
        assert (await house.ask("/log?page=1"))._body == bodies[1]
        assert "events" in house.asked


async def test_a_page_larger_than_the_bound_is_answered_and_not_kept(build: Any, write: Write) -> None:
    async with build(page_size=1, page_cache=1_000) as house:
        await write(house, 2)
        first = await house.ask("/log?page=1")
        house.asked.clear()
        assert (await house.ask("/log?page=1"))._body == first._body
        assert "events" in house.asked


async def test_all_who_ask_at_once_for_a_closed_page_cost_one_reading(build: Any, write: Write) -> None:
    async with build(page_size=2) as house:
        await write(house, 3)
        house.asked.clear()
        answers = await asyncio.gather(*(house.ask("/log?page=1") for _ in range(20)))
        assert len({answer._body for answer in answers}) == 1
        assert house.asked.count("events") == 1


async def test_a_forgotten_page_is_written_from_what_is_stored_now(
    build: Any, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with build(page_size=2) as house:
        await write(house, 5)
        kept = {number: await house.ask(f"/log?page={number}") for number in (1, 2)}
        stored = house.store.reader.events

        async def erased(query: Any) -> Any:
            return [dataclasses.replace(event, payload=None, salt=None) for event in await stored(query)]

        monkeypatch.setattr(house.store.reader, "events", erased)
        house.app[PAGES].forget(4)
        other, anew = await house.ask("/log?page=1"), await house.ask("/log?page=2")
        assert other._body == kept[1]._body
        assert len(anew._body) < len(kept[2]._body)
        assert all("@graph" not in event for event in json.loads(anew._body)["orderedItems"])
        assert anew.headers["ETag"] != kept[2].headers["ETag"]
        packed = await house.ask("/log?page=2", Accept_Encoding="gzip")
        assert gzip.decompress(packed._body) == anew._body


async def test_a_kept_page_leads_to_the_end_of_the_log_that_was_seen_last(build: Any, write: Write) -> None:
    async with build(page_size=1) as house:
        await write(house, 2)
        assert (await house.ask("/log?page=1")).links["last"]["url"].query["page"] == "2"
        await write(house, 2)
        await house.ask("/log")
        assert (await house.ask("/log?page=1")).links["last"]["url"].query["page"] == "4"


async def test_the_same_question_in_another_form_is_another_answer(build: Any, write: Write) -> None:
    async with build(page_size=1) as house:
        await write(house, 3)
        for _ in range(2):
            for number in (1, 2):
                plain = await house.ask(f"/log?page={number}")
                assert json.loads(plain._body)["id"].endswith(f"page={number}")
                assert (await house.ask(f"/log?page={number}", Accept=QUADS)).content_type == QUADS
            assert (await house.ask("/log?page=1", Accept="text/html")).content_type == "text/html"
            assert (await house.ask("/log?page=1", Accept="image/png")).status == 406
            assert (await house.ask("/log?page=1&page=2")).status == 400


async def _say(port: int, text: str) -> bytes:
    """Send `text` and return all that comes until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text.encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


def _parts(answer: bytes) -> tuple[str, dict[str, str], bytes]:
    """Return the status line, the headers but for the date, and the body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): said.strip() for name, _, said in (line.partition(":") for line in lines)}
    assert len(headers) == len(lines)
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", headers.pop("date"))
    return status, headers, body


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_ready_answer_says_what_the_first_one_said(build: Any, write: Write, coding: str) -> None:
    """Header for header; also to those who close the connection, and among others on one connection."""
    async with build(page_size=2) as house:
        await write(house, 3)
        ask = f"GET /log?page=1 HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {coding}\r\n"
        close = "Connection: close\r\n\r\n"
        first = _parts(await _say(house.port, ask + close))
        assert first[0] == "HTTP/1.1 200 OK"
        # The second may be the first that is ready; the last one closes the connection, and is not.
        several = await _say(house.port, f"{ask}\r\n{ask}\r\nHEAD{ask[3:]}\r\n{ask}{close}")
        length = int(first[1]["content-length"])
        assert length == len(first[2])
        expected = {name: said for name, said in first[1].items() if name != "connection"}
        for _ in range(2):
            size = several.index(b"\r\n\r\n") + 4 + length
            assert _parts(several[:size]) == (first[0], expected, first[2])
            several = several[size:]
        size = several.index(b"\r\n\r\n") + 4
        assert _parts(several[:size]) == (first[0], expected, b"")
        assert _parts(several[size:]) == first


async def test_an_old_client_is_answered_as_it_understands(build: Any, write: Write) -> None:
    async with build(page_size=2) as house:
        await write(house, 3)
        for _ in range(2):
            assert (await house.ask("/log?page=1")).status == 200
        status, headers, body = _parts(await _say(house.port, "GET /log?page=1 HTTP/1.0\r\n\r\n"))
        assert status.endswith("200 OK")
        assert headers.get("connection", "close") == "close"
        assert len(body) == int(headers["content-length"])


@pytest.mark.parametrize("said", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b"])
def test_no_header_of_a_ready_answer_can_become_two(said: str) -> None:
    with pytest.raises(ValueError, match="line breaks"):
        head_of(HTTPStatus.OK, {"Link": said, "ETag": "x"}, 0)
