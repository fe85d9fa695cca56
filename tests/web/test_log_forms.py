"""The forms of the event log: what one says the others say, at addresses of their own too (wire.md section 2)."""

import asyncio
import gzip
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tests.agreement.datasets import canonical, of_json_ld, parsed

from orchestrator.contexts import bundled_contexts
from orchestrator.core import vocabulary as v
from orchestrator.core.event import CONTEXT, artefact_id
from orchestrator.core.jsonld import expand, to_quads
from orchestrator.core.quads import Quad
from orchestrator.web.log_form import OFFERS, REMARK, SUFFIXES
from orchestrator.web.representation import AS_JSON_LD

BASE = "https://orchestrator.example"
AS = "https://www.w3.org/ns/activitystreams#"
ARTEFACT = "https://preprints.example/item/1"
ABOUT = f"/artefacts/{artefact_id(ARTEFACT)}"
IMMUTABLE = "public, max-age=31536000, immutable"
CLOSED = "/log?page=1"
PAGES = ("/log", CLOSED, "/log?page=2", "/log?since=1&limit=2", "/log?type=Announce", "/log/e/2")
VIEWS = (ABOUT, f"{ABOUT}/log", f"{ABOUT}/log?since=2")
NASTY = (
    "".join(map(chr, range(1, 0x20))) + "\"'\\ \x7f\x85\u2028\u2029\ufeff\U0001f409\U0010ffff \\u0041 <x> ^^"
)
QUAD = re.compile(
    r'(<[^>]*>|_:\S+) (<[^>]*>) (<[^>]*>|_:\S+|"(?:[^"\\]|\\.)*"(?:\^\^<[^>]*>|@[\w-]+)?)(?: (<[^>]*>))? \.'
)
Specimen = Callable[..., dict[str, Any]]
Write = Callable[..., Awaitable[list[dict[str, Any]]]]
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


@pytest.fixture
async def various(build: Any, specimen: Specimen) -> AsyncIterator[Any]:
    """A log of five events on pages of three: nested, nameless, tagged and unusual things, about one artefact."""
    context = {"id": ARTEFACT, "type": "Page", "ietf:cite-as": ARTEFACT}
    nameless = {"attachment": [{"name": "a"}, {"name": "b", "tag": {"name": "c"}}]}
    # Two events name a node alike, and only pyld reads what has a direction.
    unusual = {"tag": {"id": "_:b0", "name": {"@value": NASTY, "@language": "he", "@direction": "rtl"}}}
    sent = [
        specimen(context=context, summary=NASTY, **nameless),
        specimen(context=context, nameMap={"en": "a", "de-CH": NASTY}, **nameless, **unusual),
        specimen(context=context, orderedItems=["urn:x:1", "text", {"name": "n"}], **unusual),
        specimen("announce-endorsement", context=context, published="2026-01-01T00:00:00.120Z"),
        specimen("announce-ingest", context=context, next="text, not a page", first=["urn:x:2"], view=1.5),
    ]
    async with build(page_size=3) as house:
        for document in sent:
            answer = await house.post(document)
            assert answer.status == 201, answer._body
        assert len(await house.process()) == len(sent)
        yield house


def with_suffix(path: str, suffix: str) -> str:
    """Return the address of the form with that suffix."""
    place, mark, query = path.partition("?")
    return f"{place}.{suffix}{mark}{query}"


def lines(body: bytes) -> list[tuple[str, str, str, str]]:
    """Return N-Quads term by term, in order; the default graph's name is empty."""
    found = [QUAD.fullmatch(line) for line in body.decode().split("\n")[:-1]]
    assert None not in found
    return [(one[1], one[2], one[3], one[4] or "") for one in found if one]


def default_graph(quads: list[Quad]) -> list[Quad]:
    return [quad for quad in quads if not quad[3]]


async def test_an_event_stands_in_a_page_as_the_bytes_that_were_stored(house: Any, write: Write) -> None:
    await write(house, 1)
    event = await house.store.reader.event(1)
    body = (await house.ask("/log?page=1"))._body
    assert event.payload in body
    assert event.envelope[1:] in body
    assert event.envelope[1:] in (await house.ask("/log/e/1"))._body


@pytest.mark.parametrize("path", ["/log?page=1", "/log?since=0", "/log/e/1"])
async def test_a_payload_is_a_named_graph_and_the_envelope_is_not(
    house: Any, write: Write, path: str
) -> None:
    await write(house, 1, summary="Grüße", next="text, not a page", totalItems="many")
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


async def test_members_of_a_page_are_an_ordered_list(build: Any, write: Write) -> None:
    async with build(page_size=3) as house:
        await write(house, 3)
        page = expand(json.loads((await house.ask("/log?page=1"))._body), bundled_contexts())[0]
        listed = [node["@id"] for node in page[AS + "items"][0]["@list"]]
        assert listed == [f"{BASE}/log/e/{sequence}" for sequence in (1, 2, 3)]
        contained = [node["@id"] for node in page["http://www.w3.org/ns/ldp#contains"]]
        assert contained == listed


async def test_all_forms_say_exactly_what_the_json_ld_says(various: Any) -> None:
    for path in (*PAGES, *VIEWS):
        told = of_json_ld(json.loads((await various.ask(path))._body))
        assert len(told) >= 2
        for media_type in (v.N_QUADS, v.TRIG, v.TURTLE):
            answer = await various.ask(path, Accept=media_type)
            assert answer.content_type == media_type
            expected = default_graph(told) if media_type == v.TURTLE else told
            assert canonical(parsed(answer._body.decode(), media_type)) == canonical(expected), path


async def test_turtle_says_what_it_leaves_out_where_it_leaves_something_out(various: Any) -> None:
    for path in (*PAGES[1:], *VIEWS[1:]):
        assert (await various.ask(path, Accept=v.TURTLE))._body.decode().startswith(f"# {REMARK}\n"), path
    for path in ("/log", ABOUT):
        assert not (await various.ask(path, Accept=v.TURTLE))._body.decode().startswith("#"), path


async def test_quads_and_trig_keep_the_order_of_the_log(various: Any) -> None:
    events = [f"<{BASE}/log/e/{sequence}>" for sequence in (1, 2, 3)]
    quads = lines((await various.ask(CLOSED, Accept=v.N_QUADS))._body)
    for predicate in (v.TREE + "member", v.LDP + "contains"):
        assert [term for _, said, term, graph in quads if (said, graph) == (f"<{predicate}>", "")] == events
    numbered = [subject for subject, said, *_ in quads if said == f"<{v.LOG}sequence>"]
    assert numbered == events
    assert list(dict.fromkeys(graph for *_, graph in quads if graph)) == events
    text = (await various.ask(CLOSED, Accept=v.TRIG))._body.decode()
    assert re.findall(r"^(<[^>]*>) \{$", text, flags=re.MULTILINE) == events
    for name in ("tree:member", "ldp:contains"):
        assert f"{name} {', '.join(events)} " in text


async def test_times_keep_their_milliseconds_and_their_z(various: Any) -> None:
    for path in (CLOSED, "/log?page=2", f"{ABOUT}/log", "/log/e/4", "/log"):
        document = (await various.ask(path))._body.decode()
        times = set(re.findall(r'"(?:created|received|value)":"([^"]+)"', document))
        assert times
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time) for time in times)
        for media_type in (v.N_QUADS, v.TRIG, v.TURTLE):
            text = (await various.ask(path, Accept=media_type))._body.decode()
            assert all(f'"{time}"^^' in text for time in times), (path, media_type)
            assert "+00:00" not in text
    assert b'"2026-01-01T00:00:00.120Z"^^' in (await various.ask("/log/e/4", Accept=v.N_QUADS))._body


async def test_no_blank_node_of_a_page_is_of_two_events_or_of_the_page(various: Any) -> None:
    graphs: dict[str, set[str]] = {}
    for subject, _, term, graph in lines((await various.ask(CLOSED, Accept=v.N_QUADS))._body):
        for label in (subject, term):
            if label.startswith("_:"):
                graphs.setdefault(label, set()).add(graph)
    assert {len(found) for found in graphs.values()} == {1}
    of_graph = Counter(graph for [graph] in graphs.values())
    assert len(of_graph) == 4
    assert min(of_graph.values()) >= 2


async def test_the_forms_have_addresses_of_their_own_whatever_accept_says(various: Any) -> None:
    for path in (*PAGES, *VIEWS):
        # Twice, and as everybody asks, so that an answer of a moment ago could be taken for this one.
        plain = [await various.ask(path, Accept="*/*") for _ in range(2)]
        for suffix, media_type in SUFFIXES.items():
            by_name = await various.ask(path, Accept=media_type)
            for accept in ("*/*", "image/png", "text/turtle"):
                named = await various.ask(with_suffix(path, suffix), Accept=accept)
                assert named.status == 200, (path, suffix)
                assert named._body == by_name._body, (path, suffix, accept)
                for header in ("Content-Type", "ETag", "Cache-Control", "Vary"):
                    assert named.headers[header] == by_name.headers[header]
                assert named.headers.get("Link") == by_name.headers.get("Link")
        after = await various.ask(path, Accept="*/*")
        assert {answer._body for answer in (*plain, after)} == {plain[0]._body}


async def test_a_form_has_no_other_suffixes(various: Any) -> None:
    for path in ("/log", "/log/e/1", ABOUT, f"{ABOUT}/log"):
        for suffix in ("xml", "rdf", "nt", "NQ", "nq.gz", "", "ttl/", "json/"):
            assert (await various.ask(f"{path}.{suffix}")).status == 404, (path, suffix)
    for path in ("/log/e.nq", "/log/e/99.nq", "/log.nq?page=9", "/artefacts.ttl"):
        assert (await various.ask(path)).status == 404, path
    assert (await various.ask("/log.nq?page=x")).status == 400


async def test_every_form_of_every_resource_is_known_again_and_says_how_long_it_holds(various: Any) -> None:
    for path in (*PAGES, *VIEWS):
        tags = []
        for suffix in ("", *SUFFIXES):
            address = with_suffix(path, suffix) if suffix else path
            answer = await various.ask(address)
            tag = answer.headers["ETag"]
            tags.append(tag)
            is_kept = path == CLOSED and suffix != "html"
            assert answer.headers["Cache-Control"] == (IMMUTABLE if is_kept else "no-cache"), address
            assert answer.headers["Vary"].startswith("Accept")
            assert not tag.startswith("W/")
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
            assert {"Link", "ETag", "Location"} <= set(exposed)
            assert ("Content-Security-Policy" in answer.headers) == (suffix == "html")
            head = await various.ask(address, "HEAD")
            assert (head.status, head._body) == (200, b"")
            for header in ("Content-Length", "Content-Type", "ETag", "Cache-Control", "Vary"):
                assert head.headers[header] == answer.headers[header]
            assert head.headers["Content-Length"] == str(len(answer._body))
            for method in ("GET", "HEAD"):
                again = await various.ask(address, method, If_None_Match=f'"other", {tag}')
                assert (again.status, again._body) == (304, b"")
                for header in ("ETag", "Cache-Control", "Vary"):
                    assert again.headers[header] == answer.headers[header]
        assert tags[0] == tags[1]  # without a suffix it is JSON-LD
        assert len(set(tags)) == len(SUFFIXES)


async def test_a_closed_page_is_compressed_in_every_form(various: Any) -> None:
    for media_type in OFFERS:
        plain = await various.ask(CLOSED, Accept=media_type)
        packed = await various.ask(CLOSED, Accept=media_type, Accept_Encoding="gzip")
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed._body) == plain._body
        assert packed.headers["Content-Type"] == plain.headers["Content-Type"]
        assert packed.headers["ETag"] != plain.headers["ETag"]
        assert packed.headers["Content-Length"] == str(len(packed._body))
    for suffix in SUFFIXES:
        packed = await various.ask(with_suffix(CLOSED, suffix), Accept_Encoding="gzip")
        plain = await various.ask(with_suffix(CLOSED, suffix))
        assert gzip.decompress(packed._body) == plain._body


@pytest.mark.parametrize("media_type", [v.N_QUADS, v.TRIG, v.TURTLE, v.HTML])
async def test_a_closed_page_is_made_once_for_all_who_ask_at_once(various: Any, media_type: str) -> None:
    various.asked.clear()
    answers = await asyncio.gather(*(various.ask(CLOSED, Accept=media_type) for _ in range(10)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer._body for answer in answers}) == 1
    assert various.asked.count("events") == 1
    various.asked.clear()
    assert (await various.ask(CLOSED, Accept=media_type))._body == answers[0]._body
    assert various.asked == []


async def test_the_json_names_of_the_log_give_the_same_bytes(house: Any, write: Write) -> None:
    await write(house, 1)
    bodies, tags = set(), set()
    for media_type in AS_JSON_LD:
        answer = await house.ask("/log?page=1", Accept=media_type)
        assert answer.headers["Content-Type"] == media_type
        bodies.add(answer._body)
        tags.add(answer.headers["ETag"])
    assert (len(bodies), len(tags)) == (1, len(AS_JSON_LD))


async def test_other_forms_of_the_log_are_406_with_a_list(various: Any) -> None:
    for path in (*PAGES, *VIEWS):
        for accept in ("application/rdf+xml", "application/xml", "image/*"):
            answer = await various.ask(path, Accept=accept)
            assert answer.status == 406
            detail = json.loads(answer._body)["detail"]
            assert all(media_type in detail for media_type in OFFERS), path


async def test_a_browser_gets_html_by_its_name_and_nobody_by_a_wildcard(various: Any) -> None:
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    for path in (*PAGES, *VIEWS):
        assert (await various.ask(path, Accept=accept)).content_type == "text/html"
        for wildcard in ("*/*", "text/*;q=0.1, */*;q=0.5"):
            assert (await various.ask(path, Accept=wildcard)).content_type == "application/ld+json"
        assert (await various.ask(path, Accept="text/*")).content_type == "text/turtle"


async def test_a_page_for_people_leads_to_its_other_forms(various: Any) -> None:
    for path in (*PAGES, *VIEWS):
        text = (await various.ask(path, Accept="text/html"))._body.decode()
        alternates = re.findall(r'<link rel="alternate" type="([^"]*)" href="([^"]*)">', text)
        assert {media_type for media_type, _ in alternates} == {v.JSON_LD, v.N_QUADS, v.TRIG, v.TURTLE}
        for media_type, url in alternates:
            other = await various.ask(url.replace("&amp;", "&").removeprefix(BASE))
            assert other.content_type == media_type
            assert other._body == (await various.ask(path, Accept=media_type))._body
