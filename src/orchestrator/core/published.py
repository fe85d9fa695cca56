"""JSON that logs publish, read as strictly as what is received (`core.strict_json`), but never too strictly.

A page holds whole notifications some levels down, and their numbers as RFC 8785 writes them. What a stranger
could have published must not make a page unreadable.
"""

import json
from typing import Final

from orchestrator.core.errors import UnreadableBytes
from orchestrator.core.strict_json import Json, Limits, canonical, parse

_NUMBER: Final = "#number"
_DEPTH: Final = 128
"""A notification nests 32 levels at most; published, lists take one more each, and the page has its own."""
_MOST_DIGITS: Final = 22
"""From 10^21 on, RFC 8785 writes an exponent."""


class _Unsound(Exception):
    """It is as `parse` said."""


def parse_published(body: bytes) -> Json:
    """Read a page, whose bytes the caller has bounded. Raises `UnreadableBytes` with every finding.

    An integer beyond 53 bits is read as the double that RFC 8785 (section 3.2.2.3) writes so.
    """
    try:
        return parse(body, _limits(len(body)))
    except UnreadableBytes as error:
        if not all(finding.rule.endswith(_NUMBER) for finding in error.findings):
            raise
        try:
            return _with_large_integers(body)
        except (_Unsound, ValueError):
            raise error from None


def _limits(size: int) -> Limits:
    return Limits(body=size, depth=_DEPTH, nodes=500_000, string=1_048_576, array=100_000)


def _with_large_integers(body: bytes) -> Json:
    value: Json = json.loads(
        body, object_pairs_hook=_unique, parse_int=_integer, parse_float=_float, parse_constant=_none
    )
    return value


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Unsound
    return members


def _integer(text: str) -> int | float:
    if len(text) > _MOST_DIGITS:
        raise _Unsound
    number = int(text)
    if -(2**53) < number < 2**53:
        return number
    if canonical(float(number)) != text.encode():
        raise _Unsound
    return float(number)


def _float(text: str) -> float:
    """Return what `parse` would; it has said already what it would not."""
    value = parse(text.encode())
    assert isinstance(value, float)
    return value


def _none(_text: str) -> Json:
    raise _Unsound
