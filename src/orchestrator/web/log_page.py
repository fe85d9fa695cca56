"""`/log?page=N`: pages of the log for life, the closed ones from memory (`wire.md` section 2).

A page holds a fixed number of events, and senders choose how large each of them is: what is larger than
`LARGEST` is sent in pieces, each read when the reader has taken the one before.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from aiohttp import hdrs, web

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import NotFound
from orchestrator.core.event import LifecycleEvent
from orchestrator.ports import Head, Query
from orchestrator.web import collection, html, hypermedia, log_form, parameters
from orchestrator.web.closed import PAGES, Asked, Form, Forms, Key
from orchestrator.web.coding import GZIP, IDENTITY, coding_for, gzip
from orchestrator.web.headers import finish
from orchestrator.web.hypermedia import last_page, page_url
from orchestrator.web.log_form import OFFERS, SUFFIXES
from orchestrator.web.ready import Ready, head_of, takes_ready
from orchestrator.web.rendering import MAX_BYTES, PACKER, RENDERER, too_large
from orchestrator.web.representation import (
    AS_JSON_LD,
    IMMUTABLE,
    REVALIDATE,
    accept_of,
    cache_headers,
    chosen,
    entity_tag,
    is_unchanged,
    labelled,
    link,
    not_modified,
    respond,
)
from orchestrator.web.site import SITE, Site

LARGEST: Final = MAX_BYTES
ENOUGH: Final = 1024 * 1024
"""Bytes of events after which a read ends that has no page's limits, and `next` leads on."""
_READ_AT_ONCE: Final = 40
READ_FOR_A_PIECE: Final = 8
"""Events, of at most 64 KiB each: what one slow reader of a large page keeps in our memory."""
_SLICE: Final = 256 * 1024
_VARY: Final = "Accept, Accept-Encoding"


def recall(request: web.Request) -> Ready | None:
    """Return the answer of a moment ago to the same question, where a closed page was the answer."""
    if hdrs.IF_NONE_MATCH in request.headers or "form" in request.match_info or not takes_ready(request):
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
    media_type = chosen(request, OFFERS, SUFFIXES)
    pages = request.app[PAGES]
    forms = pages.get((number, media_type))
    if forms is None:
        head = await end_of_log(request)
        last = last_page(site, head.sequence)
        if number > last:
            raise NotFound(f"The log ends with page {last}.")
        if number == last:
            return await _open(request, number, media_type, head)
        forms = await pages.make((number, media_type), partial(_closed, request.app, number, media_type))
    if not forms:
        return await _in_pieces(request, number, media_type, number * site.page_size)
    return await _kept(request, (number, media_type), forms[coding_for(request)])


async def end_of_log(request: web.Request) -> Head:
    """Return where the log ends, and remember it for the links of pages that need not ask."""
    head = await request.app[SITE].reader.head()
    request.app[PAGES].see(head.sequence)
    return head


async def _kept(request: web.Request, key: Key, form: Form) -> web.StreamResponse:
    if is_unchanged(request, form.headers):
        return not_modified({name: form.headers[name] for name in ("ETag", "Cache-Control", "Vary")})
    headers = form.headers.copy()
    headers["Link"] = _links(request, key[0])
    if len(form.body) > _SLICE or key[1] == v.HTML:
        headers["Content-Length"] = str(len(form.body))
        return await send(request, headers, _slices(form.body))
    if "form" not in request.match_info:
        head = head_of(HTTPStatus.OK, headers, len(form.body))
        request.app[PAGES].remember(_asked(request), key, Form(form.body, headers, head))
    return web.Response(body=form.body, headers=headers)


def _asked(request: web.Request) -> Asked:
    return request.rel_url.raw_query_string, accept_of(request), accept_of(request, hdrs.ACCEPT_ENCODING)


async def _closed(app: web.Application, number: int, media_type: str) -> Forms:
    """Return a closed page in all its codings, read and made where it keeps nobody waiting."""
    site = app[SITE]
    async with app[PACKER if media_type in AS_JSON_LD else RENDERER].room():
        since = (number - 1) * site.page_size
        until = since + site.page_size
        events = await gather(site, Query(since=since, until=until, limit=site.page_size))
        if events is None:
            return {}
        members = hypermedia.page(site, number, iris(site, since, until), is_last=False)
        return await asyncio.to_thread(_forms, site, members, events, media_type)


def _forms(
    site: Site, members: Mapping[str, Any], events: Sequence[LifecycleEvent], media_type: str
) -> Forms:
    body = log_form.page(site, members, events, media_type)
    # The templates of later versions show the same events otherwise.
    caching = REVALIDATE if media_type == v.HTML else IMMUTABLE
    forms = {}
    for coding, coded in ((IDENTITY, body), (GZIP, gzip(body))):
        # Strong tags, so each coding has its own (RFC 9110, section 8.8.3.3).
        headers = cache_headers(entity_tag(media_type, coding, body), caching, _VARY)
        headers["Content-Type"] = labelled(media_type)
        if coding != IDENTITY:
            headers["Content-Encoding"] = coding
        forms[coding] = Form(coded, headers)
    return forms


async def _open(request: web.Request, number: int, media_type: str, head: Head) -> web.StreamResponse:
    """Answer with the last page, which grows."""
    site = request.app[SITE]
    url = page_url(site, number)
    tag = entity_tag(media_type, url, head, site.page_size, html.EDITION)
    headers = cache_headers(tag, REVALIDATE, _VARY)
    if is_unchanged(request, headers):
        return not_modified(headers)
    # Only what `head` counted: an event that came meanwhile belongs to another tag.
    since = (number - 1) * site.page_size
    events = await gather(site, Query(since=since, until=head.sequence, limit=site.page_size))
    if events is None:
        return await _in_pieces(request, number, media_type, head.sequence, headers)
    members = hypermedia.page(site, number, iris(site, since, head.sequence), is_last=True)
    headers["Link"] = _links(request, number)
    return await as_page(request, members, events, media_type, headers)


async def as_page(
    request: web.Request,
    members: Mapping[str, Any],
    events: Sequence[LifecycleEvent],
    media_type: str,
    headers: Mapping[str, str],
    filters: Mapping[str, str] | None = None,
) -> web.Response:
    """Answer with `events` on a page that says `members`, in the form `media_type`."""
    site = request.app[SITE]
    if media_type in AS_JSON_LD:
        return respond(log_form.page(site, members, events, media_type), media_type, headers)
    body = await request.app[RENDERER].run(log_form.page, site, members, events, media_type, filters)
    return respond(body, media_type, headers)


def iris(site: Site, since: int, until: int) -> list[str]:
    """Return the IRIs of the events after `since` up to `until`."""
    return [site.url(f"/log/e/{sequence}") for sequence in range(since + 1, until + 1)]


async def gather(site: Site, query: Query) -> list[LifecycleEvent] | None:
    """Return what `query` finds; None when that is too large to be held at once."""
    found: list[LifecycleEvent] = []
    size = 0
    async for some in batches(site, query, _READ_AT_ONCE):
        found += some
        size += log_form.size_of(some)
        if size > LARGEST:
            return None
    return found


async def some(site: Site, query: Query, most: int) -> tuple[list[LifecycleEvent], bool]:
    """Return what `query` finds, up to about `most` bytes of events, and whether there may be more."""
    found: list[LifecycleEvent] = []
    async for more in batches(site, query, _READ_AT_ONCE):
        found += more
        if log_form.size_of(found) >= most:
            return found, True
    return found, bool(found) and len(found) >= query.limit


async def batches(site: Site, query: Query, at_once: int) -> AsyncIterator[list[LifecycleEvent]]:
    """Yield what `query` finds, `at_once` events at a time."""
    since, left = query.since, query.limit
    while left > 0:
        limit = min(at_once, left)
        some = list(await site.reader.events(replace(query, since=since, limit=limit)))
        if some:
            yield some
        if len(some) < limit:
            return
        since, left = some[-1].sequence, left - len(some)


async def _in_pieces(
    request: web.Request, number: int, media_type: str, until: int, known: Mapping[str, str] | None = None
) -> web.StreamResponse:
    """Answer with a page that is too large to be held, and to be hashed: a closed one has no tag."""
    site = request.app[SITE]
    since = (number - 1) * site.page_size
    headers = dict(known or {"Cache-Control": IMMUTABLE, "Vary": _VARY})
    headers["Link"] = _links(request, number)
    query = Query(since=since, until=until, limit=site.page_size)
    named = iris(site, since, until)
    members = hypermedia.page(site, number, named, is_last=known is not None)
    return await in_pieces(request, members, named, query, media_type, headers)


async def in_pieces(
    request: web.Request,
    members: Mapping[str, Any],
    named: Sequence[str],
    query: Query,
    media_type: str,
    headers: Mapping[str, str],
) -> web.StreamResponse:
    """Answer with the events of `query`, whose IRIs are `named`, read as the reader takes them."""
    if media_type in AS_JSON_LD:
        pieces = _pieces(request.app[SITE], members, named, query)
    elif media_type == v.N_QUADS:
        pieces = _quads(request.app, members, named, query)
    else:
        raise too_large(media_type)
    return await send(request, {**headers, "Content-Type": media_type}, pieces)


async def _pieces(
    site: Site, members: Mapping[str, Any], named: Sequence[str], query: Query
) -> AsyncIterator[bytes]:
    opening = collection.opening(members, named)
    async for some in batches(site, query, READ_FOR_A_PIECE):
        yield opening + collection.listed(some)
        opening = b","
    yield collection.END


async def _quads(
    app: web.Application, members: Mapping[str, Any], named: Sequence[str], query: Query
) -> AsyncIterator[bytes]:
    yield await app[RENDERER].run(log_form.outline, members, named)
    async for some in batches(app[SITE], query, READ_FOR_A_PIECE):
        yield await app[RENDERER].run(log_form.quads_of, some)


async def _slices(body: bytes) -> AsyncIterator[memoryview]:
    whole = memoryview(body)
    for start in range(0, len(body), _SLICE):
        yield whole[start : start + _SLICE]


async def send(
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
