"""After an erasure nothing that is served says it any more, in any form; and all that is proven still holds."""

import asyncio
import base64
import contextlib
import gzip
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import ClientResponse
from tests.web.listening import following

from orchestrator.core import vocabulary as v
from orchestrator.core.checkpoint import open_note
from orchestrator.core.erasure import ERASURE
from orchestrator.core.event import artefact_id
from orchestrator.core.merkle import leaf_hash, verify_consistency, verify_inclusion
from orchestrator.core.policy import PolicySet
from orchestrator.pipeline.erase import Erased, erase
from orchestrator.ports import Query
from orchestrator.storage import Store
from orchestrator.web import Live, log_page
from orchestrator.web.closed import PAGES

Specimen = Callable[..., dict[str, Any]]
BASE = "https://orchestrator.example"
LOOK = 0.2
"""Seconds between looks at what other processes wrote."""
PATIENCE = 20.0
ACCEPTED = (v.JSON_LD, v.AS_PROFILE, v.ACTIVITY_JSON, v.JSON, v.N_QUADS, v.TRIG, v.TURTLE, v.HTML)
SUFFIXES = ("jsonld", "json", "nq", "trig", "ttl", "html")
ENVELOPES_ONLY = {v.TURTLE, v.HTML, "ttl", "html"}
"""Forms of pages that show no payload; an event alone does in HTML, and the salt stands in Turtle."""


def secret(number: int) -> str:
    return f"SECRET-{number}-WORD"


def telling(specimen: Specimen, number: int) -> dict[str, Any]:
    """Return a notification with a secret, about an artefact that all are about."""
    document = specimen()
    thing = {**document["object"], "id": f"https://review.example/{number}", "name": secret(number)}
    return {**document, "id": known_as(number), "object": thing, "summary": secret(number)}


def known_as(number: int) -> str:
    return f"urn:uuid:00000000-0000-4000-8000-{number:012}"


@pytest.fixture
async def house(build: Any, specimen: Specimen) -> AsyncIterator[Any]:
    """A site with five events, two on a page; it looks often at what other processes have written."""
    async with build(page_size=2, live=Live(interval=LOOK), inboxes=("reviews",)) as served:
        await served.publish(*(telling(specimen, number) for number in range(1, 6)))
        yield served


async def erasing(house: Any, sequence: int, store: Store | None = None) -> Erased:
    """Erase an event's payload through a store."""
    through = store or house.store
    return await erase(
        sequence,
        because="asked",
        who="operator",
        me=house.site.identity,
        policy_set=PolicySet({}).id,
        reader=through.reader,
        erasure=through.erasure,
        clock=house.site.clock,
    )


@contextlib.asynccontextmanager
async def elsewhere(house: Any) -> AsyncIterator[Store]:
    """Open the same database as another process would, which wakes nobody here."""
    url = house.store.engine.url.render_as_string()
    store = await asyncio.to_thread(Store.open, url, public_url=BASE)
    try:
        yield store
    finally:
        await store.close()


def text_of(answer: ClientResponse) -> str:
    body: bytes = answer._body or b""
    return (gzip.decompress(body) if answer.headers.get("Content-Encoding") == "gzip" else body).decode()


async def until_silent(house: Any, path: str, word: str, **headers: str) -> tuple[ClientResponse, float]:
    """Ask until the answer does not say `word`; return it and how long that took."""
    began = time.monotonic()
    while True:
        answer = await house.ask(path, **headers)
        taken = time.monotonic() - began
        if word not in text_of(answer):
            return answer, taken
        assert taken < PATIENCE, "it still says it"
        await asyncio.sleep(0.02)


FORMS = [
    *(
        ("/log?page=1", {"Accept": name, "Accept_Encoding": coding})
        for name in ACCEPTED
        for coding in ("identity", "gzip")
    ),
    *((f"/log.{suffix}?page=1", {}) for suffix in SUFFIXES),
]


async def test_a_kept_page_is_made_anew_when_another_process_has_erased_something_on_it(house: Any) -> None:
    """In all its forms and codings, with other tags, within a look; the page beside it stays as it is."""
    salt = (await house.store.reader.event(1)).salt
    before: dict[int, ClientResponse] = {}
    for number, (path, headers) in enumerate(FORMS):
        for _ in range(3):  # the second comes from memory, the third is the answer of a moment ago
            before[number] = await house.ask(path, **headers)
        said = text_of(before[number])
        has_payloads = not ENVELOPES_ONLY & {headers.get("Accept"), path[5:].partition("?")[0]}
        assert (secret(1) in said) == has_payloads, path
    beside = await house.ask("/log?page=2")
    house.asked.clear()
    for path, headers in FORMS:
        await house.ask(path, **headers)
    assert "head" not in house.asked  # the end of the log is asked for before a page is made
    async with elsewhere(house) as store:
        done = await erasing(house, 1, store)
        _, taken = await until_silent(house, "/log?page=1", secret(1))
        # A look, and what a busy machine adds to it.
        assert taken < LOOK + 5
        assert done.tombstone is not None
    for number, (path, headers) in enumerate(FORMS):
        was, tag = before[number], before[number].headers["ETag"]
        answers = [await house.ask(path, **headers, If_None_Match=known) for known in (tag, '"other"', "")]
        if salt not in text_of(was):
            assert [answer.status for answer in answers] == [304, 200, 200], path
            continue
        for after in answers:
            said = text_of(after)
            assert (after.status, secret(1) in said, salt in said) == (200, False, False), path
            assert (secret(2) in said) == (secret(2) in text_of(was))
            assert after.headers["ETag"] != tag
            for name in ("Cache-Control", "Content-Type", "Vary"):
                assert after.headers[name] == was.headers[name]
            known = await house.ask(path, **headers, If_None_Match=after.headers["ETag"])
            assert known.status == 304
        recalled = [await house.ask(path, **headers) for _ in range(2)]
        assert [answer._body for answer in recalled] == [answers[0]._body] * 2
    house.asked.clear()
    again = await house.ask("/log?page=2")
    assert "head" not in house.asked  # the end of the log is asked for before a page is made
    assert (again._body, again.headers["ETag"]) == (beside._body, beside.headers["ETag"])


async def test_a_page_loses_the_payload_and_nothing_else(house: Any) -> None:
    """Every other byte of it is as it was."""
    before = json.loads(text_of(await house.ask("/log?page=1")))
    await erasing(house, 1)
    answer, _ = await until_silent(house, "/log?page=1", secret(1))
    after = json.loads(text_of(answer))
    first, second = before["orderedItems"]
    assert after == {
        **before,
        "orderedItems": [
            {name: value for name, value in first.items() if name not in {"@graph", "salt"}},
            second,
        ],
    }


@pytest.mark.parametrize("accept", ACCEPTED)
async def test_an_erased_event_is_its_envelope_in_every_form(house: Any, accept: str) -> None:
    before = await house.ask("/log/e/2", Accept=accept)
    assert (secret(2) in text_of(before)) == (accept != v.TURTLE)
    event = await house.store.reader.event(2)
    await erasing(house, 2)
    after = await house.ask("/log/e/2", Accept=accept, If_None_Match=before.headers["ETag"])
    assert (after.status, after.headers["Cache-Control"]) == (200, "no-cache")
    assert after.headers["ETag"] != before.headers["ETag"]
    said = text_of(after)
    for gone in (secret(2), event.salt, "https://review.example/2"):
        assert gone not in said
    assert json.loads(event.envelope)["digest"] in said
    if accept.endswith("json") or accept == v.AS_PROFILE:
        document = json.loads(said)
        document.pop("@context")
        assert document == json.loads(event.envelope)


@pytest.mark.parametrize("suffix", SUFFIXES)
async def test_no_address_of_the_log_says_it_any_more(house: Any, suffix: str) -> None:
    """Its artefact's log, filtered reads, the last page, the root, and the pages of both."""
    artefact = (await house.store.reader.event(3)).artefact
    path = f"/artefacts/{artefact_id(artefact)}"
    places = [
        f"/log/e/3.{suffix}",
        f"/log.{suffix}?page=2",
        f"/log.{suffix}?since=0&limit=5",
        f"/log.{suffix}?since=2&limit=1",
        f"/log.{suffix}?type=Announce&limit=5",
        f"{path}/log.{suffix}?since=1",
        f"{path}/log.{suffix}?limit=1&since=2",
    ]
    tags = {}
    for place in places:
        answer = await house.ask(place)
        is_whole = suffix not in ENVELOPES_ONLY or (suffix == "html" and "/e/" in place)
        assert (secret(3) in text_of(answer)) == is_whole, place
        tags[place] = answer.headers["ETag"]
    done = await erasing(house, 3)
    assert done.tombstone is not None
    await until_silent(house, f"/log.{suffix}?page=2", secret(3))
    for place in [
        *places,
        f"/log.{suffix}",
        f"/log.{suffix}?page=3",
        f"/log/e/6.{suffix}",
        f"{path}.{suffix}",
    ]:
        answer = await house.ask(place)
        assert (answer.status, secret(3) in text_of(answer)) == (200, False), place
        if place in tags:
            stale = await house.ask(place, If_None_Match=tags[place])
            assert stale.status == 200 or suffix in ENVELOPES_ONLY, place


async def test_the_last_page_has_another_tag_as_soon_as_something_on_it_is_erased(house: Any) -> None:
    before = await house.ask("/log?page=3")
    assert secret(5) in text_of(before)
    async with elsewhere(house) as store:
        await erasing(house, 5, store)
        after = await house.ask("/log?page=3", If_None_Match=before.headers["ETag"])
    assert (after.status, secret(5) in text_of(after)) == (200, False)
    assert [item["sequence"] for item in json.loads(text_of(after))["orderedItems"]] == [5, 6]


async def test_a_page_that_is_sent_in_pieces_is_read_anew_each_time(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_page, "LARGEST", 100)
    for _ in range(2):
        assert secret(1) in text_of(await house.ask("/log?page=1"))
    async with elsewhere(house) as store:
        await erasing(house, 1, store)
        answer = await house.ask("/log?page=1")
    assert (answer.status, secret(1) in text_of(answer)) == (200, False)


async def test_a_page_is_forgotten_once_for_each_erasure_and_the_others_are_kept(house: Any) -> None:
    pages = house.app[PAGES]
    for _ in range(2):
        for page in (1, 2):
            await house.ask(f"/log?page={page}")
    async with elsewhere(house) as store:
        for sequence in (3, 4):
            await erasing(house, sequence, store)
            await until_silent(house, "/log?page=2", secret(sequence))
    assert pages.get((1, v.JSON_LD)) is not None
    items = json.loads(text_of(await house.ask("/log?page=2")))["orderedItems"]
    assert ["@graph" in item for item in items] == [False, False]


async def test_who_reads_the_log_live_from_earlier_on_gets_the_envelope(house: Any) -> None:
    """And whoever follows is told of the erasure by its tombstone."""
    async with following(house.port) as listener:
        async with elsewhere(house) as store:
            await erasing(house, 2, store)
        assert await listener.event() == 6
    said: dict[int, dict[str, Any]] = {}
    async with following(house.port, "?after=0") as listener:
        while len(said) < 6:
            for line in await listener.block():
                if line.startswith(b"data: "):
                    node = json.loads(line.removeprefix(b"data: "))
                    said[node["sequence"]] = node
    assert [number for number, node in said.items() if "@graph" not in node or "salt" not in node] == [2]
    assert secret(2) not in json.dumps(said)
    assert (said[6]["type"], said[6]["causedBy"]) == (
        ["Delete", "log:Erasure", "LifecycleEvent"],
        f"{BASE}/log/e/2",
    )
    assert said[6]["@graph"][0]["object"] == {"id": f"{BASE}/log/e/2", "type": "Tombstone"}


async def test_a_tombstone_is_found_like_every_event(house: Any) -> None:
    await erasing(house, 2)
    for kind in (ERASURE, "log:Erasure", "Delete"):
        answer = await house.ask(f"/log?{urlencode({'type': kind})}")
        items = json.loads(text_of(answer))["orderedItems"]
        assert [item["sequence"] for item in items] == [6], kind


async def test_where_pages_begin_and_when_stays_as_it_was(house: Any) -> None:
    before = json.loads(text_of(await house.ask("/log")))
    await erasing(house, 1)
    after = json.loads(text_of(await house.ask("/log")))
    assert after["totalItems"] == before["totalItems"] + 1
    for document in (before, after):
        document.pop("totalItems")
    assert after == before


async def proven(house: Any, query: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text_of(await house.ask(f"/log/proof?{query}")))
    return found


def unbase(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


async def test_all_that_was_proven_before_is_proven_still(house: Any) -> None:
    """Inclusion of the erased event and its neighbours, tiles, entries; and the log continues the one before."""
    key = house.site.signer.verifier
    earlier = open_note((await house.ask("/log/checkpoint"))._body, [key])
    before = {
        place: (await house.ask(place))._body
        for place in ("/log/tile/0/000.p/5", "/log/tile/entries/000.p/5")
    }
    proofs = {number: await proven(house, f"event={number}&size=5") for number in range(1, 6)}
    await erasing(house, 2)
    later = open_note((await house.ask("/log/checkpoint"))._body, [key])
    assert (earlier.size, later.size) == (5, 6)
    for number, proof in proofs.items():
        assert await proven(house, f"event={number}&size=5") == proof
    for place, body in before.items():
        assert (await house.ask(place))._body == body
    for number in range(1, 7):
        said = await proven(house, f"event={number}")
        event = await house.store.reader.event(number)
        leaf = leaf_hash(event.envelope)
        assert unbase(said["leaf"]) == leaf
        path = [unbase(each) for each in said["proof"]]
        assert verify_inclusion(leaf, number - 1, 6, later.root, path)
    said = await proven(house, "first=5&second=6")
    path = [unbase(each) for each in said["proof"]]
    assert verify_consistency(5, 6, earlier.root, later.root, path)


async def locations(house: Any) -> list[str]:
    listing = json.loads(text_of(await house.ask("/inbox/")))["contains"]
    return [url.removeprefix(BASE) for url in listing]


@pytest.mark.parametrize("accept", [*ACCEPTED[:6], v.TURTLE, "*/*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_notification_is_gone_for_good(house: Any, accept: str, method: str) -> None:
    """410 (RFC 9110, section 15.5.11), whatever the reader has already."""
    place = (await locations(house))[1]
    if accept == v.TRIG:
        accept = v.JSON_LD
    before = await house.ask(place, method, Accept=accept)
    assert before.status == 200
    await erasing(house, 2)
    for known in ({}, {"If_None_Match": before.headers["ETag"]}, {"If_None_Match": "*"}):
        answer = await house.ask(place, method, Accept=accept, **known)
        assert answer.status == 410
        assert secret(2) not in text_of(answer)
        if method == "GET":
            problem = json.loads(text_of(answer))
            assert (problem["status"], problem["type"]) == (410, f"{BASE}/problems/erased")
        else:
            assert answer._body == b""
    assert (await house.ask("/problems/erased")).status == 200


async def test_the_listing_and_the_others_in_it_stay_as_they_are(house: Any) -> None:
    before = await house.ask("/inbox/")
    places = await locations(house)
    others = [await house.ask(place) for place in places]
    await erasing(house, 2)
    after = await house.ask("/inbox/")
    assert (after._body, after.headers["ETag"]) == (before._body, before.headers["ETag"])
    for number, (place, was) in enumerate(zip(places, others, strict=True), 1):
        answer = await house.ask(place)
        if number != 2:
            assert (answer.status, answer._body) == (200, was._body)


async def test_a_private_inbox_tells_strangers_nothing_of_an_erasure(build: Any, specimen: Specimen) -> None:
    async with build(inbox_read="token") as house:
        await house.publish(telling(specimen, 1))
        [stored] = await house.store.reader.listing("inbox")
        await erasing(house, 1)
        assert (await house.ask(f"/inbox/{stored.token}")).status == 401


async def test_the_report_answers_still_and_has_lost_what_it_quoted(house: Any, specimen: Specimen) -> None:
    """A warning quotes the value that it is about."""
    document = {**telling(specimen, 6), "actor": {"id": f"mailto:{secret(6)}@example.org", "type": "Person"}}
    answer = await house.post(document)
    assert answer.status == 201
    place = answer.headers["Location"].removeprefix(BASE) + "/report"
    await house.process()
    forms = ("application/json", v.JSON_LD, v.TURTLE)
    before = {form: await house.ask(place, Accept=form) for form in forms}
    was = json.loads(text_of(before["application/json"]))
    assert was["violations"]
    assert all(secret(6) in text_of(found) for found in before.values())
    await erasing(house, 6)
    for form in forms:
        known = before[form].headers["ETag"]
        after = await house.ask(place, Accept=form, If_None_Match=known)
        assert (after.status, secret(6) in text_of(after)) == (200, False)
        assert after.headers["ETag"] != known
    now = json.loads(text_of(await house.ask(place, Accept="application/json")))
    assert now == {**was, "violations": []}


async def test_sent_again_it_gets_its_first_receipt_and_other_content_is_refused(
    house: Any, specimen: Specimen
) -> None:
    document = telling(specimen, 6)
    first = await house.post(document)
    await house.process()
    await erasing(house, 6)
    again = await house.post(document)
    assert (again.status, again.headers["Location"]) == (201, first.headers["Location"])
    other = await house.post({**document, "summary": "Something else"})
    assert other.status == 409
    assert await house.process() == []
    assert (await house.store.reader.head()).sequence == 7
    assert (await house.ask(first.headers["Location"].removeprefix(BASE))).status == 410


async def test_sent_to_another_inbox_it_is_kept_there_and_never_published(
    house: Any, specimen: Specimen
) -> None:
    """It is a duplicate of what the log had; who may erase it once may erase it twice."""
    document = telling(specimen, 6)
    await house.post(document)
    await house.process()
    await erasing(house, 6)
    answer = await house.post(document, path="/inbox/reviews/")
    assert answer.status == 201
    assert await house.process() == []
    said = await house.ask(
        answer.headers["Location"].removeprefix(BASE) + "/report", Accept="application/json"
    )
    assert json.loads(text_of(said))["reason"] == "duplicate"
    assert secret(6) not in text_of(await house.ask("/log?since=0"))


@pytest.mark.parametrize("who", [f"{BASE}/", "https://stranger.example/"])
async def test_what_a_stranger_sends_as_an_erasure_erases_nothing_and_forgets_no_page(
    house: Any, specimen: Specimen, who: str
) -> None:
    """Whoever he says that he is."""
    before = await house.ask("/log?page=1")
    await house.ask("/log?page=1")
    service = {"id": who, "type": "Service", "inbox": f"{who}inbox/"}
    forged = specimen(
        "notification",
        type=["Delete", ERASURE],
        actor=service,
        origin=service,
        inReplyTo=known_as(1),
        object={"id": f"{BASE}/log/e/1", "type": ["Object", "Tombstone"]},
    )
    await house.publish(forged)
    event = await house.store.reader.event(6)
    assert json.loads(event.envelope)["causedBy"] == f"{BASE}/log/e/1"
    async with following(house.port, "?after=5") as listener:
        assert await listener.event() == 6  # so the site has looked at it
    house.asked.clear()
    after = await house.ask("/log?page=1")
    assert "head" not in house.asked  # the end of the log is asked for before a page is made
    assert (after._body, after.headers["ETag"]) == (before._body, before.headers["ETag"])
    assert (await house.store.reader.event(1)).payload is not None
    found = await house.store.reader.events(Query(type=ERASURE))
    assert list(found) == []
    shown = json.loads(text_of(await house.ask("/log/e/6")))
    assert shown["type"] == ["Delete", "LifecycleEvent"]
    assert "Erasure" not in json.dumps(shown["@graph"])
