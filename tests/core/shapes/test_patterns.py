import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core import vocabulary as v
from orchestrator.core.rdf import parse_turtle
from orchestrator.core.shapes.compiler import Compiled, Compiler
from orchestrator.core.shapes.data import Data
from orchestrator.core.shapes.patterns import MAX_TEXT, Unbounded, compile_pattern

BASE = "https://x.example/shapes"
PREFIXES = f"@prefix sh: <{v.SH}> . @prefix as: <{v.AS}> .\n"
ACTIVITY = "urn:x-activity"


@pytest.mark.parametrize(
    ("pattern", "prefixes"),
    [
        ("^https?://", ("http://", "https://")),
        (r"^http://schema\.org/", ("http://schema.org/",)),
        (r"^(?:urn:|https?://)x", ("urn:x", "http://x", "https://x")),
        (r"\Aab", ("ab",)),
        ("^", ("",)),
        ("^ab$", ()),
        ("ab", ()),
        ("^a|b", ()),
        ("^a+", ()),
        ("^[ab]", ()),
        ("(?i)^ab", ()),
        ("(?m)^ab", ()),
        ("^(?i:a)b", ()),
        ("^(?=a)", ()),
        ("^" + "a?" * 9, ()),
    ],
)
def test_a_pattern_that_is_no_more_than_a_beginning_is_a_test_of_it(
    pattern: str, prefixes: tuple[str, ...]
) -> None:
    assert compile_pattern(pattern).prefixes == prefixes


def test_flags_make_a_beginning_more_than_that() -> None:
    assert compile_pattern("^ab", "i").prefixes == ()
    assert compile_pattern("^ab", "m").prefixes == ()


@pytest.mark.parametrize(
    "pattern",
    [
        "^https?://", "^[a-z]+$", "^.*[.]pdf$", "^[A-Za-z0-9][^/ ]*/[A-Za-z0-9][^/ ]*$", "^10[.][0-9]{4,9}/[-._;()/:A-Za-z0-9]+$",
        "^https://[^/]+/item/[0-9]+$", "^(ab)*c", "review", "(foo|bar)$", "^$", "", "^a{2,9}b", "^[a-z]*[a-y]", r"^\d+/", "^[^/]*/[^/]*/.*x",
    ],
)  # fmt: skip
def test_a_pattern_whose_work_grows_with_the_text_and_no_faster_is_bounded(pattern: str) -> None:
    assert compile_pattern(pattern).bounded


@pytest.mark.parametrize(
    "pattern",
    [
        "[a-z]+@", "^.*a.*b", "^.*[^/]+/x", "^a*a*b", "^a{1,500}a{1,500}b", "(?m)^a.*b", "^a{1,70}[ab]", ".*", "x" * 99,
        "^(?=a*)b", "^a++b", "^(a*|b*)c", "^(?:[^/]*)[^x]*/", r"^\w*-\w*-", "^(?i:[^a]*A[^a]*A)",
    ],
)  # fmt: skip
def test_any_other_is_not(pattern: str) -> None:
    assert not compile_pattern(pattern).bounded


@pytest.mark.parametrize(
    ("pattern", "least", "most"),
    [("[a-z]+@", 512, 512), ("^a*a*b", 300, 512), ("a*a*b", 40, 90), ("^a*a*a*a*a*$", 5, 20), ("^a{1,500}a{1,500}b", 0, 512),
     ("^(?=a*)b*$", 300, 512), ("x" * 99, 512, 512), ("^a{0,900}a{0,900}a{0,900}b", 0, 0), ("(x(ab){400}){400}c+d", 0, 3)],
)  # fmt: skip
def test_the_more_repeats_a_pattern_has_the_shorter_is_the_text_on_which_it_may_run(
    pattern: str, least: int, most: int
) -> None:
    limit = compile_pattern(pattern).limit
    assert limit is not None
    assert least <= limit <= most


def test_flags_can_take_the_bound_away() -> None:
    assert compile_pattern("^[^/]+/[a-z]+$").bounded
    assert not compile_pattern("^[^/]+/[a-z]+$", "m").bounded
    assert not compile_pattern("^[^a]+a[a-z]+$", "i").bounded


@given(st.text(alphabet="htps:/x.ab", max_size=20))
def test_the_test_of_a_beginning_says_what_the_pattern_would(text: str) -> None:
    for pattern in ("^https?://", r"^(?:a|ab)x", r"^(a(?:bx|x)?)?", "^"):
        prefixes = compile_pattern(pattern).prefixes
        assert text.startswith(prefixes) == bool(re.search(pattern, text))


def compiled(pattern: str) -> Compiled:
    return _of(f'{PREFIXES}<#s> sh:property [ sh:path as:summary ; sh:pattern "{pattern}" ] .')


def _of(text: str) -> Compiled:
    graph = parse_turtle(text, BASE)
    [top] = {node for node in graph.subjects() if str(node) == BASE + "#s"}
    return Compiler(graph).compile([top])


def said(text: str) -> Data:
    return Data({ACTIVITY: {v.AS + "summary": [(text, v.XSD + "string", "")]}})


def test_a_pattern_without_a_bound_runs_on_a_short_text_and_on_a_long_one_when_told_so() -> None:
    shapes = compiled("[a-z]+@")
    assert not shapes.bounded
    assert shapes.conforms(said("a" * (MAX_TEXT - 1) + "@"), ACTIVITY)
    long = said("a" * MAX_TEXT + "@")
    with pytest.raises(Unbounded):
        shapes.conforms(long, ACTIVITY)
    with pytest.raises(Unbounded):
        shapes.check(long, ACTIVITY)
    assert shapes.conforms(long, ACTIVITY, unbounded=True)
    assert shapes.check(long, ACTIVITY, unbounded=True) == []
    with pytest.raises(Unbounded):  # told once is not told for ever
        shapes.conforms(long, ACTIVITY)


def test_a_bounded_pattern_runs_on_any_text() -> None:
    shapes = compiled("^[a-z]+@$")
    assert shapes.bounded
    assert shapes.conforms(said("a" * 100_000 + "@"), ACTIVITY)


def test_a_shape_is_bounded_if_everything_below_it_is() -> None:
    for part in ("sh:not [ {} ]", "sh:or ( [ {} ] [ sh:nodeKind sh:IRI ] )", "sh:node [ {} ]",
                 "sh:property [ sh:path as:object ; sh:qualifiedMinCount 1 ; sh:qualifiedValueShape [ {} ] ]"):  # fmt: skip
        for pattern, bounded in (("^a", True), ("a.*b", False)):
            shape = part.format(f'sh:pattern "{pattern}"')
            assert _of(f"{PREFIXES}<#s> {shape} .").bounded is bounded, shape
