"""The root, the pages and the events of the log over HTTP (wire.md section 2, first form)."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from orchestrator.contexts import bundled_contexts
from orchestrator.core.jsonld import expand

BASE = "https://orchestrator.example"
AS = "https://www.w3.org/ns/activitystreams#"
Write = Callable[..., Awaitable[list[dict[str, Any]]]]


async def test_the_root_says_what_the_log_is_and_where_it_begins_and_ends(build: Any, write: Write) -> None:
    async with build(page_size=2) as house:
        await write(house, 3)
        answer = await house.ask("/log")
        root = json.loads(answer._body)
        assert root["id"] == f"{BASE}/log"
        assert root["type"] == [
            "OrderedCollection",
            "http://www.w3.org/ns/solid/daen#ArtefactLifecycleEventLog",
        ]
        assert root["totalItems"] == 3
        assert (root["first"], root["last"]) == (f"{BASE}/log?page=1", f"{BASE}/log?page=2")
        assert root["inbox"] == f"{BASE}/inbox/"
        assert {str(answer.links[rel]["url"]) for rel in ("first", "last")} == {root["first"], root["last"]}
        assert answer.headers["Link-Template"] == f'"{BASE}/artefacts/log{{?url}}"; rel="eventlog"'
        assert f'<{BASE}/log>; rel="http://www.w3.org/ns/solid/daen#eventLog"' in answer.headers["Link"]
        assert f'<{BASE}/log>; rel="eventlog_catalog"' in answer.headers["Link"]
        told = expand(root, bundled_contexts())[0]
        assert told[f"{AS}last"] == [{"@id": f"{BASE}/log?page=2"}]
        assert told[f"{AS}totalItems"][0]["@value"] == 3


async def test_an_empty_log_has_a_root_and_an_empty_first_page(house: Any) -> None:
    root = json.loads((await house.ask("/log"))._body)
    assert (root["totalItems"], root["last"]) == (0, f"{BASE}/log?page=1")
    page = json.loads((await house.ask("/log?page=1"))._body)
    assert (page["ldp:contains"], page["orderedItems"]) == ([], [])
    assert (await house.ask("/log?page=2")).status == 404


async def test_pages_have_the_same_members_for_life_and_link_to_each_other(build: Any, write: Write) -> None:
    async with build(page_size=2) as house:
        await write(house, 5)
        seen: list[str] = []
        for number in (1, 2, 3):
            answer = await house.ask(f"/log?page={number}")
            page = json.loads(answer._body)
            assert page["id"] == f"{BASE}/log?page={number}"
            assert page["type"] == ["OrderedCollectionPage", "ldp:BasicContainer"]
            assert page["partOf"] == f"{BASE}/log"
            assert page["ldp:contains"] == [event["id"] for event in page["orderedItems"]]
            assert page.get("prev") == (f"{BASE}/log?page={number - 1}" if number > 1 else None)
            assert page.get("next") == (f"{BASE}/log?page={number + 1}" if number < 3 else None)
            assert ("next" in answer.links) == (number < 3)
            assert str(answer.links["last"]["url"]) == f"{BASE}/log?page=3"
            seen += page["ldp:contains"]
        assert seen == [f"{BASE}/log/e/{sequence}" for sequence in range(1, 6)]


async def test_a_closed_page_is_immutable_and_the_open_one_is_asked_again(build: Any, write: Write) -> None:
    async with build(page_size=2) as house:
        await write(house, 3)
        closed, opened = await house.ask("/log?page=1"), await house.ask("/log?page=2")
        assert closed.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert opened.headers["Cache-Control"] == "no-cache"
        assert (await house.ask("/log")).headers["Cache-Control"] == "no-cache"
        for path, answer in (("/log?page=1", closed), ("/log?page=2", opened)):
            assert answer.headers["Vary"] == "Accept, Accept-Encoding"
            assert not answer.headers["ETag"].startswith("W/")
            assert (await house.ask(path, If_None_Match=answer.headers["ETag"])).status == 304
        await write(house, 2)
        again = await house.ask("/log?page=1", If_None_Match=closed.headers["ETag"])
        grown = await house.ask("/log?page=2", If_None_Match=opened.headers["ETag"])
        assert again.status == 304
        # Full now, with a page after it: the same members first, and one more.
        assert grown.status == 200
        assert grown.headers["Cache-Control"].endswith("immutable")
        before, after = json.loads(opened._body), json.loads(grown._body)
        assert after["orderedItems"][:1] == before["orderedItems"]


async def test_an_unchanged_root_is_a_304(house: Any, write: Write) -> None:
    first = await house.ask("/log")
    assert (await house.ask("/log", If_None_Match=first.headers["ETag"])).status == 304
    await write(house, 1)
    assert (await house.ask("/log", If_None_Match=first.headers["ETag"])).status == 200


async def test_a_last_page_that_is_full_stays_open_until_it_can_say_what_comes_next(
    build: Any, write: Write
) -> None:
    async with build(page_size=2) as house:
        await write(house, 2)
        full = await house.ask("/log?page=1")
        await write(house, 1)
        followed = await house.ask("/log?page=1", If_None_Match=full.headers["ETag"])
        assert full.headers["Cache-Control"] == "no-cache"
        assert followed.headers["Cache-Control"].endswith("immutable")
        assert json.loads(followed._body)["next"] == f"{BASE}/log?page=2"


@pytest.mark.parametrize(
    "path", ["/log/e/1", "/log/e/0", "/log/e/01", "/log/e/x", f"/log/e/{'9' * 18}", f"/log/e/{'9' * 40}"]
)
async def test_events_that_are_not_there_are_404(house: Any, path: str) -> None:
    assert (await house.ask(path)).status == 404


async def test_one_event_is_read_and_known_again(house: Any, write: Write) -> None:
    sent = (await write(house, 1))[0]
    answer = await house.ask("/log/e/1")
    event = json.loads(answer._body)
    assert event["id"] == f"{BASE}/log/e/1"
    assert event["activity"] == sent["id"]
    assert event["@graph"][0]["id"] == sent["id"]
    assert answer.headers["Cache-Control"] == "no-cache"
    assert str(answer.links["collection"]["url"]) == f"{BASE}/log"
    assert (await house.ask("/log/e/1", If_None_Match=answer.headers["ETag"])).status == 304
