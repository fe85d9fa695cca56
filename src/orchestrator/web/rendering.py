"""RDF forms of documents that exist as JSON-LD: made on request, off the event loop, within bounds."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final, ParamSpec, TypeVar

from aiohttp import web

from orchestrator.core import quads
from orchestrator.core import vocabulary as v
from orchestrator.core.errors import NotAcceptable, Overloaded, ScreeningRefused
from orchestrator.core.jsonld import Contexts, NotJsonLd, expand, to_quads

_P = ParamSpec("_P")
_T = TypeVar("_T")

MAX_BYTES: Final = 4 * 1024 * 1024
"""Of a JSON-LD document that is turned into RDF; larger ones are available as they are."""


class Renderer:
    """Room for a few conversions at a time, so that readers cannot take the machine from senders."""

    def __init__(self, *, at_once: int = 2, waiting: int = 32) -> None:
        """Allow `at_once` conversions and `waiting` more to wait."""
        self._room = asyncio.Semaphore(at_once)
        self._most = at_once + waiting
        self._present = 0

    @contextlib.asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Hold one of the places, once it is free. Raises `Overloaded` when too many wait already."""
        if self._present >= self._most:
            raise Overloaded
        self._present += 1
        try:
            async with self._room:
                yield
        finally:
            self._present -= 1

    async def run(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call `function` in a thread. Raises `Overloaded` when too many wait already."""
        async with self.room():
            return await asyncio.to_thread(function, *args, **kwargs)


RENDERER: Final = web.AppKey("renderer", Renderer)
"""For RDF, which can take a second."""
PACKER: Final = web.AppKey("packer", Renderer)
"""For JSON-LD pages, which take milliseconds: every connection may wait."""


def convert(document: bytes, media_type: str, contexts: Contexts) -> bytes:
    """Return a JSON-LD document as N-Quads or TriG (all of it), or as Turtle (its default graph).

    Raises `NotAcceptable` for one that cannot be had in that form.
    """
    if len(document) > MAX_BYTES:
        raise too_large(media_type)
    try:
        dataset = to_quads(expand(json.loads(document), contexts), contexts)
    except (NotJsonLd, ScreeningRefused, ValueError, RecursionError):
        raise NotAcceptable(f"This resource has no RDF in it; read it as {v.JSON_LD}.") from None
    return written(quads.from_dataset(dataset), media_type)


def written(found: Iterable[quads.Quad], media_type: str, remark: str = "") -> bytes:
    """Return `found` in one of the forms of RDF; `remark` says in Turtle what it leaves out."""
    if media_type == v.TURTLE:
        return quads.turtle(found, remark).encode()
    return (quads.trig(found) if media_type == v.TRIG else quads.n_quads(found)).encode()


def too_large(media_type: str) -> NotAcceptable:
    """Return the refusal of a form that would cost too much."""
    return NotAcceptable(f"This resource is too large for {media_type}; read it as {v.JSON_LD}.")
