"""What a document says about inboxes: which one it advertises, what a listing contains, where it goes on.

A listing comes as compacted, prefixed or expanded JSON-LD, as an array of nodes with the container split
in two (Community Solid Server), with one member that is no array, or as Turtle; all end as the same links
between absolute IRIs. Contexts that are not bundled are left out, never fetched: documents of strangers
name many, and the terms of LDP and AS2 mostly do without them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urldefrag

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import AnswerRefused, OrchestratorError, ScreeningRefused
from orchestrator.core.jsonld import Contexts, Expanded, expand, is_absolute
from orchestrator.core.rdf import BNode, Graph, Literal, NotTurtle, parse_turtle, refuse_huge
from orchestrator.core.strict_json import Json, Limits, parse

# The same on every request, since an ETag belongs to a representation.
ACCEPT: Final = f"{v.JSON_LD}, {v.TURTLE};q=0.9, {v.ACTIVITY_JSON};q=0.8, {v.JSON};q=0.5, */*;q=0.1"
NEXT: Final = (v.AS + "next", v.HYDRA + "next")
MARKS: Final = (v.MODIFIED, v.SIZE)
"""What a listing may say of a member that changes when it does."""
_INBOX: Final = (v.INBOX, v.AS + "inbox")
_TYPE: Final = v.RDF + "type"
_TELLING: Final = frozenset((*_INBOX, *NEXT, v.CONTAINS, _TYPE))
_TURTLE: Final = (v.TURTLE, v.N_TRIPLES)
_UNTOLD: Final = ("", "application/octet-stream", "text/plain")
# Users, queries and fragments of URLs may be secret; errors leave them out.
_PRIVATE: Final = re.compile(r"(?<=//)[^/@]*@|[?#].*")
_LONGEST_MARK: Final = 64
CONTAINERS: Final = frozenset(v.LDP + name for name in ("Container", "BasicContainer", "DirectContainer"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What one document says that matters here."""

    url: str
    """Where it is, without a fragment; its relative references were resolved against this."""
    links: tuple[tuple[str, str, str], ...]
    """Subject, property and object, in order; a blank node begins with `_:`."""
    is_listing: bool
    """Whether it lists members, or could: the container may be empty."""
    left_out: tuple[str, ...] = ()
    """Contexts that it names and we do not know."""
    marks: Mapping[str, str] = field(default_factory=dict)
    """What it says of the size and the last change of each resource, by URL."""


def read(body: bytes, media_type: str, url: str, contexts: Contexts) -> Document:
    """Read JSON-LD or Turtle, as `media_type` says; where it says nothing, the first character may.

    Raises `AnswerRefused` for anything else, and for what does not parse.
    """
    kind, place = _kind(media_type), place_of_error(url)
    is_json = kind == v.JSON or kind.endswith("+json")
    try:
        if is_json or (kind in _UNTOLD and body.lstrip()[:1] in (b"{", b"[")):
            limits = Limits(body=len(body), nodes=500_000, string=65_536, array=100_000)
            return of_json(parse(body, limits), url, contexts)
        if kind in _TURTLE:
            text = body.decode("utf-8")
            refuse_huge(text)
            return of_graph(parse_turtle(text, urldefrag(url).url), url)
    except ScreeningRefused as error:
        raise AnswerRefused(f"{place} is not JSON: {error.findings[0].message}") from None
    except NotTurtle as error:
        raise AnswerRefused(f"{place} is not Turtle: {error.message}") from None
    except UnicodeDecodeError:
        raise AnswerRefused(f"{place} is not UTF-8.") from None
    except OrchestratorError as error:
        raise AnswerRefused(f"{place}: {error.message}") from None
    raise AnswerRefused(f"{place} is {kind or 'empty'}, neither JSON-LD nor Turtle.")


def place_of_error(url: str) -> str:
    """Return `url` as an error may show it: without user, query and fragment."""
    return _PRIVATE.sub("", url)


def is_readable(media_type: str) -> bool:
    """Whether `read` might make sense of a body of this type; HTML, for one, is not worth its bytes."""
    kind = _kind(media_type)
    return kind == v.JSON or kind.endswith("+json") or kind in _TURTLE or kind in _UNTOLD


def of_json(document: Json, url: str, contexts: Contexts) -> Document:
    """Read JSON-LD that came from `url`; raises `NotJsonLd`."""
    expanded, left_out = expand_known(document, url, contexts)
    links = tuple(_statements(expanded))
    told = _document(links, url)
    # An empty array leaves no triple behind, and still says that this is a listing.
    empty = any(v.CONTAINS in node for node in expanded)
    is_listing = told.is_listing or empty
    return replace(told, is_listing=is_listing, left_out=left_out, marks=_marks_of(expanded))


def of_graph(graph: Graph, url: str) -> Document:
    """Read RDF that came from `url`."""
    found = []
    marks: dict[str, str] = {}
    for subject, predicate, target in graph:
        value = str(target)
        if str(predicate) in MARKS:
            marks[str(subject)] = mark(marks.get(str(subject), ""), str(predicate), value)
        if str(predicate) not in _TELLING or (isinstance(target, Literal) and not _is_web(value)):
            continue
        ends = (f"_:{node}" if isinstance(node, BNode) else str(node) for node in (subject, target))
        found.append((next(ends), str(predicate), next(ends)))
    # A graph has no order; the same answer should give the same list.
    return replace(_document(tuple(sorted(found)), url), marks=marks)


def mark(known: str, predicate: str, value: str) -> str:
    """Return what is `known` of a resource with one more of `MARKS`; the order of telling is no matter."""
    modified, _, size = known.partition(" ")
    # It is kept, and half a surrogate or NUL could not be.
    value = value[:_LONGEST_MARK]
    if " " in value or not value.isprintable():
        value = "".join(char for char in value if char.isprintable() and char != " ")
    return f"{value} {size}" if predicate == v.MODIFIED else f"{modified} {value}"


def _marks_of(expanded: Expanded) -> dict[str, str]:
    marks: dict[str, str] = {}
    for node in expanded:
        for predicate in MARKS:
            for held in node.get(predicate, ()):
                resource = node.get("@id")
                if isinstance(resource, str) and isinstance(held, dict) and "@value" in held:
                    marks[resource] = mark(marks.get(resource, ""), predicate, str(held["@value"]))
    return marks


def expand_known(document: Json, url: str, contexts: Contexts) -> tuple[Expanded, tuple[str, ...]]:
    """Expand `document` with the contexts that we have; return the names of the others too.

    Where a context is missing, LDP's short names and prefix are taken to mean LDP. Raises `NotJsonLd`.
    """
    left_out: list[str] = []
    known = _without_unknown(document, contexts, left_out)
    roots = known if isinstance(known, list) else [known]
    if left_out or not any(isinstance(root, dict) and "@context" in root for root in roots):
        known = [_over_ldp(root) for root in roots]
    return expand(known, contexts, urldefrag(url).url), tuple(dict.fromkeys(left_out))


def inboxes(document: Document, subject: str) -> list[str]:
    """Return the inboxes that `document` advertises for `subject` (W3C LDN, section 3.1.1).

    `subject` is the URL that was asked for: after a redirect the document may speak of its own URL
    instead. Inboxes of other resources that it mentions, an author's for instance, are not meant.
    """
    whole, fragment = urldefrag(subject)
    here = f"{document.url}#{fragment}" if fragment else document.url
    for candidate in dict.fromkeys((subject, here, whole, document.url)):
        found = _targets(document, _INBOX, (candidate,))
        if found:
            return found
    return []


def members(document: Document, *containers: str) -> list[str]:
    """Return the members that `document` lists for any of `containers` (W3C LDN, section 3.3.1).

    A page lists the members of its container, so give both URLs. Where neither is named and all members
    have one container (another spelling of its URL, or none), they are taken as meant.
    """
    return _meant(document, (v.CONTAINS,), containers)


def next_pages(document: Document, *pages: str) -> list[str]:
    """Return where the listing goes on (AS2 or Hydra), by the document itself."""
    return _meant(document, NEXT, pages)


def _kind(media_type: str) -> str:
    # Parameters say nothing that we need, and come unquoted from some (Community Solid Server).
    return media_type.partition(";")[0].strip().lower()


def _document(links: tuple[tuple[str, str, str], ...], url: str) -> Document:
    is_listing = any(
        predicate == v.CONTAINS or (predicate == _TYPE and target in CONTAINERS)
        for _, predicate, target in links
    )
    return Document(url=urldefrag(url).url, links=links, is_listing=is_listing)


def _statements(nodes: Iterable[Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the telling links of expanded nodes in their order, those of nodes within them too.

    pyld's own way to RDF compares each member with all before it: 10,000 members took it a minute.
    """
    left = list(nodes)[::-1]
    while left:
        node = left.pop()
        # A blank node that nobody names is known by its place.
        subject = node.get("@id") or f"_:{id(node)}"
        for name, held in node.items():
            if name == "@type":
                yield from ((subject, _TYPE, kind) for kind in held)
            elif name == "@reverse" or not isinstance(held, list):
                continue
            else:
                ends = [end for end in held if isinstance(end, dict)]
                if name in _TELLING:
                    yield from ((subject, name, target) for target in map(_end, ends) if target)
                left.extend(end for end in reversed(ends) if "@value" not in end)


def _end(end: dict[str, Any]) -> str | None:
    # Some write an IRI as a string, where their context does not say that it is one.
    value = end.get("@id", end.get("@value"))
    return value if isinstance(value, str) and ("@id" in end or _is_web(value)) else None


def _is_web(text: str) -> bool:
    return text.startswith(("http://", "https://")) and is_absolute(text)


def _targets(document: Document, predicates: Sequence[str], subjects: Sequence[str]) -> list[str]:
    found = (
        target
        for subject, predicate, target in document.links
        if predicate in predicates and subject in subjects and _is_web(target)
    )
    return list(dict.fromkeys(found))


def _meant(document: Document, predicates: Sequence[str], urls: Sequence[str]) -> list[str]:
    named = _targets(document, predicates, (*urls, document.url))
    if named:
        return named
    owners = list({subject for subject, predicate, _ in document.links if predicate in predicates})
    return _targets(document, predicates, owners) if len(owners) == 1 else []


def _over_ldp(root: Json) -> Json:
    if not isinstance(root, dict):
        return root
    own = root.get("@context", [])
    return {**root, "@context": [v.LDP_CONTEXT, *(own if isinstance(own, list) else [own])]}


def _without_unknown(value: Json, contexts: Contexts, left_out: list[str]) -> Json:
    """Return a copy without references to contexts that we do not have; their names go to `left_out`."""
    if isinstance(value, list):
        return [_without_unknown(item, contexts, left_out) for item in value]
    if not isinstance(value, dict):
        return value
    copy: dict[str, Json] = {}
    for name, member in value.items():
        if name == "@context":
            given = member if isinstance(member, list) else [member]
            kept = [item for item in given if not _is_unknown(item, contexts, left_out)]
            copy[name] = _without_unknown(kept, contexts, left_out)
        elif name != "@import" or not _is_unknown(member, contexts, left_out):
            copy[name] = _without_unknown(member, contexts, left_out)
    return copy


def _is_unknown(reference: Json, contexts: Contexts, left_out: list[str]) -> bool:
    if not isinstance(reference, str) or contexts.find(reference) is not None:
        return False
    left_out.append(reference[:200])
    return True
