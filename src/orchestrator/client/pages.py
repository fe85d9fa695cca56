"""Pages of an event log of our form (`docs/reference/log.md`): asked for and taken apart."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin, urlsplit, urlunsplit

from orchestrator.client.exchange import LISTING_BYTES, Exchange, Fetched, shown, usable
from orchestrator.core import vocabulary as v
from orchestrator.core.errors import AnswerRefused, ScreeningRefused
from orchestrator.core.published import parse_published
from orchestrator.core.strict_json import Json

Event = dict[str, Any]
"""A node of the log's JSON-LD: envelope, and payload where there is one."""
EVENTS_IN: Final = ("@graph", "orderedItems", "items", "member")
"""Members of a log page that hold its events as nodes; other nodes may stand among them."""
EVENT_SEQUENCE: Final = "sequence"
"""The member by which a node is an event, and which one."""
NEXT_IN: Final = ("next", "as:next", "hydra:next")
_NOT_MODIFIED: Final = 304


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page, or the root, of a log."""

    url: str
    root: Mapping[str, Json]
    """What it says of itself."""
    events: tuple[Event, ...]
    """In the order in which they stand there."""
    following: tuple[str, ...]
    """Where it goes on, by its header and by its body."""
    tag: str = ""
    """Its ETag."""

    @property
    def total(self) -> int | None:
        """How many events the log has, where this is the root of a whole log; None elsewhere."""
        total = self.root.get("totalItems")
        is_part = "partOf" in self.root or "?" in self.url
        return total if isinstance(total, int) and total >= 0 and not is_part else None


async def fetch(exchange: Exchange, url: str, *, tag: str = "") -> Page | None:
    """Return the page at `url`; None when it is still the one that has this ETag.

    Raises `PeerError`.
    """
    known = {"If-None-Match": tag} if tag else {}
    answer = await exchange.get(url, v.JSON_LD, LISTING_BYTES, known)
    if tag and answer.status == _NOT_MODIFIED:
        return None
    return read(usable(answer), url)


def read(answer: Fetched, url: str) -> Page:
    """Take a page apart. Raises `AnswerRefused` for what is not JSON."""
    try:
        document = parse_published(answer.body)
    except ScreeningRefused as error:
        raise AnswerRefused(f"{shown(url)} is not JSON: {error.findings[0].message}") from None
    nodes = list(_nodes(document))
    return Page(
        url=url,
        root=next(iter(nodes), {}),
        events=tuple(node for node in nodes if sequence_of(node) is not None),
        following=(*answer.linked("next"), *_next_in(nodes, answer.url)),
        tag=str(answer.headers.get("etag", "")),
    )


async def events(exchange: Exchange, url: str, since: int) -> AsyncIterator[Event]:
    """See `Client.log`; no page is asked for twice, and no event is yielded twice."""
    page = with_query(url, since=since)
    visited: set[str] = set()
    while page and page not in visited:
        visited.add(page)
        found = await fetch(exchange, page)
        assert found is not None
        for event in in_order(found.events):
            if event[EVENT_SEQUENCE] > since:
                since = event[EVENT_SEQUENCE]
                yield event
        page = next((link for link in found.following if link not in visited), "")


def in_order(found: tuple[Event, ...]) -> list[Event]:
    """Return events by their number; what stands twice, the first time first."""
    return sorted(found, key=lambda event: int(event[EVENT_SEQUENCE]))


def sequence_of(node: Mapping[str, Json]) -> int | None:
    """Return the number by which a node is an event; None for any other node."""
    sequence = node.get(EVENT_SEQUENCE)
    return sequence if isinstance(sequence, int) and not isinstance(sequence, bool) else None


def below(url: str, path: str, **given: object) -> str:
    """Return `url` with `path` after its own, and parameters after its own."""
    scheme, place, root, query, _ = urlsplit(url)
    return with_query(urlunsplit((scheme, place, f"{root.rstrip('/')}/{path}", query, "")), **given)


def with_query(url: str, **given: object) -> str:
    """Return `url` without fragment and with parameters after its own."""
    scheme, place, path, query, _ = urlsplit(url)
    parts = [query] if query else []
    parts += [f"{name}={value}" for name, value in given.items()]
    return urlunsplit((scheme, place, path, "&".join(parts), ""))


def without_query(url: str) -> str:
    """Return the whole log that `url` asks for a part of."""
    scheme, place, path, _, _ = urlsplit(url)
    return urlunsplit((scheme, place, path, "", ""))


def _nodes(document: Json) -> Iterator[dict[str, Json]]:
    """Yield the page itself and the nodes in it."""
    for root in document if isinstance(document, list) else [document]:
        if isinstance(root, dict):
            yield root
            for name in EVENTS_IN:
                held = root.get(name)
                if isinstance(held, list):
                    yield from (node for node in held if isinstance(node, dict))


def _next_in(nodes: list[dict[str, Json]], base: str) -> Iterator[str]:
    for node in nodes:
        for name in NEXT_IN:
            link = node.get(name)
            if isinstance(link, dict):
                link = link.get("id", link.get("@id"))
            if isinstance(link, str) and EVENT_SEQUENCE not in node:
                with suppress(ValueError):
                    yield urljoin(base, link)
