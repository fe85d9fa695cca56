import json
import re
from typing import Any

import pytest

from orchestrator.catalogue import packaged
from orchestrator.contexts import bundled_contexts
from orchestrator.core.errors import ConfigurationError
from orchestrator.core.policy import Facts, PolicySet, judge

CONTEXTS = bundled_contexts()
REVIEW: dict[str, Any] = json.loads((packaged("specimens") / "announce-review" / "valid.json").read_text())
ARTEFACT = REVIEW["context"]["id"]
PREFIXES = """
@prefix as: <https://www.w3.org/ns/activitystreams#> .
@prefix notify: <http://coar-notify.net/specification/vocabulary/> .
@prefix pol: <https://w3id.org/orchestrator/policy#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
"""


def policy(when: str = "", then: str = "[ a pol:Log ]", more: str = "", name: str = "p") -> str:
    condition = f"pol:when [ a sh:NodeShape ; {when} ] ;" if when else ""
    return f'{PREFIXES}\n<#{name}> a pol:Policy ; rdfs:label "P"@en ; {more} {condition} pol:then {then} .\n'


def facts(**changes: Any) -> Facts:
    members: dict[str, Any] = {
        "sender": REVIEW["origin"]["id"], "trust": "unknown", "artefacts": (ARTEFACT,), "me": ("https://pod.example/",), "solicited": False,
    }  # fmt: skip
    return Facts(**(members | changes))


def matches(when: str, document: dict[str, Any] = REVIEW, **about: Any) -> bool:
    policies = PolicySet({"p.ttl": policy(when)})
    body = json.dumps(document).encode()
    return bool(judge(body, facts(**about), contexts=CONTEXTS, policies=policies).matched)


MINE = "sh:property [ sh:path as:context ; sh:minCount 1 ; sh:class pol:MyArtefact ]"
TRUSTED = "sh:property [ sh:path as:origin ; sh:minCount 1 ; sh:class pol:TrustedSender ]"
SOLICITED = "sh:property [ sh:path rdf:type ; sh:hasValue pol:Solicited ]"


def test_a_policy_matches_what_its_shape_says() -> None:
    assert matches("sh:property [ sh:path rdf:type ; sh:hasValue as:Announce ]")
    assert not matches("sh:property [ sh:path rdf:type ; sh:hasValue as:Offer ]")
    assert matches(MINE)
    assert not matches(MINE, artefacts=())
    assert matches(SOLICITED, solicited=True)
    assert not matches(SOLICITED)
    assert not matches(TRUSTED)
    assert matches(TRUSTED, trust="trusted")


@pytest.mark.parametrize(
    "claim",
    [
        {"type": "https://w3id.org/orchestrator/policy#MyArtefact"},
        {"type": "https://w3id.org/orchestrator/policy#TrustedSender"},
        {"https://w3id.org/orchestrator/policy#trusts": {"id": "https://x.example/"}},
        {
            "http://www.w3.org/2000/01/rdf-schema#subClassOf": {
                "id": "https://w3id.org/orchestrator/policy#MyArtefact"
            }
        },
        {"http://www.w3.org/2002/07/owl#sameAs": {"id": ARTEFACT}},
    ],
)
def test_a_message_cannot_claim_what_only_we_can_vouch_for(claim: dict[str, Any]) -> None:
    document = json.loads(json.dumps(REVIEW))
    for part in ("context", "origin"):
        document[part] = {**document[part], **claim}
    assert not matches(MINE, document, artefacts=())
    assert not matches(TRUSTED, document)


def test_a_message_cannot_make_its_own_class_a_kind_of_ours() -> None:
    document = json.loads(json.dumps(REVIEW))
    document["context"]["type"] = "https://x.example/Mine"
    document["tag"] = {
        "id": "https://x.example/Mine",
        "http://www.w3.org/2000/01/rdf-schema#subClassOf": {
            "id": "https://w3id.org/orchestrator/policy#MyArtefact"
        },
    }
    assert not matches(MINE, document, artefacts=())


def test_a_message_cannot_bring_shapes() -> None:
    document = json.loads(json.dumps(REVIEW))
    document["tag"] = {
        "id": "https://x.example/shape", "type": "http://www.w3.org/ns/shacl#NodeShape",
        "http://www.w3.org/ns/shacl#targetNode": {"id": document["id"]},
        "http://www.w3.org/ns/shacl#nodeKind": {"id": "http://www.w3.org/ns/shacl#Literal"},
    }  # fmt: skip
    assert matches("sh:property [ sh:path rdf:type ; sh:hasValue as:Announce ]", document)


def decision(*policies: str) -> Any:
    loaded = PolicySet({f"p{n}.ttl": text.replace("<#p>", f"<#p{n}>") for n, text in enumerate(policies)})
    return loaded.decide(loaded.policies)


def test_without_policies_everything_is_logged() -> None:
    assert decision().disposition == "Log"
    assert decision().announce == {}


def test_parking_beats_ignoring_beats_logging_unless_a_priority_says_otherwise() -> None:
    log, ignore, park = (policy(then=f"[ a pol:{kind} ]") for kind in ("Log", "Ignore", "RequireAcceptance"))
    assert decision(log, ignore).disposition == "Ignore"
    assert decision(log, ignore, park).disposition == "RequireAcceptance"
    assert decision(policy(then="[ a pol:Log ]", more="pol:priority 5 ;"), ignore, park).disposition == "Log"


def test_all_fan_out_is_taken_and_every_policy_that_asked_is_named() -> None:
    first = policy(then="[ a pol:Announce ; pol:to <https://a.example/> , <https://b.example/> ]")
    second = policy(then="[ a pol:Announce ; pol:to <https://a.example/> ]")
    announce = decision(first, second).announce
    assert {hub: len(by) for hub, by in announce.items()} == {
        "https://a.example/": 2,
        "https://b.example/": 1,
    }
    assert decision(first, policy(then="[ a pol:Ignore ]")).announce == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PREFIXES + "<#p> a pol:Policy", r"p\.ttl:\d+: error: line 8: the text ends"),
        (PREFIXES + "<#p> a pol:Policy ; pol:then zz:x .", r"p\.ttl:8: error: line 8, column \d+: .*zz"),
        (policy(then="[ a pol:Dance ]"), "unknown action"),
        (policy(then="[ a pol:Announce ]"), "needs pol:to"),
        (policy(then="[ a pol:Announce ; pol:to <file:///etc/passwd> ]"), "needs pol:to"),
        (policy(then="[ a pol:Mail ]"), "not available in this version"),
        (policy(then="[ a pol:Anounce ; pol:to <https://a.example/> ]"), "did you mean pol:Announce"),
        (policy(more='pol:priority "high" ;'), "must be an integer"),
        (policy().replace('rdfs:label "P"@en ;', ""), "rdfs:label"),
        (PREFIXES, "no pol:Policy"),
        (
            policy('sh:property [ sh:path as:summary ; sh:minCount 1 ; sh:pattern "(a+)+$" ]'),
            "nests quantifiers",
        ),
        (policy('sh:property [ sh:path as:summary ; sh:minCount 1 ; sh:pattern "(" ]'), "P: \\("),
        (policy('sh:sparql [ sh:select "SELECT $this WHERE {}" ]'), "only SHACL Core"),
    ],
)
def test_a_policy_that_means_nothing_is_refused_with_file_and_reason(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        PolicySet({"p.ttl": text})
    assert re.search(said, refused.value.message)
    assert refused.value.message.startswith("p.ttl")


def test_every_error_of_every_file_is_reported_together() -> None:
    with pytest.raises(ConfigurationError) as refused:
        PolicySet({"a.ttl": PREFIXES + "<#p> a", "b.ttl": policy(then="[ a pol:Dance ]")})
    assert {line.split(":")[0] for line in refused.value.message.splitlines()} == {"a.ttl", "b.ttl"}


def test_a_condition_that_holds_when_the_property_is_absent_is_remarked_on() -> None:
    [remark] = PolicySet(
        {"p.ttl": policy("sh:property [ sh:path as:context ; sh:class pol:MyArtefact ]")}
    ).remarks
    assert remark.severity == "warning"
    assert "sh:minCount 1" in remark.message


def test_the_name_of_a_set_depends_on_its_files_alone() -> None:
    one, two = policy(), policy(then="[ a pol:Ignore ]")
    assert PolicySet({"p.ttl": one}).id == PolicySet({"p.ttl": one}).id != PolicySet({"p.ttl": two}).id


def test_the_shipped_policies_are_sound_and_without_remarks() -> None:
    files = {path.name: path.read_text() for path in packaged("policies").glob("*.ttl")}
    loaded = PolicySet(files)
    assert loaded.remarks == ()
    assert len(files) >= 3
