"""Whatever strangers send, the inbox answers 201 or a problem of theirs, never a failure of ours (T4)."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Specimen = Callable[..., dict[str, Any]]
# Each of these made a library below us raise something else than its own error.
RAISING = [
    {"@set": False, "@type": "Announce"},
    {"@list": False, "type": "", "@set": False},
    {"@value": "x", "@language": "en . <a"},
    {"@value": "x", "@type": "http://x/y^`"},
]
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
STATUSES = {201, 400, 409, 413}

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
terms = st.sampled_from(
    [
        "@context", "@graph", "@id", "@type", "@reverse", "@included", "@nest", "@index",
        "@set", "@list", "@value", "@language", "@direction", "@json",
        "id", "type", "actor", "object", "origin", "target", "context", "inReplyTo", "inbox", "summary",
        "coar-notify:x", "ietf:cite-as", "as:name", "name", "url",
    ]
)  # fmt: skip
linked = st.recursive(
    scalars | st.sampled_from(["Announce", "urn:uuid:1", "https://x.example/", "_:b0", "", "#", "en-GB"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(terms, inner, max_size=5),
    max_leaves=10,
)


async def check(house: Any, body: bytes, accept: str = "*/*") -> None:
    """POST `body` and see that the answer is one of those that a stranger may get."""
    answer = await house.post(body, Accept=accept)
    assert answer.status in STATUSES, (answer.status, body)
    if answer.status != 201 and accept == "*/*":
        assert answer.content_type == "application/problem+json"
        assert json.loads(answer._body)["status"] == answer.status


@FEW
@given(body=st.binary(max_size=300))
async def test_any_bytes_are_answered(house: Any, body: bytes) -> None:
    await check(house, body)


@FEW
@given(value=values)
async def test_any_json_is_answered(house: Any, value: object) -> None:
    await check(house, json.dumps(value).encode())


@FEW
@given(members=st.dictionaries(terms, linked, max_size=6), accept=st.sampled_from(["*/*", "text/turtle"]))
async def test_any_change_to_a_valid_notification_is_answered(
    house: Any, specimen: Specimen, members: dict[str, object], accept: str
) -> None:
    await check(house, json.dumps({**specimen(), **members}).encode(), accept)


@FEW
@given(value=linked, place=st.sampled_from(["actor", "object", "context", "origin", "target"]))
async def test_any_member_inside_a_valid_notification_is_answered(
    house: Any, specimen: Specimen, value: object, place: str
) -> None:
    document = specimen()
    document[place] = {**document[place], "name": value, "summary": [value]}
    await check(house, json.dumps(document).encode())


@pytest.mark.parametrize("value", RAISING)
async def test_values_that_only_look_like_json_ld_are_answered(
    house: Any, specimen: Specimen, value: dict[str, object]
) -> None:
    await check(house, json.dumps(specimen(summary=value)).encode())


@FEW
@given(header=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
async def test_any_accept_header_is_answered(house: Any, header: str) -> None:
    for path in ("/inbox/", "/log", "/", "/shapes/accept"):
        answer = await house.ask(path, Accept=header)
        assert answer.status in {200, 406}, (path, header)


@FEW
@given(query=st.dictionaries(st.sampled_from(["since", "type", "artefact", "actor", "in-reply-to", "limit", "page"]),
                             st.text(max_size=30), max_size=3))  # fmt: skip
async def test_any_filter_is_answered(house: Any, query: dict[str, str]) -> None:
    async with house.session.get("/log", params=query) as answer:
        assert answer.status in {200, 400, 404}, query
