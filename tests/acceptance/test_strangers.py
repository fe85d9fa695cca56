"""What strangers could try, and careless operators do: `docs/explanation/strangers.md`, tried on a real server."""

import asyncio
import json
import re
import sys
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest
from aiohttp import web

from .conftest import Serve
from .notifications import announce, policy
from .peers import LDP_INBOX, Asked, Host, Party, Peer
from .service import Answer, Service, until

_T = TypeVar("_T")
AS = "https://www.w3.org/ns/activitystreams"
COAR = "https://coar-notify.net"
LDP = "http://www.w3.org/ns/ldp"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XSD = "http://www.w3.org/2001/XMLSchema#"
POL = "https://w3id.org/orchestrator/policy#"
SENDER = Party(id="https://stranger.example/", inbox="https://stranger.example/inbox/", name="Stranger")
US = Party(id="https://pod.example/", inbox="https://pod.example/inbox/", name="Pod")
ARTEFACT = "https://pod.example/articles/1"
EVIL = "\r\nSet-Cookie: a=b\r\n\x1b[31m\u202e</script>"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="takes the disk away by a limit of Linux")


class Tripwire(Peer):
    """A server that nobody may ask for anything."""

    async def answer(self, _asked: Asked) -> web.StreamResponse:
        return web.Response(text='{"@context": {}}', content_type="application/ld+json")


class Advertiser(Peer):
    """A hub that names any inbox, and answers POSTs with any status, headers and body."""

    def __init__(self, inbox: str = "", status: int = 202, location: str = "", body: bytes = b"") -> None:
        super().__init__()
        self._inbox, self._status, self._location, self._body = inbox, status, location, body

    async def answer(self, asked: Asked) -> web.StreamResponse:
        if asked.method != "POST":
            inbox = self._inbox or f"{self.url}inbox/"
            return web.Response(headers={"Link": f'<{inbox}>; rel="{LDP_INBOX}"'})
        headers = {"Location": self._location} if self._location else {}
        return web.Response(status=self._status, headers=headers, body=self._body)


def note(**more: object) -> dict[str, Any]:
    return {**announce(SENDER, US, ARTEFACT), **more}


def with_context(*contexts: object, **more: object) -> dict[str, Any]:
    return {**note(**more), "@context": [AS, COAR, *contexts]}


def elsewhere(work: Coroutine[Any, Any, _T]) -> _T:
    """Run `work` in a loop of its own: a fixture of a module outlives the loops of its tests."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


TRUSTING = policy("as:Announce", then="pol:Ignore").replace(
    "sh:property [ sh:path rdf:type ; sh:hasValue as:Announce ]",
    "sh:property [ sh:path as:origin ; sh:minCount 1 ; sh:class pol:TrustedSender ]",
)


def lent(folder: Path, settings: dict[str, object]) -> Iterator[Service]:
    """Lend a service to several tests: what one stranger leaves must not hurt the next."""
    service = Service(folder=folder, settings=settings)
    service.policies.mkdir()
    (service.policies / "trusting.ttl").write_text(TRUSTING)
    try:
        elsewhere(service.start())
        yield service
    finally:
        elsewhere(service.end())


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return an open inbox; it ignores senders that are trusted, which nobody is."""
    yield from lent(tmp_path_factory.mktemp("open"), {})


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return an inbox that only the token `sesame` opens."""
    settings: dict[str, object] = {
        "inbox.read": "token",
        "inbox.read_token": "sesame",
        "screening.workers": 2,
    }
    yield from lent(tmp_path_factory.mktemp("private"), settings)


def address(service: Service) -> tuple[str, int]:
    host, _, port = service.url.removeprefix("http://").partition(":")
    return host, int(port)


async def say(service: Service, *words: bytes) -> bytes:
    """Send bytes on a connection of its own, and return everything until the server closes it."""
    reader, writer = await asyncio.open_connection(*address(service))
    try:
        writer.write(b"".join(words))
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


def statuses(said: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", said)]


# What a document can do to whoever reads it


async def test_no_context_that_a_stranger_names_is_ever_fetched(service: Service) -> None:
    async with Tripwire() as tripwire:
        url = f"{tripwire.url}context.jsonld"
        documents = [
            *(
                with_context(each)
                for each in (url, "file:///etc/passwd", "data:,{}", "context.jsonld", "//x")
            ),
            with_context({"@import": url}),
            with_context({"x": {"@id": "https://x.example/", "@context": url}}),
            with_context({"x": {"@id": "https://x.example/", "@context": {"y": url}}}),
            note(tag={"@context": url, "id": "https://x.example/"}),
            note(tag={"@context": [AS, {"@import": url}], "id": "https://x.example/"}),
            {**note(), "@context": url},
        ]
        for document in documents:
            answer = await service.post(document, Link=f'<{url}>; rel="{LDP}#context"')
            assert answer.status == 400, document
            assert answer.json["violations"]
        assert tripwire.asked == []


def below(keys: int, value: object) -> dict[str, object]:
    """Return `value` under names that are long enough to be felt in every pointer."""
    for _ in range(keys):
        value = {"k" * 15_000: value}
    return {"tag": value}


def typed(value: str, datatype: str) -> dict[str, object]:
    return {"as:x": {"@value": value, "@type": datatype}}


def clique(nodes: int) -> list[dict[str, object]]:
    names = [{"id": f"_:b{number}"} for number in range(nodes)]
    return [{**name, "as:x": [other for other in names if other != name]} for name in names]


COSTLY: dict[str, Callable[[], dict[str, Any]]] = {
    # Each cost seconds, a gigabyte, or an internal error, before there was a rule against it.
    "69 MB of pointers": lambda: note(**below(3, [{"@context": ["u"] * 90} for _ in range(17)])),
    "1,800 contexts": lambda: note(tag=[{"@context": [AS, LDP, COAR] * 33} for _ in range(18)]),
    "contexts in each other": lambda: note(
        tag=[{"@context": [AS, {"q": "http://q.example/"}], "as:x": "y"} for _ in range(90)]
    ),
    "ten blank nodes that name each other": lambda: note(tag=[*clique(10), {"id": "_:b0"}]),
    "a blank object with a clique": lambda: note(object={"id": "_:b0"}, tag=clique(15)),
    "1,800 file: IRIs": lambda: note(tag=[[f"file:/{a}/{b}" for b in range(100)] for a in range(18)]),
    "a gigabyte in eleven characters": lambda: note(**typed("1e999999999", XSD + "decimal")),
    "a duration that raises": lambda: note(**typed("P" + "9" * 400 + "Y", XSD + "duration")),
    "an integer of 16,000 digits": lambda: note(**typed("9" * 16_000, XSD + "integer")),
    "open tags": lambda: note(**typed("<b>" * 5_000, RDF + "HTML")),
    "laughs": lambda: note(**typed('<!DOCTYPE a [<!ENTITY a "ha">]><a>&a;</a>', RDF + "XMLLiteral")),
    "800 violations": lambda: note(
        context=[
            {"id": f"https://x.example/{a}", "type": "Page", "ietf:item": [f"https://x.example/{a}/{b}" for b in range(20)]}
            for a in range(20)
        ]
    ),
    "one node under 360 ways": lambda: note(
        context=[
            {"id": f"https://x.example/{a}", "ietf:item": [{"id": f"https://x.example/i{b}"} for b in range(4)]}
            for a in range(90)
        ]
    ),
    "a chain of 900 terms": lambda: with_context({f"t{number}": f"t{number + 1}" for number in range(900)}),
    "lists of lists": lambda: note(tag={"@list": [{"@list": ["x"] * 90} for _ in range(20)]}),
    "deep": lambda: note(tag=json.loads('{"object":' * 28 + '"https://x.example/"' + "}" * 28)),
}  # fmt: skip


@pytest.mark.parametrize("name", COSTLY)
async def test_a_document_that_is_made_to_be_costly_costs_little(service: Service, name: str) -> None:
    answer = await service.post(COSTLY[name]())
    assert answer.status in {201, 400}
    assert len(answer.body) < 256 * 1024
    if answer.status == 400:
        # The tests' budget is 30 s: to reach it is to have found a bomb.
        assert not answer.json["type"].endswith("/too-costly")
        return
    for media_type in ("text/turtle", "application/n-quads"):
        shown = await service.get(answer.location, Accept=media_type)
        assert shown.status == 200
        assert len(shown.body) < 256 * 1024


async def test_of_one_id_the_first_content_stays_whoever_comes_next(service: Service) -> None:
    first = note()
    location = (await service.post(first)).location
    assert (await service.post({**first, "summary": "other"})).status == 409
    assert (await service.post(first)).location == location
    claimed = {**first, "origin": {**SENDER.system, "id": "https://other.example/"}}
    assert (await service.post(claimed)).location != location  # another's id is another's notification
    assert json.loads((await service.get(location)).body) == first

    contested = note()
    answers = await asyncio.gather(
        *(service.post({**contested, "summary": str(number % 3)}) for number in range(12))
    )
    assert {answer.status for answer in answers} == {201, 409}
    assert len({answer.location for answer in answers if answer.status == 201}) == 1


async def test_line_breaks_and_escape_sequences_end_in_no_header_no_log_line_and_no_page(
    service: Service,
) -> None:
    document = note(summary=EVIL)
    for member in ("actor", "object", "context"):
        document[member] = {**document[member], "name": EVIL}
    report = await service.take(document)
    refused = [
        await service.post({**note(), member: f"urn:x:{EVIL}"}) for member in ("id", "inReplyTo", "type")
    ]
    assert {answer.status for answer in refused} == {400}
    for answer in refused:
        assert "Set-Cookie" not in answer.headers
        assert b"\x1b" not in answer.body
        assert b"\r" not in answer.body
    assert all("\x1b" not in json.dumps(line, ensure_ascii=False) for line in service.told())

    [event] = [each for each in await service.events() if each["id"] == report["event"]]
    assert event["@graph"][0]["summary"] == EVIL  # the log says what was said
    quads = await service.get(report["event"], Accept="application/n-quads")
    assert all(line.endswith(" .") for line in quads.body.decode().split("\n") if line)


# What a connection can do


FRAMES = {
    "length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks that are none": b"Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n\r\nhello",
    "chunks not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a folded coding": b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 50\r\n\r\nhello",
    "a signed length": b"Content-Length: +5\r\n\r\nhello",
    "a list of lengths": b"Content-Length: 5, 5\r\n\r\nhello",
    "a length in hexadecimal": b"Content-Length: 0x5\r\n\r\nhello",
    "a chunk beyond all bounds": b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello",
    "chunks without CR": b"Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
    "20,000 trailers": b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    "5,000 headers": b"".join(b"X%d: y\r\n" % number for number in range(5_000)) + b"\r\n",
    "a header of 20 kB": b"X: " + b"y" * 20_000 + b"\r\n\r\n",
    "two hosts": b"Host: other.example\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("name", FRAMES)
async def test_a_request_that_two_servers_could_read_differently_ends_its_connection(
    service: Service, name: str
) -> None:
    head = b"POST /inbox/ HTTP/1.1\r\nHost: x.example\r\nContent-Type: application/ld+json\r\n"
    hidden = b"GET /log HTTP/1.1\r\nHost: x.example\r\n\r\n"
    assert statuses(await say(service, head, FRAMES[name], hidden)) == [400]


async def test_compressed_and_endless_bodies_are_refused_before_they_are_read(service: Service) -> None:
    packed = await service.post(b"\x1f\x8b" + b"x" * 1_000, Content_Encoding="gzip")
    assert packed.status == 415
    reader, writer = await asyncio.open_connection(*address(service))
    try:
        writer.write(b"POST /inbox/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n" + (b"ffff\r\n" + b"x" * 65_535 + b"\r\n") * 2)
        assert statuses(await reader.readline()) == [413]
    finally:
        writer.close()


async def test_among_500_idle_connections_an_honest_sender_is_served(service: Service) -> None:
    idle = [await asyncio.open_connection(*address(service)) for _ in range(500)]
    try:
        assert (await service.post(note())).status == 201
    finally:
        for _, writer in idle:
            writer.close()


async def test_iris_are_never_made_of_what_a_request_says_about_the_host(service: Service) -> None:
    claims = {
        "Host": "evil.example",
        "X_Forwarded_Host": "evil.example",
        "X_Forwarded_Proto": "https",
        "Forwarded": "host=evil.example;proto=https",
        "X_Original_URL": "/policies/",
    }
    answers = [await service.post(note(), **claims)]
    answers += [
        await service.get(path, **claims) for path in ("/", "/inbox", "/inbox/", "/log?since=0&limit=1")
    ]
    for answer in answers:
        assert b"evil.example" not in answer.body
        assert "evil.example" not in str(answer.headers)
    absolute = await say(
        service, b"GET http://evil.example/log HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    )
    assert b"evil.example" not in absolute


PLACES = [
    "/shapes/../../../etc/passwd", "/shapes/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/shapes/..%5c..%5cx", "/policies/%2e%2e",
    "/problems/..%2f..%2fREADME", "/problems/not-found%00", "/artefacts/%2e%2e%2flog", "/inbox/%2e%2e%2flog",
    "/inbox/x%2freport", "/inbox/%00", "/inbox/%ff", "/inbox/" + "a" * 129, "/log/e/0", "/log/e/-1",
    "/log/e/9999999999999999999", "/log/e/%D9%A1", "/log?limit=0", "/log?limit=1001", "/log?limit=1e3",
    "/log?since=99999999999999999999", "/log?page=999999999999999999", "/log?type=%27%20OR%201%3D1--",
    "/log?type=Announce%00", "/log?actor=x%27%3B--", "/log?artefact=http://x/" + "a" * 3_000, "/log?since=1&since=2",
    "/log?limit=%D9%A1", "/log?%00=1", "/inbox/?after=-1", "/artefacts?url=%00", "/artefacts?url=javascript:alert(1)",
]  # fmt: skip


async def test_no_path_leads_out_and_no_parameter_is_guessed(service: Service) -> None:
    for place in PLACES:
        request = f"GET {place} HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\n\r\n".encode()
        [status] = statuses(await say(service, request))
        assert status in {400, 404}, place


async def test_the_log_is_read_in_answers_of_bounded_size(private: Service) -> None:
    """Twenty slow readers of a thousand large events held two gigabytes."""
    before = len(await private.events())
    large = [note(summary=[str(part) + "x" * 13_500 for part in range(2)]) for _ in range(52)]
    assert {answer.status for answer in await asyncio.gather(*map(private.post, large))} == {201}
    await until(lambda: private.get("/readyz"), lambda ready: ready.json["events"] == before + 52)
    answer = await private.get(f"/log?since={before}&limit=1000")
    assert len(answer.body) < 2 * 1024 * 1024
    assert "next" in answer.json
    found = [event["sequence"] for event in await private.events(f"since={before}&limit=1000")]
    assert found == list(range(before + 1, before + 53))


async def test_nothing_but_the_token_opens_a_private_inbox(private: Service) -> None:
    location = (await private.post(note())).location
    etag = (await private.get(location, Authorization="Bearer sesame")).headers["ETag"]
    for method in ("GET", "HEAD"):
        for place in (location, f"{location}/report", private.inbox, f"{private.inbox}?after=0"):
            for header in (
                {},
                {"If_None_Match": etag},
                {"If_None_Match": "*"},
                {"Authorization": "Bearer "},
                {"Authorization": "Bearer sesam"},
                {"Authorization": "Basic c2VzYW1l"},
                {"Cookie": "token=sesame"},
                {"X_Forwarded_For": "127.0.0.1"},
                {"Accept": "text/turtle"},
            ):
                answer = await private.get(place, method, **header)
                assert answer.status == 401, (method, place, header)
                assert "ETag" not in answer.headers
    for suffix in ("/", ".json", "%2freport", "/report/"):
        assert (await private.get(location + suffix)).status == 404
    unknown = await private.get(f"{private.inbox}{'0' * 32}")
    known = await private.get(location)
    assert (unknown.status, unknown.body) == (known.status, known.body)
    assert (await private.get(location, Authorization="Bearer sesame")).status == 200


# What other people's servers, and messages about them, can make us do


async def test_a_hub_can_lead_us_nowhere_and_say_nothing_that_hurts(serve: Serve) -> None:
    async with (
        Tripwire() as tripwire,
        Advertiser("http://169.254.169.254/latest/meta-data/") as cloud,
        Advertiser("http://[::ffff:10.0.0.1]/") as mapped,
        Advertiser("file:///etc/passwd") as file,
        Advertiser(status=307, location=f"{tripwire.url}inbox/") as redirecting,
        Advertiser(status=400, body=b"\r\n\x1b[31m" * 2_000_000) as loud,
    ):
        hubs = [cloud, mapped, file, redirecting, loud]
        service = await serve(policies={"p.ttl": policy("as:Announce", hubs=tuple(hub.url for hub in hubs))})
        await service.take(note())
        made = await until(
            service.deliveries, lambda found: len(found) == 5 and all(each.reason for each in found)
        )
        found = {each.target: each for each in made}
        for hub in (cloud, mapped):
            assert found[hub.url].state == "DEAD"
            assert "is not a public address" in (found[hub.url].reason or "")
        assert "advertises no LDN inbox" in (found[file.url].reason or "")
        assert (found[redirecting.url].state, found[redirecting.url].status) == ("DEAD", 307)
        assert found[loud.url].state == "DEAD"
        assert len(found[loud.url].reason or "") <= 500
        assert (found[loud.url].reason or "").isprintable()
        assert tripwire.asked == []


async def test_a_message_makes_us_ask_for_nothing_but_our_own_artefacts(serve: Serve) -> None:
    async with Host() as host, Tripwire() as tripwire:
        host.put("public/1")
        service = await serve({"artefacts.prefixes": f"{host.url}public/"})
        port = host.url.rstrip("/").rpartition(":")[2]
        for artefact in (
            f"{tripwire.url}public/1",
            f"http://127.0.0.1:{port}@{tripwire.url.removeprefix('http://')}public/1",
            f"{host.url.rstrip('/')}.evil.example/public/1",
            f"{host.url}public/../private",
            f"{host.url}public/%2e%2E/private",
            f"{host.url}public/..%2Fprivate",
            f"{host.url}private",
        ):
            document = note()
            document["context"] = {**document["context"], "id": artefact, "ietf:cite-as": artefact}
            assert (await service.take(document))["reason"] == "not_addressed", artefact
        document = note()
        document["context"] = {**document["context"], "id": f"{host.url}public/1"}
        assert (await service.take(document))["reason"] == "logged"
        assert {(asked.method, asked.path) for asked in host.asked} == {("HEAD", "/public/1")}
        assert tripwire.asked == []


async def test_what_a_message_says_about_its_own_trust_is_no_fact(service: Service) -> None:
    trusted = POL + "TrustedSender"
    claims: list[dict[str, object]] = [
        {"origin": {**SENDER.system, "type": ["Service", trusted]}},
        {"tag": {"id": SENDER.id, RDF + "type": {"id": trusted}}},
        {"tag": {"id": f"{AS}#Service", "http://www.w3.org/2000/01/rdf-schema#subClassOf": {"id": trusted}}},
        {"tag": {"id": trusted, "http://www.w3.org/2002/07/owl#sameAs": {"id": POL + "UnknownSender"}}},
    ]
    for claim in claims:
        answer = await service.post(note(**claim))
        if answer.status == 201:
            assert (await service.settled(answer.location))["reason"] == "logged", claim


async def test_two_orchestrators_that_name_each_other_tell_each_other_once(
    serve: Serve, tmp_path: Path
) -> None:
    one = await serve(start=False)
    folder = tmp_path / "other"
    folder.mkdir()
    two = Service(folder=folder, settings={})
    for here, there in ((one, two), (two, one)):
        here.policies.mkdir()
        (here.policies / "p.ttl").write_text(policy("as:Announce", hubs=(f"{there.url}/",)))
    try:
        await asyncio.gather(one.start(), two.start())
        await one.take(note())
        [delivery] = await one.delivered(1)
        assert delivery.state == "DELIVERED"
        assert delivery.location is not None
        assert (await two.settled(delivery.location))["reason"] == "logged"
        assert await two.deliveries() == []
        assert len(await one.events()) == len(await two.events()) == 1
    finally:
        await two.end()


# What goes wrong in the machine room


@LINUX
async def test_on_a_full_disk_nothing_is_acknowledged_and_everything_is_read(serve: Serve) -> None:
    import resource  # noqa: PLC0415  (not on every platform)

    service = await serve()
    # The log of the server is a file too, which the limit must leave room for.
    service.expected |= {"request_failed", "record_failed", "store_unavailable", "loop_failed"}
    await service.take(note())
    largest = max(file.stat().st_size for file in service.folder.glob("orchestrator.sqlite*"))
    resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (max(largest, 200_000), resource.RLIM_INFINITY))
    kept: list[str] = []
    answer: Answer | None = None
    for number in range(40):
        answer = await service.post(note(summary=[f"{number}{part}" + "x" * 15_000 for part in range(4)]))
        if answer.status != 201:
            break
        kept.append(answer.location)
    assert answer is not None
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert {(await service.get(place)).status for place in ("/log", "/inbox/", *kept)} == {200}

    resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    again = await until(lambda: service.post(note()), lambda answer: answer.status == 201)
    for location in (*kept, again.location):
        assert (await service.settled(location))["state"] == "PROCESSED"


async def test_a_stop_in_the_middle_of_a_flood_loses_nothing_that_was_acknowledged(serve: Serve) -> None:
    service = await serve()
    acknowledged: list[str] = []
    enough = asyncio.Event()

    async def flood() -> None:
        async with aiohttp.ClientSession() as session:
            while service.is_running:
                try:
                    async with session.post(
                        service.inbox,
                        data=json.dumps(note()).encode(),
                        headers={"Content-Type": "application/ld+json"},
                    ) as answer:
                        if answer.status == 201:
                            acknowledged.append(answer.headers["Location"])
                except aiohttp.ClientError:
                    return
                if len(acknowledged) >= 12:
                    enough.set()

    floods = [asyncio.create_task(flood()) for _ in range(6)]
    await enough.wait()
    await service.stop()
    await asyncio.gather(*floods)
    code, out, _ = await service.run("inbox", "list", "--limit", "10000", "--json")
    assert code == 0
    kept = {each["token"] for each in json.loads(out)}
    assert {location.rpartition("/")[2] for location in acknowledged} <= kept


async def test_a_second_process_under_another_url_cannot_give_events_other_names(
    serve: Serve, tmp_path: Path
) -> None:
    service = await serve()
    service.expected |= {"record_failed"}
    other = Service(folder=service.folder, settings={}, _starts=50)
    try:
        await other.start()  # before the first event: the log takes its name from the last who came
        first, second = await service.post(note()), await other.post(note())
        assert {first.status, second.status} == {201}
        assert (await other.settled(second.location.replace(service.url, other.url)))["reason"] == "logged"
        await until(lambda: _told(service, "record_failed"))
        assert {event["id"].rpartition("/log/e/")[0] for event in await other.events()} == {other.url}
    finally:
        other.expected |= {"record_failed"}
        await other.end()


async def _told(service: Service, action: str) -> bool:
    return any(line["action"] == action for line in service.told())


MISTAKES: dict[str, dict[str, object]] = {
    "a policy that is a folder": {"policies.folder": "folder"},
    "a policy that leads nowhere": {"policies.folder": "dangling"},
    "a public URL with a query": {"server.public_url": "https://pod.example/?x=1"},
    "an identity that is no IRI": {"identity.id": "me"},
    "100,000 workers": {"screening.workers": 100_000},
    "a prefix that others can lengthen": {"artefacts.prefixes": "https://pod.example"},
}


def test_an_operators_mistake_is_one_line_that_names_it(tmp_path: Path) -> None:
    for name in ("folder", "dangling"):
        (tmp_path / name).mkdir()
    (tmp_path / "folder/p.ttl").mkdir()
    (tmp_path / "dangling/p.ttl").symlink_to("nothing")

    async def outcomes() -> list[tuple[int, str, str]]:
        room = asyncio.Semaphore(2)

        async def outcome(settings: dict[str, object]) -> tuple[int, str, str]:
            # An option of the command beats what `run` sets in the environment.
            service = Service(folder=tmp_path, settings={**settings, "server.port": 0})
            options = [
                word
                for key, option in (("server.public_url", "--public-url"),)
                for word in ([option, str(settings[key])] if key in settings else [])
            ]
            async with room:
                return await service.run("serve", *options)

        return await asyncio.gather(*map(outcome, MISTAKES.values()))

    for name, (code, out, err) in zip(MISTAKES, asyncio.run(outcomes()), strict=True):
        assert (code, out) == (2, ""), (name, err)
        assert err.startswith("orchestrator: "), name
        assert err.count("\n") == 1, name
