"""Listings and pages of logs are read where they can be bounded: a thread cannot be stopped."""

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from orchestrator.catalogue import packaged, read_folder
from orchestrator.contexts import bundled_contexts
from orchestrator.core.errors import AnswerRefused, TooCostly
from orchestrator.core.strict_json import DEFAULT_LIMITS
from orchestrator.core.vocabulary import JSON_LD, LDP_CONTEXT, TURTLE
from orchestrator.screener import ListingReader, Rulebook
from orchestrator.screener.pool import ScreeningPool

INBOX = "https://pod.example/inbox/"
MEMBERS = [f"{INBOX}{number}" for number in range(500)]
PLAIN = {"@context": LDP_CONTEXT, "@id": INBOX, "contains": MEMBERS}


@pytest.fixture
async def reader() -> AsyncIterator[ListingReader]:
    shapes = read_folder(packaged("shapes"), ".ttl")
    made = ListingReader(
        Rulebook(contexts=bundled_contexts(), shapes=shapes, profile="lenient", limits=DEFAULT_LIMITS)
    )
    yield made
    await made.close()


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the bytes of each document that the process was given; it takes too long for all of them."""
    found: list[int] = []

    async def run(_self: ScreeningPool, _work: object, *arguments: Any) -> Any:
        found.append(len(arguments[0]))
        raise TooCostly

    monkeypatch.setattr(ScreeningPool, "run", run)
    return found


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        # One property of thousands of values: 29 kB of it took a thread 13 seconds.
        (json.dumps({**PLAIN, "x:y": [str(number) for number in range(2_000)]}).encode(), JSON_LD),
        (json.dumps([PLAIN]).encode(), JSON_LD),
        (b"<> <http://www.w3.org/ns/ldp#contains> <1> .\n" * 200, TURTLE),
    ],
    ids=["many values", "an array", "turtle"],
)
@pytest.mark.parametrize("kind", ["listing", "log"])
async def test_what_is_long_and_not_plain_is_read_in_a_process_and_refused_when_that_takes_too_long(
    reader: ListingReader, given: list[int], body: bytes, media_type: str, kind: str
) -> None:
    read = partial(reader.read, most=1_000) if kind == "listing" else partial(reader.read_log, is_ours=False)
    with pytest.raises(AnswerRefused, match="took more than 20 s or too much memory"):
        await read(body, media_type, INBOX)
    assert given == [len(body)]


async def test_a_listing_like_ours_needs_no_process(reader: ListingReader, given: list[int]) -> None:
    found = await reader.read(json.dumps(PLAIN).encode(), JSON_LD, INBOX, most=1_000)
    assert found == (dict.fromkeys(MEMBERS, ""), ())
    with pytest.raises(AnswerRefused, match="more than 499 members"):
        await reader.read(json.dumps(PLAIN).encode(), JSON_LD, INBOX, most=499)
    assert given == []
