"""The worst documents that are known: each at most 64 kB, each meant to be slow somewhere (B15).

What a search finds (`benchmarks/search.py`) lies in `benchmarks/found/`, as it was found.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from orchestrator.core.vocabulary import AS_CONTEXT, NOTIFY_CONTEXT

FOUND: Final = Path(__file__).parent / "found"
MOST: Final = 65_536
"""Bytes."""
_CONTEXTS: Final = [AS_CONTEXT, NOTIFY_CONTEXT]


def _announce(**members: object) -> dict[str, Any]:
    """Return an announcement with these members beside those that it needs."""
    service = {"id": "https://a.example/", "type": "Service", "inbox": "https://a.example/inbox/"}
    return {
        "@context": _CONTEXTS,
        "id": f"urn:uuid:{uuid.uuid4()}",
        "type": ["Announce", "coar-notify:ReviewAction"],
        "origin": service,
        "target": {**service, "id": "https://b.example/"},
        "actor": {"id": "https://a.example/me", "type": "Person", "name": "A"},
        "object": {"id": "https://a.example/review", "type": ["Document", "sorg:Review"]},
        "context": {"id": "https://b.example/preprint", "type": ["Page", "sorg:AboutPage"]},
        **members,
    }


def _bytes(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def usual() -> bytes:
    """Return a usual notification, to compare with."""
    return _bytes(_announce())


def deep_nesting() -> bytes:
    """Return objects in objects, as deep as is allowed, a hundred such chains."""
    inner: dict[str, Any] = {"id": "https://a.example/leaf", "type": "Note"}
    for level in range(28):
        inner = {"id": f"https://a.example/{level}", "type": "Note", "object": inner}
    return _bytes(_announce(object=inner, result=[inner, inner], tag=inner))


def most_nodes() -> bytes:
    """Return as many things as make five hundred triples, each named in four places."""
    things = [{"id": f"https://a.example/{number}", "type": "Note"} for number in range(90)]
    return _bytes(_announce(tag=things, result=things, instrument=things, audience=things))


def too_many_nodes() -> bytes:
    """Return a few more than that: what is refused last of all has cost most."""
    things = [{"id": f"https://a.example/{number}", "type": "Note"} for number in range(100)]
    return _bytes(_announce(tag=things, result=things, instrument=things, audience=things, bto=things))


def most_triples() -> bytes:
    """Return just under five hundred triples, each of them looked at by some shape."""
    things = [
        {"id": f"https://a.example/{n}", "type": ["Page", "sorg:AboutPage"], "name": "n"} for n in range(99)
    ]
    return _bytes(_announce(context=things))


def most_blank_nodes() -> bytes:
    """Return just under fifty things without an id, within each other."""
    things = [{"type": "Note", "name": {"type": "Note"}, "summary": str(number)} for number in range(24)]
    return _bytes(_announce(object=things))


def context_in_every_node() -> bytes:
    """Return as many contexts as are allowed, each naming both big ones anew."""
    inner: dict[str, Any] = {"id": "https://a.example/leaf", "type": "Note"}
    for level in range(14):
        inner = {"@context": _CONTEXTS, "id": f"https://a.example/{level}", "type": "Note", "object": inner}
    return _bytes(_announce(object=inner))


def thousands_of_inline_terms() -> bytes:
    """Return an inline context full of terms, each built on the one before it."""
    terms = {"p0": "https://a.example/ns#"}
    terms |= {f"p{number}": f"p{number - 1}:x" for number in range(1, 900)}
    return _bytes(_announce(**{"@context": [*_CONTEXTS, terms], "p899": "value"}))


def long_strings() -> bytes:
    """Return three strings of the greatest length."""
    return _bytes(_announce(summary="é" * 8_000, name="x" * 16_384, content="\\u0041" * 2_700))


def long_identifiers() -> bytes:
    """Return IRIs of the greatest length, everywhere."""
    long = "https://a.example/" + "a-" * 1_000
    return _bytes(_announce(tag=[f"{long}{number}" for number in range(25)]))


def many_languages() -> bytes:
    """Return language maps with a hundred tags each."""
    tags = {f"{chr(97 + n // 26)}{chr(97 + n % 26)}": f"word {n}" for n in range(100)}
    return _bytes(_announce(nameMap=tags, summaryMap=tags, contentMap=tags))


def bad_language_tags() -> bytes:
    """Return a language tag that nearly is one, as long as a name may be."""
    return _bytes(_announce(nameMap={"aaaaaaaa-" * 220 + "!": "x"}))


def strings_for_patterns() -> bytes:
    """Return texts that almost match what expressions for IRIs, media types and dates look for."""
    almost = {
        "ietf:cite-as": "https://doi.org/10." + "5" * 16_000 + " ",
        "mediaType": "application/" + "x-" * 8_000 + " ",
        "published": "2030-01-01T00:00:00." + "0" * 16_000,
    }
    return _bytes(_announce(object={"id": "https://a.example/review", "type": "Document", **almost}))


def many_findings() -> bytes:
    """Return values that break a rule, fifty times each: as many findings as can be."""
    wrong = ["not an IRI", *({"id": f"https://a.example/{number}", "inbox": "x"} for number in range(49))]
    return _bytes(_announce(actor=wrong, origin=wrong, target=wrong, context=wrong))


def unknown_members() -> bytes:
    """Return members that no context knows."""
    return _bytes(_announce(**{f"member{number}": "x" for number in range(470)}))


def many_types() -> bytes:
    """Return types in great number, in every thing."""
    types = [f"https://a.example/type/{number}" for number in range(100)]
    return _bytes(_announce(object={"id": "https://a.example/review", "type": types}, tag={"type": types}))


def many_marks() -> bytes:
    """Return text that has something to mark at every place: doubles, NUL, NaN, large numbers."""
    return b"{" + b",".join(b'"a":[NaN,1e999,"\\u0000",99999999999999999999]' for _ in range(1_400)) + b"}"


def open_brackets() -> bytes:
    """Return 64 kB of arrays that begin."""
    return b"[" * MOST


def one_number() -> bytes:
    """Return a number of 64,000 digits."""
    return b'{"a":' + b"1" * 64_000 + b"}"


def escapes() -> bytes:
    """Return text that is all escapes."""
    return (
        _bytes(_announce())[:-1]
        + b',"summary":"'
        + b"\\u0061" * 2_700
        + b'","name":"'
        + b"\\ud83d\\ude00" * 1_300
        + b'"}'
    )


def same_names() -> bytes:
    """Return thousands of members of one name."""
    return _bytes(_announce())[:-1] + b',"name":"x"' * 5_500 + b"}"


def not_utf8() -> bytes:
    """Return bytes that are no text."""
    return b'{"a":"' + b"\xff\xfe" * 32_000 + b'"}'


def _found() -> dict[str, Callable[[], bytes]]:
    return {f"found {path.stem}": path.read_bytes for path in sorted(FOUND.glob("*.json"))}


DOCUMENTS: Final[Mapping[str, Callable[[], bytes]]] = {
    **_found(),
    **{
        function.__name__.replace("_", " "): function
        for function in (
            deep_nesting,
            most_nodes,
            too_many_nodes,
            most_triples,
            most_blank_nodes,
            context_in_every_node,
            thousands_of_inline_terms,
            long_strings,
            long_identifiers,
            many_languages,
            bad_language_tags,
            strings_for_patterns,
            many_findings,
            unknown_members,
            many_types,
            many_marks,
            open_brackets,
            one_number,
            escapes,
            same_names,
            not_utf8,
        )
    },
}
