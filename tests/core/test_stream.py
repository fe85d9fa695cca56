"""Pages of other logs, ours and any LDES: what they tell becomes notifications, the same from every form."""

import json
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from rdflib import Dataset, Graph, Literal, URIRef

from orchestrator.catalogue import packaged, read_folder
from orchestrator.contexts import bundled_contexts
from orchestrator.core import vocabulary as v
from orchestrator.core.errors import AnswerRefused
from orchestrator.core.event import Draft, LifecycleEvent, member, seal
from orchestrator.core.jsonld import expand
from orchestrator.core.policy import Facts, PolicySet, judge
from orchestrator.core.screening import Rules, Screening, screen
from orchestrator.core.shapes.shape_set import ShapeSet
from orchestrator.core.stream import StreamPage, Told, read_ours, read_stream
from orchestrator.core.strict_json import canonical, parse
from orchestrator.web import collection

BASE = "https://other.example"
LOG = f"{BASE}/log"
NOW = 1_900_000_000_000
CONTEXTS = bundled_contexts()
RULES = Rules(contexts=CONTEXTS, shapes=ShapeSet(read_folder(packaged("shapes"), ".ttl")))
FIXTURES = sorted(
    path
    for path in (Path(__file__).resolve().parents[2] / "fixtures" / "notifications").glob("*/*.json")
    if path.name in ("valid.json", "minimal.json")
)
NAMES = [f"{path.parent.name}-{path.stem}" for path in FIXTURES]
TYPES = ["OrderedCollectionPage", "ldp:BasicContainer"]


def document(slug: str = "announce-review", name: str = "valid", **changes: object) -> dict[str, Any]:
    text = (packaged("specimens") / slug / f"{name}.json").read_text("utf-8")
    return {**json.loads(text), **changes}


def screened(body: bytes) -> Screening:
    return screen(body, RULES)


def logged(body: bytes, sequence: int = 1, *, base: str = BASE) -> LifecycleEvent:
    """Return the event that an orchestrator makes of a body that its inbox has taken."""
    found = screened(body).notification
    assert found is not None
    facts = Facts(sender=found.sender, trust="unknown", artefacts=(), me=(), solicited=False)
    judgement = judge(body, facts, contexts=CONTEXTS, policies=PolicySet({}))
    draft = Draft(
        types=found.types,
        activity=found.id,
        sender=found.sender,
        received=NOW,
        artefact=None,
        actor=found.actor,
        origin=found.origin,
        in_reply_to=found.in_reply_to,
        correlated_by=None,
        caused_by=None,
        policy_set="urn:policies",
        payload=judgement.payload,
        salt="c2FsdA",
    )
    return seal(draft, sequence=sequence, created=NOW + sequence, public_url=base)


def event_of(changed: dict[str, Any], sequence: int = 1, *, base: str = BASE) -> LifecycleEvent:
    return logged(json.dumps(changed).encode(), sequence, base=base)


def page_of(*events: LifecycleEvent, url: str = f"{LOG}?page=1", following: str | None = None) -> bytes:
    """Return a page as `web.log_page` and `web.log` make it."""
    members = {"id": url, "type": TYPES, "partOf": LOG, "next": following}
    return collection.page(members, events)


def ours(body: bytes, url: str = f"{LOG}?since=0") -> StreamPage:
    found = read_ours(body, url)
    assert found is not None
    return found


def told_by(event: LifecycleEvent) -> bytes:
    [told] = ours(page_of(event)).members
    assert told.body is not None
    return told.body


# Pages of our form.


def test_a_page_of_ours_tells_its_events_in_order_with_their_numbers() -> None:
    events = [event_of(document(id=f"urn:uuid:{number}"), number) for number in (1, 2, 3)]
    found = ours(page_of(*events, following=f"{LOG}?page=2"))
    assert [(told.iri, told.sequence, told.problem) for told in found.members] == [
        (f"{BASE}/log/e/{number}", number, None) for number in (1, 2, 3)
    ]
    assert [json.loads(told.body or b"")["id"] for told in found.members] == [
        f"urn:uuid:{number}" for number in (1, 2, 3)
    ]
    assert found.following == (f"{LOG}?page=2",)
    assert found.is_ours


def test_what_a_stranger_may_send_keeps_no_page_from_being_read() -> None:
    """A number as RFC 8785 writes it, and a notification as deep as one may be: neither is strict JSON here."""
    nested: dict[str, Any] = {"type": "Note"}
    for _ in range(27):
        nested = {"type": "Note", "tag": nested}
    events = [event_of(document(id="urn:uuid:1", duration=1e17), 1), event_of(document(tag=nested), 2)]
    assert b":100000000000000000" in page_of(*events)
    assert [told.sequence for told in ours(page_of(*events, event_of(document(), 3))).members] == [1, 2, 3]


def test_events_are_taken_by_their_numbers_however_they_are_listed() -> None:
    events = [event_of(document(id=f"urn:uuid:{number}"), number) for number in (3, 1, 2)]
    assert [told.sequence for told in ours(page_of(*events)).members] == [1, 2, 3]


def test_a_single_event_is_a_page_of_one() -> None:
    found = ours(collection.one(event_of(document(), 7)), f"{LOG}/e/7")
    assert [(told.iri, told.sequence) for told in found.members] == [(f"{BASE}/log/e/7", 7)]
    assert found.following == ()


def test_a_root_of_ours_holds_no_events_and_is_known_all_the_same() -> None:
    root = collection.document(
        {
            "id": LOG,
            "type": ["OrderedCollection", v.DAEN + "ArtefactLifecycleEventLog"],
            "inbox": f"{BASE}/inbox/",
            "totalItems": 0,
            "first": f"{LOG}?page=1",
            "last": f"{LOG}?page=1",
        }
    )
    assert ours(root, LOG) == StreamPage(members=(), following=(), is_ours=True)


def test_an_empty_page_of_ours_is_known_all_the_same() -> None:
    assert ours(page_of()) == StreamPage(members=(), following=(), is_ours=True)


def test_what_was_erased_keeps_its_number_and_says_why_it_tells_nothing() -> None:
    whole = event_of(document(id="urn:uuid:1"), 1)
    erased = seal(
        Draft(
            types=whole.types,
            activity="urn:uuid:2",
            sender=whole.sender,
            received=NOW,
            artefact=None,
            actor=None,
            origin=None,
            in_reply_to=None,
            correlated_by=None,
            caused_by=None,
            policy_set="urn:policies",
            payload=b"{}",
            salt="c2FsdA",
        ),
        sequence=2,
        created=NOW,
        public_url=BASE,
    )
    gone = member(erased.envelope, None, None)
    body = collection.opening({"id": LOG, "type": TYPES}, [whole.iri, erased.iri])
    body += collection.listed([whole]) + b"," + gone + collection.END
    first, second = ours(body).members
    assert first.body is not None
    assert second == Told(iri=f"{BASE}/log/e/2", body=None, sequence=2, problem="its payload was erased")


@pytest.mark.parametrize("following", ["?since=2", f"{LOG}?since=2", "/log?since=2"])
def test_where_a_page_goes_on_is_said_in_full(following: str) -> None:
    assert ours(page_of(event_of(document()), following=following)).following == (f"{LOG}?since=2",)


def test_next_may_be_a_node() -> None:
    told = json.loads(page_of(event_of(document())))
    told["next"] = {"id": "?since=1"}
    assert ours(json.dumps(told).encode()).following == (f"{LOG}?since=1",)


def test_what_an_event_says_is_next_leads_nowhere() -> None:
    """A stranger wrote the payload; the page alone says where the log goes on."""
    told = json.loads(page_of(event_of(document())))
    told["orderedItems"][0]["next"] = "https://evil.example/"
    told["orderedItems"][0]["@graph"][0]["next"] = "https://evil.example/"
    assert ours(json.dumps(told).encode()).following == ()


def test_a_member_without_a_usable_iri_or_number_is_none() -> None:
    told = json.loads(page_of(*(event_of(document(id=f"urn:uuid:{n}"), n) for n in (1, 2, 3, 4, 5))))
    items = told["orderedItems"]
    items[0]["id"] = "e/1"
    items[1]["sequence"] = True
    items[2]["sequence"] = "3"
    del items[3]["id"]
    assert [each.sequence for each in ours(json.dumps(told).encode()).members] == [5]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"<html></html>", b"<urn:s> <urn:p> <urn:o> .", b"\xff", b'{"a":1,"a":2}']
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(AnswerRefused, match=r"https://other\.example/log is not JSON"):
        read_ours(body, f"{LOG}?since=0")


@pytest.mark.parametrize(
    "other",
    [
        {},
        [],
        None,
        3,
        "text",
        [1, "x", None],
        {"sequence": 3},
        {"type": "OrderedCollectionPage", "orderedItems": []},
        {"type": "ldp:BasicContainer", "ldp:contains": []},
        {"@id": "", "@type": ["ldp:Container", "ldp:BasicContainer"], "ldp:contains": [{"@id": "1"}]},
        {"type": "OrderedCollectionPage", "orderedItems": [document()], "next": "?page=2"},
        {"@graph": [{"@id": "https://x.example/1", "tree:member": []}]},
        {"@type": "ldes:EventStream", "tree:member": [document()]},
        document(),
    ],
)
def test_other_peoples_json_is_not_ours(other: Any) -> None:
    assert read_ours(json.dumps(other).encode(), LOG) is None


@pytest.mark.parametrize("path", FIXTURES, ids=NAMES)
def test_what_a_log_tells_is_taken_by_an_inbox_and_told_again_unchanged(path: Path) -> None:
    """Two orchestrators that follow each other agree about every notification to the byte."""
    first = told_by(event_of(json.loads(path.read_text("utf-8")), 1))
    verdict = screened(first)
    assert verdict.accepted, verdict.findings
    again = told_by(logged(first, 9, base="https://second.example"))
    assert again == first
    second = screened(again).notification
    assert verdict.notification is not None
    assert second is not None
    assert second.digest == verdict.notification.digest


@pytest.mark.parametrize("path", FIXTURES, ids=NAMES)
def test_what_a_log_tells_is_read_as_what_came_first(path: Path) -> None:
    came = screened(path.read_bytes()).notification
    told = screened(told_by(event_of(json.loads(path.read_text("utf-8"))))).notification
    assert came is not None
    assert told is not None
    for name in (
        "id",
        "types",
        "pattern",
        "sender",
        "actor",
        "origin",
        "origin_inbox",
        "target",
        "target_inbox",
    ):
        assert getattr(told, name) == getattr(came, name), name
    for name in ("in_reply_to", "objects", "contexts", "inner_objects", "cited", "title"):
        assert getattr(told, name) == getattr(came, name), name


@pytest.mark.parametrize(
    "changes",
    [
        {"summary": {"@value": "Grün", "@language": "de-AT"}},
        {"nameMap": {"en": "A review", "de": "Ein Gutachten"}},
        {"published": "2031-01-01T00:00:00Z", "startTime": "2031-01-01T01:00:00+01:00", "duration": "PT1H"},
        {"published": {"@value": "soon"}},
        {"sorg:position": {"@value": "7", "@type": "http://www.w3.org/2001/XMLSchema#byte"}},
        {"totalItems": 5},
        {"tag": {"id": "_:b0", "name": "x"}},
        {"tag": {"name": "x"}},
        {"items": ["https://x.example/1", "https://x.example/2"]},
        {"sorg:keywords": {"@list": ["b", "a", "b"]}},
        {"to": ["https://x.example/1", "https://x.example/0"]},
        {"as:type": "text", "as:id": "text"},
        {"sorg:size": [1e30, 5.5, True]},
    ],
)
def test_whatever_a_notification_says_is_told_again_unchanged(changes: dict[str, Any]) -> None:
    first = told_by(event_of({**document(), **changes}))
    assert told_by(logged(first)) == first


# Any LDES, in any form of RDF.

HERE = "https://stream.example/log"
PREFIXES = f"""
@prefix as: <{v.AS}> .
@prefix tree: <{v.TREE}> .
@prefix ldes: <{v.LDES}> .
@prefix n: <{v.NOTIFY}> .
@prefix ldp: <{v.LDP}> .
@prefix xsd: <{v.XSD}> .
"""
FORMS = {"turtle": v.TURTLE, "nt": v.N_TRIPLES, "trig": v.TRIG, "nquads": v.N_QUADS, "json-ld": v.JSON_LD}


def stream(text: str, media_type: str = v.TURTLE, url: str = HERE) -> StreamPage:
    turtle = PREFIXES + text if media_type in (v.TURTLE, v.TRIG) else text
    return read_stream(turtle.encode(), media_type, url, CONTEXTS)


def said(told: Told) -> dict[str, Any]:
    assert told.body is not None, told.problem
    whole: dict[str, Any] = json.loads(told.body)
    assert whole.pop("@context") == [v.AS_CONTEXT, v.NOTIFY_CONTEXT]
    return whole


def only(page: StreamPage) -> Told:
    [told] = page.members
    return told


def whole_page(*documents: dict[str, Any]) -> list[Any]:
    """Return an expanded page whose members are trees."""
    expanded = [expand(each, CONTEXTS)[0] for each in documents]
    view = {"@id": HERE, "@type": [v.TREE + "Node"]}
    return [{"@id": f"{HERE}#stream", v.TREE + "member": expanded, v.TREE + "view": [view]}]


def page_of_graphs(*documents: dict[str, Any]) -> list[Any]:
    """Return an expanded page whose members are named graphs, as our own log writes events."""
    named = [
        {"@id": f"https://stream.example/e/{number}", "@graph": expand(each, CONTEXTS)}
        for number, each in enumerate(documents, 1)
    ]
    return [{"@id": f"{HERE}#stream", v.TREE + "member": [{"@id": each["@id"]} for each in named]}, *named]


def in_form(page: list[Any], form: str) -> bytes:
    """Return an expanded page in a form of RDF; rdflib writes what pyld did not."""
    if form == "json-ld":
        return json.dumps(page).encode()
    dataset = Dataset()
    dataset.parse(data=json.dumps(page), format="json-ld")
    if form in ("turtle", "nt"):
        graph = Graph()
        for subject, predicate, target, _ in dataset.quads():
            graph.add((subject, predicate, target))
        return graph.serialize(format=form, encoding="utf-8")
    return dataset.serialize(format=form, encoding="utf-8")


def without_order(value: Any) -> Any:
    """Return JSON in which the values of a property have no order: RDF has none."""
    if isinstance(value, dict):
        return {key: without_order(held) for key, held in value.items()}
    if isinstance(value, list):
        return sorted(
            (without_order(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True)
        )
    return value


def members_of(page: StreamPage) -> dict[str, Any]:
    return {told.iri: without_order(said(told)) for told in page.members}


def as_ours(came: dict[str, Any]) -> Any:
    """Return what our own log would tell of a notification."""
    whole = json.loads(told_by(event_of(came)))
    del whole["@context"]
    return without_order(whole)


SOME = [
    document(slug, id=f"urn:uuid:{number}")
    for number, slug in enumerate(
        ("announce-review", "request-review", "announce-endorsement", "notification")
    )
]


@pytest.mark.parametrize("form", FORMS)
def test_members_that_are_trees_are_the_same_in_every_form(form: str) -> None:
    found = members_of(read_stream(in_form(whole_page(*SOME), form), FORMS[form], HERE, CONTEXTS))
    assert found == {each["id"]: as_ours(each) for each in SOME}


@pytest.mark.parametrize("form", ["trig", "nquads", "json-ld"])
def test_members_that_are_named_graphs_are_the_same_in_every_form(form: str) -> None:
    found = members_of(read_stream(in_form(page_of_graphs(*SOME), form), FORMS[form], HERE, CONTEXTS))
    assert found == {
        f"https://stream.example/e/{number}": as_ours(each) for number, each in enumerate(SOME, 1)
    }


@pytest.mark.parametrize("path", FIXTURES, ids=NAMES)
@pytest.mark.parametrize("form", FORMS)
def test_what_a_stream_tells_is_taken_by_an_inbox(path: Path, form: str) -> None:
    came = json.loads(path.read_text("utf-8"))
    told = only(read_stream(in_form(whole_page(came), form), FORMS[form], HERE, CONTEXTS))
    assert told.body is not None
    verdict = screened(told.body)
    assert verdict.accepted, verdict.findings
    first, second = screened(json.dumps(came).encode()).notification, verdict.notification
    assert first is not None
    assert second is not None
    assert (second.id, second.sender, second.types) == (first.id, first.sender, first.types)
    assert sorted((*second.objects, *second.contexts, *second.cited)) == sorted(
        (*first.objects, *first.contexts, *first.cited)
    )


@pytest.mark.parametrize("media_type", ["Text/Turtle; charset=utf-8", "text/turtle;q=1"])
def test_parameters_of_a_media_type_say_nothing(media_type: str) -> None:
    text = (
        PREFIXES
        + "<#s> tree:member <https://x.example/1> . <https://x.example/1> a as:Announce ; as:actor <https://a.example/> ."
    )
    assert len(read_stream(text.encode(), media_type, HERE, CONTEXTS).members) == 1


@pytest.mark.parametrize("media_type", ["application/json", "application/activity+json; charset=utf-8"])
def test_json_under_another_name_is_json_ld(media_type: str) -> None:
    body = in_form(whole_page(SOME[0]), "json-ld")
    assert members_of(read_stream(body, media_type, HERE, CONTEXTS)) == members_of(
        read_stream(body, v.JSON_LD, HERE, CONTEXTS)
    )


def test_contexts_that_we_do_not_have_are_left_out() -> None:
    page = {
        "@context": [v.AS_CONTEXT, "https://unknown.example/context", {"tree": v.TREE}],
        "@id": "#s",
        "tree:member": [{"id": "https://x.example/1", "type": "Announce", "actor": "https://a.example/"}],
    }
    assert said(only(stream(json.dumps(page), v.JSON_LD)))["actor"] == "https://a.example/"


WRAPPED = """
<#s> tree:member <https://x.example/e/1> .
<https://x.example/e/1> a <https://w3id.org/orchestrator/log#LifecycleEvent> ;
    <https://w3id.org/orchestrator/log#activity> <urn:uuid:1> .
<urn:uuid:1> a as:Announce ; as:object <https://x.example/review> ; as:origin [ a as:Service ; as:name "O" ] .
"""


def test_an_activity_may_be_wrapped_in_an_event() -> None:
    told = only(stream(WRAPPED))
    assert told.iri == "https://x.example/e/1"
    assert said(told) == {
        "id": "urn:uuid:1",
        "type": "Announce",
        "object": "https://x.example/review",
        "origin": {"type": "Service", "name": "O"},
    }


def test_a_member_that_is_an_activity_is_what_it_tells_whatever_it_names() -> None:
    told = only(
        stream(
            "<#s> tree:member <urn:uuid:1> . <urn:uuid:1> a as:Undo ; as:object <urn:uuid:2> . <urn:uuid:2> a as:Offer ."
        )
    )
    assert said(told) == {
        "id": "urn:uuid:1",
        "type": "Undo",
        "object": {"id": "urn:uuid:2", "type": "Offer"},
    }


@pytest.mark.parametrize(
    ("media_type", "text"),
    [
        (
            v.TURTLE,
            (
                "<#s> tree:member <urn:e> . <urn:e> as:items <urn:uuid:2>, <urn:uuid:1> ."
                "<urn:uuid:1> a as:Accept ; as:object <urn:uuid:2> . <urn:uuid:2> a as:Offer ."
            ),
        ),
        (
            v.TRIG,
            (
                "<#s> tree:member <urn:e> ."
                "<urn:e> { <urn:uuid:2> a as:Offer . <urn:uuid:1> a as:Accept ; as:object <urn:uuid:2> . }"
            ),
        ),
    ],
)
def test_of_two_activities_in_a_member_the_one_that_names_the_other_tells(media_type: str, text: str) -> None:
    told = said(only(stream(text, media_type)))
    assert (told["id"], told["object"]) == ("urn:uuid:1", {"id": "urn:uuid:2", "type": "Offer"})


@pytest.mark.parametrize(
    "text",
    [
        "<#s> tree:member <urn:e> .",
        "<#s> tree:member <urn:e> . <urn:e> a as:Person ; as:name 'Nobody' .",
        "<#s> tree:member <urn:e> . <urn:e> a 'Announce' .",
        "<#s> tree:member <urn:e> . <urn:e> a <urn:Announce> .",
        "<#s> tree:member <urn:e> . <urn:other> a as:Announce .",
        # Two that have nothing to do with each other, and two that name each other: neither is meant.
        "<#s> tree:member <urn:e> . <urn:e> as:items <urn:1>, <urn:2> . <urn:1> a as:Offer . <urn:2> a as:Offer .",
        (
            "<#s> tree:member <urn:e> . <urn:e> as:items <urn:1> . <urn:1> a as:Offer ; as:object <urn:2> ."
            "<urn:2> a as:Offer ; as:object <urn:1> ."
        ),
    ],
)
def test_a_member_without_one_activity_is_explained(text: str) -> None:
    told = only(stream(text))
    assert (told.body, told.problem) == (None, "it holds no ActivityStreams 2 activity")


def test_a_named_graph_tells_what_is_in_it_and_nothing_else() -> None:
    text = """
    <#s> tree:member <urn:e> . <urn:uuid:1> as:summary "said elsewhere" . <urn:e> a as:Like .
    <urn:e> { <urn:uuid:1> a as:Announce ; as:object <https://x.example/1> . }
    <urn:f> { <urn:uuid:1> as:name "said elsewhere" . }
    """
    assert said(only(stream(text, v.TRIG))) == {
        "id": "urn:uuid:1",
        "type": "Announce",
        "object": "https://x.example/1",
    }


def test_a_member_that_is_a_blank_node_has_no_name_to_note_it_by() -> None:
    text = "<#s> tree:member [ a as:Announce ; as:object <https://x.example/1> ], <urn:uuid:1> . <urn:uuid:1> a as:Like ."
    assert [told.iri for told in stream(text).members] == ["urn:uuid:1"]


def test_a_member_that_is_listed_twice_is_told_once() -> None:
    text = "<#s> tree:member <urn:uuid:1> . <#t> tree:member <urn:uuid:1> . <urn:uuid:1> a as:Like ."
    assert [told.iri for told in stream(text).members] == ["urn:uuid:1"]


def test_things_that_name_each_other_are_named_and_not_told_twice() -> None:
    text = """
    <#s> tree:member <urn:uuid:1> .
    <urn:uuid:1> a as:Announce ; as:object <https://x.example/1> .
    <https://x.example/1> a as:Document ; as:context <https://x.example/2>, <urn:uuid:1>, <https://x.example/1> .
    <https://x.example/2> a as:Page ; as:context <https://x.example/1> .
    """
    told = said(only(stream(text)))
    assert told["object"]["id"] == "https://x.example/1"
    assert without_order(told["object"]["context"]) == without_order(
        [
            {"id": "https://x.example/2", "type": "Page", "context": "https://x.example/1"},
            "urn:uuid:1",
            "https://x.example/1",
        ]
    )


def test_members_that_name_each_other_end() -> None:
    text = "".join(
        f"<#s> tree:member <urn:uuid:{number}> . <urn:uuid:{number}> a as:Announce ; as:object <urn:uuid:{1 - number}> ."
        for number in (0, 1)
    )
    for told in stream(text).members:
        named = "urn:uuid:1" if told.iri == "urn:uuid:0" else "urn:uuid:0"
        assert said(told) == {
            "id": told.iri,
            "type": "Announce",
            "object": {"id": named, "type": "Announce", "object": told.iri},
        }


def test_a_chain_is_told_to_a_bounded_depth() -> None:
    links = "".join(f"<urn:{number}> as:object <urn:{number + 1}> ." for number in range(1_000))
    told = said(only(stream(f"<#s> tree:member <urn:0> . <urn:0> a as:Announce . {links}")))
    depth = 0
    node: Any = told
    while isinstance(node, dict) and "object" in node:
        depth, node = depth + 1, node["object"]
    assert 4 <= depth <= 16
    assert node == f"urn:{depth}"


def test_a_member_that_says_more_than_a_notification_may_is_explained() -> None:
    things = ", ".join(f"<urn:thing:{number}>" for number in range(2_001))
    text = f"<#s> tree:member <urn:uuid:1>, <urn:uuid:2> . <urn:uuid:1> a as:Like ; as:object {things} . <urn:uuid:2> a as:Like ."
    found = {told.iri: told.problem for told in stream(text).members}
    assert found == {"urn:uuid:1": "it says more than 2000 things", "urn:uuid:2": None}


@contextmanager
def at_most(steps: int) -> Iterator[None]:
    """Fail as soon as reading takes more calls of functions than that."""
    left = steps

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal left
        if event == "call" and frame.f_code.co_filename == read_stream.__code__.co_filename:
            left -= 1
            if left < 0:
                sys.setprofile(None)
                raise AssertionError(f"more than {steps} steps")

    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(None)


def test_two_thousand_members_that_all_name_one_another_stay_fast() -> None:
    """Through one list that names them all: of 200 KB, every member leads to every other."""
    names = [f"urn:uuid:{number}" for number in range(2_000)]
    parts = [f"<#s> tree:member <{name}> . <{name}> a as:Announce ; as:to <urn:all> ." for name in names]
    everyone = ", ".join(f"<{name}>" for name in names)
    with at_most(1_000_000):
        found = stream("".join(parts) + f"<urn:all> as:items {everyone} .").members
    assert len(found) == 2_000


def test_two_thousand_members_that_each_answer_the_one_before_are_all_told_fast() -> None:
    parts = [
        f"<#s> tree:member <urn:uuid:{number}> ."
        f"<urn:uuid:{number}> a as:Announce ; as:inReplyTo <urn:uuid:{(number - 1) % 2_000}> ."
        for number in range(2_000)
    ]
    with at_most(1_000_000):
        found = stream("".join(parts)).members
    assert {told.iri for told in found if told.body} == {f"urn:uuid:{number}" for number in range(2_000)}


def test_members_that_name_each_other_end_though_all_do() -> None:
    names = [f"urn:uuid:{number}" for number in range(20)]
    everyone = ", ".join(f"<{name}>" for name in names)
    parts = [f"<#s> tree:member <{name}> . <{name}> a as:Announce ; as:to {everyone} ." for name in names]
    with at_most(1_000_000):
        found = stream("".join(parts)).members
    assert len(found) == 20


def test_two_thousand_members_that_name_nobody_are_told_fast() -> None:
    parts = [
        f"<#s> tree:member <urn:uuid:{number}> ."
        f"<urn:uuid:{number}> a as:Announce ; as:inReplyTo <urn:of:{number}> ; as:object [ as:name 'x' ] ."
        for number in range(2_000)
    ]
    with at_most(300_000):
        found = stream("".join(parts)).members
    assert {told.iri for told in found if told.body} == {f"urn:uuid:{number}" for number in range(2_000)}


@pytest.mark.parametrize("slug", ["accept", "undo-offer"])
@pytest.mark.parametrize("form", FORMS)
def test_what_is_named_twice_is_told_once(slug: str, form: str) -> None:
    """An answer names the whole Offer as its object; `inReplyTo` is its id, by which `compose` knows it."""
    came = document(slug)
    told = said(only(read_stream(in_form(whole_page(came), form), FORMS[form], HERE, CONTEXTS)))
    assert told["inReplyTo"] == came["inReplyTo"]


def test_what_a_member_says_does_not_depend_on_its_neighbours() -> None:
    """Or the same notification has another digest, and another content, on another page."""
    offer = document("request-review", id="urn:uuid:1")
    answer = document("announce-review", id="urn:uuid:2", inReplyTo="urn:uuid:1")
    alone = read_stream(in_form(whole_page(answer), "json-ld"), v.JSON_LD, HERE, CONTEXTS).members
    together = read_stream(in_form(whole_page(offer, answer), "json-ld"), v.JSON_LD, HERE, CONTEXTS).members
    assert together[1] == alone[0]


# Where a stream goes on.


def test_views_and_relations_lead_on_in_the_order_of_the_page() -> None:
    page = {
        "@context": {"tree": v.TREE, "ldes": v.LDES},
        "@id": f"{HERE}#stream",
        "@type": "ldes:EventStream",
        "tree:view": {
            "@id": "",
            "@type": "tree:Node",
            "tree:relation": [
                {"@type": "tree:GreaterThanRelation", "tree:node": {"@id": "2"}},
                {"@type": "tree:GreaterThanRelation", "tree:node": {"@id": "/pages/1?x=%2F"}},
                {"@type": "tree:Relation", "tree:node": {"@id": "https://elsewhere.example/3"}},
            ],
        },
    }
    assert stream(json.dumps(page), v.JSON_LD).following == (
        "https://stream.example/2",
        "https://stream.example/pages/1?x=%2F",
        "https://elsewhere.example/3",
    )


@pytest.mark.parametrize(
    ("written", "following"),
    [
        ("tree:view <page1>", ("https://stream.example/page1",)),
        ("tree:view <page1#node>", ("https://stream.example/page1",)),
        ("tree:view <page1#a>, <page1#b>", ("https://stream.example/page1",)),
        ("tree:view <#view>", ()),
        ("tree:view <>", ()),
        ("tree:view [ tree:relation [ tree:node <log?page=2> ] ]", (f"{HERE}?page=2",)),
        pytest.param(
            "tree:relation [ tree:node <?page=2> ]",
            (f"{HERE}?page=2",),
        ),
        ("tree:relation [ tree:node </2> ]", ("https://stream.example/2",)),
        ("tree:view 'page1', <page1>", ("https://stream.example/page1",)),
    ],
)
def test_a_stream_goes_on_where_it_says_so(written: str, following: tuple[str, ...]) -> None:
    assert stream(f"<#s> a ldes:EventStream ; {written} .", url=f"{HERE}#s").following == following


def test_relative_names_are_resolved_against_the_page() -> None:
    text = "<#s> tree:member <e/1> . <e/1> a as:Announce ; as:object <../review> ; as:context <> ."
    told = only(stream(text, url="https://stream.example/a/log?page=1"))
    assert said(told) == {
        "id": "https://stream.example/a/e/1",
        "type": "Announce",
        "object": "https://stream.example/review",
        "context": "https://stream.example/a/log?page=1",
    }


def test_relative_names_in_json_ld_are_resolved_against_the_page() -> None:
    page = {
        "@context": [v.AS_CONTEXT, {"tree": v.TREE}],
        "id": "#s",
        "tree:member": [{"id": "e/1", "type": "Announce", "object": "../review"}],
    }
    told = only(stream(json.dumps(page), v.JSON_LD, "https://stream.example/a/log?page=1#s"))
    assert said(told) == {
        "id": "https://stream.example/a/e/1",
        "type": "Announce",
        "object": "https://stream.example/review",
    }


@pytest.mark.parametrize(
    "text",
    ["<> a tree:Node .", "<#s> a ldes:EventStream .", "<#s> tree:view <> ."],
)
def test_a_page_may_be_empty(text: str) -> None:
    assert stream(text) == StreamPage(members=(), following=())


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"", v.TURTLE),
        (b"<> a <urn:Thing> .", v.TURTLE),
        (b"<> a", v.TURTLE),
        (b"\xff\xfe", v.TURTLE),
        (b"<urn:s> <urn:p> .", v.N_QUADS),
        (b"nonsense", v.TRIG),
        (b"{", v.JSON_LD),
        (b"{}", v.JSON_LD),
        (b"[]", v.JSON_LD),
        (b"null", v.JSON),
        (b'{"@context": {"@vocab": 7}, "x": "y"}', v.JSON_LD),
        (b"<html></html>", "text/html"),
        (b"<> a <https://w3id.org/tree#Node> .", ""),
        (b"<> a <https://w3id.org/tree#Node> .", "text/n3"),
    ],
)
def test_a_page_that_is_none_is_refused(body: bytes, media_type: str) -> None:
    with pytest.raises(AnswerRefused, match=r"https://stream\.example/log") as refused:
        read_stream(body, media_type, f"{HERE}?token=secret", CONTEXTS)
    assert "secret" not in str(refused.value)


# Time, literals, and what is left out.


def timed(times: Sequence[str], path: str) -> str:
    """Return a page of members with those times, listed in any order."""
    parts = [
        f"<#s> tree:member <urn:uuid:{number}> . <urn:uuid:{number}> a as:Like ; {path} {time} ."
        for number, time in enumerate(times)
    ]
    random.Random(7).shuffle(parts)
    return "".join(parts)


@pytest.mark.parametrize("path", ["as:published", "<http://purl.org/dc/terms/created>"])
@pytest.mark.parametrize("datatype", ["", "^^xsd:dateTime"])
def test_members_come_in_the_order_of_their_times(path: str, datatype: str) -> None:
    times = [f'"2031-{month:02}-01T00:00:00.{month:03}Z"{datatype}' for month in range(1, 13)]
    found = stream(f"<#s> ldes:timestampPath {path} ." + timed(times, path)).members
    assert [told.iri for told in found] == [f"urn:uuid:{number}" for number in range(12)]
    assert all(told.time.startswith("2031-") for told in found)


def test_without_a_path_a_time_says_nothing() -> None:
    found = stream(timed(['"2031-01-01T00:00:00Z"'] * 3, "as:published")).members
    assert {told.time for told in found} == {""}


def test_a_member_without_a_time_comes_first() -> None:
    text = "<#s> ldes:timestampPath as:published ; tree:member <urn:uuid:9> . <urn:uuid:9> a as:Like ."
    found = stream(text + timed(['"2031-01-01T00:00:00Z"', '"2031-01-02T00:00:00Z"'], "as:published")).members
    assert [(told.iri, told.time[:10]) for told in found] == [
        ("urn:uuid:9", ""),
        ("urn:uuid:0", "2031-01-01"),
        ("urn:uuid:1", "2031-01-02"),
    ]


def test_members_of_one_time_stay_in_the_order_of_a_page_in_json_ld() -> None:
    names = [f"urn:uuid:{number}" for number in (5, 3, 9, 1, 7, 2)]
    page = {
        "@context": [v.AS_CONTEXT, {"tree": v.TREE, "ldes": v.LDES}],
        "id": "#s",
        "ldes:timestampPath": {"id": v.AS + "published"},
        "tree:member": [{"id": name, "type": "Like", "published": "2031-01-01T00:00:00Z"} for name in names],
    }
    assert [told.iri for told in stream(json.dumps(page), v.JSON_LD).members] == names


@pytest.mark.parametrize("media_type", [v.N_TRIPLES, v.N_QUADS])
def test_members_of_one_time_stay_in_the_order_of_a_page(media_type: str) -> None:
    names = [f"urn:uuid:{number}" for number in range(100)]
    random.Random(7).shuffle(names)
    lines = [
        f"<urn:s> <{v.TREE}member> <{name}> .\n<{name}> <{v.RDF}type> <{v.AS}Like> .\n" for name in names
    ]
    assert [told.iri for told in stream("".join(lines), media_type).members] == names


def test_what_is_read_twice_is_the_same_to_the_byte_in_json_ld() -> None:
    body = in_form(whole_page(*SOME), "json-ld")
    assert read_stream(body, v.JSON_LD, HERE, CONTEXTS) == read_stream(body, v.JSON_LD, HERE, CONTEXTS)


LITERALS = """
<#s> tree:member <urn:uuid:1> .
<urn:uuid:1> a as:Announce ; as:summary "Grün"@de, "green"@en-GB, "plain" ;
    as:duration "PT1H"^^xsd:duration ; as:totalItems 7 ;
    <http://schema.org/position> "x"^^<urn:mine> ; as:content "1\\n\\"2\\""^^xsd:string .
"""


def test_literals_keep_their_language_and_their_type() -> None:
    told = said(only(stream(LITERALS)))
    assert without_order(told["summary"]) == without_order(
        [{"@value": "Grün", "@language": "de"}, {"@value": "green", "@language": "en-GB"}, "plain"]
    )
    assert told["duration"] == {"@value": "PT1H", "type": "xsd:duration"}
    assert told["totalItems"] == {"@value": "7", "type": "xsd:integer"}
    assert told["sorg:position"] == {"@value": "x", "type": "urn:mine"}
    assert told["content"] == '1\n"2"'


def literal_in(media_type: str, text: str, datatype: str) -> str:
    """Return the lexical form of a literal of a page after it was read."""
    lines = (
        f"<urn:s> <{v.TREE}member> <urn:uuid:1> .\n<urn:uuid:1> <{v.RDF}type> <{v.AS}Like> .\n"
        f'<urn:uuid:1> <{v.AS}published> "{text}"^^<{datatype}> .\n'
    )
    body = only(stream(lines, media_type)).body
    assert body is not None
    [value] = expand(parse(body), CONTEXTS)[0][v.AS + "published"]
    assert value["@type"] == datatype
    found: str = value["@value"]
    return found


@pytest.mark.parametrize("media_type", [v.N_TRIPLES, v.N_QUADS])
@pytest.mark.parametrize(
    ("text", "datatype"),
    [
        ("2031-01-01T00:00:00.123456+01:00", v.XSD + "dateTime"),
        ("7", v.XSD + "integer"),
        ("true", v.XSD + "boolean"),
        ("soon", v.XSD + "dateTime"),
        ("007", "urn:mine"),
        pytest.param(
            "2031-01-01T00:00:00Z",
            v.XSD + "dateTime",
        ),
        pytest.param(
            "007",
            v.XSD + "integer",
        ),
        pytest.param(
            "1e9999",
            v.XSD + "decimal",
        ),
    ],
)
def test_literals_stay_as_they_came(media_type: str, text: str, datatype: str) -> None:
    assert literal_in(media_type, text, datatype) == text


@pytest.mark.parametrize("form", ["turtle", "trig", "json-ld"])
def test_only_published_vocabularies_are_told(form: str) -> None:
    """What a message says in our own terms, in SHACL or in RDFS is no fact, and is never repeated."""
    graph = Graph()
    root, thing = URIRef("urn:uuid:1"), URIRef("https://x.example/1")
    graph.add((URIRef(f"{HERE}#s"), URIRef(v.TREE + "member"), root))
    for subject, kind in ((root, "Announce"), (thing, "Document")):
        graph.add((subject, URIRef(v.RDF + "type"), URIRef(v.AS + kind)))
        for namespace in (
            v.RDFS,
            v.OWL,
            v.SH,
            v.POLICY,
            v.LOG,
            v.PROV,
            v.TREE,
            v.LDES,
            v.DAEN,
            v.FOAF,
            v.VCARD,
        ):
            graph.add((subject, URIRef(v.RDF + "type"), URIRef(namespace + "Secret")))
            graph.add((subject, URIRef(namespace + "secret"), Literal("a secret")))
            graph.add((subject, URIRef(namespace + "secretly"), URIRef("https://secret.example/")))
        graph.add((subject, URIRef(v.SCHEMA + "email"), Literal("secret@x.example")))
        graph.add((subject, URIRef(v.AS + "attributedTo"), URIRef("mailto:secret@x.example")))
    graph.add((root, URIRef(v.AS + "object"), thing))
    body = graph.serialize(format=form, encoding="utf-8")
    assert body.count(b"secret") > 20
    told = only(read_stream(body, FORMS[form], HERE, CONTEXTS))
    assert b"secret" not in (told.body or b"").lower()
    assert said(told) == {
        "id": "urn:uuid:1",
        "type": "Announce",
        "object": {"id": "https://x.example/1", "type": "Document"},
    }


def test_what_a_stream_tells_is_written_as_our_own_log_would_write_it() -> None:
    """So that it is the same content, whichever way it came."""
    for each in SOME:
        expected = told_by(event_of(each))
        told = only(read_stream(in_form(whole_page(each), "json-ld"), v.JSON_LD, HERE, CONTEXTS))
        assert without_order(json.loads(told.body or b"")) == without_order(json.loads(expected))
        assert told.body == canonical(parse(told.body or b""))


@pytest.mark.parametrize("media_type", [v.TURTLE, v.TRIG])
@pytest.mark.parametrize("number", ['"1e500000000"', "'1E999999999'", '"""1e99999"""', '"1\\u0065500000000"'])
def test_a_number_that_would_be_a_gigabyte_is_refused(media_type: str, number: str) -> None:
    """rdflib writes it out: a page of a hundred bytes."""
    with pytest.raises(AnswerRefused, match="more digits than can be written out"):
        stream(f"<#s> tree:member <urn:e> . <urn:e> a as:Like ; as:to {number}^^xsd:decimal .", media_type)


def test_a_member_that_cannot_be_written_down_is_its_own_trouble() -> None:
    quads = (
        f"<{HERE}> <{v.TREE}member> <urn:1> .\n<{HERE}> <{v.TREE}member> <urn:2> .\n"
        f"<urn:1> <{v.RDF}type> <{v.AS}Like> .\n<urn:2> <{v.RDF}type> <{v.AS}Like> .\n"
        f'<urn:1> <{v.AS}summary> "\\uD800" .\n'
    )
    found = {told.iri: told.problem for told in stream(quads, v.N_QUADS).members}
    assert found == {"urn:1": "it cannot be written down", "urn:2": None}
