"""The forms of the event log: JSON-LD with a named graph for each payload, and N-Quads (wire.md section 2)."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from orchestrator.contexts import bundled_contexts
from orchestrator.core.event import CONTEXT
from orchestrator.core.jsonld import expand, to_quads
from orchestrator.web.representation import AS_JSON_LD

BASE = "https://orchestrator.example"
AS = "https://www.w3.org/ns/activitystreams#"
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


@pytest.mark.parametrize("path", ["/log", "/log?page=1", "/log?since=0&type=Announce", "/log/e/1"])
async def test_n_quads_hold_all_that_the_json_ld_does(house: Any, write: Write, path: str) -> None:
    await write(house, 1, summary='Quote " backslash \\ line\nbreak\ttab 𝄞')
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
async def test_n_quads_are_what_other_parsers_read(house: Any, write: Write) -> None:
    from rdflib import Dataset as Parsed  # noqa: PLC0415  (an independent reader)

    await write(house, 2, summary='Quote " backslash \\ line\nbreak')
    body = (await house.ask("/log?page=1", Accept="application/n-quads"))._body
    parsed = Parsed()
    parsed.parse(data=body.decode(), format="nquads")
    assert len(list(parsed.quads())) == len(body.splitlines())


async def test_the_json_names_of_the_log_give_the_same_bytes(house: Any, write: Write) -> None:
    await write(house, 1)
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
