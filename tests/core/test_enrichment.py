"""What an app makes of an event: its own are known, strangers' words stay words, the same is said the same way."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdflib import Graph, URIRef
from rdflib.graph import QuotedGraph

from orchestrator.catalogue import packaged, read_folder
from orchestrator.contexts import bundled_contexts
from orchestrator.core import vocabulary as v
from orchestrator.core.enrichment import (
    MOST_ANNOUNCED,
    USUAL_LINKS,
    PassedOver,
    SeenEvent,
    Teller,
    activity_of,
    enriched,
    is_ours,
    read_event,
    read_links,
    update,
    wanted,
)
from orchestrator.core.errors import ConfigurationError
from orchestrator.core.notification import Notification
from orchestrator.core.patch import Change, n3
from orchestrator.core.policy import published
from orchestrator.core.screening import Rules, screen
from orchestrator.core.shapes.shape_set import ShapeSet
from orchestrator.core.vocabulary import CITO

US = "https://app.example/"
ARTEFACT = "https://pod.example/papers/1"
REVIEW = "https://reviews.example/1"
REVIEWED = f"{CITO}isReviewedBy"
EVENT = "https://log.example/log/e/7"
NODE: dict[str, Any] = {
    "id": EVENT,
    "type": ["Announce", "coar-notify:ReviewAction", "LifecycleEvent"],
    "sequence": 7,
    "activity": "urn:uuid:7",
    "actor": "https://reviews.example/about",
    "origin": "https://reviews.example/",
    "artefact": ARTEFACT,
    "causedBy": "https://log.example/log/e/3",
    "digest": "9f2b",
    "@graph": [{"id": "urn:uuid:7", "type": "Announce", "@context": "https://evil.example/"}],
    "salt": "00",
}
RULES = Rules(
    contexts=bundled_contexts(), shapes=ShapeSet(read_folder(packaged("shapes"), ".ttl")), profile="strict"
)


def seen(**more: Any) -> SeenEvent:
    return read_event({**NODE, **more})


def announced(**more: Any) -> Notification:
    given = {"objects": (REVIEW,), "contexts": (ARTEFACT,), **more}
    return Notification(id="urn:uuid:7", types=(), pattern="announce-review", digest="", **given)


def report(**more: Any) -> bytes:
    given: dict[str, Any] = {
        "event": EVENT,
        "activity": "urn:uuid:7",
        "links": [(ARTEFACT, REVIEWED, REVIEW)],
        "target": "https://log.example/",
        "inbox": "https://log.example/inbox/",
    }
    return update(Teller(id=US, inbox=f"{US}inbox/"), **{**given, **more})


def test_an_event_is_read_with_its_payload_under_the_official_contexts_only() -> None:
    event = seen()
    assert (event.sequence, event.iri, event.activity, event.digest) == (7, EVENT, "urn:uuid:7", "9f2b")
    assert (event.artefact, event.caused_by) == (ARTEFACT, "https://log.example/log/e/3")
    assert event.body is not None
    assert json.loads(event.body)["@context"] == [v.AS_CONTEXT, v.NOTIFY_CONTEXT]


def test_an_erased_event_has_no_payload() -> None:
    assert seen(**{"@graph": None}).body is None


@pytest.mark.parametrize(
    "more",
    [
        {"id": None},
        {"id": "7"},
        {"id": "javascript:alert(1)"},
        {"id": "https://log.example/<b>"},
        {"activity": None},
        {"activity": ["urn:a"]},
        {"activity": "text"},
        {"activity": "urn:a> <urn:b"},
        {"activity": "urn:" + "a" * 2_048},
        {"sequence": "7"},
        {"@graph": {}},
        {"@graph": []},
        {"@graph": [{}, {}]},
        {"@graph": [{"name": "\ud800"}]},
        {"@graph": [{"number": float("inf")}]},
    ],
)
def test_what_cannot_be_an_event_is_passed_over(more: dict[str, Any]) -> None:
    with pytest.raises(PassedOver) as passed:
        seen(**more)
    assert passed.value.reason == "malformed"


@pytest.mark.parametrize("value", [1, {"id": ARTEFACT}, [ARTEFACT], "https://pod.example/" + "a" * 2_048])
def test_a_member_that_is_no_iri_says_nothing(value: object) -> None:
    event = seen(artefact=value, actor=value, origin=value, causedBy=value)
    assert (event.artefact, event.actor, event.origin, event.caused_by) == (None,) * 4


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, False),
        ({"origin": US}, True),
        ({"actor": US}, True),
        ({"origin": "https://app.example"}, False),
        ({"activity": "urn:sent"}, True),
        ({"causedBy": "urn:caused"}, True),
        ({"causedBy": "urn:sent"}, False),
        ({"causedBy": None}, False),
    ],
)
def test_what_we_caused_is_known(more: dict[str, Any], expected: bool) -> None:
    assert is_ours(seen(**more), US, sent={"urn:sent"}, caused={"urn:caused"}) == expected


def test_who_has_no_name_is_not_everybody_without_a_name() -> None:
    assert not is_ours(seen(origin=None, actor=None, causedBy=None), None, sent=(), caused=())


def test_the_artefact_is_linked_to_what_is_announced() -> None:
    assert wanted(seen(), announced(), REVIEWED) == ((ARTEFACT, REVIEWED, REVIEW),)
    both = announced(objects=(REVIEW, f"{REVIEW}0"))
    assert [thing for _, _, thing in wanted(seen(), both, REVIEWED)] == [REVIEW, f"{REVIEW}0"]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"contexts": ("https://elsewhere.example/",)}, "about"),
        ({"contexts": ("https://elsewhere.example/",), "cited": (ARTEFACT,)}, "about"),
        ({"contexts": (), "cited": (ARTEFACT,)}, "about"),
        ({"objects": (ARTEFACT,)}, "about"),
        ({"objects": (REVIEW, ARTEFACT)}, "about"),
        ({"objects": ()}, "unsafe"),
        ({"objects": ("_:b0",)}, "unsafe"),
        ({"objects": (REVIEW, "_:b0")}, "unsafe"),
        ({"objects": ("urn:uuid:1",)}, "unsafe"),
        ({"objects": ("https://",)}, "unsafe"),
        ({"objects": (f"https://reviews.example/{'a' * 2_048}",)}, "unsafe"),
        ({"objects": ("https://x.example/> . <urn:a> <urn:b> <urn:c",)}, "unsafe"),
        ({"objects": tuple(f"{REVIEW}{n}" for n in range(MOST_ANNOUNCED + 1))}, "unsafe"),
    ],
)
def test_what_cannot_be_linked_is_passed_over(more: dict[str, Any], reason: str) -> None:
    with pytest.raises(PassedOver) as passed:
        wanted(seen(), announced(**more), REVIEWED)
    assert passed.value.reason == reason


def test_without_a_context_the_artefact_is_known_from_the_thread() -> None:
    assert wanted(seen(), announced(contexts=(), cited=(REVIEW,)), REVIEWED) == (
        (ARTEFACT, REVIEWED, REVIEW),
    )


@given(
    st.text(alphabet=st.sampled_from('<>"{}|^`\\ .;#é\n\u202e_:/azurn%')).map(
        lambda text: f"https://x.example/{text}"
    )
    | st.text()
)
def test_whatever_a_stranger_announces_is_one_triple_or_none(thing: str) -> None:
    try:
        links = wanted(seen(), announced(objects=(thing,)), REVIEWED)
    except PassedOver:
        return
    graph = Graph().parse(data=n3(Change(inserts=links)), format="n3")
    [formula] = graph.objects(None, URIRef(v.SOLID + "inserts"))
    assert isinstance(formula, QuotedGraph)
    assert [tuple(map(str, triple)) for triple in formula] == [(ARTEFACT, REVIEWED, thing)]


def test_only_what_is_missing_is_put_in() -> None:
    links = [(ARTEFACT, REVIEWED, REVIEW), (ARTEFACT, REVIEWED, f"{REVIEW}0")]
    said = [links[0], (ARTEFACT, "urn:other", REVIEW)]
    assert enriched(said, links, most=9) == Change(inserts=(links[1],))
    assert enriched(links, links, most=9) == Change()
    assert enriched([], [links[0]] * 2, most=9) == Change(inserts=(links[0],))


def test_links_are_counted_by_artefact_and_relation_whoever_wrote_them() -> None:
    others = [(ARTEFACT, REVIEWED, f"{REVIEW}{number}") for number in range(3)]
    apart = [(f"{ARTEFACT}0", REVIEWED, REVIEW), (ARTEFACT, "urn:other", REVIEW)]
    link = (ARTEFACT, REVIEWED, REVIEW)
    assert enriched([*others, *apart], [link], most=4) == Change(inserts=(link,))
    for links in ([link], [link, (ARTEFACT, REVIEWED, f"{REVIEW}9")]):
        with pytest.raises(PassedOver) as passed:
            enriched([*others, *apart], links, most=3)
        assert passed.value.reason == "full"
    assert enriched([*others, link], [link], most=1) == Change()


def test_the_report_passes_the_strictest_screening_without_a_word() -> None:
    screening = screen(report(), RULES)
    assert screening.accepted
    assert screening.findings == ()
    assert screening.notification is not None
    assert screening.notification.pattern is None
    assert screening.notification.types == (v.AS + "Update",)
    assert screening.notification.objects == (ARTEFACT,)
    assert screening.notification.in_reply_to == "urn:uuid:7"
    assert screening.notification.sender == US
    assert screening.notification.target_inbox == "https://log.example/inbox/"


def test_a_report_without_an_inbox_of_ours_is_accepted_too() -> None:
    body = update(
        Teller(id=US),
        event=EVENT,
        activity="urn:uuid:7",
        links=[(ARTEFACT, REVIEWED, f"{REVIEW}{n}") for n in range(MOST_ANNOUNCED)],
        target="https://log.example/",
        inbox="https://log.example/inbox/",
    )
    assert screen(body, RULES).accepted


def test_the_same_links_are_told_in_the_same_bytes_under_the_same_id() -> None:
    assert report() == report()
    assert json.loads(report())["id"] == activity_of(US, EVENT)
    assert len({activity_of(US, EVENT), activity_of(US, f"{EVENT}0"), activity_of(f"{US}b", EVENT)}) == 3


def test_as_an_event_the_report_says_what_was_linked_and_is_known_as_ours() -> None:
    payload = json.loads(published(report(), bundled_contexts()))
    assert payload["result"] == {
        "type": "Relationship",
        "subject": ARTEFACT,
        "relationship": REVIEWED,
        "object": REVIEW,
    }
    event = seen(**{"@graph": [payload], "origin": payload["origin"]["id"], "actor": payload["actor"]["id"]})
    assert is_ours(event, US, sent=(), caused=())
    assert event.body is not None
    assert screen(event.body, RULES).accepted


def test_a_pattern_may_be_given_its_relation_in_three_ways() -> None:
    expected = {"announce-review": "https://x.example/a", "announce-endorsement": "https://x.example/b=c"}
    text = [f"{pattern}={relation}" for pattern, relation in expected.items()]
    for given_as in (expected, text, ", ".join(text), tuple(text)):
        assert read_links(given_as, "flag") == expected


@pytest.mark.parametrize(
    "wrong",
    ["", [], {}, "announce-review", "=https://x.example/", "a=urn:b", {"a": 1}, 7, ["a=https://x.example/>"]],
)
def test_a_relation_that_cannot_be_written_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^flag: app\.links"):
        read_links(wrong, "flag")


def test_reviews_are_what_is_linked_where_nobody_says_otherwise() -> None:
    assert dict(USUAL_LINKS) == {"announce-review": "http://purl.org/spar/cito/isReviewedBy"}
