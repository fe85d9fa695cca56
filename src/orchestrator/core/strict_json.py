"""Bytes → JSON that can be read in one way only (RFC 8259, RFC 7493), within limits of structure.

The standard parser takes duplicate keys, NaN, 1e400, NUL and lone surrogates. Here each of them is a
finding with its place: the parser leaves a mark in the tree, and one walk reports all marks and all
limits together. What is plainly sound, as nearly everything is, is read without marks and that walk.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import rfc8785

from orchestrator.core.errors import TooLarge, UnreadableBytes
from orchestrator.core.finding import Finding
from orchestrator.core.vocabulary import PROBLEMS

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None

_RULES: Final = PROBLEMS + "unreadable-bytes#"
MAX_REPORTED: Final = 50
"""Findings of a stage; whoever sends more of them learns of the rest when these are mended."""
_SAFE_INTEGER: Final = 2**53 - 1
_INTEGER_CHARACTERS: Final = 17
_FLOAT_CHARACTERS: Final = 32
_INDEX_CHARACTERS: Final = 4
# NUL, and whatever may be half of a surrogate pair.
_BAD_ESCAPE: Final = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How large a document may be. Every limit is enforced before the work that it bounds."""

    body: int = 65_536
    """Bytes of the body."""
    depth: int = 32
    """Objects and arrays within each other."""
    nodes: int = 2_000
    """JSON values in all, members and items alike."""
    string: int = 16_384
    """Characters of a string or a member's name."""
    path: int = 2_048
    """Characters of the names that lead to a value: each finding repeats them in its pointer."""
    array: int = 100
    """Items of an array."""
    identifier: int = 2_048
    """Characters of an id."""
    contexts: int = 32
    """JSON-LD contexts that are named or written: each costs more than all else that can be said."""
    triples: int = 500
    """RDF triples of the document."""
    blank_nodes: int = 50
    """RDF nodes without an IRI."""


DEFAULT_LIMITS: Final = Limits()


class _Marked(dict[str, Json]):
    """An object in which a name occurred more than once."""

    __slots__ = ("repeated",)

    repeated: list[str]


class _BadNumber:
    """A number that JSON or our peers cannot hold."""

    def __init__(self, text: str) -> None:
        self.text = text


def pointer(*steps: str | int) -> str:
    """Return the RFC 6901 pointer that takes `steps` from the root."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def parse(body: bytes, limits: Limits = DEFAULT_LIMITS) -> Json:
    """Read `body` strictly.

    Raises `TooLarge` or `UnreadableBytes` with every finding.
    """
    if len(body) > limits.body:
        message = f"Send at most {limits.body} bytes; this body has {len(body)}."
        raise TooLarge([_finding("size", message, "")])
    try:
        return _parse_plain(body, limits)
    except _NotPlain:
        pass
    value = _decode(body)
    findings: list[Finding] = []
    for found in _walk(value, limits, escapes=b"\\u" in body):
        findings.append(found)
        if len(findings) == MAX_REPORTED:
            break
    if findings:
        raise UnreadableBytes(findings)
    return value


class _NotPlain(Exception):
    """It takes a closer look to tell whether this is sound."""


def _parse_plain(body: bytes, limits: Limits) -> Json:
    """Read what is plainly within every limit; raises `_NotPlain`."""
    if body.startswith(b"\xef\xbb\xbf") or _BAD_ESCAPE.search(body):
        raise _NotPlain
    try:
        value: Json = _DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise _NotPlain from None
    opened, commas = body.count(b"{") + body.count(b"["), body.count(b",")
    # Every bound counts too much, strings' own brackets and commas for example, and so decides quickly.
    if not (
        opened <= limits.depth
        and opened + commas < limits.nodes
        and commas < limits.array
        and len(body) <= min(limits.string, limits.path)
    ):
        _fit(value, limits)
    return value


def _fit(root: Json, limits: Limits) -> None:
    """Raise `_NotPlain` unless `root` is within the limits of structure."""
    left = limits.nodes
    stack: list[tuple[Json, int, int]] = [(root, 0, 1)]
    while stack:
        value, length, depth = stack.pop()
        left -= 1
        if isinstance(value, str):
            if len(value) > limits.string:
                raise _NotPlain
        elif isinstance(value, dict):
            for name, child in value.items():
                # A slash or a tilde takes two characters of a pointer.
                path = length + 1 + 2 * len(name)
                if path > limits.path or len(name) > limits.string:
                    raise _NotPlain
                stack.append((child, path, depth + 1))
        elif isinstance(value, list):
            if len(value) > limits.array:
                raise _NotPlain
            stack += [(child, length + _INDEX_CHARACTERS, depth + 1) for child in value]
        else:
            continue
        if left < len(stack) or (depth > limits.depth and not isinstance(value, str)):
            raise _NotPlain


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _NotPlain
    return members


def _sound(found: float | _BadNumber) -> Any:  # noqa: ANN401  (a number)
    if isinstance(found, _BadNumber):
        raise _NotPlain
    return found


def _no_number(_text: str) -> Any:  # noqa: ANN401  (json's type)
    raise _NotPlain


def canonical(value: Json) -> bytes:
    """Return `value` in the canonical form of RFC 8785, by which contents are compared.

    Nearly everything is written by orjson, many times as fast, with the same bytes: both escape alike, and
    sort alike the names that are within the Basic Multilingual Plane.
    """
    if _is_plain(value):
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:  # an unpaired surrogate, which the other way refuses in its own words
            pass
    return rfc8785.dumps(value)


def _is_plain(value: Json) -> bool:
    """Whether `value` has no floats, no integers beyond 53 bits and no names beyond the BMP."""
    values = [value]
    for item in values:  # grows as it is walked
        kind = type(item)
        if isinstance(item, dict) and kind is dict:
            names = "".join(item)
            if not names.isascii() and max(names) > "\uffff":
                return False
            values += [child for child in item.values() if type(child) is not str]
        elif isinstance(item, list) and kind is list:
            values += [child for child in item if type(child) is not str]
        elif kind is int:
            if not -_SAFE_INTEGER <= item <= _SAFE_INTEGER:  # type: ignore[operator]
                return False
        elif not (kind is str or item is None or kind is bool):
            return False
    return True


def _finding(rule: str, message: str, place: str, value: object = None) -> Finding:
    return Finding(rule=_RULES + rule, message=message, pointer=place, value=value)


def _refuse(rule: str, message: str) -> UnreadableBytes:
    return UnreadableBytes([_finding(rule, message, "")])


def _decode(body: bytes) -> Json:
    if body.startswith(b"\xef\xbb\xbf"):
        rule = "byte-order-mark"
        raise _refuse(rule, "Leave out the byte order mark at the start (RFC 8259 section 8.1).")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"Encode the body as UTF-8: byte {error.start} is not (RFC 8259 section 8.1)."
        raise _refuse("utf-8", message) from None
    try:
        value: Json = json.loads(
            text,
            object_pairs_hook=_pairs,
            parse_constant=_BadNumber,
            parse_float=_float,
            parse_int=_int,
        )
    except json.JSONDecodeError as error:
        message = f"Send JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise _refuse("json", message) from None
    except RecursionError:
        raise _refuse("depth", "Nest objects and arrays less deeply.") from None
    return value


def _pairs(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    marked = _Marked(members)
    names = Counter(name for name, _ in pairs)
    marked.repeated = [name for name, count in names.items() if count > 1]
    return marked


def _float(text: str) -> float | _BadNumber:
    value = float(text) if len(text) <= _FLOAT_CHARACTERS else math.inf
    return value if math.isfinite(value) else _BadNumber(text)


def _int(text: str) -> int | _BadNumber:
    if len(text) > _INTEGER_CHARACTERS or abs(int(text)) > _SAFE_INTEGER:
        return _BadNumber(text)
    return int(text)


def _walk(root: object, limits: Limits, *, escapes: bool) -> Iterator[Finding]:
    """Yield what is wrong, depth first, without recursion."""
    left = limits.nodes
    stack: list[tuple[object, str, int]] = [(root, "", 1)]
    while stack:
        value, place, depth = stack.pop()
        left -= 1
        if left < 0:
            yield _finding("nodes", f"Send at most {limits.nodes} JSON values.", "")
            return
        if isinstance(value, str):
            yield from _text(value, place, limits, escapes=escapes)
        elif isinstance(value, _BadNumber):
            message = f"Write {value.text[:40]} as a finite number of at most 53 bits (RFC 7493 section 2.2)."
            yield _finding("number", message, place, value.text[:40])
        elif isinstance(value, dict | list):
            if depth > limits.depth:
                yield _finding("depth", f"Nest at most {limits.depth} levels.", place)
                continue
            children = yield from _open(value, place, limits, escapes=escapes)
            stack.extend((child, f"{place}{pointer(step)}", depth + 1) for step, child in children)


def _open(
    value: dict[str, Json] | list[Json], place: str, limits: Limits, *, escapes: bool
) -> Generator[Finding, None, Sequence[tuple[str | int, Json]]]:
    """Yield what is wrong with the container itself; return its children, the last one first."""
    if isinstance(value, list):
        if len(value) > limits.array:
            message = f"Send at most {limits.array} items; this array has {len(value)}."
            yield _finding("array", message, place)
            return []
        return list(enumerate(value))[::-1]
    if isinstance(value, _Marked):
        for name in value.repeated:
            message = f"Give the member “{name[:80]}” once (RFC 7493 section 2.3)."
            yield _finding("duplicate-member", message, place + pointer(name[:80]))
    for name in value:
        yield from _text(name, place, limits, escapes=escapes)
    if any(len(place) + len(name) > limits.path for name in value):
        message = f"Use shorter names of members: at most {limits.path} characters may lead to a value."
        yield _finding("string", message, place)
        return []
    return list(value.items())[::-1]


def _text(text: str, place: str, limits: Limits, *, escapes: bool) -> Iterator[Finding]:
    if len(text) > limits.string:
        message = f"Send at most {limits.string} characters; this string has {len(text)}."
        yield _finding("string", message, place)
    # A raw NUL or surrogate cannot pass the parser and the UTF-8 decoder; only an escape can.
    if escapes and ("\0" in text or any("\ud800" <= char <= "\udfff" for char in text)):
        message = "Leave out NUL and unpaired surrogates (RFC 7493 section 2.1)."
        yield _finding("character", message, place)


# Made once: the standard library's `loads` makes one for each call that has hooks.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_constant=_no_number,
    parse_float=lambda text: _sound(_float(text)),
    parse_int=lambda text: _sound(_int(text)),
)
