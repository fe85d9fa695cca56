"""Stage 3: one AS2 activity, in JSON-LD that means one thing. Includes poisoned contexts (threat T2)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.catalogue import packaged, read_folder
from orchestrator.contexts import bundled_contexts
from orchestrator.core.screening import Rules, Screening, screen
from orchestrator.core.shapes.shape_set import ShapeSet

CONTEXTS = bundled_contexts()
SHAPES = ShapeSet(read_folder(packaged("shapes"), ".ttl"))
AS = "https://www.w3.org/ns/activitystreams"
COAR = "https://coar-notify.net"
VALID: dict[str, Any] = json.loads((packaged("specimens") / "announce-review" / "valid.json").read_text())


def screened(document: object) -> Screening:
    return screen(json.dumps(document).encode(), Rules(contexts=CONTEXTS, shapes=SHAPES))


def found(document: object) -> set[tuple[str, str]]:
    screening = screened(document)
    assert screening.refusal == "unacceptable-document", screening
    return {(finding.rule.partition("#")[2], finding.pointer) for finding in screening.findings}


@pytest.mark.parametrize("document", [[], [VALID], "text", 1, None, True])
def test_what_is_not_an_object_is_refused(document: object) -> None:
    assert found(document) == {("object", "")}


@pytest.mark.parametrize(
    "given_id",
    [
        None,
        "",
        "123",
        "not a uri",
        "/relative",
        "_:b0",
        "mailto:a@b.example",
        "https://ex.example/a b",
        "urn:",
    ],
)
def test_an_id_that_is_no_absolute_urn_or_http_iri_is_refused(given_id: object) -> None:
    assert ("id", "/id") in found({**VALID, "id": given_id})


def test_a_missing_id_points_at_the_root_and_names_the_term() -> None:
    screening = screened({key: value for key, value in VALID.items() if key != "id"})
    [finding] = screening.findings
    assert (finding.pointer, finding.term) == ("", "id")


def test_all_findings_of_the_stage_come_at_once() -> None:
    assert found(
        {**VALID, "id": "x", "type": "Article", "@graph": [], "@context": ["https://evil.example/c"]}
    ) == {
        ("activity-streams-context", "/@context"),
        ("unknown-context", "/@context/0"),
        ("restructuring", "/@graph"),
        ("id", "/id"),
    }
    assert found({**VALID, "id": "x", "type": "Article"}) == {("id", "/id"), ("activity-type", "/type")}


@pytest.mark.parametrize(
    "context",
    [
        "http://127.0.0.1:9/c", "https://evil.example/c.jsonld", "file:///etc/passwd", "data:application/ld+json,{}",
        "relative.jsonld", "//evil.example/c", "", "ftp://evil.example/c", "https://www.w3.org/ns/activitystreams/",
        "https://coar-notify.net/specification/1.0.1/",
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["root", "object", "scoped", "import"])
def test_no_context_is_ever_fetched_wherever_it_is_named(context: str, place: str) -> None:
    document = json.loads(json.dumps(VALID))
    if place == "root":
        document["@context"].append(context)
    elif place == "object":
        document["object"]["@context"] = context
    elif place == "scoped":
        document["@context"].append({"x": {"@id": "https://x.example/x", "@context": context}})
    else:
        document["@context"].append({"@import": context})
    assert {rule for rule, _ in found(document)} <= {"unknown-context", "inline-context"}


@pytest.mark.parametrize(
    "inline",
    [
        {"actor": "https://evil.example/actor"}, {"type": "https://evil.example/t"}, {"id": "https://evil.example/id"},
        {"object": {"@id": "as:target", "@type": "@id"}}, {"Announce": "as:Offer"}, {"as": "https://evil.example/"},
        {"ReviewAction": "as:Announce"}, {"coar-notify": "https://evil.example/"}, {"ietf": "https://evil.example/"},
        {"inbox": None}, {"as:object": {"@type": "@vocab"}}, {"https://www.w3.org/ns/activitystreams#actor": {"@type": "@vocab"}},
        {"target": {"@reverse": "as:target"}}, {"x": {"@reverse": "as:actor"}}, {"x": "@graph"}, {"x": "@included"},
        {"x": "@reverse"}, {"x": "@nest"}, {"x": {"@id": "https://x.example/x", "@container": "@graph"}},
        {"x": {"@id": "https://x.example/x", "@container": ["@graph", "@id"]}},
        {"x": {"@id": "https://x.example/x", "@context": {"actor": "https://evil.example/"}}},
        {"x": {"@id": "https://x.example/x", "@protected": True}}, {"@protected": True, "x": "https://x.example/"},
        {"@base": "https://evil.example/"}, {"@propagate": False}, {"myactor": "as:actor"},
        {"x": {"@id": "https://www.w3.org/ns/activitystreams#actor"}}, {"p": "https://www.w3.org/ns/", "x": "p:activitystreams#actor"},
        {"@vocab": "https://evil.example/"}, {"sorg": "https://evil.example/"}, {"ldp": "https://evil.example/"},
    ],
)  # fmt: skip
def test_an_inline_context_may_not_change_what_our_terms_mean(inline: dict[str, Any]) -> None:
    assert {rule for rule, _ in found({**VALID, "@context": [AS, COAR, inline]})} <= {
        "redefined-term",
        "inline-context",
    }


@pytest.mark.parametrize("inline", [None, 1, True, [[AS]]])
def test_a_context_is_a_url_or_an_object(inline: object) -> None:
    assert found({**VALID, "@context": [AS, COAR, inline]}) == {("inline-context", "/@context/2")}


def test_an_inline_context_may_add_terms() -> None:
    inline = {"ex": "https://ex.example/", "note": "ex:note", "see": {"@id": "ex:see", "@type": "@id"}}
    assert screened(
        {**VALID, "@context": [AS, COAR, inline], "note": "n", "see": "https://ex.example/1"}
    ).accepted


def test_two_names_of_the_notify_context_are_one_too_many() -> None:
    assert found({**VALID, "@context": [AS, COAR, "https://purl.org/coar/notify"]}) == {
        ("notify-context", "/@context")
    }


def test_the_notify_context_comes_after_the_one_that_it_builds_on() -> None:
    assert found({**VALID, "@context": [COAR, AS]}) == {("notify-context", "/@context")}


def test_a_notify_type_needs_the_notify_context() -> None:
    document = {
        **VALID,
        "@context": AS,
        "type": ["Announce", "http://coar-notify.net/specification/vocabulary/ReviewAction"],
    }
    assert ("notify-context", "/@context") in found(document)


@pytest.mark.parametrize("keyword", ["@graph", "@included", "@reverse", "@nest"])
def test_the_root_may_not_be_restructured(keyword: str) -> None:
    assert ("restructuring", f"/{keyword}") in found({**VALID, keyword: {}})


@pytest.mark.parametrize("prefix", ["as", "coar-notify", "ietf", "ldp", "log", "prov", "sorg", "xsd"])
def test_a_prefix_of_the_log_that_nobody_declares_is_no_scheme(prefix: str) -> None:
    """Under the log's own context such an IRI cannot be written: what was accepted could never be logged."""
    iri = f"{prefix}:1"
    document = {**VALID, "tag": iri}
    accepted = prefix in {
        "as",
        "coar-notify",
        "ietf",
        "ldp",
        "sorg",
        "xsd",
    }  # these two contexts declare them
    assert screened(document).accepted is accepted
    if not accepted:
        assert found(document) == {("scheme", "/tag")}
        assert ("scheme", "/name/@type") in found({**VALID, "name": {"@value": "x", "@type": iri}})


@pytest.mark.parametrize(
    "scheme", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "JavaScript:x"]
)
def test_dangerous_schemes_are_refused_wherever_an_iri_stands(scheme: str) -> None:
    document = json.loads(json.dumps(VALID))
    document["context"]["url"] = scheme
    assert found(document) == {("scheme", "/context/url")}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"type": ["Announce", "javascript:alert(1)"]}, "/type/1"),
        ({"javascript:alert": "x"}, "/javascript:alert"),
        ({"note:x": {"@value": "x", "@type": "data:x"}}, "/note:x/@type"),
    ],
)
def test_dangerous_schemes_are_refused_as_types_members_and_datatypes_too(
    change: dict[str, Any], place: str
) -> None:
    document = {**VALID, "@context": [AS, COAR, {"note": "https://note.example/"}], **change}
    assert ("scheme", place) in found(document)


@pytest.mark.parametrize(
    "harmless", [{"@language": "en"}, {"@version": 1.1}, {"@language": "de", "x": "https://x.example/x"}]
)
def test_an_inline_context_may_name_a_language(harmless: dict[str, Any]) -> None:
    assert screened({**VALID, "@context": [AS, COAR, harmless]}).accepted


def test_the_root_may_not_be_described_a_second_time_inside_itself() -> None:
    document = {key: value for key, value in VALID.items() if key != "origin"}
    document["tag"] = {"id": VALID["id"], "origin": VALID["origin"]}
    assert found(document) == {("one-root", "/tag/id")}


def test_too_many_nameless_things_are_refused() -> None:
    document = {**VALID, "tag": [{"name": str(n)} for n in range(60)]}
    assert found(document) == {("blank-nodes", "")}


@pytest.mark.parametrize(
    "context",
    [
        [AS, "https://coar-notify.net/"], [AS, "http://coar-notify.net"], [AS, "https://purl.org/coar/notify"],
        [AS, "http://purl.org/coar/notify"], ["http://www.w3.org/ns/activitystreams", COAR], [AS + "#", COAR],
    ],
)  # fmt: skip
def test_every_name_that_senders_use_for_the_contexts_is_understood(context: list[str]) -> None:
    screening = screened({**VALID, "@context": context})
    assert screening.accepted
    assert screening.notification is not None
    assert screening.notification.pattern == "announce-review"


@pytest.mark.parametrize(
    "types",
    [
        ["coar-notify:ReviewAction", "Announce"], ["Announce", "ReviewAction"],
        ["as:Announce", "http://coar-notify.net/specification/vocabulary/ReviewAction"],
        ["Announce", "https://purl.org/coar/notify_vocabulary/ReviewAction"],
        ["Announce", "http://purl.org/coar/notify_vocabulary/ReviewAction"],
    ],
)  # fmt: skip
def test_the_pattern_is_recognised_from_the_expanded_types_in_any_order(types: list[str]) -> None:
    notification = screened({**VALID, "type": types}).notification
    assert notification is not None
    assert notification.pattern == "announce-review"


def test_an_unknown_second_type_means_no_pattern() -> None:
    notification = screened({**VALID, "type": ["Announce", "coar-notify:DanceAction"]}).notification
    assert notification is not None
    assert notification.pattern is None


@given(st.dictionaries(st.sampled_from(["actor", "x", "as", "@vocab", "@base", "type", "sorg", "y:z"]),
                       st.one_of(st.none(), st.text(max_size=12), st.sampled_from(["as:actor", "@id", "@graph", "https://x.example/"]),
                                 st.fixed_dictionaries({"@id": st.sampled_from(["as:actor", "https://x.example/", "@type"])})),
                       max_size=3))  # fmt: skip
def test_no_inline_context_changes_the_verdict_that_policies_would_reach(inline: dict[str, Any]) -> None:
    plain = screened(VALID).notification
    screening = screened({**VALID, "@context": [AS, COAR, inline]})
    if screening.refusal is None and screening.notification is not None and plain is not None:
        assert (screening.notification.types, screening.notification.sender) == (plain.types, plain.sender)
        assert (screening.notification.objects, screening.notification.contexts) == (
            plain.objects,
            plain.contexts,
        )
