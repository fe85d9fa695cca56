"""The consumer's side: discovery, listings, members (W3C LDN, section 3.3), and the event log."""

import asyncio
from collections.abc import AsyncIterator, Container, Iterator
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urljoin, urlsplit, urlunsplit

from orchestrator.client.exchange import LISTING_BYTES, MEMBER_BYTES, Exchange, Fetched, shown
from orchestrator.client.values import Received
from orchestrator.core import container
from orchestrator.core import vocabulary as v
from orchestrator.core.errors import (
    AnswerRefused,
    InboxNotFound,
    PeerError,
    PeerUnreachable,
    ScreeningRefused,
)
from orchestrator.core.jsonld import Contexts
from orchestrator.core.strict_json import Json, Limits, parse

EVENTS_IN: Final = ("@graph", "orderedItems", "items", "member")
"""Members of a log page that hold its events as nodes; other nodes may stand among them."""
EVENT_SEQUENCE: Final = "sequence"
"""The member by which a node is an event, and which one."""
NEXT_IN: Final = ("next", "as:next", "hydra:next")

_MEMBER_ACCEPT: Final = f"*/*;q=0.1, {v.JSON_LD}"
_MAX_PAGES: Final = 1_000
_AT_ONCE: Final = 8


async def discover(exchange: Exchange, contexts: Contexts, url: str) -> str:
    """See `Client.discover`."""
    inbox, answer, document = await _advertised(exchange, contexts, url)
    if inbox is None:
        left_out = document.left_out if document else ()
        reason = f"; its contexts {', '.join(left_out)} are not known here" if left_out else ""
        said = (
            "advertises no LDN inbox" if answer.ok else f"answered {answer.status}, so its inbox is not known"
        )
        raise InboxNotFound(f"{shown(url)} {said}{reason}.")
    return inbox


async def members(
    exchange: Exchange, contexts: Contexts, url: str, skip: Container[str]
) -> AsyncIterator[Received]:
    """See `Client.read`; pages are followed up to 1,000, and none twice."""
    page, answer, document = await _advertised(exchange, contexts, url)
    if page is None:
        if document is None or not document.is_listing:
            raise InboxNotFound(f"{shown(url)} neither advertises an LDN inbox nor is one.")
        page = url
    else:
        answer, document = await _listing(exchange, contexts, page)
    inbox, visited, seen = page, {page}, set[str]()
    while True:
        visited.add(answer.url)
        listed = container.members(document, inbox, page)
        new = [member for member in dict.fromkeys(listed) if member not in seen and member not in skip]
        seen.update(new)
        for start in range(0, len(new), _AT_ONCE):
            batch = new[start : start + _AT_ONCE]
            for received in await asyncio.gather(*(_member(exchange, member) for member in batch)):
                yield received
        following = [*answer.linked("next"), *container.next_pages(document, page)]
        page = next((link for link in following if link not in visited), "")
        if not page or len(visited) > _MAX_PAGES:
            return
        visited.add(page)
        answer, document = await _listing(exchange, contexts, page)


async def events(exchange: Exchange, url: str, since: int) -> AsyncIterator[dict[str, Any]]:
    """See `Client.log`; no page is asked for twice, and no event is yielded twice."""
    scheme, place, path, query, _ = urlsplit(url)
    page = urlunsplit((scheme, place, path, f"{query}&since={since}" if query else f"since={since}", ""))
    visited: set[str] = set()
    while page and page not in visited:
        visited.add(page)
        answer = _usable(await exchange.get(page, v.JSON_LD, LISTING_BYTES))
        try:
            document = parse(answer.body, _limits(answer.body))
        except ScreeningRefused as error:
            raise AnswerRefused(f"{shown(page)} is not JSON: {error.findings[0].message}") from None
        nodes = list(_nodes(document))
        for sequence, event in sorted(_events(nodes), key=lambda numbered: numbered[0]):
            if sequence > since:
                since = sequence
                yield event
        following = [*answer.linked("next"), *_next_in(nodes, answer.url)]
        page = next((link for link in following if link not in visited), "")


async def _advertised(
    exchange: Exchange, contexts: Contexts, url: str
) -> tuple[str | None, Fetched, container.Document | None]:
    """Return the inbox that `url` advertises, if any, the last answer, and what it said if it was read.

    W3C LDN, section 3.1.1: HEAD with its Link header, then GET with its own, then the body.
    """
    # A server that trips over HEAD is asked with GET.
    with suppress(PeerUnreachable):
        answer = await exchange.head(url, container.ACCEPT)
        found = answer.linked(v.INBOX) if answer.ok else []
        if found:
            return found[0], answer, None
    answer = await exchange.get(url, container.ACCEPT, LISTING_BYTES)
    if answer.status >= 500:  # noqa: PLR2004
        _usable(answer)
    if not answer.ok:
        return None, answer, None
    found = answer.linked(v.INBOX)
    if found or not container.is_readable(answer.media_type) or not answer.body:
        return next(iter(found), None), answer, None
    document = await _document(_usable(answer), contexts)
    return next(iter(container.inboxes(document, url)), None), answer, document


async def _listing(exchange: Exchange, contexts: Contexts, page: str) -> tuple[Fetched, container.Document]:
    answer = _usable(await exchange.get(page, container.ACCEPT, LISTING_BYTES))
    return answer, await _document(answer, contexts)


async def _document(answer: Fetched, contexts: Contexts) -> container.Document:
    return await asyncio.to_thread(container.read, answer.body, answer.media_type, answer.url, contexts)


async def _member(exchange: Exchange, url: str) -> Received:
    """GET one member; whatever goes wrong is its problem, not the listing's."""
    try:
        answer = await exchange.get(url, _MEMBER_ACCEPT, MEMBER_BYTES)
    except PeerError as error:
        return Received(url=url, media_type="", body=b"", problem=error.message)
    document: Json = None
    problem = None
    try:
        document = parse(_usable(answer).body, _limits(answer.body))
    except PeerError as error:
        problem = error.message
    except ScreeningRefused as error:
        # A pod labels as it likes, so the bytes were tried whatever their type.
        problem = f"{answer.media_type or 'untyped'}, not JSON: {error.findings[0].message}"
    return Received(
        url=url, media_type=answer.media_type, body=answer.body, document=document, problem=problem
    )


def _usable(answer: Fetched) -> Fetched:
    if answer.status >= 500:  # noqa: PLR2004
        raise PeerUnreachable(f"{shown(answer.url)} answered {answer.status}.")
    if not answer.ok:
        raise AnswerRefused(f"{shown(answer.url)} answered {answer.status}.")
    if not answer.is_whole:
        raise AnswerRefused(f"{shown(answer.url)} answered with more than {len(answer.body)} bytes.")
    return answer


def _limits(body: bytes) -> Limits:
    return Limits(body=len(body), nodes=500_000, string=1_048_576, array=100_000)


def _nodes(document: Json) -> Iterator[dict[str, Json]]:
    """Yield the page itself and the nodes in it."""
    for root in document if isinstance(document, list) else [document]:
        if isinstance(root, dict):
            yield root
            for name in EVENTS_IN:
                held = root.get(name)
                if isinstance(held, list):
                    yield from (node for node in held if isinstance(node, dict))


def _events(nodes: list[dict[str, Json]]) -> Iterator[tuple[int, dict[str, Json]]]:
    for node in nodes:
        sequence = node.get(EVENT_SEQUENCE)
        if isinstance(sequence, int):
            yield sequence, node


def _next_in(nodes: list[dict[str, Json]], base: str) -> Iterator[str]:
    for node in nodes:
        for name in NEXT_IN:
            link = node.get(name)
            if isinstance(link, dict):
                link = link.get("id", link.get("@id"))
            if isinstance(link, str) and EVENT_SEQUENCE not in node:
                yield urljoin(base, link)
