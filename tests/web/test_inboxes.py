"""Specialised inboxes beside the main one: each has its own listing, receipts and notifications."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

BASE = "https://orchestrator.example"
CONSTRAINED = f'<{BASE}/shapes/>; rel="http://www.w3.org/ns/ldp#constrainedBy"'
NAMES = ("reviews", "endorsements")
PATHS = ("/inbox/", "/inbox/reviews/", "/inbox/endorsements/")
Specimen = Callable[..., dict[str, Any]]


@pytest.fixture
async def several(build: Any) -> AsyncIterator[Any]:
    """A served site with two specialised inboxes."""
    async with build(inboxes=NAMES) as served:
        yield served


async def keep(house: Any, document: object, path: str) -> str:
    """POST to an inbox; return the path of the receipt."""
    answer = await house.post(document, path=path)
    assert answer.status == 201
    location = str(answer.headers["Location"])
    assert location.startswith(BASE + path)
    return location.removeprefix(BASE)


async def contained(house: Any, path: str) -> list[str]:
    document = json.loads((await house.ask(path))._body)
    assert document["@id"] == BASE + path
    return [url.removeprefix(BASE) for url in document["contains"]]


async def test_a_notification_is_kept_below_the_inbox_that_it_was_posted_to(
    several: Any, specimen: Specimen
) -> None:
    body = json.dumps(specimen(), indent=1).encode()
    answer = await several.post(body, path="/inbox/reviews/", Host="evil.example")
    assert (answer.status, answer._body) == (201, b"")
    assert CONSTRAINED in answer.headers["Link"]
    location = answer.headers["Location"]
    assert location.startswith(f"{BASE}/inbox/reviews/")
    read = await several.ask(location.removeprefix(BASE))
    assert (read.status, read._body) == (200, body)
    assert read.links["describedby"]["url"].human_repr() == f"{location}/report"
    report = await several.ask(f"{location.removeprefix(BASE)}/report")
    assert report.status == 200
    told = json.loads(report._body)
    assert (told["notification"], told["state"]) == (location, "RECEIVED")


async def test_a_warning_is_told_of_below_the_same_inbox(several: Any, specimen: Specimen) -> None:
    warned = specimen()
    del warned["actor"]
    answer = await several.post(warned, path="/inbox/reviews/")
    location = answer.headers["Location"]
    described = answer.links["describedby"]["url"].human_repr()
    assert described == f"{location}/report"
    report = json.loads((await several.ask(described.removeprefix(BASE)))._body)
    assert [finding["severity"] for finding in report["violations"]] == ["Warning"]


async def test_a_listing_has_what_was_posted_there_and_nothing_else(several: Any, specimen: Specimen) -> None:
    expected = {path: [await keep(several, specimen(), path) for _ in range(2)] for path in PATHS}
    for path in PATHS:
        assert await contained(several, path) == expected[path]
        turtle = (await several.ask(path, Accept="text/turtle"))._body.decode()
        for other in PATHS:
            for kept in expected[other]:
                assert (f"<{BASE}{kept}>" in turtle) is (other == path)


async def test_an_empty_one_is_a_listing_too_and_changes_when_something_comes(
    several: Any, specimen: Specimen
) -> None:
    empty = await several.ask("/inbox/reviews/")
    assert empty.status == 200
    assert await contained(several, "/inbox/reviews/") == []
    await keep(several, specimen(), "/inbox/")
    await keep(several, specimen(), "/inbox/endorsements/")
    tag = empty.headers["ETag"]
    assert (await several.ask("/inbox/reviews/", If_None_Match=tag)).status == 304
    # An ETag of one inbox says nothing of another, empty or not.
    assert (await several.ask("/inbox/endorsements/", If_None_Match=tag)).status == 200
    await keep(several, specimen(), "/inbox/reviews/")
    assert (await several.ask("/inbox/reviews/", If_None_Match=tag)).status == 200


async def test_a_long_listing_goes_on_in_the_same_inbox(build: Any, specimen: Specimen) -> None:
    async with build(inboxes=NAMES, listing_size=2) as house:
        expected = []
        for _ in range(3):
            await keep(house, specimen(), "/inbox/")
            expected.append(await keep(house, specimen(), "/inbox/reviews/"))
        answer = await house.ask("/inbox/reviews/")
        following = answer.links["next"]["url"].human_repr()
        assert following.startswith(f"{BASE}/inbox/reviews/?after=")
        rest = json.loads((await house.ask(following.removeprefix(BASE)))._body)["contains"]
        assert [*json.loads(answer._body)["contains"], *rest] == [BASE + path for path in expected]


async def test_the_same_content_in_several_inboxes_has_a_receipt_in_each(
    several: Any, specimen: Specimen
) -> None:
    document = specimen()
    first = [await keep(several, document, path) for path in PATHS]
    again = [await keep(several, document, path) for path in PATHS]
    assert first == again
    assert len({path.rpartition("/")[2] for path in first}) == len(PATHS)
    # Other content under the same id is a conflict in each, and the first stays.
    for path, kept in zip(PATHS, first, strict=True):
        assert (await several.post({**document, "summary": "Another text"}, path=path)).status == 409
        assert json.loads((await several.ask(kept))._body) == document


@pytest.mark.parametrize(
    "path",
    [
        "/inbox/unknown/",
        pytest.param(
            "/inbox/inbox/",  # the main one has one address
        ),
        "/inbox/log/",  # what followed logs told is not served
        "/inbox/Reviews/",
        "/inbox/reviews//",
        "/inbox/reviews/x/",
        "/inbox/review/",
        f"/inbox/{'a' * 32}/",
    ],
)
async def test_unknown_names_are_404_and_take_nothing(several: Any, specimen: Specimen, path: str) -> None:
    for method in ("GET", "HEAD"):
        assert (await several.ask(path, method)).status == 404
    answer = await several.post(specimen(), path=path)
    assert answer.status == 404
    assert answer.content_type == "application/problem+json"
    for own in PATHS:
        assert await contained(several, own) == []


async def test_without_specialised_inboxes_their_names_are_unknown(house: Any, specimen: Specimen) -> None:
    for path in ("/inbox/reviews/", "/inbox/reviews", f"/inbox/reviews/{'0' * 32}"):
        assert (await house.ask(path)).status == 404
    assert (await house.post(specimen(), path="/inbox/reviews/")).status == 404


async def test_the_address_without_a_slash_leads_to_the_one_with(several: Any) -> None:
    for query in ("", "?after=3", "?after=3&x=%C3%BC"):
        for method in ("GET", "HEAD"):
            answer = await several.ask(f"/inbox/reviews{query}", method)
            assert answer.status == 308
            assert answer.headers["Location"] == f"{BASE}/inbox/reviews/{query}"
            assert CONSTRAINED in answer.headers["Link"]


async def test_a_token_of_one_inbox_is_unknown_in_the_others(several: Any, specimen: Specimen) -> None:
    for path in PATHS:
        kept = await keep(several, specimen(), path)
        token = kept.rpartition("/")[2]
        for other in PATHS:
            expected = 200 if other == path else 404
            assert (await several.ask(other + token)).status == expected, (path, other)
            assert (await several.ask(f"{other}{token}/report")).status == expected, (path, other)


async def test_every_answer_of_an_inbox_links_to_what_constrains_it(several: Any, specimen: Specimen) -> None:
    kept = await keep(several, specimen(), "/inbox/reviews/")
    for path in (*PATHS, kept, f"{kept}/report", "/inbox/reviews", "/inbox/unknown/", "/inbox/reviews/x"):
        for method in ("GET", "HEAD", "OPTIONS"):
            answer = await several.ask(path, method)
            assert CONSTRAINED in answer.headers["Link"], (method, path)
    refused = await several.post(b"{", path="/inbox/reviews/")
    assert refused.status == 400
    assert CONSTRAINED in refused.headers["Link"]


async def test_options_tells_what_a_specialised_inbox_takes(several: Any) -> None:
    answer = await several.ask("/inbox/reviews/", "OPTIONS")
    main = await several.ask("/inbox/", "OPTIONS")
    assert answer.status == 204
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    for name in ("Allow", "Accept-Post", "Access-Control-Allow-Methods", "Access-Control-Allow-Origin"):
        assert answer.headers[name] == main.headers[name]


async def test_what_a_specialised_inbox_refuses_is_not_kept(several: Any, specimen: Specimen) -> None:
    path = "/inbox/reviews/"
    assert (await several.post({**specimen(), "type": "Nonsense"}, path=path)).status == 400
    assert (await several.post(specimen(), path=path, Content_Type="text/turtle")).status == 415
    rehearsed = await several.post(specimen(), path=f"{path}?dry-run=true")
    assert (rehearsed.status, json.loads(rehearsed._body)["accepted"]) == (200, True)
    assert await contained(several, path) == []


async def test_what_comes_in_two_inboxes_is_one_event(several: Any, specimen: Specimen) -> None:
    document = specimen()
    kept = [await keep(several, document, path) for path in ("/inbox/", "/inbox/reviews/")]
    assert len(await several.process()) == 1
    states = [json.loads((await several.ask(f"{path}/report"))._body) for path in kept]
    assert [(told["state"], told["reason"]) for told in states] == [
        ("PROCESSED", "logged"),
        ("IGNORED", "duplicate"),
    ]


TOKEN = "correct-horse"
PRIVATE = {
    "inboxes": NAMES,
    "inbox_read": "token",
    "read_tokens": frozenset({hashlib.sha256(TOKEN.encode()).hexdigest()}),
}


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", f"Basic {TOKEN}"])
async def test_a_private_inbox_is_private_under_every_name(
    build: Any, specimen: Specimen, authorization: str | None
) -> None:
    async with build(**PRIVATE) as house:
        kept = await keep(house, specimen(), "/inbox/reviews/")
        headers = {"Authorization": authorization} if authorization else {}
        for path in ("/inbox/reviews/", kept, f"{kept}/report", f"/inbox/reviews/{'0' * 32}"):
            for method in ("GET", "HEAD"):
                answer = await house.ask(path, method, **headers)
                assert answer.status == 401, (method, path)
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                assert CONSTRAINED in answer.headers["Link"]


async def test_the_token_opens_every_private_inbox(build: Any, specimen: Specimen) -> None:
    async with build(**PRIVATE) as house:
        kept = await keep(house, specimen(), "/inbox/reviews/")
        bearer = f"Bearer {TOKEN}"
        listing = await house.ask("/inbox/reviews/", Authorization=bearer)
        assert json.loads(listing._body)["contains"] == [BASE + kept]
        assert listing.headers["Cache-Control"] == "private, no-cache"
        assert "Authorization" in listing.headers["Vary"]
        for path in (kept, f"{kept}/report"):
            assert (await house.ask(path, Authorization=bearer)).status == 200
        assert (await house.ask("/inbox/unknown/", Authorization=bearer)).status == 404
