"""RDF forms, and the bounds of making them."""

import asyncio
import json
import threading

import pytest

from orchestrator.contexts import bundled_contexts
from orchestrator.core.errors import NotAcceptable, Overloaded
from orchestrator.core.rdf import parse_turtle
from orchestrator.web.rendering import MAX_BYTES, Renderer, convert

QUADS = "application/n-quads"
KEPT = {
    "@context": {"name": "https://x.example/name", "id": "@id"},
    "id": "https://x.example/1",
    "name": ['a "quoted" line\n', {"@value": "gruß", "@language": "de-AT"}],
}


@pytest.mark.parametrize("media_type", [QUADS, "text/turtle"])
def test_a_document_is_written_as_rdf(media_type: str) -> None:
    body = convert(json.dumps(KEPT).encode(), media_type, bundled_contexts())
    assert sorted(map(str, parse_turtle(body.decode()).objects())) == ['a "quoted" line\n', "gruß"]


@pytest.mark.parametrize("media_type", [QUADS, "text/turtle"])
@pytest.mark.parametrize(
    "name",
    [
        {"@value": "no tag", "@language": "en . <https://evil.example/> <x> <y>"},
        {"@value": "1", "@type": "https://x.example/y^`"},
    ],
)
def test_what_rdf_cannot_write_is_not_available_as_rdf(name: dict[str, str], media_type: str) -> None:
    with pytest.raises(NotAcceptable):
        convert(json.dumps({**KEPT, "name": name}).encode(), media_type, bundled_contexts())


@pytest.mark.parametrize("document", [b"[", b'{"@context": "https://unknown.example/"}', b'{"@type": 1}'])
def test_what_has_no_rdf_is_not_available_as_rdf(document: bytes) -> None:
    with pytest.raises(NotAcceptable):
        convert(document, QUADS, bundled_contexts())


def test_what_is_too_large_stays_json_ld() -> None:
    with pytest.raises(NotAcceptable, match="too large"):
        convert(b" " * (MAX_BYTES + 1), QUADS, bundled_contexts())


async def test_conversions_beyond_the_room_are_refused_and_room_comes_back() -> None:
    renderer = Renderer(at_once=1, waiting=1)
    gate = threading.Event()
    under_way = [asyncio.create_task(renderer.run(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0.05)
    with pytest.raises(Overloaded):
        await renderer.run(gate.wait)
    gate.set()
    assert await asyncio.gather(*under_way) == [True, True]
    assert await renderer.run(gate.wait)
