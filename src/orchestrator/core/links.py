"""Header fields in the answers of others: Link (RFC 8288) and Retry-After (RFC 9110, section 10.2.3).

Peers write Link headers by hand, so the parser follows RFC 8288, appendix B, and goes on where a strict
one would stop: Software Heritage, for one, leaves out the closing quote of `rel`.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple
from urllib.parse import urldefrag, urljoin

MAX_CHARACTERS: Final = 8_192
"""Of all Link headers of one answer together; what comes after is not read (threat T12)."""

_TARGET: Final = re.compile(r"<([^<>]*)>")
_NAME: Final = re.compile(r"\s*;[\s;]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(\s*=\s*)?")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_BARE: Final = re.compile(r"[^\s;,]*")
# Where a value whose closing quote is missing must have ended: the next parameter or the next link.
_END: Final = re.compile(r",\s*<|;\s*[\w*-]+\s*=")
_MAX_DIGITS: Final = 10


class Link(NamedTuple):
    """One link as written: nothing is resolved yet."""

    target: str
    parameters: dict[str, str]
    """By lower-case name; of a repeated one the first counts (RFC 8288, section 3)."""


def parse(value: str) -> Iterator[Link]:
    """Yield the links of one Link header, skipping what is not one."""
    at = 0
    while opened := _TARGET.search(value, at):
        at = opened.end()
        parameters: dict[str, str] = {}
        while named := _NAME.match(value, at):
            at = named.end()
            text = ""
            if named[2] is not None:
                text, at = _value(value, at)
            parameters.setdefault(named[1].lower(), text)
        yield Link(opened[1].strip(), parameters)


def find(headers: Iterable[str], rel: str, base: str) -> list[str]:
    """Return the absolute targets of the links with relation `rel`, in order, each once.

    `headers` are the values of the Link headers of one answer, `base` is the URL that answered. A link
    whose anchor names another resource says nothing about this one (RFC 8288, section 3.2). Relations
    are compared without regard to case (section 2.1).
    """
    contexts = {base, urldefrag(base).url}
    wanted = rel.lower()
    found: dict[str, None] = {}
    left = MAX_CHARACTERS
    for value in headers:
        left -= len(value)
        if left < 0:
            break
        for target, parameters in parse(value):
            if wanted not in parameters.get("rel", "").lower().split():
                continue
            anchor = parameters.get("anchor")
            if anchor is not None and _resolve(base, anchor) not in contexts:
                continue
            resolved = _resolve(base, target)
            if resolved is not None:
                found[resolved] = None
    return list(found)


def retry_after(value: str | None, now: int) -> float | None:
    """Return the seconds that a Retry-After header asks for: its number, or the time left to its date.

    `now` is in milliseconds since 1970. None where there is no such header or it makes no sense.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= _MAX_DIGITS else None
    date = http_date(text)
    return None if date is None else max(0.0, (date - now) / 1000)


def http_date(value: str | None) -> int | None:
    """Return the milliseconds since 1970 of a date in a header, None where it is none."""
    try:
        date = parsedate_to_datetime(value or "")
        # An HTTP-date is always in GMT (RFC 9110, section 5.6.7), even where the zone is unreadable.
        return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000)
    except (TypeError, ValueError, OverflowError):
        return None


def _value(text: str, at: int) -> tuple[str, int]:
    """Return the parameter's value that starts at `at`, and where reading goes on."""
    if not text.startswith('"', at):
        bare = _BARE.match(text, at)
        return (bare[0], bare.end()) if bare else ("", at)
    quoted = _QUOTED.match(text, at)
    if quoted and not _swallowed(text, quoted):
        return re.sub(r"\\(.)", r"\1", quoted[1]), quoted.end()
    end = _END.search(text, at)
    stop = end.start() if end else len(text)
    return text[at + 1 : stop].strip().strip('"'), stop


def _swallowed(text: str, quoted: re.Match[str]) -> bool:
    """Whether the closing quote found is really the opening one of the next parameter."""
    return quoted[1].rstrip().endswith("=") and text[quoted.end() : quoted.end() + 1] not in (
        "",
        ";",
        ",",
        " ",
    )


def _resolve(base: str, reference: str) -> str | None:
    try:
        return urljoin(base, reference)
    except ValueError:
        return None
