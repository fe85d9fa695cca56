"""Pages whose events are too large to be held at once are sent in pieces (threat T5)."""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from orchestrator.core.errors import StorageError
from orchestrator.web import log_page
from orchestrator.web.closed import PAGES

Write = Callable[..., Awaitable[list[dict[str, Any]]]]


@pytest.fixture
def nothing_fits(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what makes every page too large from now on, and every piece one event."""

    def shrink() -> None:
        monkeypatch.setattr(log_page, "LARGEST", 100)
        monkeypatch.setattr(log_page, "READ_FOR_A_PIECE", 1)

    return shrink


@pytest.mark.parametrize("page", [1, 2])
async def test_a_large_page_has_the_same_bytes_as_if_it_were_small(
    build: Any, write: Write, nothing_fits: Callable[[], None], page: int
) -> None:
    async with build(page_size=3) as house:
        await write(house, 5)
        small = await house.ask(f"/log?page={page}")
        house.app[PAGES].forget(1)
        nothing_fits()
        house.asked.clear()
        large = await house.ask(f"/log?page={page}")
        assert large._body == small._body
        assert house.asked.count("events") > 2
        for name in ("Link", "Cache-Control", "Vary", "Content-Type", "Server", "X-Content-Type-Options"):
            assert large.headers[name] == small.headers[name]
        assert "Content-Length" not in large.headers


@pytest.fixture
async def asked_once(build: Any, write: Write, nothing_fits: Callable[[], None]) -> AsyncIterator[Any]:
    """Return a house whose closed page is too large, which it has found out."""
    async with build(page_size=2) as house:
        await write(house, 3)
        nothing_fits()
        await house.ask("/log?page=1")
        house.asked.clear()
        yield house


async def test_what_is_too_large_is_found_out_once(asked_once: Any) -> None:
    assert json.loads((await asked_once.ask("/log?page=1"))._body)["orderedItems"]
    assert asked_once.asked == ["events", "events"]


async def test_a_large_page_has_no_tag_once_closed_and_n_quads_beside_json_ld_only(
    build: Any, write: Write, nothing_fits: Callable[[], None]
) -> None:
    async with build(page_size=2) as house:
        await write(house, 3)
        nothing_fits()
        closed, opened = await house.ask("/log?page=1"), await house.ask("/log?page=2")
        assert "ETag" not in closed.headers
        assert (await house.ask("/log?page=2", If_None_Match=opened.headers["ETag"])).status == 304
        assert (await house.ask("/log?page=1", Accept_Encoding="gzip"))._body == closed._body
        for page in (1, 2):
            for other in ("application/trig", "text/turtle", "text/html"):
                answer = await house.ask(f"/log?page={page}", Accept=other)
                assert answer.status == 406
                assert "too large" in json.loads(answer._body)["detail"]


async def test_a_large_page_has_the_same_quads_as_if_it_were_small(
    build: Any, write: Write, nothing_fits: Callable[[], None]
) -> None:
    async with build(page_size=2) as house:
        await write(house, 3)
        small = [(await house.ask(f"/log.nq?page={page}"))._body for page in (1, 2)]
        house.app[PAGES].forget(1)
        nothing_fits()
        large = [await house.ask(f"/log.nq?page={page}") for page in (1, 2)]
        assert [answer._body for answer in large] == small
        assert {answer.content_type for answer in large} == {"application/n-quads"}


async def test_a_head_of_a_large_page_reads_no_events(asked_once: Any) -> None:
    head = await asked_once.ask("/log?page=1", "HEAD")
    assert (head.status, head._body, asked_once.asked) == (200, b"", [])


async def test_a_kept_page_goes_out_in_slices(
    build: Any, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with build(page_size=2) as house:
        await write(house, 3)
        whole = await house.ask("/log?page=1")
        monkeypatch.setattr(log_page, "_SLICE", 1_000)
        house.app[PAGES].forget(1)
        for method, body in (("GET", whole._body), ("HEAD", b"")):
            sliced = await house.ask("/log?page=1", method)
            assert sliced._body == body
            assert sliced.headers["Content-Length"] == str(len(whole._body))
            assert sliced.headers["ETag"] == whole.headers["ETag"]
            assert sliced.headers["Server"] == "orchestrator"


async def test_a_failure_in_the_middle_of_a_page_cuts_it_off_and_is_logged(
    build: Any,
    write: Write,
    nothing_fits: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with build(page_size=2) as house:
        await write(house, 3)
        nothing_fits()
        await house.ask("/log?page=1")
        stored = house.store.reader.events

        async def fail_on_the_second(query: Any) -> Any:
            if query.since > 0:
                raise StorageError("the disk")
            return await stored(query)

        monkeypatch.setattr(house.store.reader, "events", fail_on_the_second)
        with pytest.raises(aiohttp.ClientPayloadError):
            await house.ask("/log?page=1")
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in errors] == ["answer_cut route=/log"]
    assert errors[0].exc_info is not None
