"""GET and HEAD of the inbox and what is in it (wire.md section 1, W3C LDN section 3.3)."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.contexts import bundled_contexts
from orchestrator.core import container
from orchestrator.core.rdf import URIRef, parse_turtle

BASE = "https://orchestrator.example"
INBOX = f"{BASE}/inbox/"
CONTAINS = URIRef("http://www.w3.org/ns/ldp#contains")
CONSTRAINED = f'<{BASE}/shapes/>; rel="http://www.w3.org/ns/ldp#constrainedBy"'
Specimen = Callable[..., dict[str, Any]]


async def fill(house: Any, specimen: Specimen, count: int) -> list[str]:
    """POST `count` notifications and return their locations, in order."""
    return [(await house.post(specimen())).headers["Location"] for _ in range(count)]


async def test_the_listing_has_every_notification_as_ldn_writes_it(house: Any, specimen: Specimen) -> None:
    locations = await fill(house, specimen, 3)
    answer = await house.ask("/inbox/")
    assert (answer.status, answer.content_type) == (200, "application/ld+json")
    assert json.loads(answer._body) == {
        "@context": "http://www.w3.org/ns/ldp",
        "@id": INBOX,
        "@type": "http://www.w3.org/ns/ldp#BasicContainer",
        "contains": locations,
    }
    assert CONSTRAINED in answer.headers["Link"]
    assert "next" not in answer.headers["Link"]


async def test_our_own_consumer_reads_both_forms_of_the_listing(house: Any, specimen: Specimen) -> None:
    locations = await fill(house, specimen, 2)
    for media_type in ("application/ld+json", "text/turtle"):
        answer = await house.ask("/inbox/", Accept=media_type)
        assert answer.content_type == media_type
        document = container.read(answer._body, media_type, INBOX, bundled_contexts())
        assert document.is_listing
        assert sorted(container.members(document, INBOX)) == sorted(locations)


async def test_an_empty_inbox_is_a_listing_too(house: Any) -> None:
    assert json.loads((await house.ask("/inbox/"))._body)["contains"] == []
    turtle = parse_turtle((await house.ask("/inbox/", Accept="text/turtle"))._body.decode())
    assert list(turtle.objects(None, CONTAINS)) == []


@pytest.mark.parametrize(
    "accept",
    [
        "application/ld+json",
        "application/activity+json",
        "application/json",
        "*/*",
        'application/ld+json;profile="x"',
    ],
)
async def test_the_listing_is_json_under_every_name_of_it(house: Any, accept: str) -> None:
    answer = await house.ask("/inbox/", Accept=accept)
    assert answer.status == 200
    json.loads(answer._body)
    if "*" not in accept and ";" not in accept:
        assert answer.content_type == accept


async def test_an_unchanged_inbox_is_a_304_that_does_not_read_the_list(
    build: Any, specimen: Specimen
) -> None:
    async with build() as house:
        await fill(house, specimen, 1)
        first = await house.ask("/inbox/")
        asked: list[str] = []
        real = house.store.reader.tokens

        async def tokens(*args: Any, **kwargs: Any) -> Any:
            asked.append("tokens")
            return await real(*args, **kwargs)

        house.store.reader.tokens = tokens
        again = await house.ask("/inbox/", If_None_Match=first.headers["ETag"])
        assert (again.status, again._body, asked) == (304, b"", [])
        assert again.headers["ETag"] == first.headers["ETag"]
        assert CONSTRAINED in again.headers["Link"]
        await fill(house, specimen, 1)
        changed = await house.ask("/inbox/", If_None_Match=f'"other", W/{first.headers["ETag"]}')
        assert (changed.status, asked) == (200, ["tokens"])


async def test_every_form_has_an_entity_tag_of_its_own(house: Any) -> None:
    forms = ["application/ld+json", "application/json", "text/turtle"]
    tags = {(await house.ask("/inbox/", Accept=form)).headers["ETag"] for form in forms}
    assert len(tags) == len(forms)
    assert (await house.ask("/inbox/")).headers["Vary"] == "Accept"


async def test_a_long_inbox_goes_on_behind_next_and_nothing_is_missed(build: Any, specimen: Specimen) -> None:
    async with build(listing_size=3) as house:
        locations = await fill(house, specimen, 7)
        found: list[str] = []
        path: str | None = "/inbox/"
        while path is not None:
            answer = await house.ask(path)
            members = json.loads(answer._body)["contains"]
            assert len(members) <= 3
            found += members
            following = answer.links.get("next", {}).get("url")
            path = str(following).removeprefix(BASE) if following else None
        assert found == locations


async def test_an_inbox_that_just_fits_has_no_next(build: Any, specimen: Specimen) -> None:
    async with build(listing_size=3) as house:
        await fill(house, specimen, 3)
        assert "next" not in (await house.ask("/inbox/")).links


@pytest.mark.parametrize(
    "query", ["after=x", "after=-1", "after=", "page=2", "after=1&after=2", "after=9" + "9" * 30]
)
async def test_a_parameter_that_cannot_be_read_is_named(house: Any, query: str) -> None:
    answer = await house.ask(f"/inbox/?{query}")
    assert answer.status == 400
    assert query.partition("=")[0] in json.loads(answer._body)["detail"]


async def test_the_address_without_a_slash_leads_to_the_one_with(house: Any) -> None:
    answer = await house.ask("/inbox?after=3")
    assert (answer.status, answer.headers["Location"]) == (308, f"{INBOX}?after=3")
    assert CONSTRAINED in answer.headers["Link"]


async def test_a_notification_is_read_as_it_was_sent(house: Any, specimen: Specimen) -> None:
    body = json.dumps(specimen(summary="Grüße"), ensure_ascii=False, indent=2).encode()
    path = (await house.post(body)).headers["Location"].removeprefix(BASE)
    answer = await house.ask(path)
    assert (answer._body, answer.content_type) == (body, "application/ld+json")
    for media_type in ("application/json", "application/activity+json"):
        named = await house.ask(path, Accept=media_type)
        assert (named._body, named.content_type) == (body, media_type)
    assert (await house.ask(path, If_None_Match=answer.headers["ETag"])).status == 304


async def test_a_notification_is_turtle_and_n_quads_on_request(house: Any, specimen: Specimen) -> None:
    document = specimen()
    path = (await house.post(document)).headers["Location"].removeprefix(BASE)
    turtle = await house.ask(path, Accept="text/turtle")
    assert turtle.content_type == "text/turtle"
    graph = parse_turtle(turtle._body.decode())
    origin = URIRef("https://www.w3.org/ns/activitystreams#origin")
    assert graph.value(URIRef(document["id"]), origin) == URIRef(document["origin"]["id"])
    quads = await house.ask(path, Accept="application/n-quads")
    assert quads.content_type == "application/n-quads"
    assert len(quads._body.splitlines()) == len(graph)


async def test_what_a_notification_cannot_be_had_as_is_a_406_that_lists_what_there_is(
    house: Any, specimen: Specimen
) -> None:
    path = (await house.post(specimen())).headers["Location"].removeprefix(BASE)
    answer = await house.ask(path, Accept="text/html")
    assert answer.status == 406
    assert "application/n-quads" in json.loads(answer._body)["detail"]


async def test_unknown_notifications_are_404(house: Any) -> None:
    for path in ("/inbox/nothing", "/inbox/nothing/report", "/inbox/%00", "/inbox/a/b", "/inbox/..%2f"):
        answer = await house.ask(path)
        assert answer.status == 404, path
        assert answer.content_type == "application/problem+json"
        assert CONSTRAINED in answer.headers["Link"]


async def test_the_report_tells_what_became_of_a_notification(house: Any, specimen: Specimen) -> None:
    location = (await house.post(specimen())).headers["Location"]
    path = f"{location.removeprefix(BASE)}/report"
    before = await house.ask(path)
    assert json.loads(before._body) == {
        "notification": location,
        "state": "RECEIVED",
        "reason": None,
        "event": None,
        "pattern": "announce-review",
        "violations": [],
    }
    await house.process()
    after = await house.ask(path, If_None_Match=before.headers["ETag"])
    told = json.loads(after._body)
    assert (told["state"], told["event"]) == ("PROCESSED", f"{BASE}/log/e/1")
    turtle = await house.ask(path, Accept="text/turtle")
    assert b"sh:conforms true" in turtle._body


TOKEN = "correct-horse"
PRIVATE = {
    "inbox_read": "token",
    "read_tokens": frozenset({hashlib.sha256(TOKEN.encode()).hexdigest(), "0" * 64}),
}


@pytest.mark.parametrize(
    ("authorization", "named"),
    [
        (None, False),
        ("Bearer wrong", True),
        ("Basic Y29ycmVjdC1ob3JzZQ==", True),
        ("Bearer", True),
        (TOKEN, True),
    ],
)
async def test_a_private_inbox_shows_nothing_without_a_valid_token(
    build: Any, specimen: Specimen, authorization: str | None, named: bool
) -> None:
    async with build(**PRIVATE) as house:
        location = (await house.post(specimen())).headers["Location"].removeprefix(BASE)
        headers = {"Authorization": authorization} if authorization else {}
        for path in ("/inbox/", location, f"{location}/report", "/inbox/nothing"):
            for method in ("GET", "HEAD"):
                answer = await house.ask(path, method, **headers)
                assert answer.status == 401, (method, path)
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                assert ("invalid_token" in answer.headers["WWW-Authenticate"]) is named
                assert CONSTRAINED in answer.headers["Link"]


async def test_a_private_inbox_opens_for_a_valid_token(build: Any, specimen: Specimen) -> None:
    async with build(**PRIVATE) as house:
        location = (await house.post(specimen())).headers["Location"]
        bearer = f"bearer {TOKEN}"
        listing = await house.ask("/inbox/", Authorization=bearer)
        assert json.loads(listing._body)["contains"] == [location]
        assert listing.headers["Cache-Control"] == "private, no-cache"
        assert "Authorization" in listing.headers["Vary"]
        item = await house.ask(location.removeprefix(BASE), Authorization=bearer)
        assert item.status == 200
        tag = listing.headers["ETag"]
        assert (await house.ask("/inbox/", If_None_Match=tag)).status == 401


async def test_a_private_inbox_still_takes_notifications_and_says_so(build: Any, specimen: Specimen) -> None:
    async with build(**PRIVATE) as house:
        assert (await house.post(specimen())).status == 201
        assert (await house.ask("/inbox/", "OPTIONS")).status == 204
