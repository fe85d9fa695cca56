"""The consumer's side: discovery, listings, members (W3C LDN, section 3.3)."""

import asyncio
from collections.abc import AsyncIterator, Container
from contextlib import suppress
from typing import Final

from orchestrator.client.exchange import LISTING_BYTES, MEMBER_BYTES, Exchange, Fetched, shown, usable
from orchestrator.client.values import Received
from orchestrator.core import container
from orchestrator.core import vocabulary as v
from orchestrator.core.errors import InboxNotFound, PeerError, PeerUnreachable, ScreeningRefused
from orchestrator.core.jsonld import Contexts
from orchestrator.core.strict_json import Json, Limits, parse

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
        usable(answer)
    if not answer.ok:
        return None, answer, None
    found = answer.linked(v.INBOX)
    if found or not container.is_readable(answer.media_type) or not answer.body:
        return next(iter(found), None), answer, None
    document = await _document(usable(answer), contexts)
    return next(iter(container.inboxes(document, url)), None), answer, document


async def _listing(exchange: Exchange, contexts: Contexts, page: str) -> tuple[Fetched, container.Document]:
    answer = usable(await exchange.get(page, container.ACCEPT, LISTING_BYTES))
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
        document = parse(usable(answer).body, _limits(answer.body))
    except PeerError as error:
        problem = error.message
    except ScreeningRefused as error:
        # A pod labels as it likes, so the bytes were tried whatever their type.
        problem = f"{answer.media_type or 'untyped'}, not JSON: {error.findings[0].message}"
    return Received(
        url=url, media_type=answer.media_type, body=answer.body, document=document, problem=problem
    )


def _limits(body: bytes) -> Limits:
    return Limits(body=len(body), nodes=500_000, string=1_048_576, array=100_000)
