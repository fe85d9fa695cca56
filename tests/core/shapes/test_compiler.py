"""What the oracle cannot say: where it gives no answer, and what we promise beside the results."""

import pytest

from orchestrator.core import vocabulary as v
from orchestrator.core.rdf import parse_turtle
from orchestrator.core.shapes.compiler import Compiled, Compiler
from orchestrator.core.shapes.data import Data, Term

PREFIXES = f"@prefix sh: <{v.SH}> . @prefix x: <urn:x:> . @prefix xsd: <{v.XSD}> .\n"
ROOT = "urn:x:root"
BLANK = "_:b0"


def compiled(shape: str) -> Compiled:
    graph = parse_turtle(f"{PREFIXES}x:shape {shape} .")
    [top] = {node for node in graph.subjects() if str(node) == "urn:x:shape"}
    return Compiler(graph).compile([top])


def data(**values: list[Term]) -> Data:
    return Data({ROOT: {f"urn:x:{name}": terms for name, terms in values.items()}})


def number(text: str, kind: str = "decimal") -> Term:
    return text, v.XSD + kind, ""


@pytest.mark.parametrize("name", ["lessThan", "lessThanOrEquals"])
@pytest.mark.parametrize("pair", [(BLANK, number("1")), (number("1"), BLANK), (BLANK, BLANK)])
def test_what_cannot_be_compared_is_reported(name: str, pair: tuple[Term, Term]) -> None:
    [result] = compiled(f"sh:path x:p ; sh:{name} x:q").check(data(p=[pair[0]], q=[pair[1]]), ROOT)
    assert (result.focus, result.path, result.value) == (ROOT, "urn:x:p", pair[0])


def test_what_is_no_number_is_in_no_range() -> None:
    shape = compiled("sh:path x:p ; sh:minInclusive 1.5")
    assert shape.conforms(data(p=[number("1.5"), number("2", "integer"), number("1e1", "double")]), ROOT)
    for odd in (number("NaN"), number("NaN", "double"), number("x"), number("2", "string"), "urn:x:2", BLANK):
        assert not shape.conforms(data(p=[odd]), ROOT), odd


def test_a_huge_number_is_compared_without_being_written_out() -> None:
    shape = compiled("sh:path x:p ; sh:minInclusive 1.5")
    assert shape.conforms(data(p=[number("1e999999999")]), ROOT)
    assert not shape.conforms(data(p=[number("-1e999999999")]), ROOT)


def test_a_result_says_what_is_not_met_for_shapes_without_a_message() -> None:
    [result] = compiled("sh:path x:p ; sh:minCount 1").check(data(), ROOT)
    assert result.reason == 'sh:minCount "1" is not met'


def test_a_result_is_told_once_however_many_ways_lead_to_it() -> None:
    named = Data({
        ROOT: {"urn:x:p": ["urn:x:a"], "urn:x:q": ["urn:x:a"]}, "urn:x:a": {},
    })  # fmt: skip
    shape = compiled(
        "sh:property [ sh:path x:p ; sh:property x:r ] , [ sh:path x:q ; sh:property x:r ] .\n"
        "x:r sh:path x:s ; sh:minCount 1"
    )
    assert [result.focus for result in shape.check(named, ROOT)] == ["urn:x:a"]


def test_shapes_that_are_put_together_find_what_each_would() -> None:
    graph = parse_turtle(
        f"{PREFIXES}x:one sh:property [ sh:path x:p ; sh:minCount 1 ] . x:two sh:nodeKind sh:Literal ; sh:property [ sh:path x:p ; sh:hasValue 1 ] ."
    )
    tops = sorted({node for node in graph.subjects() if str(node).startswith("urn:x:")}, key=str)
    together = Compiler(graph).compile(tops).check(data(), ROOT)
    alone = [result for top in tops for result in Compiler(graph).compile([top]).check(data(), ROOT)]
    assert set(together) == set(alone)
    assert len(together) == 3


def test_a_root_that_says_nothing_is_judged_all_the_same() -> None:
    assert not compiled("sh:property [ sh:path x:p ; sh:minCount 1 ]").conforms(Data(), ROOT)
    assert compiled("sh:property [ sh:path x:p ; sh:maxCount 1 ]").conforms(Data(), ROOT)
