"""Screening never raises for what is in a body, and what it accepts can be decided about and published."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.catalogue import packaged, read_folder
from orchestrator.contexts import bundled_contexts
from orchestrator.core import event
from orchestrator.core.policy import Facts, PolicySet, judge
from orchestrator.core.screening import Rules, screen
from orchestrator.core.shapes.shape_set import ShapeSet

CONTEXTS = bundled_contexts()
SHAPES = ShapeSet(read_folder(packaged("shapes"), ".ttl"))
SPECIMENS = [json.loads(path.read_text()) for path in sorted(packaged("specimens").glob("*/valid.json"))]
POLICIES = PolicySet(
    {f"{name}.ttl": text for name, text in read_folder(packaged("policies"), ".ttl").items()}
)
FACTS = Facts(
    sender="https://x.example/", trust="unknown", artefacts=(), me=("https://pod.example/",), solicited=False
)

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=12) | st.sampled_from(
    ["Announce", "urn:uuid:1", "https://x.example/", "_:b0", "", "#", "en-GB", "@id", "@type", "a b", "as:x", "sorg:x", "mailto:a@b.example",
     "https://w3id.org/orchestrator/policy#Me", "http://x/y^`", "x:", ":x", "/x", "?x", "http://[", "2031-01-01"])  # fmt: skip
terms = st.sampled_from(
    ["@graph", "@id", "@type", "@reverse", "@included", "@nest", "@index", "@set", "@list", "@value", "@language", "@direction",
     "id", "type", "actor", "object", "origin", "target", "context", "inReplyTo", "inbox", "summary", "nameMap", "items", "orderedItems",
     "coar-notify:x", "ietf:cite-as", "ietf:item", "as:name", "name", "url", "published", "width", "x", "_:p", "http://x/y z", "urn:p", "sorg:email"])  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(terms, inner, max_size=4),
    max_leaves=8,
)


def places(value: Any, *steps: str) -> list[tuple[str, ...]]:
    if not isinstance(value, dict):
        return [steps]
    return [steps, *(place for key, child in value.items() for place in places(child, *steps, key))]


@st.composite
def hostile(draw: st.DrawFn) -> Any:
    """A specimen in which something somewhere has been replaced or added."""
    document = copy.deepcopy(draw(st.sampled_from(SPECIMENS)))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(places(document)[1:]))
        holder = document
        for step in way:
            holder = holder.get(step, holder) if isinstance(holder, dict) else document
        if isinstance(holder, dict):
            holder[draw(st.one_of(st.just(last), terms))] = draw(values)
    return document


@settings(max_examples=300)
@given(hostile())
def test_whatever_stands_in_a_document_it_is_judged_and_what_is_accepted_can_be_published(
    document: Any,
) -> None:
    body = json.dumps(document).encode()
    screening = screen(body, Rules(contexts=CONTEXTS, shapes=SHAPES))
    if not screening.accepted:
        assert screening.findings
        return
    assert screening.notification is not None
    judgement = judge(body, FACTS, contexts=CONTEXTS, policies=POLICIES)
    payload = json.loads(judgement.payload)
    assert payload["id"] == screening.notification.id
    assert "mailto:" not in json.dumps(payload).lower()
    assert event.artefact_of(screening.notification, None, ()) != screening.notification.id


@pytest.mark.parametrize("accepted", SPECIMENS, ids=lambda document: str(document["type"]))
def test_findings_do_not_depend_on_the_order_of_members(accepted: dict[str, Any]) -> None:
    def reverse(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: reverse(value[key]) for key in reversed(list(value))}
        return value

    broken = {key: value for key, value in accepted.items() if key != "target"}
    forwards = screen(json.dumps(broken).encode(), Rules(contexts=CONTEXTS, shapes=SHAPES))
    backwards = screen(json.dumps(reverse(broken)).encode(), Rules(contexts=CONTEXTS, shapes=SHAPES))
    assert forwards.findings == backwards.findings
