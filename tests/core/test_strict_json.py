import json
import math

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.errors import ScreeningRefused, TooLarge, UnreadableBytes
from orchestrator.core.strict_json import DEFAULT_LIMITS, Json, Limits, canonical, parse, pointer


def found(body: bytes, limits: Limits = DEFAULT_LIMITS) -> list[tuple[str, str]]:
    with pytest.raises(ScreeningRefused) as refused:
        parse(body, limits)
    return [(finding.rule.partition("#")[2], finding.pointer) for finding in refused.value.findings]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", [("json", "")]),
        (b"{", [("json", "")]),
        (b"{'a': 1}", [("json", "")]),
        (b"[1,]", [("json", "")]),
        (b"nul", [("json", "")]),
        (b"\xef\xbb\xbf{}", [("byte-order-mark", "")]),
        (b'{"a": "\xff"}', [("utf-8", "")]),
        (b'"\xed\xa0\x80"', [("utf-8", "")]),
        (b'{"a": {"b": 1, "b": 2}}', [("duplicate-member", "/a/b")]),
        (b'{"a": 1, "\\u0061": 2}', [("duplicate-member", "/a")]),
        (b'{"a": NaN}', [("number", "/a")]),
        (b'[1, Infinity, {"x": -Infinity}]', [("number", "/1"), ("number", "/2/x")]),
        (b'{"a": 1e400}', [("number", "/a")]),
        (b'{"a": 90071992547409930}', [("number", "/a")]),
        (b'{"a": ' + b"9" * 5000 + b"}", [("number", "/a")]),
        (b'{"a": 0.' + b"1" * 5000 + b"}", [("number", "/a")]),
        (b'{"a": "\\u0000"}', [("character", "/a")]),
        (b'{"a": ["\\ud800"]}', [("character", "/a/0")]),
        (b'{"a": {"\\ud800": 1}}', [("character", "/a")]),
        (b"[" * 100_0 + b"]" * 1000, [("depth", "")]),
        (
            b'{"a": NaN, "b": {"c": 1, "c": 2}, "d": "\\u0000"}',
            [("number", "/a"), ("duplicate-member", "/b/c"), ("character", "/d")],
        ),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_with_its_place(
    body: bytes, expected: list[tuple[str, str]]
) -> None:
    assert found(body) == expected


def test_every_limit_of_structure_is_reported_with_its_place() -> None:
    limits = Limits(depth=3, nodes=50, string=10, array=4)
    assert found(b'{"a": {"b": {"c": {"d": 1}}}}', limits) == [("depth", "/a/b/c")]
    assert found(b'{"a": [1, 2, 3, 4, 5]}', limits) == [("array", "/a")]
    assert found(b'{"a": "12345678901", "12345678901": 1}', limits) == [("string", ""), ("string", "/a")]
    assert found(json.dumps({str(n): n for n in range(60)}).encode(), limits) == [("nodes", "")]


def test_the_size_is_refused_before_anything_is_parsed() -> None:
    with pytest.raises(TooLarge):
        parse(b"x" * 65_537)


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert parse(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"


def test_a_pointer_escapes_what_rfc_6901_says() -> None:
    assert pointer("a/b", "~", 0) == "/a~1b/~0/0"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(max_size=20)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=30,
)


@given(JSON)
def test_plain_json_within_the_limits_is_read_as_the_standard_library_reads_it(value: object) -> None:
    body = json.dumps(value).encode()
    try:
        read = parse(body)
    except UnreadableBytes as refused:
        assert {finding.rule.partition("#")[2] for finding in refused.findings} <= {
            "character",
            "number",
            "depth",
        }
    else:
        assert read == value or (isinstance(value, float) and math.isclose(value, float(str(read))))


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_else_than_be_read_or_be_refused(body: bytes) -> None:
    try:
        parse(body)
    except ScreeningRefused as refused:
        assert refused.findings


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=4) | st.sampled_from(
    ["", "\ue000", "\uffff", "\U00010000", "\U0010ffff", "é", "e\u0301", "\x7f", "a\nb", '"', "\\", "\x00"]
)
NUMBERS = (
    st.integers(-(2**53) - 1, 2**53 + 1)
    | st.sampled_from([2**53 - 1, 2**53, 1 - 2**53, -(2**53), 10**30, -0.0, 1.0, 1e21, 1e-7, 5e-324])
    | st.floats()
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | NAMES | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(NAMES, children, max_size=4),
    max_leaves=12,
)


@settings(max_examples=500)
@given(VALUES)
def test_the_canonical_form_is_that_of_rfc_8785_to_the_byte(value: Json) -> None:
    """The quick way and the library's: the same bytes, or the same refusal."""
    outcomes: list[tuple[object, ...]] = []
    for write in (canonical, rfc8785.dumps):
        try:
            outcomes.append((write(value),))
        except ValueError as error:
            outcomes.append((type(error), str(error)))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    "value",
    [
        {"\ue000": 1, "\U00010000": 2},  # beyond the BMP, code units and code points sort differently
        {"b": [{"\ue000": {}, "\U0010ffff": None}], "a": "\u2028\x1f\x7f\t"},
        {"a": [2**53 - 1, 1 - 2**53, True, 1.0, -0.0]},
        "\ud800",
        {"\udfff": 1},
        [2**53],
        [math.nan],
    ],
)
def test_what_the_quick_way_cannot_write_is_left_to_the_library(value: Json) -> None:
    try:
        expected = rfc8785.dumps(value)
    except ValueError as error:
        with pytest.raises(type(error)):
            canonical(value)
    else:
        assert canonical(value) == expected


def test_the_same_content_has_one_canonical_form() -> None:
    assert canonical({"b": 1, "a": [1.0, "é"]}) == canonical({"a": [1, "\u00e9"], "b": 1})
