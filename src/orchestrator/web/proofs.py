"""What proves the log: signed checkpoints, static tiles, proofs of inclusion and consistency, keys.

RFC 6962 (the tree), C2SP tlog-checkpoint, tlog-tiles and signed-note. Leaf N-1 is event N, and its entry is
the bytes of the event's envelope.
"""

import base64
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from orchestrator.core import vocabulary as v
from orchestrator.core.checkpoint import Checkpoint, signed
from orchestrator.core.errors import BadRequest, NotFound
from orchestrator.core.event import stamp
from orchestrator.core.merkle import (
    EMPTY_ROOT,
    TILE_WIDTH,
    Node,
    consistency_nodes,
    hash_of,
    inclusion_nodes,
    nodes_of,
    read_entries_path,
    read_tile_path,
    tiles_of,
)
from orchestrator.ports import Query
from orchestrator.web import log_page, parameters
from orchestrator.web.representation import (
    IMMUTABLE,
    REVALIDATE,
    accept_of,
    cache_headers,
    entity_tag,
    is_unchanged,
    negotiate,
    not_modified,
    respond,
)
from orchestrator.web.site import SITE, Site
from orchestrator.web.violations import dump

CHECKPOINT: Final = "/log/checkpoint"
_TEXT: Final = "text/plain"
_BYTES: Final = "application/octet-stream"
_LONGEST_ENTRY: Final = 65_535
"""Bytes of an entry that a bundle can hold (C2SP tlog-tiles, "Log entries")."""


@dataclass(slots=True)
class Signed:
    """The checkpoint that was signed last; the log is asked for its end, and signed once for each."""

    size: int = -1
    note: bytes = b""


SIGNED: Final = web.AppKey("signed", Signed)


async def checkpoint(request: web.Request) -> web.Response:
    """Answer with the signed checkpoint of the log as it is now."""
    site, last = request.app[SITE], request.app[SIGNED]
    frontier = await site.tree.frontier()
    if frontier.size != last.size:
        said = Checkpoint(origin=site.signer.name, size=frontier.size, root=frontier.root())
        last.note = signed(said, [site.signer])
        last.size = frontier.size
    headers = cache_headers(entity_tag(last.note), REVALIDATE)
    return not_modified(headers) if is_unchanged(request, headers) else respond(last.note, _TEXT, headers)


async def keys(request: web.Request) -> web.Response:
    """Answer with the public keys that have signed checkpoints, the one in use last; as text, a line each."""
    known = await request.app[SITE].tree.keys()
    chosen = negotiate(accept_of(request), (v.JSON, _TEXT))
    if chosen == _TEXT:
        body = "".join(f"{key.verifier}\n" for key in known).encode()
    else:
        body = dump(
            {
                "keys": [
                    {
                        "key": key.verifier,
                        "since": stamp(key.since),
                        "until": None if key.until is None else stamp(key.until),
                    }
                    for key in known
                ]
            }
        )
    headers = cache_headers(entity_tag(chosen, body), REVALIDATE)
    return not_modified(headers) if is_unchanged(request, headers) else respond(body, chosen, headers)


async def tile(request: web.Request) -> web.Response:
    """Answer with the hashes of a tile; what it holds never changes, and partial ones stay available."""
    site = request.app[SITE]
    try:
        level, index, width = read_tile_path(request.match_info["tile"])
    except ValueError as error:
        raise NotFound(str(error)) from None
    size = (await site.tree.frontier()).size
    found = await site.tree.tiles([(level, index)], size)
    hashes = found.get((level, index), ())
    if len(hashes) < width:
        raise NotFound(f"With {size} events, this tile has {len(hashes)} hashes yet.")
    body = b"".join(hashes[:width])
    headers = cache_headers(entity_tag(body), IMMUTABLE)
    return not_modified(headers) if is_unchanged(request, headers) else respond(body, _BYTES, headers)


async def entries(request: web.Request) -> web.StreamResponse:
    """Answer with the entries of a tile: each event's envelope, after its length in two bytes."""
    site = request.app[SITE]
    try:
        index, width = read_entries_path("entries/" + request.match_info["tile"])
    except ValueError as error:
        raise NotFound(str(error)) from None
    since = index * TILE_WIDTH
    size = (await site.tree.frontier()).size
    if since + width > size:
        raise NotFound(f"With {size} events, these entries are not all there yet.")
    headers = {"Cache-Control": IMMUTABLE, "Content-Type": _BYTES}
    query = Query(since=since, until=since + width, limit=width)
    return await log_page.send(request, headers, _bundle(site, query))


async def _bundle(site: Site, query: Query) -> AsyncIterator[bytes]:
    async for events in log_page.batches(site, query, log_page.READ_FOR_A_PIECE):
        for event in events:
            if len(event.envelope) > _LONGEST_ENTRY:
                raise ValueError(f"the envelope of event {event.sequence} is too long for a bundle")
        yield b"".join(struct.pack(">H", len(event.envelope)) + event.envelope for event in events)


async def proof(request: web.Request) -> web.Response:
    """Answer with a proof, as JSON: that an event is in the log, or that a log continues an earlier one."""
    given = parameters.read(request, ("event", "size", "first", "second"))
    site = request.app[SITE]
    now = (await site.tree.frontier()).size
    if set(given) <= {"first", "second"} and "first" in given:
        second = parameters.integer(given, "second", low=0, high=now, default=now)
        first = parameters.integer(given, "first", low=0, high=second, default=0)
        said = await _consistency(site, first, second)
        return _proof(request, said, IMMUTABLE if "second" in given else REVALIDATE)
    if set(given) <= {"event", "size"} and "event" in given:
        size = parameters.integer(given, "size", low=1, high=max(1, now), default=now)
        sequence = parameters.integer(given, "event", low=1, high=max(1, size), default=1)
        if sequence > now:
            raise NotFound
        said = await _inclusion(site, sequence, size)
        return _proof(request, said, IMMUTABLE if "size" in given else REVALIDATE)
    raise BadRequest("Ask for event=SEQUENCE (and size=N), or for first=N (and second=M).")


async def _inclusion(site: Site, sequence: int, size: int) -> dict[str, object]:
    path, whole, leaf = inclusion_nodes(sequence - 1, size), nodes_of(0, size), (Node(0, sequence - 1),)
    found = await _hashes(site, [leaf, whole, *path], size)
    return {
        "origin": site.signer.name,
        "event": site.url(f"/log/e/{sequence}"),
        "index": sequence - 1,
        "size": size,
        "leaf": found[0],
        "root": found[1],
        "proof": found[2:],
    }


async def _consistency(site: Site, first: int, second: int) -> dict[str, object]:
    path = consistency_nodes(first, second)
    found = await _hashes(site, [nodes_of(0, first), nodes_of(0, second), *path], second)
    return {
        "origin": site.signer.name,
        "first": first,
        "second": second,
        "firstRoot": found[0],
        "secondRoot": found[1],
        "proof": found[2:],
    }


async def _hashes(site: Site, elements: Sequence[tuple[Node, ...]], size: int) -> list[str]:
    """Return the hashes of elements in the tree of `size`, in base64, from the few tiles that they need."""
    tiles = await site.tree.tiles(tiles_of(elements), size)
    hashes = [hash_of(element, tiles) if element else EMPTY_ROOT for element in elements]
    return [base64.b64encode(each).decode() for each in hashes]


def _proof(request: web.Request, said: dict[str, object], caching: str) -> web.Response:
    body = dump(said)
    headers = cache_headers(entity_tag(body), caching)
    return not_modified(headers) if is_unchanged(request, headers) else respond(body, v.JSON, headers)
