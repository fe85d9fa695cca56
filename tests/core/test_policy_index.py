"""The index only spares work: it never keeps a policy from matching."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agreement.generated import EX, ROOT, dataset, pair

from orchestrator.core import vocabulary as v
from orchestrator.core.policy import PolicySet
from orchestrator.core.policy_index import PolicyIndex, needs
from orchestrator.core.rdf import Node, parse_turtle
from orchestrator.core.shapes.compiler import Compiler
from orchestrator.core.shapes.data import Data

HEAD = f"""@prefix as: <{v.AS}> . @prefix pol: <{v.POLICY}> . @prefix rdf: <{v.RDF}> .
@prefix rdfs: <{v.RDFS}> . @prefix sh: <{v.SH}> . @prefix x: <{EX}> .
"""


@settings(max_examples=60)
@given(st.randoms(use_true_random=True))
def test_index_and_full_scan_agree(rng: Random) -> None:
    """Each generated top shape is a policy's condition; all of them are asked of several data."""
    sources = [pair(rng) for _ in range(4)]
    tops = [(source.shapes, top) for source in sources for top in source.tops]
    conditions = [Compiler(graph).compile([top]) for graph, top in tops]
    index = PolicyIndex(needs(graph, top) for graph, top in tops)
    for data in [Data.from_quads(one) for one in (*(source.dataset for source in sources), dataset(rng))]:
        scanned = [
            n for n, condition in enumerate(conditions) if condition.conforms(data, ROOT, unbounded=True)
        ]
        tried = index.candidates(data, ROOT)
        assert [n for n in tried if n in scanned] == scanned
        assert tried == sorted(set(tried))


def need(condition: str) -> list[set[tuple[object, ...]]]:
    graph = parse_turtle(f"{HEAD}<urn:s> sh:property x:unused ; {condition} .")
    [top] = {node for node in graph.subjects() if str(node) == "urn:s"}
    return sorted(
        (
            {(str(p).removeprefix(v.RDF), str(o).removeprefix(EX)) for p, o in one}
            for one in needs(graph, top)
        ),
        key=repr,
    )


def has(value: str, path: str = "rdf:type") -> str:
    return f"[ sh:path {path} ; sh:hasValue {value} ]"


A, B = {("type", "A")}, {("type", "B")}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (f"sh:property {has('x:A')}", [A]),
        (f"sh:property {has('x:A')} , {has('x:B')}", [A, B]),
        (f"sh:node [ sh:property {has('x:A')} ]", [A]),
        (f"sh:and ( {has('x:A')} [ sh:property {has('x:B')} ] )", [A, B]),
        (f"sh:or ( {has('x:A')} {has('x:B')} )", [A | B]),
        (f"sh:xone ( {has('x:A')} {has('x:B')} )", [A | B]),
        (f"sh:or ( {has('x:A')} [ sh:nodeKind sh:IRI ] )", []),
        (f"sh:not {has('x:A')}", []),
        ("sh:property [ sh:path rdf:type ; sh:minCount 1 ; sh:in ( x:A x:B ) ]", [A | B]),
        ("sh:property [ sh:path rdf:type ; sh:in ( x:A x:B ) ]", []),
        ("sh:property [ sh:path rdf:type ; sh:qualifiedMinCount 1 ; sh:qualifiedValueShape [ sh:in ( x:A x:B ) ] ]", [A | B]),
        ("sh:property [ sh:path rdf:type ; sh:qualifiedMinCount 1 ; sh:qualifiedValueShape [ sh:hasValue x:A ] ]", [A]),
        ("sh:property [ sh:path rdf:type ; sh:qualifiedMaxCount 1 ; sh:qualifiedValueShape [ sh:hasValue x:A ] ]", []),
        ("sh:property [ sh:path rdf:type ; sh:qualifiedMinCount 0 ; sh:qualifiedValueShape [ sh:hasValue x:A ] ]", []),
        (f"sh:property {has('x:A', '( as:object rdf:type )')}", []),
        (f"sh:property {has('x:A', '[ sh:inversePath rdf:type ]')}", []),
        ("sh:class x:A", []),  # a subclass would do
        ("sh:hasValue x:A", []),
    ],
)  # fmt: skip
def test_what_a_condition_cannot_do_without(condition: str, expected: list[set[tuple[str, str]]]) -> None:
    assert need(condition) == sorted(expected, key=repr)


def policy(name: str, *values: str) -> str:
    shape = " , ".join(has(value) for value in values)
    when = f"pol:when [ sh:property {shape} ] ;" if values else ""
    return f'<#{name}> a pol:Policy ; rdfs:label "{name}" ; {when} pol:then [ a pol:Log ] .\n'


def policies(*texts: str) -> PolicySet:
    return PolicySet({"p.ttl": HEAD + "".join(texts)})


def announced(*types: str) -> Data:
    return Data({ROOT: {v.RDF + "type": [EX + name for name in types]}})


def names(matched: tuple[str, ...]) -> list[str]:
    return [iri.partition("#")[2] for iri in matched]


def test_policies_match_in_their_own_order_whatever_the_index_finds_first() -> None:
    loaded = policies(
        policy("a", "x:B"), policy("b"), policy("c", "x:A"), policy("d", "x:A", "x:B"), policy("e", "x:C")
    )
    assert names(loaded.matching(announced("A", "B"), ROOT)) == ["a", "b", "c", "d"]
    assert names(loaded.matching(announced(), ROOT)) == ["b"]
    assert names(loaded.matching(Data(), ROOT)) == ["b"]


def test_of_a_thousand_policies_only_those_are_tried_whose_rarest_need_is_met() -> None:
    graph = parse_turtle(
        HEAD
        + "".join(
            f"<urn:s{n}> sh:property {has('x:A')} , {has(f'x:artefact{n}', 'as:object')} .\n"
            for n in range(1000)
        )
    )
    tops: list[Node] = sorted(
        {node for node in graph.subjects() if str(node).startswith("urn:s")},
        key=lambda node: int(str(node)[5:]),
    )
    index = PolicyIndex(needs(graph, top) for top in tops)
    data = announced("A")
    data.add(ROOT, v.AS + "object", EX + "artefact7")
    assert index.candidates(data, ROOT) == [7]
