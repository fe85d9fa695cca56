"""The root, the pages and the events of the log over HTTP (wire.md section 2, first form)."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from tests.agreement.datasets import of_json_ld

from orchestrator.contexts import bundled_contexts
from orchestrator.core import vocabulary as v
from orchestrator.core.jsonld import expand
from orchestrator.core.rdf import URIRef, parse_turtle

BASE = "https://orchestrator.example"
AS = "https://www.w3.org/ns/activitystreams#"
LOG = f"{BASE}/log"
STREAM = [v.AS + "OrderedCollection", v.DAEN + "ArtefactLifecycleEventLog", v.LDES + "EventStream"]
Write = Callable[..., Awaitable[list[dict[str, Any]]]]


async def test_the_root_says_what_the_log_is_and_where_it_begins_and_ends(build: Any, write: Write) -> None:
    async with build(page_size=2) as house:
        await write(house, 3)
        answer = await house.ask("/log")
        root = json.loads(answer._body)
        assert root["id"] == f"{BASE}/log"
        assert root["type"] == [
            "OrderedCollection",
            "daen:ArtefactLifecycleEventLog",
            "ldes:EventStream",
            "tree:Node",
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


def about(document: bytes, subject: str) -> dict[str, list[Any]]:
    """Return what the default graph of a document says about `subject`: values by predicate."""
    found: dict[str, list[Any]] = {}
    for quad in of_json_ld(json.loads(document)):
        if (quad[0], quad[3]) == (subject, ""):
            found.setdefault(quad[1], []).append(quad[2])
    return found


async def test_the_root_is_an_event_stream_in_the_order_of_writing_and_its_own_view(
    house: Any, write: Write
) -> None:
    await write(house, 1)
    root = about((await house.ask("/log"))._body, LOG)
    assert root[v.RDF + "type"] == [*STREAM, v.TREE + "Node"]
    assert root[v.LDES + "timestampPath"] == [v.PROV + "generatedAtTime"]
    # A client that finds another view than what it read begins again there.
    assert root[v.TREE + "view"] == [LOG]
    assert v.TREE + "member" not in root
    # Readers of daen logs go from `hydra:next` to `hydra:next`, and begin here.
    assert root[v.HYDRA + "next"] == root[v.AS + "first"] == [f"{LOG}?page=1"]
    event = about((await house.ask("/log/e/1"))._body, f"{LOG}/e/1")
    assert [kind for _, kind, _ in event[v.PROV + "generatedAtTime"]] == [v.XSD + "dateTime"]


async def test_the_shape_that_the_root_names_is_there(house: Any) -> None:
    """Clients of event streams fetch it before anything else, and end when they cannot."""
    shape = json.loads((await house.ask("/log"))._body)["shape"]
    address, _, name = shape.removeprefix(BASE).partition("#")
    answer = await house.ask(address, Accept="text/turtle, application/n-quads;q=0.9")
    assert answer.status == 200
    assert name
    told = parse_turtle(answer._body.decode(), BASE + address)
    assert (URIRef(shape), URIRef(v.RDF + "type"), URIRef(v.SH + "NodeShape")) in told


async def test_a_page_says_its_members_to_readers_of_trees_containers_and_collections(
    build: Any, write: Write
) -> None:
    async with build(page_size=2) as house:
        await write(house, 3)
        for number, sequences in ((1, (1, 2)), (2, (3,))):
            document = (await house.ask(f"/log?page={number}"))._body
            page, stream = about(document, f"{LOG}?page={number}"), about(document, LOG)
            events = [f"{LOG}/e/{sequence}" for sequence in sequences]
            assert stream[v.RDF + "type"] == STREAM
            assert stream[v.LDES + "timestampPath"] == [v.PROV + "generatedAtTime"]
            assert stream[v.TREE + "member"] == page[v.LDP + "contains"] == events
            listed = expand(json.loads(document), bundled_contexts())[0][v.AS + "items"][0]["@list"]
            assert [node["@id"] for node in listed] == events
            # The root leads to every page: a client without order would read a page that two lead to twice.
            assert v.TREE + "relation" not in page
            assert v.TREE + "relation" not in stream
            following = [f"{LOG}?page=2"] if number == 1 else None
            assert page.get(v.HYDRA + "next") == page.get(v.AS + "next") == following
            assert page[v.RDF + "type"] == [
                v.AS + "OrderedCollectionPage",
                v.LDP + "BasicContainer",
                v.TREE + "Node",
            ]


async def test_a_filtered_read_is_no_part_of_the_stream(house: Any, write: Write) -> None:
    """It leaves events out, so whoever replicates the log must not take it for a page."""
    await write(house, 2)
    document = (await house.ask("/log?since=1"))._body
    said = {predicate for _, predicate, _, graph in of_json_ld(json.loads(document)) if not graph}
    assert not {name for name in said if name.startswith((v.TREE, v.LDES))}
    types = about(document, f"{LOG}?since=1")[v.RDF + "type"]
    assert v.TREE + "Node" not in types
    assert about(document, f"{LOG}?since=1")[v.LDP + "contains"] == [f"{LOG}/e/2"]


async def test_an_empty_log_has_a_root_and_an_empty_first_page(house: Any) -> None:
    root = json.loads((await house.ask("/log"))._body)
    assert (root["totalItems"], root["last"]) == (0, f"{BASE}/log?page=1")
    assert root["relation"] == []
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
            assert page["type"] == ["OrderedCollectionPage", "ldp:BasicContainer", "tree:Node"]
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


async def test_events_that_are_not_there_are_404(house: Any) -> None:
    for sequence in ("1", "0", "01", "x", "9" * 18, "9" * 40, "1.5", "-1"):
        assert (await house.ask(f"/log/e/{sequence}")).status == 404, sequence


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
