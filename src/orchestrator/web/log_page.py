"""`/log?page=N`: pages of the log for life, the closed ones from memory (`wire.md` section 2).

A page holds a fixed number of events, and senders choose how large each of them is: what is larger than
`LARGEST` is sent in pieces, each read when the reader has taken the one before.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from aiohttp import hdrs, web

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import NotFound
from orchestrator.core.event import LifecycleEvent
from orchestrator.core.jsonld import Contexts
from orchestrator.ports import Head, Query
from orchestrator.web import collection, parameters
from orchestrator.web.closed import PAGES, Asked, Form, Forms, Key
from orchestrator.web.coding import GZIP, IDENTITY, coding_for, gzip
from orchestrator.web.headers import finish
from orchestrator.web.ready import Ready, head_of, takes_ready
from orchestrator.web.rendering import MAX_BYTES, PACKER, RENDERER, convert, too_large
from orchestrator.web.representation import (
    AS_JSON_LD,
    IMMUTABLE,
    REVALIDATE,
    accept_of,
    cache_headers,
    entity_tag,
    is_unchanged,
    link,
    negotiate,
    not_modified,
)
from orchestrator.web.site import SITE, Site
from orchestrator.web.texts import linked

PATH: Final = "/log"
OFFERS: Final = (*AS_JSON_LD, v.N_QUADS)
TYPES: Final = ["OrderedCollectionPage", "ldp:BasicContainer"]
LARGEST: Final = MAX_BYTES
_READ_AT_ONCE: Final = 50
_READ_FOR_A_PIECE: Final = 8
"""Events, of at most 64 KiB each: what one slow reader of a large page keeps in our memory."""
_SLICE: Final = 256 * 1024
_VARY: Final = "Accept, Accept-Encoding"


def recall(request: web.Request) -> Ready | None:
    """Return the answer of a moment ago to the same question, where a closed page was the answer."""
    if hdrs.IF_NONE_MATCH in request.headers or not takes_ready(request):
        return None
    form = request.app[PAGES].recall(_asked(request))
    if form is None:
        return None
    return Ready(HTTPStatus.OK, form.head, form.body, now=request.app[SITE].clock.now())


async def show(request: web.Request, given: Mapping[str, str]) -> web.StreamResponse:
    """Answer with page N: sequences (N-1)·size+1 to N·size, whenever it is read."""
    site = request.app[SITE]
    highest = parameters.LARGEST // site.page_size
    number = parameters.integer(given, "page", low=1, high=highest, default=1)
    chosen = negotiate(accept_of(request), OFFERS)
    pages = request.app[PAGES]
    forms = pages.get((number, chosen))
    if forms is None:
        head = await end_of_log(request)
        last = last_page(site, head.sequence)
        if number > last:
            raise NotFound(f"The log ends with page {last}.")
        if number == last:
            return await _open(request, number, chosen, head)
        forms = await pages.make((number, chosen), partial(_closed, request.app, number, chosen))
    if not forms:
        return await _in_pieces(request, number, chosen, number * site.page_size)
    return await _kept(request, (number, chosen), forms[coding_for(request)])


async def end_of_log(request: web.Request) -> Head:
    """Return where the log ends, and remember it for the links of pages that need not ask."""
    head = await request.app[SITE].reader.head()
    request.app[PAGES].see(head.sequence)
    return head


def page_url(site: Site, number: int) -> str:
    """Return the URL of page N."""
    return f"{site.url(PATH)}?page={number}"


def last_page(site: Site, sequence: int) -> int:
    """Return the page that is open when the log ends with `sequence`.

    It may be full and is open all the same: it has yet to say what comes next.
    """
    return max(1, -(-sequence // site.page_size))


async def _kept(request: web.Request, key: Key, form: Form) -> web.StreamResponse:
    if is_unchanged(request, form.headers):
        return not_modified({name: form.headers[name] for name in ("ETag", "Cache-Control", "Vary")})
    headers = form.headers.copy()
    headers["Link"] = _links(request, key[0])
    if len(form.body) > _SLICE:
        headers["Content-Length"] = str(len(form.body))
        return await _send(request, headers, _slices(form.body))
    head = head_of(HTTPStatus.OK, headers, len(form.body))
    request.app[PAGES].remember(_asked(request), key, Form(form.body, headers, head))
    return web.Response(body=form.body, headers=headers)


def _asked(request: web.Request) -> Asked:
    return request.rel_url.raw_query_string, accept_of(request), accept_of(request, hdrs.ACCEPT_ENCODING)


async def _closed(app: web.Application, number: int, chosen: str) -> Forms:
    """Return a closed page in all its codings, read and made where it keeps nobody waiting."""
    site = app[SITE]
    async with app[PACKER if chosen in AS_JSON_LD else RENDERER].room():
        since = (number - 1) * site.page_size
        events = await _gather(site, since, since + site.page_size)
        if events is None:
            return {}
        members = _members(site, number, is_last=False)
        return await asyncio.to_thread(_forms, members, events, chosen, site.contexts)


def _forms(
    members: Mapping[str, Any], events: Sequence[LifecycleEvent], chosen: str, contexts: Contexts
) -> Forms:
    page = collection.page(members, events)
    body = page if chosen in AS_JSON_LD else convert(page, chosen, contexts)
    forms = {}
    for coding, coded in ((IDENTITY, body), (GZIP, gzip(body))):
        # Strong tags, so each coding has its own (RFC 9110, section 8.8.3.3).
        headers = cache_headers(entity_tag(chosen, coding, body), IMMUTABLE, _VARY)
        headers["Content-Type"] = chosen
        if coding != IDENTITY:
            headers["Content-Encoding"] = coding
        forms[coding] = Form(coded, headers)
    return forms


async def _open(request: web.Request, number: int, chosen: str, head: Head) -> web.StreamResponse:
    """Answer with the last page, which grows."""
    site = request.app[SITE]
    url = page_url(site, number)
    headers = cache_headers(entity_tag(chosen, url, head.sequence, site.page_size), REVALIDATE, _VARY)
    if is_unchanged(request, headers):
        return not_modified(headers)
    # Only what `head` counted: an event that came meanwhile belongs to another tag.
    events = await _gather(site, (number - 1) * site.page_size, head.sequence)
    if events is None:
        return await _in_pieces(request, number, chosen, head.sequence, headers)
    body = collection.page(_members(site, number, is_last=True), events)
    headers["Link"] = _links(request, number)
    return await linked(request, body, chosen, headers)


async def _gather(site: Site, since: int, until: int) -> list[LifecycleEvent] | None:
    """Return the events after `since` up to `until`; None when they are too large to be held at once."""
    found: list[LifecycleEvent] = []
    size = 0
    async for some in _batches(site, since, until, _READ_AT_ONCE):
        found += some
        size += sum(len(event.envelope) + len(event.payload or b"") for event in some)
        if size > LARGEST:
            return None
    return found


async def _batches(site: Site, since: int, until: int, at_once: int) -> AsyncIterator[list[LifecycleEvent]]:
    while since < until:
        limit = min(at_once, until - since)
        some = list(await site.reader.events(Query(since=since, until=until, limit=limit)))
        if not some:
            return
        yield some
        since = some[-1].sequence


async def _in_pieces(
    request: web.Request, number: int, chosen: str, until: int, known: Mapping[str, str] | None = None
) -> web.StreamResponse:
    """Answer with a page that is too large to be held, and to be hashed: a closed one has no tag."""
    site = request.app[SITE]
    if chosen not in AS_JSON_LD:
        raise too_large(chosen)
    headers = dict(known or {"Cache-Control": IMMUTABLE, "Vary": _VARY})
    headers["Content-Type"] = chosen
    headers["Link"] = _links(request, number)
    return await _send(request, headers, _pieces(site, number, until, is_last=known is not None))


async def _pieces(site: Site, number: int, until: int, *, is_last: bool) -> AsyncIterator[bytes]:
    since = (number - 1) * site.page_size
    iris = [site.url(f"/log/e/{sequence}") for sequence in range(since + 1, until + 1)]
    opening = collection.opening(_members(site, number, is_last=is_last), iris)
    async for some in _batches(site, since, until, _READ_FOR_A_PIECE):
        yield opening + collection.listed(some)
        opening = b","
    yield collection.END


async def _slices(body: bytes) -> AsyncIterator[memoryview]:
    whole = memoryview(body)
    for start in range(0, len(body), _SLICE):
        yield whole[start : start + _SLICE]


async def _send(
    request: web.Request, headers: dict[str, str], pieces: AsyncIterator[bytes] | AsyncIterator[memoryview]
) -> web.StreamResponse:
    """Send an answer piece by piece, each when the reader has taken enough of what was sent before."""
    response = web.StreamResponse(headers=headers)
    finish(response)
    await response.prepare(request)
    if request.method != "HEAD":
        async for piece in pieces:
            await response.write(piece)
    await response.write_eof()
    return response


def _members(site: Site, number: int, *, is_last: bool) -> dict[str, Any]:
    """Return what a page says of itself; a closed one must not change, so not where the log ends now."""
    return {
        "id": page_url(site, number),
        "type": TYPES,
        "partOf": site.url(PATH),
        "first": page_url(site, 1),
        "prev": page_url(site, number - 1) if number > 1 else None,
        "next": None if is_last else page_url(site, number + 1),
    }


def _links(request: web.Request, number: int) -> str:
    """Return the links of a page; `last` leads to the end that this process saw last."""
    site = request.app[SITE]
    last = max(number, last_page(site, request.app[PAGES].end))
    links = {
        "first": 1,
        "prev": number - 1 if number > 1 else None,
        "next": number + 1 if number < last else None,
        "last": last,
    }
    return ", ".join(link(page_url(site, to), rel) for rel, to in links.items() if to is not None)
