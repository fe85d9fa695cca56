import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.drafts import draft

from orchestrator.contexts import bundled_contexts
from orchestrator.core import event
from orchestrator.core import vocabulary as v
from orchestrator.core.jsonld import expand, to_quads
from orchestrator.core.notification import Notification
from orchestrator.core.publication import project

CONTEXTS = bundled_contexts()


def test_the_envelope_has_exactly_the_members_that_readers_were_promised() -> None:
    sealed = event.seal(draft(), sequence=7, created=1_700_000_000_001, public_url="https://pod.example")
    assert json.loads(sealed.envelope) == {
        "id": "https://pod.example/log/e/7",
        "type": ["Announce", "coar-notify:ReviewAction", "LifecycleEvent"],
        "sequence": 7,
        "created": "2023-11-14T22:13:20.001Z",
        "received": "1970-01-01T00:00:01.000Z",
        "artefact": "https://pod.example/a",
        "activity": "urn:uuid:1",
        "actor": "https://cs.example/about",
        "origin": "https://cs.example/",
        "inReplyTo": None,
        "correlatedBy": None,
        "causedBy": None,
        "policySet": "ni:///sha-256;x",
        "digest": hashlib.sha256(b"00" * 16 + b'{"id":"urn:uuid:1"}').hexdigest(),
    }


def test_the_leaf_is_that_of_rfc_6962() -> None:
    sealed = event.seal(draft(), sequence=1, created=1, public_url="https://pod.example")
    assert sealed.leaf == hashlib.sha256(b"\x00" + sealed.envelope).digest()


def test_a_member_is_a_named_graph_whose_payload_is_the_bytes_that_were_hashed() -> None:
    payload = b'{"id":"urn:uuid:1","object":{"id":"https://cs.example/r","inbox":"https://cs.example/in"},"type":"Announce"}'
    sealed = event.seal(draft(payload=payload), sequence=3, created=5, public_url="https://pod.example")
    node = event.member(sealed.envelope, sealed.payload, sealed.salt)
    assert payload in node
    document = {"@context": event.CONTEXT, **json.loads(node)}
    quads = to_quads(expand(document, CONTEXTS), CONTEXTS)
    named = {(q["predicate"]["value"], q["object"]["value"]) for q in quads["https://pod.example/log/e/3"]}
    assert (v.LDP + "inbox", "https://cs.example/in") in named
    assert (v.AS + "object", "https://cs.example/r") in named
    envelope = {q["predicate"]["value"] for q in quads["@default"]}
    assert {v.PROV + "generatedAtTime", v.LOG + "sequence", v.LOG + "digest", v.LOG + "activity"} <= envelope


def test_an_erased_event_is_its_envelope() -> None:
    sealed = event.seal(draft(), sequence=3, created=5, public_url="https://pod.example")
    assert event.member(sealed.envelope, None, None) == sealed.envelope


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=50))
def test_times_increase_strictly_whatever_the_clock_does(clock: list[int]) -> None:
    last = 0
    for now in clock:
        time = event.next_time(last, now)
        if time is None:
            assert last - now >= 250
        else:
            assert last < time <= now + 250
            last = time


def test_only_known_vocabularies_are_published_and_no_addresses() -> None:
    document: dict[str, Any] = {
        "@context": [
            "https://www.w3.org/ns/activitystreams",
            "https://coar-notify.net",
            {"foaf": "http://xmlns.com/foaf/0.1/", "secret": "https://evil.example/secret"},
        ],
        "id": "urn:uuid:1",
        "type": ["Announce", "coar-notify:ReviewAction"],
        "actor": {"id": "mailto:ada@example.org", "name": "Ada"},
        "secret": "s3cret",
        "foaf:mbox": "x@example.org",
        "sorg:email": "y@example.org",
        "object": {"id": "https://cs.example/r", "secret": "s3cret", "name": "A review"},
    }
    published = project(expand(document, CONTEXTS)[0])
    text = json.dumps(published)
    assert "s3cret" not in text
    assert "example.org" not in text
    assert "Ada" not in text
    assert "A review" in text


def test_blank_nodes_of_two_events_are_never_one_node() -> None:
    def published(name: str) -> list[dict[str, Any]]:
        author = {"id": "_:b7", "name": name}
        document: dict[str, Any] = {
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": "urn:uuid:1",
            "type": "Announce",
            "object": [{"id": "https://r.example/", "attributedTo": author}, {"id": "_:b7"}],
            "tag": {"id": "_:once", "name": "t"},
        }
        return [project(expand(document, CONTEXTS)[0])]

    def labels(graph: list[dict[str, Any]]) -> set[str]:
        triples = to_quads(graph, CONTEXTS)["@default"]
        return {t["subject"]["value"] for t in triples if t["subject"]["type"] == "blank node"}

    alice, mallory = published("Alice"), published("Mallory")
    assert "_:b7" not in json.dumps(alice)
    assert "_:once" not in json.dumps(alice)
    named = {text for text in json.dumps([alice, mallory]).split('"') if text.startswith("_:")}
    assert len(named) == 2
    assert len(labels(alice)) == 2


@pytest.mark.parametrize(
    ("members", "thread", "prefixes", "expected"),
    [
        ({"contexts": ("https://a/1",), "objects": ("https://r/1",)}, None, (), "https://a/1"),
        ({"objects": ("https://a/1",)}, None, (), "https://a/1"),
        (
            {"objects": ("urn:offer",), "inner_objects": ("https://a/1",), "in_reply_to": "urn:offer"},
            None,
            (),
            "https://a/1",
        ),
        ({"objects": ("urn:offer",), "in_reply_to": "urn:offer"}, "https://a/1", (), "https://a/1"),
        ({"objects": ("urn:offer",), "in_reply_to": "urn:offer"}, None, (), None),
        ({"contexts": ("https://x/1",), "objects": ("https://a/1",)}, None, ("https://a/",), "https://a/1"),
        ({"contexts": ("https://x/1",), "cited": ("https://a/1",)}, None, ("https://a/",), "https://a/1"),
        ({"contexts": ("https://x/1",)}, None, ("https://a/",), "https://x/1"),
    ],
)
def test_the_artefact_is_looked_for_where_coar_puts_it(
    members: dict[str, Any], thread: str | None, prefixes: tuple[str, ...], expected: str | None
) -> None:
    notification = Notification(id="urn:1", types=(), pattern=None, digest="", **members)
    assert event.artefact_of(notification, thread, prefixes) == expected


def test_the_id_of_an_artefact_is_26_letters() -> None:
    assert event.artefact_id("https://pod.example/a") == event.artefact_id("https://pod.example/a")
    assert len(event.artefact_id("x")) == 26
    assert event.artefact_id("x").isalnum()
