"""RDF forms of documents that exist as JSON-LD: made on request, off the event loop, within bounds."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Final, ParamSpec, TypeVar

from aiohttp import web

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import NotAcceptable, Overloaded, ScreeningRefused
from orchestrator.core.jsonld import Contexts, NotJsonLd, expand, to_quads
from orchestrator.core.rdf import graph_of, serialise

_P = ParamSpec("_P")
_T = TypeVar("_T")

Quad = dict[str, dict[str, str]]
MAX_BYTES: Final = 4 * 1024 * 1024
"""Of a JSON-LD document that is turned into RDF; larger ones are available as they are."""
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


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
    """Return a JSON-LD document as Turtle (its default graph) or N-Quads (all of it).

    Raises `NotAcceptable` for one that cannot be had in that form.
    """
    if len(document) > MAX_BYTES:
        raise too_large(media_type)
    try:
        dataset = to_quads(expand(json.loads(document), contexts), contexts)
    except (NotJsonLd, ScreeningRefused, ValueError, RecursionError):
        raise NotAcceptable(f"This resource has no RDF in it; read it as {v.JSON_LD}.") from None
    if media_type == v.TURTLE:
        return serialise(graph_of(dataset), v.TURTLE)
    return "".join(_lines(dataset)).encode()


def too_large(media_type: str) -> NotAcceptable:
    """Return the refusal of a form that would cost too much."""
    return NotAcceptable(f"This resource is too large for {media_type}; read it as {v.JSON_LD}.")


def _lines(dataset: Mapping[str, list[Quad]]) -> Iterator[str]:
    """Yield the lines of N-Quads (RDF 1.1 N-Quads, section 2), graph by graph in the document's order.

    Every IRI, datatype and language tag in an expanded document is one that can be written.
    """
    for name, quads in dataset.items():
        graph = "" if name == "@default" else f" {name if name.startswith('_:') else f'<{name}>'}"
        for quad in quads:
            subject, predicate, value = (_term(quad[part]) for part in ("subject", "predicate", "object"))
            yield f"{subject} {predicate} {value}{graph} .\n"


def _term(term: Mapping[str, str]) -> str:
    kind, value = term["type"], term["value"]
    if kind == "IRI":
        return f"<{value}>"
    if kind == "blank node":
        return value
    text = '"' + "".join(_ESCAPES.get(char, char) for char in value) + '"'
    if "language" in term:
        return f"{text}@{term['language']}"
    return text if term["datatype"] == v.XSD + "string" else f"{text}^^<{term['datatype']}>"
