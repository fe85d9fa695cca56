"""The shapes as a set: what holds for every file in `shapes/`, its fixtures and its documentation.

What the shapes say of a notification is tested through the screening; here they are only read.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyshacl
import pytest
from rdflib import RDF, RDFS, SH, Graph, Literal, Namespace, URIRef
from rdflib.collection import Collection
from rdflib.term import Node

ROOT = Path(__file__).parents[2]
SHAPES = ROOT / "shapes"
FIXTURES = ROOT / "fixtures" / "notifications"
PATTERNS_PAGE = (ROOT / "docs" / "reference" / "patterns.md").read_text("utf-8")

BASE = "https://w3id.org/orchestrator/shapes/"
SHP = Namespace("https://w3id.org/orchestrator/shapes#")
SPECIFICATION = re.compile(r"https://coar-notify\.net/specification/(1\.0\.1|1\.0\.0|0\.9\.0)/([a-z-]+/)?")

GRAPHS = {path.stem: Graph().parse(path) for path in sorted(SHAPES.glob("*.ttl"))}
PROFILES = {slug for slug, graph in GRAPHS.items() if (None, RDF.type, SHP.Profile) in graph}
SLUGS = sorted(GRAPHS.keys() - PROFILES)
ALL = Graph()
for graph in GRAPHS.values():
    ALL += graph

CONSTRAINTS = {
    SH.minCount, SH.maxCount, SH.nodeKind, SH.datatype, SH.pattern, SH["in"], SH.hasValue, SH.equals,
    SH.qualifiedValueShape, SH["and"], SH["or"],
}  # fmt: skip
"""The constraints that a rule may state: all that SHACL Core offers and that these shapes use."""

BESIDE = {
    RDF.type, RDFS.label, RDFS.comment, RDFS.seeAlso, SH.path, SH.property, SH.message, SH.severity,
    SH.qualifiedMinCount, SHP.at, SHP.types,
}  # fmt: skip
"""What a shape may have beside its constraint."""

INSIDE = CONSTRAINTS | {SH["not"], SH.path, SH.property, SH.qualifiedMinCount}
"""What the anonymous shapes inside a constraint may have."""

PATTERNS_ALLOWED = {
    "^https?://",
    r"^http://schema\.org/",
    r"^(https://www\.w3\.org/ns/activitystreams#|http://schema\.org/)",
    "^[A-Za-z0-9][^/ ]*/[A-Za-z0-9][^/ ]*$",  # each class ends where the next begins: linear
}


def named_shapes(slug: str) -> list[URIRef]:
    kinds = (SH.NodeShape, SH.PropertyShape)
    return sorted(
        {s for kind in kinds for s in GRAPHS[slug].subjects(RDF.type, kind) if isinstance(s, URIRef)}
    )


def rules(slug: str) -> list[URIRef]:
    """The named shapes that ask for something; the others lead to them."""
    return [shape for shape in named_shapes(slug) if CONSTRAINTS & set(ALL.predicates(shape))]


def relaxed() -> set[Node]:
    return set(ALL.objects(None, SHP.warns))


def read(slug: str, name: str) -> Any:
    return json.loads((FIXTURES / slug / name).read_text("utf-8"))


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from nodes(part)


def section(slug: str) -> str:
    """The text of the documentation from the slug's anchor to the next one."""
    found = re.search(rf'<a id="{slug}"></a>\n## {slug}\n(.*?)(?=\n<a id=|\Z)', PATTERNS_PAGE, re.DOTALL)
    assert found, f"docs/reference/patterns.md has no section {slug}"
    return found[1]


EVERY_SLUG = pytest.mark.parametrize("slug", SLUGS)
EVERY_PATTERN = pytest.mark.parametrize("slug", [slug for slug in SLUGS if slug != "notification"])


# --- the shapes


def test_the_shapes_are_valid_against_the_shapes_of_shacl() -> None:
    conforms, _, text = pyshacl.validate(
        Graph(), shacl_graph=ALL, meta_shacl=True, inference="none", advanced=False
    )
    assert conforms, text


@EVERY_SLUG
def test_a_file_names_its_shapes_after_its_slug(slug: str) -> None:
    assert URIRef(f"{BASE}{slug}#{slug}") in named_shapes(slug)
    for shape in named_shapes(slug):
        assert re.fullmatch(rf"{re.escape(BASE)}{slug}#[a-z][a-z-]*", shape), shape


@EVERY_PATTERN
def test_a_pattern_says_what_it_is_and_how_it_is_recognised(slug: str) -> None:
    pattern = URIRef(f"{BASE}{slug}#{slug}")
    assert (pattern, RDF.type, SHP.Pattern) in GRAPHS[slug]
    for predicate in (RDFS.label, RDFS.comment, RDFS.seeAlso):
        assert len(list(ALL.objects(pattern, predicate))) == 1, predicate
    assert list(ALL.objects(pattern, SHP.types)), "a pattern lists at least one set of types"


def test_no_two_patterns_claim_the_same_types() -> None:
    claims = [
        (frozenset(Collection(ALL, types)), pattern) for pattern, types in ALL.subject_objects(SHP.types)
    ]
    assert all(claim for claim, _ in claims)
    assert len({claim for claim, _ in claims}) == len(claims)


@EVERY_SLUG
def test_a_rule_states_one_constraint(slug: str) -> None:
    for rule in rules(slug):
        stated = [predicate for predicate in ALL.predicates(rule) if predicate in CONSTRAINTS]
        assert len(stated) == 1, (rule, stated)


@EVERY_SLUG
def test_a_rule_says_in_one_english_message_what_to_change(slug: str) -> None:
    for rule in rules(slug):
        messages = list(ALL.objects(rule, SH.message))
        assert [message.language for message in messages if isinstance(message, Literal)] == ["en"], rule
        assert re.search(r"\(COAR Notify \d\.\d\.\d, \w+(: .+)?\)\.$", str(messages[0])), messages[0]


@EVERY_SLUG
def test_a_rule_names_the_page_of_the_specification_that_it_comes_from(slug: str) -> None:
    for rule in rules(slug):
        pages = list(ALL.objects(rule, RDFS.seeAlso))
        assert len(pages) == 1, rule
        assert SPECIFICATION.fullmatch(str(pages[0])), pages[0]


@EVERY_SLUG
def test_a_rule_is_a_violation_or_a_warning(slug: str) -> None:
    for rule in rules(slug):
        assert set(ALL.objects(rule, SH.severity)) <= {SH.Warning}, rule


@EVERY_SLUG
def test_a_shape_uses_only_the_part_of_shacl_core_that_surely_ends(slug: str) -> None:
    graph = GRAPHS[slug]
    for shape in set(graph.subjects()):
        predicates = set(graph.predicates(shape)) - {RDF.first, RDF.rest}
        unknown = predicates - (CONSTRAINTS | BESIDE if isinstance(shape, URIRef) else INSIDE)
        assert not unknown, (shape, unknown)
    assert {str(p) for p in graph.objects(None, SH.pattern)} <= PATTERNS_ALLOWED


@EVERY_SLUG
def test_a_finding_can_be_pointed_to_because_every_path_is_one_property_under_one_parent(slug: str) -> None:
    graph = GRAPHS[slug]
    assert all(isinstance(path, URIRef) for path in graph.objects(None, SH.path))
    for shape in named_shapes(slug):
        parents = list(graph.subjects(SH.property, shape))
        if (shape, RDF.type, SH.PropertyShape) in graph:
            assert len(parents) == 1, (shape, parents)
        else:
            assert not parents, shape
            assert shape.endswith(f"#{slug}") or (shape, SHP.at, None) in graph, f"{shape} points nowhere"


# --- the profiles


def test_a_profile_relaxes_only_rules_that_exist() -> None:
    assert relaxed() <= {rule for slug in SLUGS for rule in rules(slug)}


def test_a_profile_relaxes_no_rule_that_only_warns_anyway() -> None:
    assert not {rule for rule in relaxed() if (rule, SH.severity, SH.Warning) in ALL}


def test_no_profile_relaxes_what_makes_a_notification_usable() -> None:
    always = [
        *("origin", "origin-one", "origin-http", "origin-type", "origin-inbox-http", "offer-origin-inbox"),
        *("target", "target-one", "target-http", "target-type", "target-inbox", "target-inbox-http"),
        *("object", "object-iri", "actor-type", "actor-name", "context-iri", "in-reply-to-iri"),
    ]
    kept = {URIRef(f"{BASE}notification#{name}") for name in always}
    assert kept <= set(rules("notification"))
    assert not kept & relaxed()


# --- the fixtures


def test_shapes_fixtures_and_documentation_have_the_same_slugs() -> None:
    folders = {path.name for path in FIXTURES.iterdir() if path.is_dir()}
    anchors = set(re.findall(r'<a id="([a-z-]+)"></a>\n## \1\n', PATTERNS_PAGE))
    assert folders == set(SLUGS)
    assert anchors == set(SLUGS)


@EVERY_SLUG
def test_every_rule_is_broken_by_a_fixture(slug: str) -> None:
    broken = {case["rule"] for case in read(slug, "invalid.json")}
    assert broken == {str(rule) for rule in rules(slug)}


@EVERY_SLUG
def test_every_invalid_fixture_expects_findings_that_exist(slug: str) -> None:
    known = {str(rule): rule for of in (slug, "notification") for rule in rules(of)}
    cases = read(slug, "invalid.json")
    assert len({case["title"] for case in cases}) == len(cases)
    for case in cases:
        assert case["patch"]
        assert case["rule"] in {finding["rule"] for finding in case["findings"]}
        for finding in case["findings"]:
            assert finding.keys() - {"term"} == {"rule", "pointer", "severity"}
            warns = (known[finding["rule"]], SH.severity, SH.Warning) in ALL
            assert finding["severity"] == ("Warning" if warns else "Violation"), case["title"]


@EVERY_SLUG
@pytest.mark.parametrize("name", ["valid.json", "minimal.json"])
def test_no_two_nodes_of_a_specimen_share_an_id(slug: str, name: str) -> None:
    """Equal ids would be one node in RDF, and its members would hide what is missing elsewhere."""
    ids = [node["id"] for node in nodes(read(slug, name)) if "id" in node]
    assert len(ids) == len(set(ids))


# --- the documentation


@EVERY_SLUG
def test_the_documentation_tells_every_rule_and_what_the_profiles_make_of_it(slug: str) -> None:
    def row(rule: URIRef) -> str:
        warns = (rule, SH.severity, SH.Warning) in ALL
        strict, lenient = ("warning" if soft else "refused" for soft in (warns, warns or rule in relaxed()))
        return f"| `#{rule.partition('#')[2]}` | {strict} | {lenient} |"

    told = re.findall(r"\| `#[a-z-]+` \| \w+ \| \w+ \|", section(slug))
    assert sorted(told) == sorted(row(rule) for rule in rules(slug))


@EVERY_SLUG
def test_the_documentation_names_the_specification_and_the_fixtures(slug: str) -> None:
    (page,) = ALL.objects(URIRef(f"{BASE}{slug}#{slug}"), RDFS.seeAlso)
    assert f"<{page}>" in section(slug)
    assert f"`fixtures/notifications/{slug}/`" in section(slug)
