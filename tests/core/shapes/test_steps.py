"""A document whose nodes all name each other does not keep the event loop, whatever a shape asks of it."""

import json

import pytest
from tests.core.shapes.test_patterns import PREFIXES, _of

from orchestrator.catalogue import packaged, read_folder
from orchestrator.contexts import bundled_contexts
from orchestrator.core import vocabulary as v
from orchestrator.core.policy import Facts, PolicySet, judge_plain
from orchestrator.core.screening import Rules, screen_plain
from orchestrator.core.shapes import data as module
from orchestrator.core.shapes.data import Data
from orchestrator.core.shapes.patterns import Unbounded
from orchestrator.core.shapes.shape_set import ShapeSet

RULES = Rules(contexts=bundled_contexts(), shapes=ShapeSet(read_folder(packaged("shapes"), ".ttl")))
FACTS = Facts(sender="https://a.example/", trust="unknown", artefacts=(), me=("urn:me",), solicited=False)
NODES = [f"urn:n:{number}" for number in range(20)]
DEEP = 6


def dense() -> Data:
    """Return twenty nodes, each with all of them as its tags and attachments."""
    tag, other = v.AS + "tag", v.AS + "attachment"
    return Data({node: {tag: [*NODES], other: [*NODES]} for node in NODES})


def nested(inner: str, lead: str = "sh:property [ sh:path as:tag ; sh:minCount 1 ; %s ]") -> str:
    """Return a shape that leads on `DEEP` times before it says `inner`."""
    for _ in range(DEEP):
        inner = lead % inner
    return f"{PREFIXES}<#s> {inner} ."


@pytest.mark.parametrize(
    "text",
    [
        nested("sh:nodeKind sh:IRI"),
        nested("sh:nodeKind sh:IRI", "sh:property [ sh:path ( as:tag as:tag as:attachment ) ; %s ]"),
        nested("sh:nodeKind sh:IRI", "sh:property [ sh:path [ sh:inversePath as:tag ] ; %s ]"),
        nested(
            "sh:nodeKind sh:IRI",
            "sh:property [ sh:path as:tag ; sh:qualifiedMinCount 20 ; sh:qualifiedValueShape [ %s ] ]",
        ),
        nested("sh:nodeKind sh:IRI", "sh:property [ sh:path as:tag ; sh:node [ %s ] ]"),
        nested("sh:nodeKind sh:IRI", "sh:not [ sh:not [ sh:property [ sh:path as:tag ; %s ] ] ]"),
    ],
)
def test_a_shape_that_leads_on_is_given_up_after_so_many_steps(text: str) -> None:
    shapes = _of(text)
    with pytest.raises(Unbounded):
        shapes.conforms(dense(), NODES[0])
    with pytest.raises(Unbounded):
        shapes.check(dense(), NODES[0])


@pytest.mark.parametrize(
    "check", ["sh:lessThan as:attachment", "sh:equals as:attachment", "sh:disjoint as:attachment"]
)
def test_comparing_all_with_all_counts_as_what_it_is(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = _of(f"{PREFIXES}<#s> sh:property [ sh:path as:tag ; {check} ] .")
    shapes.check(dense(), NODES[0])
    monkeypatch.setattr(module, "MOST_STEPS", 300)
    with pytest.raises(Unbounded):
        shapes.check(dense(), NODES[0])


def test_a_closed_shape_counts_all_that_a_node_says(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = _of(
        f"{PREFIXES}<#s> sh:property [ sh:path as:tag ; sh:node [ sh:closed true ; "
        "sh:property [ sh:path as:tag ] , [ sh:path as:attachment ] ] ] ."
    )
    assert shapes.conforms(dense(), NODES[0])
    monkeypatch.setattr(module, "MOST_STEPS", 600)
    with pytest.raises(Unbounded):
        shapes.conforms(dense(), NODES[0])


def test_who_can_be_stopped_takes_all_the_steps_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_STEPS", 10)
    shapes = _of(f"{PREFIXES}<#s> sh:property [ sh:path as:tag ; sh:nodeKind sh:IRI ] .")
    with pytest.raises(Unbounded):
        shapes.conforms(dense(), NODES[0])
    assert shapes.conforms(dense(), NODES[0], unbounded=True)


def test_no_usual_notification_comes_near_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_STEPS", 400)
    files = {f"{name}.ttl": text for name, text in read_folder(packaged("policies"), ".ttl").items()}
    policies = PolicySet(files)
    for path in sorted(packaged("specimens").glob("*/valid.json")):
        found = screen_plain(path.read_bytes(), RULES)
        assert found.screening.accepted
        assert found.root is not None
        judge_plain(found.root, FACTS, policies)


def test_a_policy_on_a_dense_notification_is_left_to_those_who_can_be_stopped() -> None:
    """Five kilobytes, and two million ways through them."""
    condition = "sh:path as:tag ; sh:minCount 1 ; sh:nodeKind sh:IRI"
    for _ in range(4):
        condition = f"sh:path as:tag ; sh:minCount 1 ; sh:property [ {condition} ]"
    text = (
        f"{PREFIXES}@prefix pol: <{v.POLICY}> . @prefix rdfs: <{v.RDFS}> .\n"
        f'<#p> a pol:Policy ; rdfs:label "p" ; pol:then [ a pol:Ignore ] ; '
        f"pol:when [ a sh:NodeShape ; sh:property [ {condition} ] ] ."
    )
    document = json.loads((packaged("specimens") / "announce-review" / "valid.json").read_text("utf-8"))
    document["tag"] = [{"id": node, "tag": NODES[:18]} for node in NODES[:18]]
    found = screen_plain(json.dumps(document).encode(), RULES)
    assert found.root is not None
    assert found.screening.accepted
    with pytest.raises(Unbounded):
        judge_plain(found.root, FACTS, PolicySet({"p.ttl": text}))
