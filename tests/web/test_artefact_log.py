"""An artefact's log: a stream of its own, whose pages lead one to the next and keep their members."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.agreement.datasets import of_json_ld, parsed

from orchestrator.core import vocabulary as v
from orchestrator.core.event import artefact_id, stamp
from orchestrator.core.quads import Quad

BASE = "https://orchestrator.example"
OURS = "https://preprints.example/item/1"
OTHERS = "https://preprints.example/item/2"
PATH = f"/artefacts/{artefact_id(OURS)}/log"
LOG = BASE + PATH
Tell = Callable[..., Awaitable[None]]


@pytest.fixture
def tell(specimen: Callable[..., dict[str, Any]]) -> Tell:
    """Return what lets events come about, one about each artefact named, in that order."""

    async def publish(house: Any, *artefacts: str) -> None:
        for iri in artefacts:
            context = {"id": iri, "type": "Page", "ietf:cite-as": iri}
            assert (await house.post(specimen(context=context))).status == 201
        assert len(await house.process()) == len(artefacts)

    return publish


def told(quads: Sequence[Quad], subject: str, predicate: str) -> list[Any]:
    """Return what the default graph says of `subject`."""
    return [term for about, said, term, graph in quads if (about, said, graph) == (subject, predicate, "")]


async def read(house: Any, url: str, media_type: str = v.JSON_LD) -> list[Quad]:
    answer = await house.ask(url.removeprefix(BASE), Accept=media_type)
    assert answer.status == 200, url
    if media_type == v.JSON_LD:
        return of_json_ld(json.loads(answer._body))
    return parsed(answer._body.decode(), media_type)


async def test_the_root_is_an_event_stream_and_its_first_page(build: Any, tell: Tell) -> None:
    async with build(page_size=2) as house:
        await tell(house, OURS, OTHERS, OURS, OURS)
        document = json.loads((await house.ask(PATH))._body)
        quads = of_json_ld(document)
        assert set(told(quads, LOG, v.RDF + "type")) == {
            v.LDES + "EventStream",
            v.DAEN + "ArtefactLifecycleEventLog",
            v.AS + "OrderedCollection",
            v.AS + "OrderedCollectionPage",
            v.LDP + "BasicContainer",
            v.TREE + "Node",
        }
        assert told(quads, LOG, v.TREE + "view") == [LOG]
        assert told(quads, LOG, v.LDES + "timestampPath") == [v.PROV + "generatedAtTime"]
        assert told(quads, LOG, v.AS + "partOf") == [f"{BASE}/log"]
        members = [f"{BASE}/log/e/{sequence}" for sequence in (1, 3)]
        assert told(quads, LOG, v.TREE + "member") == told(quads, LOG, v.LDP + "contains") == members
        assert [event["id"] for event in document["orderedItems"]] == members
        [relation] = told(quads, LOG, v.TREE + "relation")
        assert told(quads, relation, v.RDF + "type") == [v.TREE + "GreaterThanOrEqualToRelation"]
        assert told(quads, relation, v.TREE + "path") == [v.PROV + "generatedAtTime"]
        following = await house.store.reader.event(4)
        assert told(quads, relation, v.TREE + "value") == [(stamp(following.created), v.XSD + "dateTime", "")]
        assert told(quads, relation, v.TREE + "node") == [f"{LOG}?since=3"]
        # The main log is another stream.
        assert not told(quads, f"{BASE}/log", v.TREE + "view")


@pytest.mark.parametrize("media_type", [v.JSON_LD, v.N_QUADS])
async def test_relations_and_next_lead_to_each_event_once(build: Any, tell: Tell, media_type: str) -> None:
    async with build(page_size=2) as house:
        await tell(house, OURS, OTHERS, OURS, OURS, OURS, OTHERS, OURS)
        found: list[str] = []
        asked: list[str] = []
        url: str | None = LOG
        while url is not None:
            asked.append(url)
            quads = await read(house, url, media_type)
            members = told(quads, LOG, v.TREE + "member")
            assert set(members) == set(told(quads, url, v.LDP + "contains"))
            found += sorted(members)
            assert told(quads, LOG, v.RDF + "type")
            assert url in told(quads, LOG, v.TREE + "view")
            relations = told(quads, url, v.TREE + "relation")
            nodes = [node for relation in relations for node in told(quads, relation, v.TREE + "node")]
            assert nodes == told(quads, url, v.AS + "next") == told(quads, url, v.HYDRA + "next")
            url = nodes[0] if nodes else None
        assert found == [f"{BASE}/log/e/{sequence}" for sequence in (1, 3, 4, 5, 7)]
        assert asked == [LOG, f"{LOG}?since=3", f"{LOG}?since=5"]


async def test_nothing_is_said_about_other_artefacts(build: Any, tell: Tell) -> None:
    async with build(page_size=3) as house:
        await tell(house, OTHERS, OURS, OTHERS, OURS, OTHERS, OTHERS)
        for media_type in (v.JSON_LD, v.N_QUADS, v.TRIG, v.TURTLE, v.HTML):
            answer = await house.ask(PATH, Accept=media_type)
            assert OURS.encode() in answer._body
            assert OTHERS.encode() not in answer._body
            assert "next" not in answer.links


async def test_a_page_that_another_follows_stays_as_it_is(build: Any, tell: Tell) -> None:
    async with build(page_size=2) as house:
        await tell(house, OURS, OURS, OURS, OURS, OURS)
        first, second, last = [await house.ask(PATH + query) for query in ("", "?since=2", "?since=4")]
        await tell(house, OTHERS, OURS, OURS)
        for query, before in (("", first), ("?since=2", second)):
            again = await house.ask(PATH + query)
            assert (again._body, again.headers["ETag"]) == (before._body, before.headers["ETag"])
            unchanged = await house.ask(PATH + query, If_None_Match=before.headers["ETag"])
            assert unchanged.status == 304
        grown = await house.ask(f"{PATH}?since=4", If_None_Match=last.headers["ETag"])
        assert grown.status == 200
        assert [event["sequence"] for event in json.loads(grown._body)["orderedItems"]] == [5, 7]
        assert str(grown.links["next"]["url"]) == f"{LOG}?since=7"


async def test_a_page_that_is_full_stays_open_until_another_event_comes(build: Any, tell: Tell) -> None:
    async with build(page_size=2) as house:
        await tell(house, OURS, OURS)
        for query in ("", "?since=0"):
            answer = await house.ask(PATH + query)
            page = json.loads(answer._body)
            assert [event["sequence"] for event in page["orderedItems"]] == [1, 2]
            assert not {"next", "hydra:next", "relation"} & set(page)
            assert "next" not in answer.links
        full = await house.ask(f"{PATH}?since=0")
        await tell(house, OTHERS)
        still = await house.ask(f"{PATH}?since=0", If_None_Match=full.headers["ETag"])
        assert still.status == 304
        await tell(house, OURS)
        followed = await house.ask(f"{PATH}?since=0", If_None_Match=full.headers["ETag"])
        assert followed.status == 200
        for answer in (followed, await house.ask(PATH)):
            assert json.loads(answer._body)["next"] == f"{LOG}?since=2"


async def test_each_page_is_known_again_in_each_form_and_none_is_immutable(build: Any, tell: Tell) -> None:
    """LDES clients pass over a page that was immutable when they read it, and over what it leads to."""
    async with build(page_size=2) as house:
        await tell(house, OURS, OURS, OURS, OURS, OURS)
        tags = set()
        for query in ("", "?since=2", "?since=4", "?limit=1"):
            for media_type in (v.JSON_LD, v.ACTIVITY_JSON, v.N_QUADS, v.TRIG, v.TURTLE, v.HTML):
                answer = await house.ask(PATH + query, Accept=media_type)
                assert answer.content_type == media_type
                assert answer.headers["Vary"] == "Accept"
                tags.add(answer.headers["ETag"])
                again = await house.ask(PATH + query, Accept=media_type, If_None_Match=answer.headers["ETag"])
                assert (again.status, again._body) == (304, b"")
                for name in ("ETag", "Cache-Control", "Vary"):
                    assert again.headers[name] == answer.headers[name]
                assert answer.headers["Cache-Control"] == "no-cache"
        assert len(tags) == 4 * 6


async def test_a_reader_chooses_smaller_pages_and_keeps_them(build: Any, tell: Tell) -> None:
    async with build(page_size=3) as house:
        await tell(house, OURS, OTHERS, OURS, OURS)
        sequences: list[int] = []
        path: str | None = f"{PATH}?limit=1"
        asked = []
        while path is not None:
            asked.append(urlsplit(path).query)
            page = json.loads((await house.ask(path))._body)
            assert page["id"] == BASE + path
            sequences += [event["sequence"] for event in page["orderedItems"]]
            path = page["next"].removeprefix(BASE) if "next" in page else None
        assert sequences == [1, 3, 4]
        assert asked == ["limit=1", "limit=1&since=1", "limit=1&since=3"]
        assert len(json.loads((await house.ask(f"{PATH}?limit=3"))._body)["orderedItems"]) == 3


async def test_what_comes_after_the_end_is_an_empty_page_that_is_asked_again(build: Any, tell: Tell) -> None:
    async with build(page_size=2) as house:
        await tell(house, OURS)
        empty = await house.ask(f"{PATH}?since=1")
        assert json.loads(empty._body)["orderedItems"] == json.loads(empty._body)["ldp:contains"] == []
        await tell(house, OURS)
        again = await house.ask(f"{PATH}?since=1", If_None_Match=empty.headers["ETag"])
        assert [event["sequence"] for event in json.loads(again._body)["orderedItems"]] == [2]


async def test_what_cannot_be_read_is_refused_by_name_and_the_unknown_is_not_found(
    build: Any, tell: Tell
) -> None:
    async with build(page_size=2) as house:
        await tell(house, OURS)
        for query, name in (
            ("since=-1", "since"),
            ("since=", "since"),
            ("since=1&since=2", "since"),
            ("limit=0", "limit"),
            ("limit=3", "limit"),
            ("page=1", "page"),
            ("type=Announce", "type"),
        ):
            answer = await house.ask(f"{PATH}?{query}")
            assert answer.status == 400, query
            assert f"“{name}”" in json.loads(answer._body)["detail"]
        for path in (f"/artefacts/{artefact_id(OTHERS)}", "/artefacts/short", "/artefacts/" + "A" * 26):
            for end in ("", "/log", "/log.nq", "/log?since=1", ".ttl"):
                assert (await house.ask(path + end)).status == 404, path + end


async def test_whoever_knows_the_iri_is_led_to_its_log(build: Any, tell: Tell) -> None:
    async with build(page_size=2) as house:
        await tell(house, OURS)
        found = await house.ask(f"/artefacts/log?url={OURS}")
        assert (found.status, found.headers["Location"]) == (303, LOG)
        assert (await house.ask(f"/artefacts/log?url={OTHERS}")).status == 404
        about = await house.ask(PATH.removesuffix("/log"))
        assert json.loads(about._body)["eventLog"] == LOG


async def test_an_iri_that_our_pages_would_read_otherwise_is_refused(
    house: Any, specimen: Callable[..., dict[str, Any]]
) -> None:
    """Its scheme is a prefix of their context: `tree:x` would be said of `https://w3id.org/tree#x`."""
    for prefix in ("daen", "hydra", "ldes", "log", "prov", "tree"):
        refused = await house.post(specimen("notification", context=f"{prefix}:x"))
        assert refused.status == 400, prefix
        assert f"{prefix}:" in refused._body.decode()
