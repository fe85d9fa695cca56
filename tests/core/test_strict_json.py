import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import ScreeningRefused, TooLarge, UnreadableBytes
from orchestrator.core.strict_json import DEFAULT_LIMITS, Limits, canonical, parse, pointer


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


def test_the_same_content_has_one_canonical_form() -> None:
    assert canonical({"b": 1, "a": [1.0, "é"]}) == canonical({"a": [1, "\u00e9"], "b": 1})
