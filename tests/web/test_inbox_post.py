"""POST to the inbox (wire.md section 1, W3C LDN section 3.2)."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from orchestrator.core.source import MAIN

BASE = "https://orchestrator.example"
CONSTRAINED = f'<{BASE}/shapes/>; rel="http://www.w3.org/ns/ldp#constrainedBy"'
TYPES = "application/ld+json, application/activity+json, application/json"
Specimen = Callable[..., dict[str, Any]]


def problem(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """Return the problem that an answer is, once it has been seen to be one."""
    assert answer.content_type == "application/problem+json"
    document: dict[str, Any] = json.loads(answer._body or b"")
    assert document["status"] == answer.status
    assert document["type"].startswith(f"{BASE}/problems/")
    assert document["title"]
    assert document["detail"]
    return document


async def test_options_tells_what_the_inbox_takes(house: Any) -> None:
    answer = await house.ask("/inbox/", "OPTIONS")
    assert answer.status == 204
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert answer.headers["Accept-Post"] == TYPES
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert "Content-Type" in answer.headers["Access-Control-Allow-Headers"]
    assert CONSTRAINED in answer.headers["Link"]


async def test_a_notification_is_answered_201_with_an_absolute_location_of_ours(
    house: Any, specimen: Specimen
) -> None:
    answer = await house.post(specimen(), Host="evil.example")
    assert answer.status == 201
    location = answer.headers["Location"]
    assert location.startswith(f"{BASE}/inbox/")
    token = location.removeprefix(f"{BASE}/inbox/")
    assert (await house.store.reader.notification(MAIN, token)) is not None
    assert CONSTRAINED in answer.headers["Link"]
    assert answer._body == b""


async def test_what_was_answered_201_is_kept_byte_for_byte(house: Any, specimen: Specimen) -> None:
    body = json.dumps(specimen(), indent=3).encode()
    answer = await house.post(body)
    read = await house.ask(answer.headers["Location"].removeprefix(BASE))
    assert read._body == body


async def test_the_same_content_again_gets_the_first_receipt(house: Any, specimen: Specimen) -> None:
    document = specimen()
    first = await house.post(document)
    again = await house.post(json.dumps(document, indent=1).encode())
    assert (again.status, again.headers["Location"]) == (201, first.headers["Location"])
    assert await house.kept() == 1


async def test_other_content_under_the_same_id_is_a_conflict_and_the_first_stays(
    house: Any, specimen: Specimen
) -> None:
    document = specimen()
    first = await house.post(document)
    answer = await house.post({**document, "summary": "Another text"})
    assert answer.status == 409
    assert problem(answer)["type"].endswith("/conflicting-content")
    assert CONSTRAINED in answer.headers["Link"]
    kept = await house.ask(first.headers["Location"].removeprefix(BASE))
    assert json.loads(kept._body) == document


async def test_the_address_without_a_slash_takes_notifications_too(house: Any, specimen: Specimen) -> None:
    answer = await house.post(specimen(), path="/inbox")
    assert answer.status == 201
    assert answer.headers["Location"].startswith(f"{BASE}/inbox/")


@pytest.mark.parametrize(
    "given",
    [
        "application/ld+json",
        'application/ld+json; profile="https://www.w3.org/ns/activitystreams"',
        'application/ld+json;profile="https://www.w3.org/ns/activitystreams"',
        'application/ld+json; profile="urn:example:other"',
        "application/activity+json",
        "application/json",
        "Application/JSON; charset=UTF-8",
    ],
)
async def test_the_media_types_that_senders_use_are_taken(house: Any, specimen: Specimen, given: str) -> None:
    assert (await house.post(specimen(), Content_Type=given)).status == 201


@pytest.mark.parametrize(
    "given",
    ["text/turtle", "text/plain", "application/xml", "application/x-www-form-urlencoded", "json", "*/*"],
)
async def test_other_media_types_are_refused_with_what_is_taken(
    house: Any, specimen: Specimen, given: str
) -> None:
    answer = await house.post(specimen(), Content_Type=given)
    assert answer.status == 415
    assert answer.headers["Accept-Post"] == TYPES
    assert CONSTRAINED in answer.headers["Link"]
    assert problem(answer)["type"].endswith("/unsupported-media-type")
    assert await house.kept() == 0


async def test_a_missing_media_type_is_refused(house: Any, specimen: Specimen) -> None:
    answer = await house.session.post(
        "/inbox/", data=json.dumps(specimen()), skip_auto_headers=["Content-Type"], headers={}
    )
    # aiohttp's client names text/plain for text where it may; send none at all.
    assert answer.status == 415


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "identity", "unheard-of"])
async def test_compressed_bodies_are_refused(house: Any, specimen: Specimen, coding: str) -> None:
    headers = {"Content-Type": "application/ld+json", "Content-Encoding": coding}
    body = json.dumps(specimen()).encode()
    async with house.session.post("/inbox/", data=RawBody(body), headers=headers) as answer:
        assert answer.status == 415
        assert (await answer.json(content_type=None))["type"].endswith("/unsupported-media-type")


class RawBody(aiohttp.payload.BytesPayload):
    """Bytes that the client does not compress, whatever the header says."""


async def test_what_is_no_json_is_a_400_that_says_where(house: Any) -> None:
    answer = await house.post(b'{"id": "urn:x:1", "id": NaN}')
    document = problem(answer)
    assert answer.status == 400
    assert document["type"] == f"{BASE}/problems/unreadable-bytes"
    rules = {found["rule"].rpartition("#")[2]: found for found in document["violations"]}
    assert rules["duplicate-member"]["pointer"] == "/id"
    assert rules["duplicate-member"]["message"]
    assert CONSTRAINED in answer.headers["Link"]


async def test_what_is_no_activity_is_a_400_with_every_finding(house: Any) -> None:
    answer = await house.post({"@context": "https://unknown.example/context", "type": "Thing"})
    document = problem(answer)
    assert answer.status == 400
    assert document["type"] == f"{BASE}/problems/unacceptable-document"
    rules = {found["rule"].rpartition("#")[2] for found in document["violations"]}
    assert {"unknown-context", "activity-streams-context", "id"} <= rules
    missing = next(found for found in document["violations"] if found["rule"].endswith("#id"))
    assert (missing["pointer"], missing["term"]) == ("", "id")


async def test_a_broken_shape_is_a_400_never_a_422(house: Any, specimen: Specimen) -> None:
    document = specimen()
    del document["object"]
    answer = await house.post(document)
    found = problem(answer)
    assert answer.status == 400
    assert found["type"] == f"{BASE}/problems/shape-violated"
    violation = next(one for one in found["violations"] if one["severity"] == "Violation")
    assert violation["rule"].startswith("https://w3id.org/orchestrator/shapes/")
    assert violation["message"]
    assert violation["spec"].startswith("https://")
    assert await house.kept() == 0


@pytest.mark.parametrize("media_type", ["text/turtle", "application/ld+json"])
async def test_a_refusal_is_the_shacl_report_for_who_names_rdf(
    house: Any, specimen: Specimen, media_type: str
) -> None:
    document = specimen()
    del document["object"]
    answer = await house.post(document, Accept=f"{media_type}, */*;q=0.1")
    assert (answer.status, answer.content_type) == (400, media_type)
    assert b"ValidationReport" in answer._body
    if media_type == "application/ld+json":
        json.loads(answer._body or b"")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html", "application/problem+json", "a"])
async def test_a_refusal_is_a_problem_for_everybody_else(house: Any, accept: str) -> None:
    answer = await house.post(b"{}", Accept=accept)
    assert answer.status == 400
    problem(answer)


async def test_warnings_come_back_with_the_201_as_a_link(house: Any, specimen: Specimen) -> None:
    document = specimen()
    del document["actor"]
    answer = await house.post(document)
    assert answer.status == 201
    location = answer.headers["Location"]
    assert f'<{location}/report>; rel="describedby"' in answer.headers["Link"]
    report = await house.ask(f"{location.removeprefix(BASE)}/report")
    told = json.loads(report._body)
    assert told["state"] == "RECEIVED"
    assert told["violations"][0]["severity"] == "Warning"


async def test_methods_that_an_inbox_does_not_take_are_named_405(house: Any) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        answer = await house.ask("/inbox/", method)
        assert answer.status == 405
        assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
        assert problem(answer)["type"].endswith("/method-not-allowed")
        assert CONSTRAINED in answer.headers["Link"]


async def test_who_closes_the_connection_is_answered_as_everyone_is(house: Any, specimen: Specimen) -> None:
    """The ready answer says, header for header, what aiohttp's own way says; so does one with warnings."""
    warned = specimen()
    del warned["actor"]
    for document in (specimen(), warned):
        body = json.dumps(document).encode()
        answers = []
        for connection in ("keep-alive", "close"):
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            head = f"POST /inbox/ HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n"
            head += f"Content-Type: application/ld+json\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            status, *lines = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).split(b"\r\n")[:-2]
            writer.close()
            headers = dict(line.split(b": ", 1) for line in lines)
            assert len(headers) == len(lines)
            assert headers.pop(b"Date").endswith(b" GMT")
            answers.append((status, headers))
        ready, ordinary = answers
        assert ready[0] == b"HTTP/1.1 201 Created"
        assert ordinary[1].pop(b"Connection") == b"close"
        assert ready == ordinary
