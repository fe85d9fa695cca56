import json
import re
from pathlib import Path
from typing import Any

import pytest

from orchestrator.catalogue import packaged
from orchestrator.contexts import bundled_contexts
from orchestrator.core.errors import ConfigurationError
from orchestrator.core.policy import Facts, PolicySet, judge, lint
from orchestrator.core.shapes.terms import KINDS

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
        (policy(then="[ a pol:Announces ; pol:to <https://a.example/> ]"), "did you mean pol:Announce"),
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


def prop(path: str = "as:context", *more: str) -> str:
    return f"sh:property [ sh:path {path} ; sh:minCount 1 ; {' ; '.join(more)} ]"


def named(condition: str, more: str = "") -> str:
    return policy().replace("pol:then", f"pol:when {condition} ; pol:then") + more


def errors(text: str) -> list[str]:
    remarks = [remark for remark in lint({"p.ttl": text}) if remark.severity == "error"]
    if remarks:
        with pytest.raises(ConfigurationError) as refused:
            PolicySet({"p.ttl": text})
        assert refused.value.message.splitlines() == [str(remark) for remark in remarks]
    return [remark.message for remark in remarks]


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("sh:property [ sh:minCount 1 ]", "sh:property needs a shape with sh:path"),
        ("a sh:PropertyShape ; sh:hasValue as:x", "a sh:PropertyShape needs sh:path"),
        ("sh:path as:object ; sh:minCount 1", "a sh:NodeShape has no sh:path"),
        ("sh:node [ sh:path as:object ; sh:minCount 1 ]", "sh:node needs a shape without sh:path"),
        ("sh:minCount 1", "sh:minCount needs sh:path beside it"),
        ("sh:lessThan as:updated", "sh:lessThan needs sh:path beside it"),
        ("sh:property [ sh:path rdf:type ; sh:hasvalue as:Offer ]", "sh:hasvalue; did you mean sh:hasValue?"),
        ("sh:property [ sh:path as:object ; sh:mincount 1 ]", "sh:mincount; did you mean sh:minCount?"),
        ("sh:property [ sh:path as:object ; sh:minCount: 1 ]", "sh:minCount:; did you mean sh:minCount?"),
        ("sh:Property [ sh:path as:object ; sh:minCount 1 ]", "sh:Property; did you mean sh:property?"),
        ("sh:targetObjectOf as:object", "sh:targetObjectOf has no place"),
        ("sh:targetClass as:Offer ; " + prop(), "sh:targetClass has no place"),
        ("sh:deactivated true ; " + prop(), "sh:deactivated is not supported"),
        ("a sh:Nodeshape ; " + prop(), "not a sh:Nodeshape"),
        ("as:type as:Offer ; " + prop(), "activitystreams#type> is no constraint"),
        ("pol:priority 3 ; " + prop(), "pol:priority belongs to the policy"),
        ("rdfs:subClassOf as:Offer ; " + prop(), "is no constraint"),
        ("rdfs:comment 'nothing'", "without a constraint holds of everything"),
        ("sh:closed false", "without a constraint"),
        ("sh:property [ sh:path as:object ]", "a shape on object without a constraint"),
        ("sh:property [ sh:path as:object ; sh:minCount 0 ]", "a shape on object without a constraint"),
        ("sh:not []", "an empty shape"),
        ("sh:not <#nowhere>", "<#nowhere> is no shape in this file"),
        ('sh:or ( "x" )', '"x" is no shape'),
        (prop("as:object", "sh:nodeKind as:IRI"), "sh:nodeKind must be one of sh:IRI,"),
        (prop("as:object", "sh:maxCount -1"), "sh:maxCount must be a whole number"),
        (prop("as:object", 'sh:maxCount "1"'), "sh:maxCount must be a whole number"),
        (prop("as:object", "sh:maxLength 1.5"), "sh:maxLength must be a whole number"),
        (prop("as:object", "sh:maxCount 1 , 2"), "several sh:maxCount"),
        (prop("as:object , as:context"), "several sh:path"),
        (prop("as:object", "sh:in as:x"), "sh:in must be a list"),
        (prop("as:object", "sh:in ()"), "the list of sh:in is empty"),
        (prop("as:object", "sh:in ( [] )"), "sh:in must be an IRI or a literal"),
        (prop("as:object", "sh:hasValue []"), "sh:hasValue must be an IRI or a literal"),
        (prop("as:summary", "sh:languageIn ( 1 )"), "sh:languageIn must be a text"),
        ("sh:and ()", "the list of sh:and is empty"),
        ("sh:or [ sh:hasValue as:x ]", "sh:or must be a list"),
        ("sh:xone [ rdf:first [ sh:hasValue as:x ] ]", "sh:xone must be a list"),
        (prop("as:object", 'sh:class "x"'), "sh:class must be an IRI"),
        (prop("as:object", 'sh:datatype "x"'), "sh:datatype must be an IRI"),
        (prop("as:object", "sh:equals []"), "sh:equals must be an IRI"),
        (prop("as:object", "sh:maxInclusive as:x"), "sh:maxInclusive must be a number"),
        (prop("as:object", 'sh:uniqueLang "yes"'), "sh:uniqueLang must be true or false"),
        (prop("as:object", "sh:pattern 42"), "sh:pattern must be a text"),
        (prop("as:object", 'sh:pattern "x"', 'sh:flags "g"'), "sh:flags must be some of the letters im"),
        (
            prop("as:object", 'sh:pattern "a b"', 'sh:flags "ix"'),
            "begin the pattern with (?s) or (?x) instead",
        ),
        (prop("as:object", "sh:severity as:Warning"), "sh:severity must be one of sh:Violation"),
        (
            prop("as:object", "sh:hasValue 'x'^^<http://www.w3.org/2001/XMLSchema#string>"),
            "without ^^xsd:string",
        ),
        (prop("as:object", "sh:in [ rdf:first 1 ; rdf:rest () ; sh:minCount 1 ]"), "sh:in must be a list"),
        (prop("as:object", 'sh:pattern "x"', "sh:flags 1"), "sh:flags must be"),
        (prop("as:object", 'sh:flags "i"'), "sh:flags needs sh:pattern"),
        ("sh:ignoredProperties ( rdf:type ) ; " + prop(), "sh:ignoredProperties needs sh:closed"),
        (prop("as:object", "sh:qualifiedMinCount 1"), "sh:qualifiedMinCount needs sh:qualifiedValueShape"),
        (prop("as:object", "sh:qualifiedValueShape [ sh:class as:x ]"), "needs sh:qualifiedMinCount or"),
        (prop("[ sh:zeroOrMorePath as:x ]"), "sh:path must be an IRI"),
        (prop("[ sh:oneOrMorePath as:x ]"), "sh:path must be an IRI"),
        (prop("[ sh:inversePath ( as:x as:y ) ]"), "sh:path must be an IRI"),
        (prop('"x"'), "sh:path must be an IRI"),
        (prop("()"), "a list in sh:path has 2 to 8"),
        (prop("( as:x )"), "a list in sh:path has 2 to 8"),
        (prop("( as:x as:x as:x as:x as:x as:x as:x as:x as:x )"), "a list in sh:path has 2 to 8"),
        (" ".join(["sh:not ["] * 25) + "sh:hasValue as:x" + "]" * 25, "too large or too deep"),
    ],
)
def test_a_condition_that_could_not_be_compiled_as_it_is_meant_is_refused(when: str, said: str) -> None:
    assert any(said in message for message in errors(policy(when)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (named("<#nowhere>"), "<#nowhere> is no shape in this file"),
        (named('"anything"'), "is no shape"),
        (named("[]"), "an empty shape holds of everything"),
        (named("[ a sh:NodeShape ]"), "without a constraint holds of everything"),
        (named("<#w>", "<#w> sh:node <#w> ."), "<#w> refers to itself"),
        (named("<#w>", "<#w> sh:property [ sh:path as:object ; sh:node <#w> ] ."), "<#w> refers to itself"),
        (named("<#w>", "<#w> sh:and ( [ sh:not <#w> ] [ sh:hasValue as:x ] ) ."), "<#w> refers to itself"),
        (named("<#w>", "<#w> sh:or ( <#v> ) . <#v> sh:xone ( <#w> ) ."), "refers to itself"),
        (
            named("<#w>", "<#w> sh:property [ sh:path as:x ; sh:qualifiedMinCount 1 ; sh:qualifiedValueShape <#w> ] ."),
            "refers to itself",
        ),
        (
            named("<#s0>", "".join(f"<#s{n}> sh:node <#s{n + 1}> ; sh:not <#s{n + 1}> ." for n in range(15)) + "<#s15> sh:hasValue as:x ."),
            "too large or too deep",
        ),
        (policy(more=prop() + " ;"), "sh:property belongs into pol:when"),
        (policy() + "<#q> pol:when [ sh:hasValue as:x ] ; pol:then [ a pol:Log ] .", "q is no policy"),
        (policy(prop()).replace("ns/shacl#", "ns/shacl/"), "is no constraint"),
    ],
)  # fmt: skip
def test_a_file_whose_conditions_do_not_hold_together_is_refused(text: str, said: str) -> None:
    assert any(said in message for message in errors(text))


@pytest.mark.parametrize(
    "pattern",
    ["^(a|aa)+$", "(a+)+$", "(a*)*", "(a?){2,9}", "((ab)*c)+", "(x(foo|bar))*", "(?:a{1,3})+", "(?=a+)*b", "(a)\\\\1", "(a)?(?(1)b|c)", "(?P<q>a)(?P=q)", "(", "a{99999999999}", "x" * 501],
)  # fmt: skip
def test_a_pattern_that_may_never_end_is_refused(pattern: str) -> None:
    assert errors(policy(prop("as:summary", f'sh:pattern "{pattern}"')))


@pytest.mark.parametrize(
    "pattern",
    ["^https://[^/]+/item/[0-9]+$", "^10[.][0-9]{4,9}/[-._;()/:A-Za-z0-9]+$", "^(a|b)+$", "(foo|bar|baz)$", "(?i)review(s)?", "([0-9]{4}-){2}x", "x" * 500],
)  # fmt: skip
def test_an_honest_pattern_is_not(pattern: str) -> None:
    assert lint({"p.ttl": policy(prop("as:summary", f'sh:pattern "{pattern}"', 'sh:flags "im"'))}) == ()


ANNOUNCE = "sh:property [ sh:path rdf:type ; sh:hasValue as:Announce ]"
OFFER = "sh:property [ sh:path rdf:type ; sh:hasValue as:Offer ]"


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        (f"sh:and ( [ {ANNOUNCE} ] [ {MINE} ] )", True),
        (f"sh:or ( [ {ANNOUNCE} ] [ {OFFER} ] )", True),
        (f"sh:xone ( [ {ANNOUNCE} ] [ {MINE} ] )", False),
        (f"sh:not [ {OFFER} ]", True),
        (f"sh:node [ {ANNOUNCE} ]", True),
        ("sh:nodeKind sh:IRI", True),
        ("sh:class as:Announce", True),
        (prop("as:object", "sh:qualifiedValueShape [ sh:class as:Document ]", "sh:qualifiedMinCount 1"), True),
        (prop("as:object", "sh:qualifiedValueShape [ sh:class as:Document ]", "sh:qualifiedMaxCount 0", "sh:qualifiedValueShapesDisjoint false"), False),
        (prop("as:context", f"sh:in ( <{ARTEFACT}> as:x )"), True),
        (prop("as:summary", 'sh:languageIn ( "en" )', "sh:uniqueLang true"), False),
        (prop("as:context", "sh:equals as:object"), False),
        (prop("as:context", "sh:disjoint as:object"), True),
        (prop("as:context", "sh:lessThan as:updated"), True),
        (prop("as:context", "sh:lessThanOrEquals as:updated"), True),
        (prop("as:context", "sh:minLength 3", "sh:maxLength 2000"), True),
        (prop("as:context", "sh:minInclusive 3", "sh:maxExclusive 9"), False),
        (prop("as:context", "sh:datatype rdf:langString"), False),
        (prop("( as:context rdf:type )", "sh:hasValue pol:MyArtefact"), True),
        (prop("( as:origin [ sh:inversePath as:origin ] )", "sh:class as:Announce"), True),
        (f"sh:closed true ; sh:ignoredProperties ( rdf:type ) ; {prop()}", False),
        ("sh:closed true ; sh:ignoredProperties ( rdf:type as:actor as:origin as:target as:object as:context as:inReplyTo ) ; " + prop(), True),
        ("rdfs:label 'a' ; rdfs:comment 'b' ; sh:name 'c' ; sh:description 'd' ; sh:message 'e' ; sh:severity sh:Info ; sh:order 1 ; sh:group <#g> ; " + ANNOUNCE, True),
    ],
)  # fmt: skip
def test_every_supported_constraint_loads_without_a_remark_and_is_heeded(when: str, holds: bool) -> None:
    assert lint({"p.ttl": policy(when)}) == ()
    assert matches(when) is holds


def test_conditions_can_share_a_shape_that_has_a_name() -> None:
    more = f"<#w> a sh:NodeShape ; {ANNOUNCE} . <#v> sh:and ( <#w> [ sh:node <#w> ] ) ."
    assert lint({"p.ttl": named("<#v>", more)}) == ()


def test_what_a_file_holds_beside_a_condition_cannot_disturb_it() -> None:
    text = (
        policy(ANNOUNCE)
        + "<#other> a sh:PropertyShape ; sh:targetNode <https://x.example/> ; sh:hasValue 1 ."
    )
    policies = PolicySet({"p.ttl": text})
    assert [(remark.severity, remark.message) for remark in policies.remarks] == [
        ("warning", "no pol:when uses other")
    ]
    assert judge(json.dumps(REVIEW).encode(), facts(), contexts=CONTEXTS, policies=policies).matched


def test_a_remark_names_the_line_of_the_term_or_else_of_the_policy() -> None:
    text = policy(
        "\n".join(
            (
                ANNOUNCE + " ;",
                "sh:property [ sh:path as:context ;",
                "  sh:mincount 1 ;",
                "  sh:nodeKind as:IRI ;",
                "  sh:hasValue [] ] ;",
                "sh:not <#nowhere>",
            )
        )
    )
    later = '<#q> a pol:Policy ; rdfs:label "Q" ;\n  pol:when <#w> ; pol:then [ a pol:Log ] .\n<#w>\n  sh:hasvalue as:x .\n'
    lines = {remark.message: remark.line for remark in lint({"p.ttl": text + later})}
    start = text[: text.index("<#p>")].count("\n") + 1
    end = text.count("\n")
    assert {line for message, line in lines.items() if "sh:mincount" in message} == {start + 2}
    assert {line for message, line in lines.items() if "sh:nodeKind must" in message} == {start + 3}
    assert {line for message, line in lines.items() if "sh:hasValue must" in message} == {start}
    assert {line for message, line in lines.items() if "nowhere" in message} == {start + 5}
    assert {line for message, line in lines.items() if "sh:hasvalue" in message} == {end + 4}


def test_every_error_of_a_policy_is_told_even_beside_others() -> None:
    text = policy(prop("as:x", "sh:hasvalue 1"), then="[ a pol:Dance ]")
    said = " ".join(errors(text + '<#s> sh:sparql [ sh:select "" ] .'))
    assert all(each in said for each in ("only SHACL Core", "sh:hasvalue", "unknown action"))


def test_the_reference_lists_exactly_the_terms_that_conditions_may_use() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/reference/policies.md").read_text()
    [table] = re.findall(r"^\| for \| terms \|\n(.*?)\n\n", text, flags=re.DOTALL | re.MULTILINE)
    assert set(re.findall(r"sh:(\w+)", table)) == {*KINDS, "inversePath"}


def test_the_shipped_policies_are_sound_and_without_remarks() -> None:
    files = {path.name: path.read_text() for path in packaged("policies").glob("*.ttl")}
    loaded = PolicySet(files)
    assert loaded.remarks == ()
    assert len(files) >= 3
