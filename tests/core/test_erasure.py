"""What the log says of an erasure, who is believed to have said it, and what hubs are asked."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.core.drafts import draft

from orchestrator.catalogue import packaged, read_folder
from orchestrator.contexts import bundled_contexts
from orchestrator.core import vocabulary as v
from orchestrator.core.delivery import delivery_id
from orchestrator.core.erasure import ERASURE, erased_by, tombstone, withdraw
from orchestrator.core.event import LifecycleEvent, member, seal
from orchestrator.core.jsonld import expand, to_quads
from orchestrator.core.pod import Identity
from orchestrator.core.screening import Rules, screen
from orchestrator.core.shapes.shape_set import ShapeSet

BASE = "https://pod.example"
HUB = "https://hub.example/"
ME = Identity(id=f"{BASE}/", name="Our <pod>", inbox=f"{BASE}/inbox/")
CONTEXTS = bundled_contexts()
TEXT = "Reviewed by Marie Curie"
PAYLOAD = json.dumps({"summary": TEXT}).encode()


def told(sequence: int = 7, **changes: Any) -> LifecycleEvent:
    """Return an event of somebody's notification."""
    said = {"activity": "urn:uuid:00000000-0000-4000-8000-000000000007", "payload": PAYLOAD}
    made = draft(**(said | changes))
    return seal(made, sequence=sequence, created=1_700_000_000_000 + sequence, public_url=BASE)


def buried(event: LifecycleEvent, *, salt: str = "ab" * 16, **changes: Any) -> LifecycleEvent:
    """Return the tombstone of `event` as it stands in the log."""
    made = tombstone(event, me=ME, now=5_000, salt=salt, policy_set="ni:///sha-256;y")
    return seal(replace(made, **changes), sequence=9, created=1_700_000_000_100, public_url=BASE)


def test_a_tombstone_is_an_event_of_ours_that_the_erased_one_caused() -> None:
    envelope = json.loads(buried(told()).envelope)
    assert {name: envelope[name] for name in envelope if name not in {"activity", "digest"}} == {
        "id": f"{BASE}/log/e/9",
        "type": ["Delete", "log:Erasure", "LifecycleEvent"],
        "sequence": 9,
        "created": "2023-11-14T22:13:20.100Z",
        "received": "1970-01-01T00:00:05.000Z",
        "artefact": "https://pod.example/a",
        "actor": ME.id,
        "origin": ME.id,
        "inReplyTo": None,
        "correlatedBy": "erasure",
        "causedBy": f"{BASE}/log/e/7",
        "policySet": "ni:///sha-256;y",
    }


def test_a_tombstone_names_the_event_and_repeats_nothing_of_it() -> None:
    event = told()
    found = buried(event)
    assert found.payload is not None
    assert json.loads(found.payload) == {
        "id": found.activity,
        "type": "Delete",
        "actor": {"id": ME.id, "name": ME.name, "type": "Service"},
        "object": {"id": event.iri, "type": "Tombstone"},
    }
    written = member(found.envelope, found.payload, found.salt)
    for said in (TEXT, event.activity, str(event.salt) + '"'):
        assert said.encode() not in written


def test_a_tombstone_is_read_as_a_deletion_of_the_event_with_what_we_say_of_ourselves() -> None:
    found = buried(told())
    document = {
        "@context": [v.AS_CONTEXT, v.NOTIFY_CONTEXT],
        **json.loads(found.payload or b"{}"),
    }
    said = to_quads(expand(document, CONTEXTS), CONTEXTS)["@default"]
    triples = {(each["predicate"]["value"], each["object"]["value"]) for each in said}
    assert {
        (v.RDF + "type", v.AS + "Delete"),
        (v.AS + "object", f"{BASE}/log/e/7"),
        (v.RDF + "type", v.AS + "Tombstone"),
        (v.AS + "actor", ME.id),
    } <= triples


def test_nobody_can_send_a_tombstone_s_id_before_we_do() -> None:
    """An open inbox lets anyone claim our origin, and the log takes an id of a sender once: no erasure
    could follow."""
    event = told()
    ids = {buried(event, salt=salt).activity for salt in ("ab" * 16, "cd" * 16)}
    assert len(ids) == 2


def test_a_tombstone_of_ours_says_which_event_it_is_about() -> None:
    assert erased_by(buried(told())) == 7
    assert erased_by(buried(told(123_456))) == 123_456


@pytest.mark.parametrize(
    "changes",
    [
        {"types": (v.AS + "Delete",)},
        {"types": (v.AS + "Delete", "https://w3id.org/orchestrator/log#erasure")},
        {"caused_by": None},
        {"caused_by": "https://stranger.example/log/e/7"},
        {"caused_by": f"{BASE}/log/e/"},
        {"caused_by": f"{BASE}/log/e/-7"},
        {"caused_by": f"{BASE}/log/e/7.0"},
        {"caused_by": f"{BASE}/log/e/²"},
        {"caused_by": f"{BASE}/log/e/\u0667"},
        {"caused_by": f"{BASE}/log/e/7/"},
        {"caused_by": "7"},
    ],
    ids=str,
)
def test_what_is_no_tombstone_of_ours_is_about_no_event(changes: dict[str, Any]) -> None:
    assert erased_by(buried(told(), **changes)) is None


def test_what_a_stranger_says_in_his_payload_makes_no_tombstone() -> None:
    """Its types are in the envelope, which is ours."""
    said = {"type": ["Delete", "log:Erasure"], "object": {"id": f"{BASE}/log/e/3", "type": "Tombstone"}}
    forged = told(
        types=(v.AS + "Delete",),
        sender=ME.id,
        origin=ME.id,
        caused_by=f"{BASE}/log/e/3",
        payload=json.dumps(said).encode(),
    )
    assert ERASURE not in forged.types
    assert erased_by(forged) is None


def test_a_hub_is_asked_to_delete_what_we_told_it_by_the_id_that_we_gave_it() -> None:
    event = told()
    payload = buried(event).payload
    assert payload is not None
    body = withdraw(payload, activity="urn:uuid:1", me=ME, target=HUB, inbox=f"{HUB}inbox/?to=us")
    assert json.loads(body) == {
        "@context": v.AS_CONTEXT,
        "id": "urn:uuid:1",
        "type": "Delete",
        "actor": {"id": ME.id, "type": "Service", "name": ME.name},
        "origin": {"id": ME.id, "type": "Service", "inbox": ME.inbox},
        "target": {"id": HUB, "type": "Service", "inbox": f"{HUB}inbox/?to=us"},
        "object": {"id": delivery_id(event.iri, HUB), "type": "Tombstone"},
    }


def test_two_hubs_are_asked_to_delete_different_things() -> None:
    payload = buried(told()).payload
    assert payload is not None
    named = {
        json.loads(withdraw(payload, activity="urn:uuid:1", me=ME, target=hub, inbox=hub))["object"]["id"]
        for hub in (HUB, "https://other.example/")
    }
    assert len(named) == 2


@pytest.mark.parametrize("profile", ["strict", "lenient"])
def test_what_a_hub_is_asked_passes_our_own_screening(profile: Any) -> None:
    payload = buried(told()).payload
    assert payload is not None
    body = withdraw(
        payload,
        activity=f"urn:uuid:{'0' * 8}-0000-4000-8000-{'0' * 12}",
        me=ME,
        target=HUB,
        inbox=f"{HUB}inbox/",
    )
    shapes = ShapeSet(read_folder(packaged("shapes"), ".ttl"))
    screening = screen(body, Rules(contexts=CONTEXTS, shapes=shapes, profile=profile))
    assert (screening.refusal, screening.findings) == (None, ())
    assert screening.notification is not None
    assert screening.notification.types == (v.AS + "Delete",)
    assert screening.notification.objects == (delivery_id(f"{BASE}/log/e/7", HUB),)


def test_the_vocabulary_that_we_publish_says_what_an_erasure_is() -> None:
    text = (Path(packaged("vocabularies")) / "log.ttl").read_text("utf-8")
    assert ERASURE == v.LOG + "Erasure"
    assert "log:Erasure a rdfs:Class" in text
