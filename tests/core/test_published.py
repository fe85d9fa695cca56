"""What logs publish is read as strictly as what is received, and never too strictly."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import UnreadableBytes
from orchestrator.core.published import parse_published
from orchestrator.core.strict_json import canonical

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | TEXT
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_whatever_is_written_canonically_is_read_back(value: Any) -> None:
    assert canonical(parse_published(canonical(value))) == canonical(value)
    assert parse_published(canonical(value)) == value


@pytest.mark.parametrize("number", [1e17, -1e20, 12345678901234567890.5, 9007199254740992.0, 1e21, 5e-324])
def test_a_double_that_is_written_as_an_integer_is_read_as_that_double(number: float) -> None:
    assert parse_published(b'{"a": [%s]}' % canonical(number)) == {"a": [number]}


@pytest.mark.parametrize(
    "text",
    [
        "100000000000000001",
        "1" * 400,
        "1" * 5_000,
        "1e400",
        "-1e400",
        "NaN",
        "Infinity",
        '{"a": 100000000000000000, "a": 1}',
        '{"a": 100000000000000000, "b": NaN}',
        '{"a": 100000000000000000, "b": "\\u0000"}',
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_here_too(text: str) -> None:
    with pytest.raises(UnreadableBytes):
        parse_published(text.encode())


def test_what_hides_behind_many_numbers_is_found() -> None:
    many = ["1" + "0" * 17] * 60
    for hidden in ('{"a": 1, "a": 2}', "NaN", "1" * 30):
        with pytest.raises(UnreadableBytes):
            parse_published(f"[{', '.join([*many, hidden])}]".encode())
    assert len(json.loads(canonical(parse_published(f"[{', '.join(many)}]".encode())))) == 60


def test_a_notification_of_any_depth_is_read_within_a_page() -> None:
    assert parse_published(b"[" * 100 + b"]" * 100)
    with pytest.raises(UnreadableBytes, match="body"):
        parse_published(b"[" * 129 + b"]" * 129)
