"""Inboxes and listings in every form that pods and repositories answer with."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.contexts import bundled_contexts
from orchestrator.core import container
from orchestrator.core.errors import AnswerRefused

CONTEXTS = bundled_contexts()
LDP = "http://www.w3.org/ns/ldp#"
INBOX = "https://pod.example/inbox/"
BOTH = [INBOX + "1", INBOX + "2"]


def read(document: Any, url: str = INBOX) -> container.Document:
    return container.read(json.dumps(document).encode(), "application/ld+json", url, CONTEXTS)


COMPACTED = {"@context": "http://www.w3.org/ns/ldp", "@id": INBOX, "contains": BOTH}
PREFIXED = {
    "@context": {"ldp": LDP},
    "@id": "",
    "@type": "ldp:BasicContainer",
    "ldp:contains": [{"@id": "1"}, {"@id": "2"}],
}
EXPANDED = [{"@id": INBOX, LDP + "contains": [{"@id": BOTH[0]}, {"@id": BOTH[1]}]}]
COMMUNITY_SOLID_SERVER = [
    {"@id": "1", LDP + "x": [{"@value": 1}], "http://www.w3.org/ns/posix/stat#size": [{"@value": 7}]},
    {"@id": "", LDP + "contains": [{"@id": "1"}, {"@id": "2"}]},
    {"@id": "", "@type": [LDP + "Container", LDP + "BasicContainer"]},
    {"@id": "2", "@type": ["http://www.w3.org/ns/iana/media-types/application/ld+json#Resource"]},
]


@pytest.mark.parametrize(
    "listing",
    [
        COMPACTED,
        {**COMPACTED, "@id": ""},
        {**COMPACTED, "@context": "https://www.w3.org/ns/ldp"},
        {**COMPACTED, "@context": ["http://www.w3.org/ns/ldp", "https://unknown.example/context"]},
        {**COMPACTED, "@context": "https://unknown.example/context"},
        {**COMPACTED, "@context": {"@import": "https://unknown.example/context"}},
        {"@context": "https://unknown.example/context", "id": "", "ldp:contains": [{"id": "1"}, {"id": "2"}]},
        PREFIXED,
        {**PREFIXED, "@id": INBOX},
        {**PREFIXED, "@context": {"ldp": LDP, "@base": INBOX}, "@id": ""},
        {"@context": {"ldp": LDP}, "@graph": [{"@id": "", "ldp:contains": [{"@id": "1"}, {"@id": "2"}]}]},
        {"@context": {"ldp": LDP}, "@id": "", "ldp:contains": BOTH},
        {"@context": {"@vocab": LDP}, "@id": "", "contains": [{"@id": "1"}, {"@id": "2"}]},
        EXPANDED,
        EXPANDED[0],
        COMMUNITY_SOLID_SERVER,
        {"@context": "http://www.w3.org/ns/ldp", "contains": BOTH},
        {"@context": "http://www.w3.org/ns/ldp", "@id": "http://pod.example/inbox", "contains": BOTH},
        {"contains": BOTH},
    ],
)
def test_a_listing_in_json_ld_names_its_members(listing: object) -> None:
    document = read(listing)
    assert container.members(document, INBOX) == BOTH
    assert document.is_listing


@pytest.mark.parametrize(
    "member", ["1", {"@id": "1"}, ["1"], [{"@id": "1"}], {"@id": "1", "@type": "Resource"}]
)
def test_one_member_needs_no_array(member: object) -> None:
    document = read({"@context": "http://www.w3.org/ns/ldp", "@id": "", "contains": member})
    assert container.members(document, INBOX) == [INBOX + "1"]


@pytest.mark.parametrize(
    "turtle",
    [
        "@prefix ldp: <http://www.w3.org/ns/ldp#>. <> a ldp:BasicContainer; ldp:contains <1>, <2>.",
        f"<{INBOX}> <{LDP}contains> <{BOTH[0]}>. <{INBOX}> <{LDP}contains> <{BOTH[1]}>.",
        "PREFIX ldp: <http://www.w3.org/ns/ldp#> <./> ldp:contains <1> . <> ldp:contains <./2> .",
        f"@base <{INBOX}> . [] <{LDP}contains> <1>, <2> .",
        f'<> <{LDP}contains> "{BOTH[0]}", <2>, 7, "1" .',
    ],
)
def test_a_listing_in_turtle_names_its_members(turtle: str) -> None:
    document = container.read(turtle.encode(), "text/turtle; charset=utf-8", INBOX, CONTEXTS)
    assert container.members(document, INBOX) == BOTH
    assert document.is_listing


@pytest.mark.parametrize(
    "empty",
    [
        {"@context": "http://www.w3.org/ns/ldp", "@id": "", "contains": []},
        {"@context": "http://www.w3.org/ns/ldp", "id": "", "type": "Container"},
        [{"@id": "", "@type": [LDP + "BasicContainer"]}],
    ],
)
def test_an_empty_inbox_is_still_a_listing(empty: object) -> None:
    document = read(empty)
    assert document.is_listing
    assert container.members(document, INBOX) == []


def test_a_document_without_members_is_no_listing() -> None:
    assert not read(
        {"@context": "https://www.w3.org/ns/activitystreams", "id": "", "type": "Note"}
    ).is_listing


def test_members_of_a_container_inside_are_not_ours() -> None:
    inner = {"@id": "sub/", "contains": ["sub/x"]}
    document = read({"@context": "http://www.w3.org/ns/ldp", "@id": "", "contains": ["1", inner]})
    assert container.members(document, INBOX) == [INBOX + "1", INBOX + "sub/"]


def test_a_page_lists_the_members_of_its_container() -> None:
    page = {"@context": "http://www.w3.org/ns/ldp", "@id": INBOX, "contains": ["1"]}
    document = read(page, INBOX + "?page=2")
    assert container.members(document, INBOX, INBOX + "?page=2") == [INBOX + "1"]


@pytest.mark.parametrize(
    "page",
    [
        {"@context": "https://www.w3.org/ns/activitystreams", "id": "?page=1", "next": "?page=2"},
        {"@context": {"hydra": "http://www.w3.org/ns/hydra/core#"}, "hydra:next": {"@id": "?page=2"}},
        {"@id": "?page=1", "http://www.w3.org/ns/hydra/core#next": INBOX + "?page=2"},
    ],
)
def test_a_page_says_where_the_listing_goes_on(page: dict[str, object]) -> None:
    document = read(page, INBOX + "?page=1")
    assert container.next_pages(document, INBOX + "?page=1") == [INBOX + "?page=2"]


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("application/ld+json", {"@context": "http://www.w3.org/ns/ldp", "@id": "", "inbox": "/inbox/"}),
        ("application/json", {"@context": {"ldp": LDP}, "@id": "", "ldp:inbox": {"@id": "/inbox/"}}),
        ("application/activity+json", {"@context": "https://www.w3.org/ns/activitystreams", "inbox": INBOX}),
        ('application/ld+json;profile="x"', [{"@id": "", LDP + "inbox": [{"@id": "/inbox/"}]}]),
        ("", [{"@id": "", LDP + "inbox": [{"@id": "/inbox/"}]}]),
        ("text/plain", [{"@id": "", "https://www.w3.org/ns/activitystreams#inbox": [{"@id": "/inbox/"}]}]),
        ("text/turtle", f"<> <{LDP}inbox> </inbox/> ."),
        ("application/n-triples", f"<https://pod.example/a> <{LDP}inbox> <{INBOX}> ."),
    ],
)
def test_a_document_advertises_its_inbox(media_type: str, body: object) -> None:
    url = "https://pod.example/a"
    if isinstance(body, dict):
        body.setdefault("@id", "")
    text = body if isinstance(body, str) else json.dumps(body)
    document = container.read(text.encode(), media_type, url, CONTEXTS)
    assert container.inboxes(document, url) == [INBOX]


def test_an_actor_with_contexts_that_we_do_not_have_still_has_an_inbox() -> None:
    contexts = [
        "https://www.w3.org/ns/activitystreams",
        "https://w3id.org/security/v1",
        {"toot": "http://x.example/"},
    ]
    url = "https://social.example/users/a"
    actor = {
        "@context": contexts,
        "id": url,
        "type": "Person",
        "inbox": url + "/inbox",
        "publicKey": {"id": "#k"},
    }
    document = read(actor, url)
    assert container.inboxes(document, url) == [url + "/inbox"]
    assert document.left_out == ("https://w3id.org/security/v1",)


def test_the_inbox_of_somebody_else_in_the_document_is_not_taken() -> None:
    author = {"id": "https://x.example/author", "inbox": "https://x.example/author/inbox"}
    url = "https://pod.example/a"
    document = read(
        {"@context": "https://www.w3.org/ns/activitystreams", "id": "", "attributedTo": author}, url
    )
    assert container.inboxes(document, url) == []


def test_a_subject_with_a_fragment_is_asked_for_first() -> None:
    turtle = f"<> <{LDP}inbox> </documents/> . <#me> <{LDP}inbox> </inbox/> ."
    document = container.read(turtle.encode(), "text/turtle", "https://pod.example/profile", CONTEXTS)
    assert container.inboxes(document, "https://pod.example/profile#me") == [INBOX]
    assert container.inboxes(document, "https://pod.example/profile") == ["https://pod.example/documents/"]


def test_after_a_redirect_the_document_may_speak_of_itself_or_of_what_was_asked_for() -> None:
    doi, landing = "https://doi.example/10.1/x", "https://pod.example/x"
    for subject in ("", doi, landing):
        document = container.read(
            f"<{subject}> <{LDP}inbox> </inbox/> .".encode(), "text/turtle", landing, CONTEXTS
        )
        assert container.inboxes(document, doi) == [INBOX]


@pytest.mark.parametrize(
    ("media_type", "body", "said"),
    [
        ("application/ld+json", b"{", "not JSON"),
        ("application/ld+json", b'{"a":1,"a":2}', "not JSON"),
        ("application/ld+json", b"\xff\xfe{}", "not JSON"),
        ("application/ld+json", b'{"@context":{"a":{"@id":1}}}', "not JSON-LD"),
        ("text/turtle", b"<> a", "not Turtle"),
        ("text/turtle", b"\xff", "not UTF-8"),
        ("image/png", b"\x89PNG", "image/png, neither"),
        ("application/octet-stream", b"\x89PNG", "neither"),
        ("", b"", "empty, neither"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(media_type: str, body: bytes, said: str) -> None:
    with pytest.raises(AnswerRefused, match=said) as refused:
        container.read(body, media_type, "https://u:secret@pod.example/a?token=secret", CONTEXTS)
    assert "secret" not in refused.value.message


def test_contexts_are_left_out_wherever_they_hide() -> None:
    scoped = {
        "@context": [{"a": {"@id": "http://x.example/a", "@context": "https://in.example/"}}, None, "../x"]
    }
    document = read(
        {**scoped, "b": {"@context": {"@import": "file:///etc/passwd"}}, "http://x.example/p": {}}
    )
    assert set(document.left_out) == {"https://in.example/", "../x", "file:///etc/passwd"}


NAMES = """
@context @id @type @graph @list @set @reverse @included @value @import @base @vocab @container @nest @language
id a inbox contains ldp:contains http://www.w3.org/ns/ldp#inbox
"""
KEYS = st.sampled_from(NAMES.split())
VALUES = st.sampled_from(
    [None, True, 1, "", "1", "#x", "@id", "http://www.w3.org/ns/ldp", LDP, "https://x.example/"]
)
ANYTHING = st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=20)


@settings(deadline=None)
@given(st.dictionaries(KEYS, ANYTHING) | st.lists(ANYTHING))
def test_any_json_is_read_or_refused(document: object) -> None:
    try:
        told = read(document)
    except AnswerRefused:
        return
    for found in (container.members(told, INBOX), container.inboxes(told, INBOX), container.next_pages(told)):
        assert all(url.startswith("http") for url in found)


@settings(deadline=None)
@given(st.binary() | st.text("<>[]();,.:@\"'_ aI1\n#").map(str.encode))
def test_any_turtle_is_read_or_refused(body: bytes) -> None:
    try:
        container.read(body, "text/turtle", INBOX, CONTEXTS)
    except AnswerRefused:
        return


def test_a_listing_of_ten_thousand_members_is_read_in_seconds() -> None:
    listing = {"@context": "http://www.w3.org/ns/ldp", "@id": "", "contains": [str(n) for n in range(10_000)]}
    started = time.process_time()
    assert len(container.members(read(listing), INBOX)) == 10_000
    assert time.process_time() - started < 5
