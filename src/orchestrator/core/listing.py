"""What an inbox lists, of whatever length: each member once, with a mark that changes when it does.

N-Triples is read line by line while it comes, so that a pod may list as much as it likes; everything else
has to be whole before it means something (`core.container`), and is bounded by its bytes.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urldefrag, urljoin

from orchestrator.core import container
from orchestrator.core import vocabulary as v
from orchestrator.core.errors import AnswerRefused, OrchestratorError
from orchestrator.core.jsonld import Contexts
from orchestrator.core.source import is_web, is_written
from orchestrator.core.strict_json import Limits, parse

ACCEPT: Final = (
    f"{v.N_TRIPLES}, {v.JSON_LD};q=0.9, {v.TURTLE};q=0.8, {v.ACTIVITY_JSON};q=0.7, {v.JSON};q=0.5, */*;q=0.1"
)
"""The same on every request, since an ETag belongs to a representation."""
Members = Mapping[str, str]
"""URL → mark: whatever the listing says of the member's size and last change."""

# Possessive throughout: a line is looked through once, whatever a stranger wrote into it.
_IRI: Final = r"<([^<>\"{}|^`\x00-\x20]*+)>"
_LITERAL: Final = r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"(?:@[A-Za-z0-9-]++|\^\^<[^<>"\s]*+>)?+'
_BLANK: Final = r'_:[^\s<>"]++'
_TRIPLE: Final = re.compile(
    rf"(?:{_IRI}|({_BLANK}))\s*+{_IRI}\s*+(?:{_IRI}|{_LITERAL}|{_BLANK})\s*+\.\s*+(?:\#.*+)?+"
)
"""A triple of RDF 1.1 N-Triples (section 7) whose object is an IRI or a literal."""
_END: Final = re.compile(rb"[\r\n]+")
_ESCAPE: Final = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})")
_PLAIN: Final = frozenset(("@context", "@id", "@type", "contains"))
_LONGEST_LINE: Final = 65_536
_TYPE: Final = v.RDF + "type"
_NOWHERE: Final = "\0"
_TOO_MANY: Final = "lists more than {most} members, more than are read at once"


class Lines:
    """An N-Triples listing that is still coming: `feed` it, then ask for its `members`."""

    def __init__(self, url: str, *, most: int) -> None:
        """Read the listing at `url`, of at most `most` members."""
        self._url = urldefrag(url).url
        self._most = most
        self._rest = b""
        self._contained: dict[str, dict[str, None]] = {}
        """Container → its members."""
        self._count = 0
        self._below = self._url if is_web(self._url) and self._url.endswith("/") else _NOWHERE
        self._marks: dict[str, str] = {}
        self._is_container = False

    def feed(self, chunk: bytes) -> None:
        """Read what has come; raises `AnswerRefused` for too many members, or a line without an end."""
        *lines, self._rest = _END.split(self._rest + chunk)
        for line in (*lines, self._rest):
            if len(line) > _LONGEST_LINE:
                raise AnswerRefused(
                    f"{self._url} is not N-Triples: a line has more than {_LONGEST_LINE} bytes."
                )
        for line in lines:
            self._read(line)

    def members(self) -> Members:
        """Return the members of the listing's container in order; of another one, if it is the only one.

        The listing may spell its own URL in another way. Raises `AnswerRefused` when no container is named.
        """
        last = self._rest.strip()
        if last and not last.startswith(b"#") and not self._read(last):
            raise AnswerRefused(f"{self._url} ended in the middle of a line.")
        self._rest = b""
        meant = self._contained.get(self._url)
        if meant is None and len(self._contained) == 1:
            meant = next(iter(self._contained.values()))
        if meant is None and not self._is_container:
            raise AnswerRefused(f"{self._url} is no listing: it has no ldp:contains.")
        return {url: self._marks.get(url, "") for url in meant or ()}

    def _read(self, line: bytes) -> bool:
        """Read one line; return whether it was a triple."""
        found = _TRIPLE.fullmatch(line.decode("utf-8", "replace").strip())
        if found is None:
            return False
        named, blank, predicate, iri, text = found.groups()
        subject = blank or unescaped(named)
        if predicate == v.CONTAINS:
            self._contain(subject, unescaped(iri or text or ""))
        elif predicate == _TYPE and subject == self._url and iri in container.CONTAINERS:
            self._is_container = True
        elif predicate in container.MARKS and text is not None:
            self._marks[subject] = container.mark(self._marks.get(subject, ""), predicate, text)
            # Every member may have a mark, and so may the container.
            if len(self._marks) > 2 * self._most + 2:
                raise too_many(self._url, self._most)
        return True

    def _contain(self, subject: str, member: str) -> None:
        # Nearly all lie below their container, whose host has been read.
        if not (is_written(member) and member.startswith(self._below)) and not is_web(member):
            return
        members = self._contained.setdefault(subject, {})
        if member not in members:
            members[member] = None
            self._count += 1
            if self._count > self._most:
                raise too_many(self._url, self._most)


def unescaped(iri: str) -> str:
    """Return an IRI of N-Triples without its escapes (RDF 1.1 N-Triples, section 3.2)."""
    if "\\" not in iri:
        return iri
    return _ESCAPE.sub(lambda found: chr(min(int(found[1] or found[2], 16), 0x10FFFF)), iri)


def whole(
    body: bytes, media_type: str, url: str, contexts: Contexts, *, most: int
) -> tuple[Members, tuple[str, ...]]:
    """Read a listing that has come whole; return its members and where it goes on.

    Raises `AnswerRefused` for what is no listing, and for more than `most` members.
    """
    document = container.read(body, media_type, url, contexts)
    found = dict.fromkeys(member for member in container.members(document, url) if is_web(member))
    if not found and not document.is_listing:
        raise AnswerRefused(f"{url} is no listing: it has no ldp:contains.")
    if len(found) > most:
        raise too_many(url, most)
    members = {member: document.marks.get(member, "") for member in found}
    return members, tuple(container.next_pages(document, url))


def plain(body: bytes, url: str, *, most: int) -> Members | None:
    """Read a listing in the form of W3C LDN's own example (section 3.3.2), which is ours; None for any other.

    It is read as plain JSON, in a time that its length bounds.
    """
    try:
        document = parse(body, Limits(body=len(body), nodes=500_000, string=65_536, array=100_000))
    except OrchestratorError:
        return None
    if not isinstance(document, dict) or document.keys() - _PLAIN:
        return None
    contained = document.get("contains")
    if document.get("@context") != v.LDP_CONTEXT or not isinstance(contained, list):
        return None
    if len(contained) > most:
        raise too_many(url, most)
    found: dict[str, str] = {}
    for member in contained:
        if not isinstance(member, str):
            return None
        try:
            resolved = urljoin(url, member)
        except ValueError:
            continue
        if is_web(resolved):
            found[resolved] = ""
    return found


def too_many(url: str, most: int) -> AnswerRefused:
    """Return the error for a listing that is too long."""
    return AnswerRefused(f"{url} {_TOO_MANY.format(most=most)}.")


def batches(members: Members, size: int) -> Iterator[dict[str, str]]:
    """Yield the members in parts of `size`."""
    items = list(members.items())
    for start in range(0, len(items), size):
        yield dict(items[start : start + size])
