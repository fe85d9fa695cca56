"""Filtered reads of the event log (wire.md section 2)."""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.agreement.datasets import parsed
from yarl import URL

from orchestrator.core import vocabulary as v

BASE = "https://orchestrator.example"
Write = Callable[..., Awaitable[list[dict[str, Any]]]]


async def follow(house: Any, path: str) -> tuple[list[int], int]:
    """Follow `next` from `path`; return the sequences read, and the number of pages."""
    found: list[int] = []
    pages = 0
    following: str | None = path
    while following:
        answer = await house.ask(following)
        page = json.loads(answer._body)
        assert page["id"] == BASE + following
        found += [event["sequence"] for event in page["orderedItems"]]
        pages += 1
        linked = answer.links.get("next", {}).get("url")
        assert linked == (URL(page["next"]) if "next" in page else None)
        following = page["next"].removeprefix(BASE) if "next" in page else None
    return found, pages


async def test_a_filter_goes_along_with_the_cursor(house: Any, write: Write) -> None:
    await write(house, 3)
    await write(house, 2, slug="announce-endorsement")
    await write(house, 2)
    assert await follow(house, "/log?since=0&limit=3") == ([1, 2, 3, 4, 5, 6, 7], 3)
    reviews = ([1, 2, 3, 6, 7], 3)
    assert await follow(house, "/log?type=coar-notify%3AReviewAction&limit=2") == reviews
    whole = "http%3A%2F%2Fcoar-notify.net%2Fspecification%2Fvocabulary%2FReviewAction"
    assert await follow(house, f"/log?limit=2&type={whole}") == reviews
    assert (await follow(house, "/log?type=Announce"))[0] == [1, 2, 3, 4, 5, 6, 7]
    assert (await follow(house, "/log?type=Offer"))[0] == []
    assert (await follow(house, "/log?since=5"))[0] == [6, 7]
    assert (await follow(house, "/log?since=7"))[0] == []


async def test_events_are_found_by_artefact_actor_and_answered_activity(house: Any, write: Write) -> None:
    one = (await write(house, 1))[0]
    await write(house, 1, actor={"id": "https://other.example/#me", "type": "Person"})
    await write(house, 1, inReplyTo="urn:uuid:5d8f5f70-8f0c-4d80-a3cd-9b1e5ee6ad6b")
    assert (await follow(house, "/log?actor=https%3A%2F%2Fother.example%2F%23me"))[0] == [2]
    answered = "/log?in-reply-to=urn%3Auuid%3A5d8f5f70-8f0c-4d80-a3cd-9b1e5ee6ad6b"
    assert (await follow(house, answered))[0] == [3]
    artefact = one["context"]["id"].replace(":", "%3A").replace("/", "%2F")
    assert (await follow(house, f"/log?artefact={artefact}"))[0] == [1, 2, 3]
    assert (await follow(house, "/log?artefact=urn%3Aexample%3Anothing"))[0] == []


async def test_an_unchanged_filtered_read_is_a_304(house: Any, write: Write) -> None:
    await write(house, 1)
    first = await house.ask("/log?since=0")
    assert (await house.ask("/log?since=0", If_None_Match=first.headers["ETag"])).status == 304
    assert (await house.ask("/log?since=1", If_None_Match=first.headers["ETag"])).status == 200


async def test_a_filter_goes_along_in_every_form(house: Any, write: Write) -> None:
    await write(house, 3)
    asked = {
        "type": "coar-notify:ReviewAction",
        "artefact": json.loads((await house.ask("/log/e/1"))._body)["artefact"],
        "limit": "2",
    }
    path = f"/log?{URL.build(query=asked).query_string}"
    for media_type in (v.JSON_LD, v.N_QUADS, v.TRIG, v.TURTLE, v.HTML):
        answer = await house.ask(path, Accept=media_type)
        linked = str(answer.links["next"]["url"])
        if media_type == v.HTML:
            said = re.findall(r'<a href="([^"]*)" rel="next">', answer._body.decode())
            found = {url.replace("&amp;", "&") for url in said}
        elif media_type == v.JSON_LD:
            page = json.loads(answer._body)
            found = {page["next"], page["hydra:next"]}
        else:
            quads = parsed(answer._body.decode(), media_type)
            onward = {v.AS + "next", v.HYDRA + "next"}
            assert onward <= {predicate for _, predicate, *_ in quads}
            found = {str(term) for _, predicate, term, _ in quads if predicate in onward}
        assert len(found) == 1
        for url in (*found, linked):
            query = {name: values for name, [values] in parse_qs(urlsplit(url).query).items()}
            assert query == {**asked, "since": "2"}, media_type
        rest = await house.ask(linked.removeprefix(BASE), Accept=media_type)
        assert b"/log/e/3" in rest._body
        assert "next" not in rest.links


async def test_a_form_leaves_fields_empty_and_programs_do_not(house: Any, write: Write) -> None:
    await write(house, 1)
    form = "/log?type=&artefact=&actor=&in-reply-to="
    for path in (form, f"{form}&since=&limit="):
        shown = await house.ask(path, Accept="text/html")
        assert (shown.status, shown.content_type) == (200, "text/html")
        assert f'href="{BASE}/log/e/1"'.encode() in shown._body
        assert (await house.ask(path.replace("/log?", "/log.html?"))).status == 200
        for media_type in (v.JSON_LD, v.N_QUADS, v.TRIG, v.TURTLE):
            assert (await house.ask(path, Accept=media_type)).status == 400
    filtered = await house.ask("/log?type=Offer&artefact=&limit=5", Accept="text/html")
    assert b"There are no events here." in filtered._body
    assert (await house.ask("/log?type=a%20b&artefact=", Accept="text/html")).status == 400
    assert (await house.ask("/log?page=", Accept="text/html")).status == 400


async def test_what_was_asked_for_is_shown_to_people_and_no_filter_is_no_filter(
    house: Any, write: Write
) -> None:
    await write(house, 1)
    text = (await house.ask("/log?type=Announce&actor=&since=0", Accept="text/html"))._body.decode()
    values = dict(re.findall(r'name="([^"]*)" type="text" value="([^"]*)"', text))
    assert values == {"type": "Announce", "artefact": "", "actor": "", "in-reply-to": ""}
    assert "Only events for which:" in text
    whole = (await house.ask("/log?type=&since=", Accept="text/html"))._body.decode()
    assert "Only events for which:" not in whole


async def test_a_parameter_that_cannot_be_read_is_refused_by_name(house: Any) -> None:
    for query, name in (
        ("since=x", "since"),
        ("since=-1", "since"),
        ("since=", "since"),
        ("since=1.5", "since"),
        ("since=%D9%A3", "since"),
        ("since=99999999999999999999999", "since"),
        ("since=1&since=2", "since"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("page=0", "page"),
        ("page=x", "page"),
        ("page=999999999999999999", "page"),
        ("page=1&since=2", "page"),
        ("type=", "type"),
        ("type=%40type", "type"),
        ("type=a%20b", "type"),
        ("artefact=item", "artefact"),
        ("artefact=https://x.example/%00", "artefact"),
        ("actor=", "actor"),
        ("in-reply-to=%0d%0a", "in-reply-to"),
        ("before=1", "before"),
        ("Since=1", "Since"),
    ):
        answer = await house.ask(f"/log?{query}")
        assert answer.status == 400, query
        problem = json.loads(answer._body)
        assert problem["type"] == f"{BASE}/problems/bad-request"
        assert f"“{name}”" in problem["detail"]
