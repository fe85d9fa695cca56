"""An event as RDF is what pyld reads in its JSON-LD, by whichever path, and others can read it back."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from tests.agreement.datasets import CONTEXTS, canonical, of_json_ld, parsed
from tests.agreement.documents import MAKINGS

from orchestrator.catalogue import packaged
from orchestrator.core import event_quads as module
from orchestrator.core import quads
from orchestrator.core import vocabulary as v
from orchestrator.core.event import CONTEXT, Draft, LifecycleEvent, member, seal
from orchestrator.core.event_quads import event_quads
from orchestrator.core.jsonld import ActiveContext, Contexts, NotJsonLd, NotPlain, Reading, expand
from orchestrator.core.publication import payload_of, project
from orchestrator.core.quads import Quad

BASE: Final = "https://pod.example"
FOLDER: Final = packaged("specimens")
NAMED: Final = {
    f"{path.parent.name}-{path.stem}": json.loads(path.read_bytes())
    for path in sorted(FOLDER.glob("*/[mv]*.json"))
}
SPECIMENS: Final = list(NAMED.values())
CAREFUL: Final = MAKINGS[0]
NOT_PLAIN: Final[list[dict[str, Any]]] = [
    {"tag": [{"id": "_:shared", "name": "a"}, {"type": "Note", "attachment": {"id": "_:shared"}}]},
    {"summary": {"@value": "\u05d0", "@language": "he", "@direction": "rtl"}},
    {"content": {"@type": "@json", "@value": {"b": [1, None], "a": '"'}}},
    {"orderedItems": [["urn:x:1", ["text"]], []]},
    {"duration": {"@value": "12", "@type": v.XSD + "double"}},
]
"""Members that only pyld can read."""
texts = st.text(st.characters(codec="utf-8"), max_size=12)
nested = st.recursive(
    st.fixed_dictionaries({}, optional={"type": st.just("Note"), "name": texts, "id": CAREFUL.iris}),
    lambda inner: st.fixed_dictionaries({"name": texts, "attachment": st.lists(inner, max_size=3)}),
    max_leaves=5,
)
members = st.fixed_dictionaries(
    {},
    optional={
        "summary": texts,
        "nameMap": st.dictionaries(st.sampled_from(["en", "de-CH", "zh-Hant"]), texts, max_size=3),
        "contentMap": st.dictionaries(st.sampled_from(["en", "he"]), texts, max_size=2),
        "tag": st.lists(nested, max_size=3),
        "orderedItems": st.lists(st.one_of(texts, nested), max_size=3),
        "published": st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.120Z", "soon"]),
        "totalItems": st.one_of(
            st.integers(-(2**53) + 1, 2**53 - 1), st.floats(allow_nan=False, allow_infinity=False)
        ),
        "updated": st.booleans(),
    },
)


@st.composite
def notifications(draw: st.DrawFn) -> dict[str, Any]:
    """A notification of some pattern with members of many kinds, plain or not."""
    document = {**draw(st.sampled_from(SPECIMENS)), **draw(members)}
    document |= draw(st.dictionaries(CAREFUL.plain_names, CAREFUL.values, max_size=2))
    document |= draw(st.one_of(st.just({}), st.just({}), st.sampled_from(NOT_PLAIN)))
    return {**document, "id": "urn:uuid:1", "type": draw(CAREFUL.types)}


def event_of(document: dict[str, Any], sequence: int = 1) -> LifecycleEvent:
    """Return the event that `document` becomes; raises `NotJsonLd`."""
    return sealed(payload_of(project(expand(document, CONTEXTS)[0]), CONTEXTS), sequence)


def sealed(payload: bytes, sequence: int = 1) -> LifecycleEvent:
    draft = Draft(
        types=(v.AS + "Announce", v.NOTIFY + "ReviewAction"),
        activity="urn:uuid:1",
        sender="https://cs.example/",
        received=1_700_000_000_120,
        artefact="https://pod.example/a",
        actor="https://cs.example/about",
        origin=None,
        in_reply_to="urn:uuid:0",
        correlated_by="inReplyTo",
        caused_by=f"{BASE}/log/e/1",
        policy_set="ni:///sha-256;x",
        payload=payload,
        salt="0f" * 16,
    )
    return seal(draft, sequence=sequence, created=1_700_000_001_000 + sequence, public_url=BASE)


def as_json_ld(event: LifecycleEvent) -> list[Quad]:
    """Return what pyld reads in the event's document."""
    node = json.loads(member(event.envelope, event.payload, event.salt))
    return of_json_ld({"@context": {"@version": 1.1, **CONTEXT}, **node})


def is_plain(event: LifecycleEvent) -> bool:
    try:
        Reading(json.loads(event.payload or b"{}"), ActiveContext(dict(CONTEXT), Contexts({})))
    except NotPlain:
        return False
    return True


def blanks(found: list[Quad]) -> set[str]:
    """Return the labels of blank nodes."""
    terms = (term for quad in found for term in quad if isinstance(term, str))
    return {term for term in terms if term.startswith("_:")}


def without_direct_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave every event to pyld."""

    def nothing_is_plain(*_: object) -> Reading:
        raise NotPlain

    monkeypatch.setattr(module, "Reading", nothing_is_plain)


@settings(max_examples=50)
@given(notifications())
def test_an_event_says_what_pyld_reads_in_its_json_ld(document: dict[str, Any]) -> None:
    try:
        event = event_of(document)
    except NotJsonLd:
        reject()
    expected = canonical(as_json_ld(event))
    assert canonical(event_quads(event)) == expected
    with pytest.MonkeyPatch.context() as monkeypatch:
        without_direct_path(monkeypatch)
        assert canonical(event_quads(event)) == expected


@settings(max_examples=25)
@given(notifications())
def test_others_read_what_an_event_says_in_every_form(document: dict[str, Any]) -> None:
    try:
        found = event_quads(event_of(document))
    except NotJsonLd:
        reject()
    assert canonical(parsed(quads.n_quads(found), v.N_QUADS)) == canonical(found)
    assert canonical(parsed(quads.trig(found), v.TRIG)) == canonical(found)
    default = [quad for quad in found if not quad[3]]
    assert canonical(parsed(quads.turtle(found, "remark"), v.TURTLE)) == canonical(default)


@pytest.mark.parametrize("name", NAMED)
def test_every_pattern_is_plain_and_says_much(name: str) -> None:
    event = event_of(NAMED[name])
    assert is_plain(event)
    found = event_quads(event)
    assert canonical(found) == canonical(as_json_ld(event))
    assert sum(quad[3] == event.iri for quad in found) >= 3
    assert len(found) == len(set(found))


@pytest.mark.parametrize("unusual", NOT_PLAIN, ids=lambda document: str(*document))
def test_what_is_not_plain_is_read_by_pyld(unusual: dict[str, Any]) -> None:
    usual = {"id": "urn:uuid:1", "@context": [v.AS_CONTEXT, v.NOTIFY_CONTEXT], "type": "Announce"}
    event = event_of({**usual, **unusual})
    assert not is_plain(event)
    found = event_quads(event)
    assert canonical(found) == canonical(as_json_ld(event))
    assert sum(quad[3] == event.iri for quad in found) >= 2


@pytest.mark.parametrize("space", ["\x85", "\xa0", "\u1680", "\u2000", "\u2028", "\u2029", "\u3000"])
def test_what_has_white_space_in_it_is_no_iri_to_any_reader(space: str) -> None:
    """N-Quads may hold it (RFC 3987 allows most), but pyld drops it, and rdflib stops reading there."""
    iri = f"https://x.example/a{space}b"
    payload: dict[str, Any] = {"id": "urn:uuid:1", "object": {"id": iri, "name": "a"}, "context": iri}
    event = sealed(json.dumps({**payload, "type": "Announce", "tag": {"type": [iri, "Note"]}}).encode())
    found = event_quads(event)
    assert canonical(found) == canonical(as_json_ld(event))
    assert canonical(parsed(quads.n_quads(found), v.N_QUADS)) == canonical(found)


def test_the_envelope_comes_first_and_the_payload_in_the_graph_that_the_event_names() -> None:
    event = event_of(SPECIMENS[0])
    found = event_quads(event)
    graphs = [graph for *_, graph in found]
    assert graphs == sorted(graphs)
    assert set(graphs) == {"", event.iri}
    assert {subject for subject, *_, graph in found if not graph} == {event.iri}
    assert (event.iri, v.LOG + "salt", (event.salt, v.XSD + "string", ""), "") in found


@pytest.mark.parametrize("is_direct", [True, False])
def test_times_stay_as_they_were_written(monkeypatch: pytest.MonkeyPatch, is_direct: bool) -> None:
    if not is_direct:
        without_direct_path(monkeypatch)
    event = event_of({**SPECIMENS[0], "published": "2026-01-01T00:00:00.120Z"})
    found = event_quads(event)
    times = {term[0] for _, _, term, _ in found if isinstance(term, tuple) and term[1].endswith("dateTime")}
    assert times == {"2026-01-01T00:00:00.120Z", "2023-11-14T22:13:20.120Z", "2023-11-14T22:13:21.001Z"}
    for text in (quads.n_quads(found), quads.trig(found)):
        assert all(f'"{time}"^^' in text for time in times)


def test_an_erased_event_is_its_envelope() -> None:
    event = sealed(b'{"id":"urn:uuid:1","name":"secret"}')
    erased = LifecycleEvent(
        **{name: getattr(event, name) for name in event.__slots__ if name not in {"payload", "salt"}},
        payload=None,
        salt=None,
    )
    found = event_quads(erased)
    assert canonical(found) == canonical(as_json_ld(erased))
    assert {graph for *_, graph in found} == {""}
    assert "secret" not in quads.n_quads(found)
    assert "salt" not in quads.n_quads(found)


def events_with_blank_nodes() -> Iterator[LifecycleEvent]:
    """Yield events whose numbers begin alike, and whose blank nodes pyld would call alike."""
    for sequence in (1, 11, 111, 2):
        for unusual in ({}, NOT_PLAIN[0]):
            nameless = {"attachment": [{"name": "a"}, {"name": "b"}], "generator": {"name": "c"}}
            yield event_of({**SPECIMENS[0], **nameless, **unusual}, 10 * sequence + bool(unusual))


def test_no_blank_node_is_of_two_events() -> None:
    seen: set[str] = set()
    assert {is_plain(event) for event in events_with_blank_nodes()} == {True, False}
    for event in events_with_blank_nodes():
        named = blanks(event_quads(event))
        assert len(named) >= 3
        assert not named & seen
        seen |= named
