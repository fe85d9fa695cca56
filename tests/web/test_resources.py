"""Profile, artefacts, shapes, policies, problems and health over HTTP."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.contexts import bundled_contexts
from orchestrator.core import container, links
from orchestrator.core.errors import StorageError
from orchestrator.core.event import artefact_id
from orchestrator.core.rdf import URIRef, parse_turtle

BASE = "https://orchestrator.example"
INBOX = f"{BASE}/inbox/"
LDP_INBOX = "http://www.w3.org/ns/ldp#inbox"
EVENT_LOG = "http://www.w3.org/ns/solid/daen#eventLog"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
Specimen = Callable[..., dict[str, Any]]


def linked(answer: Any, rel: str) -> list[str]:
    """Return the targets of the answer's links, as our own consumer finds them."""
    return links.find(answer.headers.getall("Link"), rel, f"{BASE}/")


async def test_the_profile_leads_to_inbox_and_log_by_header_and_body(house: Any) -> None:
    answer = await house.ask("/", "HEAD")
    assert linked(answer, LDP_INBOX) == [INBOX]
    assert linked(answer, EVENT_LOG) == [f"{BASE}/log"]
    for media_type in ("application/ld+json", "text/turtle"):
        answer = await house.ask("/", Accept=media_type)
        document = container.read(answer._body, media_type, f"{BASE}/", bundled_contexts())
        assert container.inboxes(document, f"{BASE}/") == [INBOX]
    graph = parse_turtle(answer._body.decode())
    me = URIRef(f"{BASE}/")
    assert graph.value(me, URIRef("https://www.w3.org/ns/activitystreams#outbox")) == URIRef(f"{BASE}/log")
    assert str(graph.value(me, URIRef("https://www.w3.org/ns/activitystreams#name"))) == "Test <orchestrator>"


async def test_a_browser_gets_a_page_that_can_do_nothing_but_be_read(house: Any) -> None:
    for path in ("/", "/shapes/", "/policies/", "/problems/", "/problems/unreadable-bytes"):
        answer = await house.ask(path, Accept=BROWSER)
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert b"<script" not in answer._body
    page = (await house.ask("/", Accept=BROWSER))._body
    assert b"Test &lt;orchestrator&gt;" in page
    assert f'href="{INBOX}"'.encode() in page


async def test_the_artefacts_that_are_ours_are_named(build: Any) -> None:
    async with build(artefacts=("https://repository.example/",)) as house:
        document = json.loads((await house.ask("/"))._body)
        assert document["log:artefactPrefix"] == ["https://repository.example/"]


async def test_an_artefact_leads_to_inbox_and_its_log_by_header_and_body(
    house: Any, specimen: Specimen
) -> None:
    document = specimen()
    await house.publish(document)
    iri = document["context"]["id"]
    found = await house.ask(f"/artefacts?url={iri}")
    assert (found.status, found.headers["Location"]) == (303, f"{BASE}/artefacts/{artefact_id(iri)}")
    path = found.headers["Location"].removeprefix(BASE)
    answer = await house.ask(path)
    assert linked(answer, LDP_INBOX) == [INBOX]
    assert linked(answer, EVENT_LOG) == [f"{BASE}{path}/log"]
    told = container.read(answer._body, "application/ld+json", iri, bundled_contexts())
    assert container.inboxes(told, iri) == [INBOX]
    turtle = parse_turtle((await house.ask(path, Accept="text/turtle"))._body.decode())
    assert turtle.value(URIRef(iri), URIRef(EVENT_LOG)) == URIRef(f"{BASE}{path}/log")
    assert (await house.ask(path, If_None_Match=answer.headers["ETag"])).status == 304


async def test_an_artefacts_log_has_its_events_only(house: Any, specimen: Specimen) -> None:
    other = {
        "id": "https://other.example/item/1",
        "type": "Page",
        "ietf:cite-as": "https://doi.org/10.5555/1",
    }
    sent = [specimen(), specimen(context=other), specimen(), specimen()]
    await house.publish(*sent)
    path = f"/artefacts/{artefact_id(sent[0]['context']['id'])}/log"
    page = json.loads((await house.ask(path))._body)
    assert [event["sequence"] for event in page["orderedItems"]] == [1, 3, 4]
    first = json.loads((await house.ask(f"{path}?limit=2"))._body)
    assert [event["sequence"] for event in first["orderedItems"]] == [1, 3]
    assert first["partOf"] == BASE + path
    rest = json.loads((await house.ask(first["next"].removeprefix(BASE)))._body)
    assert [event["sequence"] for event in rest["orderedItems"]] == [4]
    assert (await house.ask(f"{path}?type=Announce")).status == 400


async def test_an_artefact_whose_iri_is_no_uri_is_linked_as_one(house: Any, specimen: Specimen) -> None:
    iri = "https://repository.example/Größe/\u200b\x7f"
    await house.publish(specimen(context={**specimen()["context"], "id": iri}))
    answer = await house.ask(f"/artefacts/{artefact_id(iri)}")
    assert answer.status == 200
    assert linked(answer, "describes") == ["https://repository.example/Gr%C3%B6%C3%9Fe/%E2%80%8B%7F"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/artefacts?url=https://unknown.example/1", 404),
        ("/artefacts?url=nothing", 400),
        ("/artefacts?url=", 400),
        ("/artefacts", 400),
        ("/artefacts?id=1", 400),
        (f"/artefacts/{'a' * 26}", 404),
        (f"/artefacts/{'a' * 26}/log", 404),
        ("/artefacts/short", 404),
    ],
)
async def test_artefacts_that_nobody_spoke_of_are_not_known(house: Any, path: str, status: int) -> None:
    answer = await house.ask(path)
    assert answer.status == status
    assert answer.content_type == "application/problem+json"


async def test_shapes_are_published_as_they_are_in_force(house: Any) -> None:
    index = json.loads((await house.ask("/shapes/"))._body)
    assert f"{BASE}/shapes/announce-review" in index["contains"]
    for url in index["contains"]:
        answer = await house.ask(url.removeprefix(BASE))
        assert answer.content_type == "text/turtle"
        assert answer._body.decode() == house.site.shapes[url.rpartition("/")[2]]
    assert (
        await house.ask("/shapes/accept", If_None_Match=(await house.ask("/shapes/accept")).headers["ETag"])
    ).status == 304
    turtle = parse_turtle((await house.ask("/shapes/", Accept="text/turtle"))._body.decode())
    contains = URIRef("http://www.w3.org/ns/ldp#contains")
    assert len(list(turtle.objects(URIRef(f"{BASE}/shapes/"), contains))) == len(index["contains"])


async def test_policies_are_published_by_name_and_follow_a_reload(build: Any) -> None:
    files = {"announce.ttl": "# first\n"}
    async with build(policies=lambda: files) as house:
        assert json.loads((await house.ask("/policies/"))._body)["contains"] == [f"{BASE}/policies/announce"]
        first = await house.ask("/policies/announce")
        assert first._body == b"# first\n"
        files["announce.ttl"] = "# second\n"
        second = await house.ask("/policies/announce", If_None_Match=first.headers["ETag"])
        assert (second.status, second._body) == (200, b"# second\n")


@pytest.mark.parametrize(
    "path",
    [
        "/shapes/nothing",
        "/shapes/..%2f..%2fpyproject",
        "/shapes/../../etc/passwd",
        "/shapes/%2e%2e/%2e%2e/etc/passwd",
        "/policies/nothing",
        "/policies/announce.ttl.ttl",
        "/problems/nothing",
        "/problems/Not-Found",
    ],
)
async def test_names_that_are_not_in_the_collection_lead_nowhere(house: Any, path: str) -> None:
    assert (await house.ask(path)).status == 404


async def test_a_problems_page_is_markdown_unless_a_browser_asks(house: Any) -> None:
    answer = await house.ask("/problems/unreadable-bytes")
    assert answer.headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert answer._body.decode() == house.site.problems["unreadable-bytes"]
    page = (await house.ask("/problems/unreadable-bytes", Accept=BROWSER))._body.decode()
    assert '<a id="duplicate-member"></a>' in page
    assert "<h1>Unreadable bytes</h1>" in page


async def test_health_is_told_without_secrets_and_with_a_status(build: Any) -> None:
    async def not_ready() -> dict[str, object]:
        return {"ok": False, "database": True, "workerSilence": 60_000}

    async def broken() -> dict[str, object]:
        raise StorageError("secret path")

    async with build() as house:
        assert (await house.ask("/livez")).status == 200
        ready = await house.ask("/readyz")
        assert (ready.status, json.loads(ready._body)["ok"]) == (200, True)
    async with build(ready=not_ready) as house:
        answer = await house.ask("/readyz")
        assert (answer.status, json.loads(answer._body)["workerSilence"]) == (503, 60_000)
    async with build(ready=broken) as house:
        answer = await house.ask("/readyz")
        assert answer.status == 503
        assert b"secret" not in answer._body


@pytest.mark.parametrize("path", ["/nothing", "/log/", "/shapes", "/.env", "/inbox//", "/%00"])
async def test_unknown_addresses_are_a_problem_of_the_askers(house: Any, path: str) -> None:
    answer = await house.ask(path)
    assert answer.status == 404
    problem = json.loads(answer._body)
    assert problem == {
        "type": f"{BASE}/problems/not-found",
        "title": "There is nothing at this address.",
        "status": 404,
        "detail": "There is nothing at this address.",
    }
