"""Content negotiation (RFC 9110, section 12.5.1)."""

import pytest

from orchestrator.core.errors import NotAcceptable
from orchestrator.web.representation import AS_JSON_LD, names, negotiate

LD, AS2, JSON, TURTLE, QUADS, HTML = (
    "application/ld+json",
    "application/activity+json",
    "application/json",
    "text/turtle",
    "application/n-quads",
    "text/html",
)
PROFILED = f'{LD}; profile="https://www.w3.org/ns/activitystreams"'
OFFERS = (*AS_JSON_LD, TURTLE, QUADS, HTML)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, LD),
        ("", LD),
        ("*/*", LD),
        ("text/turtle", TURTLE),
        ("TEXT/Turtle", TURTLE),
        ("text/turtle;q=0.5, application/ld+json;q=0.4", TURTLE),
        ("text/turtle;q=0.4, application/json", JSON),
        ("text/turtle, */*", TURTLE),  # what is named is meant more than what is merely taken
        ("*/*, application/n-quads", QUADS),
        ("application/ld+json;q=0, */*", AS2),
        ("application/*", LD),
        ("text/*", TURTLE),  # never HTML by a wildcard
        ("text/html", HTML),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
        (PROFILED, PROFILED),
        ('application/ld+json;profile="https://www.w3.org/ns/activitystreams"', PROFILED),
        ('application/ld+json; profile="http://www.w3.org/ns/json-ld#compacted"', LD),
        ("application/activity+json, application/ld+json;q=0.9", AS2),
        ("text/turtle; charset=utf-8", TURTLE),
        ("application/n-quads,application/trig;q=0.95,application/ld+json;q=0.9,*/*;q=0.1", QUADS),
        ("nonsense", LD),
        ("text/turtle;q=high", LD),
        (",,;;,", LD),
    ],
)
def test_the_form_that_is_liked_best_is_chosen(accept: str | None, chosen: str) -> None:
    assert negotiate(accept, OFFERS) == chosen


@pytest.mark.parametrize("accept", ["image/png", "text/turtle;q=0", "application/xml, image/*"])
def test_what_is_not_there_is_refused_with_a_list(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="application/ld"):
        negotiate(accept, AS_JSON_LD)


def test_html_is_not_chosen_by_a_wildcard_even_alone() -> None:
    with pytest.raises(NotAcceptable):
        negotiate("*/*", (HTML,))


def test_only_a_name_counts_as_a_name() -> None:
    assert names("text/turtle;q=0.1", TURTLE)
    assert not names("text/*, */*", TURTLE)
    assert not names("text/turtle;q=0", TURTLE)
    assert not names(None, TURTLE)


def test_a_hostile_header_costs_little() -> None:
    assert negotiate("a" * 1_000_000, OFFERS) == LD
    assert negotiate(";" * 1_000_000, OFFERS) == LD
    assert negotiate('text/turtle;x="' + "," * 1_000_000, OFFERS) == TURTLE
