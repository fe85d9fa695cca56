"""The event log over HTTP (wire.md section 2, first form)."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from yarl import URL
from orchestrator.contexts import bundled_contexts
from orchestrator.core.event import CONTEXT, artefact_id
from orchestrator.core.jsonld import expand, to_quads
from orchestrator.web.representation import AS_JSON_LD

BASE = "https://orchestrator.example"
AS = "https://www.w3.org/ns/activitystreams#"
Specimen = Callable[..., dict[str, Any]]
Dataset = dict[str, list[dict[str, Any]]]


def dataset(body: bytes) -> Dataset:
    """Return the RDF dataset of a JSON-LD document."""
    contexts = bundled_contexts()
    return to_quads(expand(json.loads(body), contexts), contexts)


def triples(quads: list[dict[str, Any]]) -> Counter[tuple[str, ...]]:
    """Return quads as a multiset that does not depend on the names of blank nodes."""
    shown = (tuple(_shown(quad[part]) for part in ("subject", "predicate", "object")) for quad in quads)
    return Counter(shown)


def _shown(term: dict[str, str]) -> str:
    if term["type"] == "blank node":
        return "_:"
    return "|".join((term["type"], term["value"], term.get("datatype", ""), term.get("language", "")))


async def write(house: Any, specimen: Specimen, count: int, **changes: object) -> list[dict[str, Any]]:
    """POST `count` notifications, let them become events, and return them as sent."""
    sent = [specimen(**changes) for _ in range(count)]
    for document in sent:
        assert (await house.post(document)).status == 201
        await house.process()
    return sent


async def test_the_root_says_what_the_log_is_and_where_it_begins_and_ends(
    build: Any, specimen: Specimen
) -> None:
    async with build(page_size=2) as house:
        await write(house, specimen, 3)
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
        assert answer.headers["Link-Template"] == f'"{BASE}/artefacts{{?url}}"; rel="eventlog"'
        assert f'<{BASE}/log>; rel="http://www.w3.org/ns/solid/daen#eventLog"' in answer.headers["Link"]
        assert f'<{BASE}/log>; rel="eventlog_catalog"' in answer.headers["Link"]
        told = dataset(answer._body)["@default"]
        assert (f"IRI|{BASE}/log||", f"IRI|{AS}last||", f"IRI|{BASE}/log?page=2||") in triples(told)


async def test_an_empty_log_has_a_root_and_an_empty_first_page(house: Any) -> None:
    root = json.loads((await house.ask("/log"))._body)
    assert (root["totalItems"], root["last"]) == (0, f"{BASE}/log?page=1")
    page = json.loads((await house.ask("/log?page=1"))._body)
    assert (page["ldp:contains"], page["orderedItems"]) == ([], [])
    assert (await house.ask("/log?page=2")).status == 404


async def test_pages_have_the_same_members_for_life_and_link_to_each_other(
    build: Any, specimen: Specimen
) -> None:
    async with build(page_size=2) as house:
        await write(house, specimen, 5)
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


async def test_a_closed_page_is_immutable_and_the_open_one_is_asked_again(
    build: Any, specimen: Specimen
) -> None:
    async with build(page_size=2) as house:
        await write(house, specimen, 3)
        closed, opened = await house.ask("/log?page=1"), await house.ask("/log?page=2")
        assert closed.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert opened.headers["Cache-Control"] == "no-cache"
        assert (await house.ask("/log")).headers["Cache-Control"] == "no-cache"
        for path, answer in (("/log?page=1", closed), ("/log?page=2", opened)):
            assert answer.headers["Vary"] == "Accept"
            assert not answer.headers["ETag"].startswith("W/")
            assert (await house.ask(path, If_None_Match=answer.headers["ETag"])).status == 304
        await write(house, specimen, 2)
        again = await house.ask("/log?page=1", If_None_Match=closed.headers["ETag"])
        grown = await house.ask("/log?page=2", If_None_Match=opened.headers["ETag"])
        assert again.status == 304
        # Full now, with a page after it: the same members first, and one more.
        assert grown.status == 200
        assert grown.headers["Cache-Control"].endswith("immutable")
        before, after = json.loads(opened._body), json.loads(grown._body)
        assert after["orderedItems"][:1] == before["orderedItems"]


async def test_an_unchanged_root_is_a_304(house: Any, specimen: Specimen) -> None:
    first = await house.ask("/log")
    assert (await house.ask("/log", If_None_Match=first.headers["ETag"])).status == 304
    await write(house, specimen, 1)
    assert (await house.ask("/log", If_None_Match=first.headers["ETag"])).status == 200


async def test_a_last_page_that_is_full_stays_open_until_it_can_say_what_comes_next(
    build: Any, specimen: Specimen
) -> None:
    async with build(page_size=2) as house:
        await write(house, specimen, 2)
        full = await house.ask("/log?page=1")
        await write(house, specimen, 1)
        followed = await house.ask("/log?page=1", If_None_Match=full.headers["ETag"])
        assert full.headers["Cache-Control"] == "no-cache"
        assert followed.headers["Cache-Control"].endswith("immutable")
        assert json.loads(followed._body)["next"] == f"{BASE}/log?page=2"


async def test_an_event_stands_in_a_page_as_the_bytes_that_were_stored(
    house: Any, specimen: Specimen
) -> None:
    await write(house, specimen, 1)
    event = await house.store.reader.event(1)
    body = (await house.ask("/log?page=1"))._body
    assert event.payload in body
    assert event.envelope[1:] in body
    assert event.envelope[1:] in (await house.ask("/log/e/1"))._body


@pytest.mark.parametrize("path", ["/log?page=1", "/log?since=0", "/log/e/1"])
async def test_a_payload_is_a_named_graph_and_the_envelope_is_not(
    house: Any, specimen: Specimen, path: str
) -> None:
    await write(house, specimen, 1, summary="Grüße", next="text, not a page", totalItems="many")
    event = await house.store.reader.event(1)
    graphs = dataset((await house.ask(path))._body)
    payload = dataset(json.dumps({"@context": CONTEXT, **json.loads(event.payload)}).encode())
    assert triples(graphs[event.iri]) == triples(payload["@default"])
    assert sum(triples(graphs[event.iri]).values()) > 15
    envelope = dataset(json.dumps({"@context": CONTEXT, **json.loads(event.envelope)}).encode())
    assert not triples(envelope["@default"]) - triples(graphs["@default"])
    assert set(graphs) == {"@default", event.iri}
    about = {quad["subject"]["value"] for quad in graphs["@default"]}
    assert event.activity not in about


async def test_members_of_a_page_are_an_ordered_list(build: Any, specimen: Specimen) -> None:
    async with build(page_size=3) as house:
        await write(house, specimen, 3)
        page = expand(json.loads((await house.ask("/log?page=1"))._body), bundled_contexts())[0]
        listed = [node["@id"] for node in page[AS + "items"][0]["@list"]]
        assert listed == [f"{BASE}/log/e/{sequence}" for sequence in (1, 2, 3)]
        contained = [node["@id"] for node in page["http://www.w3.org/ns/ldp#contains"]]
        assert contained == listed


@pytest.mark.parametrize("path", ["/log", "/log?page=1", "/log?since=0&type=Announce", "/log/e/1"])
async def test_n_quads_hold_all_that_the_json_ld_does(house: Any, specimen: Specimen, path: str) -> None:
    await write(house, specimen, 1, summary='Quote " backslash \\ line\nbreak\ttab 𝄞')
    quads = await house.ask(path, Accept="application/n-quads")
    assert quads.content_type == "application/n-quads"
    lines = quads._body.decode().split("\n")
    graphs = dataset((await house.ask(path))._body)
    assert lines.pop() == ""
    assert len(lines) == sum(map(len, graphs.values()))
    assert all(line.endswith(" .") for line in lines)
    if path == "/log/e/1":
        assert any('"Quote \\" backslash \\\\ line\\nbreak\\ttab 𝄞"' in line for line in lines)
        assert sum(line.endswith(f"<{BASE}/log/e/1> .") for line in lines) == len(graphs[f"{BASE}/log/e/1"])


@pytest.mark.filterwarnings("ignore:Dataset.default_context is deprecated")
async def test_n_quads_are_what_other_parsers_read(house: Any, specimen: Specimen) -> None:
    from rdflib import Dataset as Parsed  # noqa: PLC0415  (an independent reader)

    await write(house, specimen, 2, summary='Quote " backslash \\ line\nbreak')
    body = (await house.ask("/log?page=1", Accept="application/n-quads"))._body
    parsed = Parsed()
    parsed.parse(data=body.decode(), format="nquads")
    assert len(list(parsed.quads())) == len(body.splitlines())


async def test_the_json_names_of_the_log_give_the_same_bytes(house: Any, specimen: Specimen) -> None:
    await write(house, specimen, 1)
    bodies, tags = set(), set()
    for media_type in AS_JSON_LD:
        answer = await house.ask("/log?page=1", Accept=media_type)
        assert answer.headers["Content-Type"] == media_type
        bodies.add(answer._body)
        tags.add(answer.headers["ETag"])
    assert (len(bodies), len(tags)) == (1, len(AS_JSON_LD))


@pytest.mark.parametrize("accept", ["text/html", "text/turtle", "application/xml", "application/trig"])
async def test_other_forms_of_the_log_are_406_with_a_list(house: Any, accept: str) -> None:
    answer = await house.ask("/log", Accept=accept)
    assert answer.status == 406
    assert "application/n-quads" in json.loads(answer._body)["detail"]


async def test_a_browser_gets_json_ld_by_its_wildcard(house: Any) -> None:
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    assert (await house.ask("/log", Accept=accept)).content_type == "application/ld+json"


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


async def test_a_filter_goes_along_with_the_cursor(house: Any, specimen: Specimen) -> None:
    await write(house, specimen, 3)
    await write(house, lambda **kw: specimen("announce-endorsement", **kw), 2)
    await write(house, specimen, 2)
    assert await follow(house, "/log?since=0&limit=3") == ([1, 2, 3, 4, 5, 6, 7], 3)
    reviews = ([1, 2, 3, 6, 7], 3)
    assert await follow(house, "/log?type=coar-notify%3AReviewAction&limit=2") == reviews
    whole = "http%3A%2F%2Fcoar-notify.net%2Fspecification%2Fvocabulary%2FReviewAction"
    assert await follow(house, f"/log?limit=2&type={whole}") == reviews
    assert (await follow(house, "/log?type=Announce"))[0] == [1, 2, 3, 4, 5, 6, 7]
    assert (await follow(house, "/log?type=Offer"))[0] == []
    assert (await follow(house, "/log?since=5"))[0] == [6, 7]
    assert (await follow(house, "/log?since=7"))[0] == []


async def test_events_are_found_by_artefact_actor_and_answered_activity(
    house: Any, specimen: Specimen
) -> None:
    one = (await write(house, specimen, 1))[0]
    await write(house, specimen, 1, actor={"id": "https://other.example/#me", "type": "Person"})
    await write(house, specimen, 1, inReplyTo="urn:uuid:5d8f5f70-8f0c-4d80-a3cd-9b1e5ee6ad6b")
    assert (await follow(house, "/log?actor=https%3A%2F%2Fother.example%2F%23me"))[0] == [2]
    answered = "/log?in-reply-to=urn%3Auuid%3A5d8f5f70-8f0c-4d80-a3cd-9b1e5ee6ad6b"
    assert (await follow(house, answered))[0] == [3]
    artefact = one["context"]["id"].replace(":", "%3A").replace("/", "%2F")
    assert (await follow(house, f"/log?artefact={artefact}"))[0] == [1, 2, 3]
    assert (await follow(house, "/log?artefact=urn%3Aexample%3Anothing"))[0] == []


async def test_an_unchanged_filtered_read_is_a_304(house: Any, specimen: Specimen) -> None:
    await write(house, specimen, 1)
    first = await house.ask("/log?since=0")
    assert (await house.ask("/log?since=0", If_None_Match=first.headers["ETag"])).status == 304
    assert (await house.ask("/log?since=1", If_None_Match=first.headers["ETag"])).status == 200


@pytest.mark.parametrize(
    ("query", "name"),
    [
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
    ],
)
async def test_a_parameter_that_cannot_be_read_is_refused_by_name(house: Any, query: str, name: str) -> None:
    answer = await house.ask(f"/log?{query}")
    assert answer.status == 400
    problem = json.loads(answer._body)
    assert problem["type"] == f"{BASE}/problems/bad-request"
    assert f"“{name}”" in problem["detail"]


@pytest.mark.parametrize(
    "path", ["/log/e/1", "/log/e/0", "/log/e/01", "/log/e/x", f"/log/e/{'9' * 18}", f"/log/e/{'9' * 40}"]
)
async def test_events_that_are_not_there_are_404(house: Any, path: str) -> None:
    assert (await house.ask(path)).status == 404


async def test_one_event_is_read_and_known_again(house: Any, specimen: Specimen) -> None:
    sent = (await write(house, specimen, 1))[0]
    answer = await house.ask("/log/e/1")
    event = json.loads(answer._body)
    assert event["id"] == f"{BASE}/log/e/1"
    assert event["activity"] == sent["id"]
    assert event["@graph"][0]["id"] == sent["id"]
    assert answer.headers["Cache-Control"] == "no-cache"
    assert str(answer.links["collection"]["url"]) == f"{BASE}/log"
    assert (await house.ask("/log/e/1", If_None_Match=answer.headers["ETag"])).status == 304


async def test_head_has_the_headers_of_get_and_no_body(build: Any, specimen: Specimen) -> None:
    async with build(page_size=1) as house:
        sent = (await write(house, specimen, 2))[0]
        artefact = f"/artefacts/{artefact_id(sent['context']['id'])}"
        kept = json.loads((await house.ask("/inbox/"))._body)["contains"][0].removeprefix(BASE)
        paths = ["/", "/inbox", "/inbox/", kept, f"{kept}/report", "/log", "/log?page=1", "/log?page=2"]
        paths += ["/log?since=0", "/log/e/1", artefact, f"{artefact}/log", "/artefacts?url=urn:x:1"]
        paths += [
            "/shapes/",
            "/shapes/accept",
            "/policies/",
            "/problems/",
            "/nothing",
            "/log?page=9",
            "/livez",
        ]
        for path in paths:
            for accept in ("*/*", "application/n-quads", "text/html"):
                got = await house.ask(path, Accept=accept)
                headed = await house.ask(path, "HEAD", Accept=accept)
                assert headed.status == got.status, path
                assert headed._body == b""
                without_date = [
                    {key: value for key, value in answer.headers.items() if key != "Date" and value != "0"}
                    for answer in (got, headed)
                ]
                assert without_date[0] == without_date[1], path


async def test_every_public_resource_answers_options(house: Any) -> None:
    for path in (
        "/",
        "/inbox",
        "/log",
        "/log/e/1",
        "/artefacts",
        "/shapes/",
        "/problems/not-found",
        "/readyz",
    ):
        answer = await house.ask(path, "OPTIONS")
        assert answer.status == 204, path
        assert "GET, HEAD, OPTIONS" in answer.headers["Allow"]
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        refused = await house.ask(path, "DELETE")
        assert (refused.status, refused.headers["Allow"]) == (405, answer.headers["Allow"])
