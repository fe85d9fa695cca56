"""Seed C1a.4 and C1d: several orchestrators on one inbox, and on each other's logs."""

import json
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
from aiohttp import web
from tests.acceptance.peers import Asked, Peer
from tests.acceptance.service import JSON_LD, Service, until
from tests.pods.conftest import Serve
from tests.pods.solid import Pod
from tests.pods.steps import REVIEW, polled, read, review, source

ANNOUNCE = """
@prefix pol: <https://w3id.org/orchestrator/policy#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix as: <https://www.w3.org/ns/activitystreams#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
<#tell> a pol:Policy ; rdfs:label "Tell the hub of announcements"@en ;
    pol:when [ a sh:NodeShape ; sh:property [ sh:path rdf:type ; sh:hasValue as:Announce ] ] ;
    pol:then [ a pol:Announce ; pol:to <HUB> ] .
"""


class Hub(Peer):
    """A service hub that takes everything."""

    async def answer(self, asked: Asked) -> web.StreamResponse:
        if asked.method == "POST":
            return web.Response(status=201, headers={"Location": f"{self.url}kept"})
        return web.Response(headers={"Link": f'<{self.url}inbox/>; rel="http://www.w3.org/ns/ldp#inbox"'})

    @property
    def told(self) -> list[dict[str, Any]]:
        return [asked.document for asked in self.asked if asked.method == "POST"]


class Pages(Peer):
    """A log of somebody else: pages by path, with their headers."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: dict[str, tuple[str, str, Mapping[str, str]]] = {}

    async def answer(self, asked: Asked) -> web.StreamResponse:
        if asked.path not in self.pages:
            return web.Response(status=404)
        body, media_type, headers = self.pages[asked.path]
        if headers.get("ETag") is not None and asked.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        return web.Response(body=body.encode(), headers={"Content-Type": media_type, **headers})


def about(number: int) -> dict[str, Any]:
    """Return an announcement of a review that is about an article of its own: each is a topic."""
    article = {**REVIEW["context"], "id": f"{REVIEW['context']['id']}/{number}"}
    return {**review(number), "context": article}


async def activities(service: Service) -> Counter[str]:
    return Counter(event["activity"] for event in await service.events())


def toml(**sources: str) -> str:
    """Return the settings of sources, each polled once a second."""
    tables = (
        f'[[source]]\nname = "{name}"\n{"log" if url.endswith("log") else "inbox"} = "{url}"\nschedule = "1s"\n'
        for name, url in sources.items()
    )
    return "".join(tables)


@pytest.mark.timeout(240)
async def test_two_that_share_an_inbox_and_read_each_other_log_everything_once(
    pod: Pod, serve: Serve
) -> None:
    """Whatever came first, from the inbox or from the other's log; the hub hears of each from each, once."""
    inbox = pod.files / "inbox"
    inbox.mkdir(parents=True)
    for number in range(20):
        (inbox / f"{number}.jsonld").write_text(json.dumps(about(number)))
    await pod.start()
    mine = REVIEW["context"]["id"].partition("://")[2].partition("/")[0]
    settings = {"artefacts.prefixes": f"https://{mine}/"}
    async with Hub() as hub:
        policies = {"tell.ttl": ANNOUNCE.replace("HUB", f"{hub.url}about")}
        one = await serve("one", toml(pod=f"{pod.url}inbox/"), settings=settings, policies=policies)
        await until(lambda: activities(one), lambda found: len(found) == 20)
        two = await serve(
            "two",
            toml(pod=f"{pod.url}inbox/", one=one.log),
            settings=settings,
            policies=policies,
        )
        # And the first one reads what the second one tells.
        code, _, err = await one.run("source", "add", "two", "--log", two.log, "--schedule", "1s")
        assert code == 0, err
        await read(two, "one", 20)
        await read(one, "two", 20)
        expected = Counter(about(number)["id"] for number in range(20))
        assert await until(lambda: activities(two), lambda found: len(found) == 20) == expected
        told = await until(lambda: _told(hub), lambda found: len(found) >= 40)

        # Something new is seen by both, and nothing comes back to where it was.
        await pod.put("inbox/new.jsonld", json.dumps(about(99)).encode(), JSON_LD)
        expected[about(99)["id"]] += 1
        for service in (one, two):
            await until(partial(activities, service), lambda found: len(found) == 21)
        for _ in range(3):
            for service, other in ((one, "two"), (two, "one")):
                await polled(service, other)
                await polled(service, "pod")
        assert [await activities(service) for service in (one, two)] == [expected, expected]
        told = await until(lambda: _told(hub), lambda found: len(found) >= 42)
        assert Counter(document["origin"]["id"] for document in told) == {
            f"{one.url}/": 21,
            f"{two.url}/": 21,
        }
        for service in (one, two):
            await service.stop()


async def _told(hub: Hub) -> list[dict[str, Any]]:
    return hub.told


@pytest.mark.timeout(180)
async def test_what_another_log_tells_goes_to_the_policies_and_not_into_ours(serve: Serve) -> None:
    """The institutional orchestrator: hubs are told of each event once, through kills, and its log is its own."""
    async with Hub() as hub:
        local = await serve("local")
        for number in range(30):
            assert (await local.post(about(number))).status == 201
        await until(local.events, lambda found: len(found) == 30)
        policies = {"tell.ttl": ANNOUNCE.replace("HUB", f"{hub.url}about")}
        institute = await serve("institute", toml(local=local.log), policies=policies)
        await read(institute, "local", 30)
        await institute.kill()
        for number in range(30, 40):
            await local.take(about(number))
        await institute.start()
        await read(institute, "local", 40)
        deliveries = await institute.delivered(40)
        assert {delivery.event for delivery in deliveries} == {None}
        assert await institute.events() == []
        told = Counter(document["context"]["id"] for document in hub.told)
        assert told == Counter(about(number)["context"]["id"] for number in range(40))
        assert len({document["id"] for document in hub.told}) == 40
        _, out, _ = await institute.run("inbox", "list", "--inbox", "log", "--json", "--limit", "100")
        found = json.loads(out)
        assert {(each["state"], each["reason"]) for each in found} == {("PROCESSED", "followed")}
        assert {each["via"] for each in found} == {f"{local.url}/log/e/{n}" for n in range(1, 41)}
        # Nothing new: one request, and the answer is that nothing has changed.
        before = (await source(institute, "local"))["requests"]
        assert (await polled(institute, "local"))["requests"] - before <= 2
        await local.stop()
        await institute.stop()


def page(root: str, name: str, members: list[dict[str, Any]], following: str | None) -> str:
    """Return a page of an LDES as JSON-LD, its members whole."""
    relation = {"@type": "tree:GreaterThanOrEqualToRelation", "tree:node": {"@id": f"{root}{following}"}}
    document = {
        "@context": [
            "https://www.w3.org/ns/activitystreams",
            "https://coar-notify.net",
            {"tree": "https://w3id.org/tree#", "ldes": "https://w3id.org/ldes#"},
        ],
        "@id": f"{root}stream",
        "@type": "ldes:EventStream",
        "ldes:timestampPath": {"@id": "https://www.w3.org/ns/activitystreams#published"},
        "tree:view": {
            "@id": f"{root}{name}",
            "@type": "tree:Node",
            **({"tree:relation": [relation]} if following else {}),
        },
        "tree:member": [{k: v for k, v in member.items() if k != "@context"} for member in members],
    }
    return json.dumps(document)


@pytest.mark.timeout(120)
async def test_a_plain_ldes_is_followed_page_by_page(serve: Serve) -> None:
    """Closed pages are never asked for again; what is no activity is explained; it resumes where it was."""
    async with Pages() as log:
        final = {"Cache-Control": "public, max-age=31536000, immutable"}
        odd = {"id": "https://stream.example/odd", "type": "Person", "name": "Nobody"}
        log.pages["/log"] = (page(log.url, "log", [], "1"), JSON_LD, {"ETag": '"root"'})
        log.pages["/1"] = (page(log.url, "1", [about(1), about(2), odd], "2"), JSON_LD, final)
        log.pages["/2"] = (page(log.url, "2", [about(3)], None), JSON_LD, {"ETag": '"a"'})
        settings = {"schedule.interval": 0.2, "artefacts.prefixes": "https://preprints.lakeside.example.org/"}
        service = await serve("service", toml(stream=f"{log.url}log"), settings=settings)
        found = await read(service, "stream", 4)
        assert (found["members"]["KEPT"], found["members"]["INVALID"]) == (3, 1)
        junk = (await source(service, "stream", "state=INVALID&limit=9"))["latest"]
        assert [(each["url"], each["reason"]) for each in junk] == [
            ("https://stream.example/odd", "it holds no ActivityStreams 2 activity")
        ]
        await service.kill()
        log.pages["/2"] = (page(log.url, "2", [about(3), about(4)], None), JSON_LD, {"ETag": '"b"'})
        log.asked.clear()
        await service.start()
        found = await read(service, "stream", 5)
        assert found["members"]["KEPT"] == 4
        assert "/1" not in [asked.path for asked in log.asked]
        await until(lambda: _asked(log, "/2"), lambda asked: len(asked) >= 3)
        assert (await _asked(log, "/2"))[-1].headers.get("If-None-Match") == '"b"'
        assert {asked.method for asked in log.asked} == {"GET"}
        await service.stop()


async def _asked(peer: Peer, path: str) -> list[Asked]:
    return [asked for asked in peer.asked if asked.path == path]
