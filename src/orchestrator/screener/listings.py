"""Reads listings and pages of logs: small ones in a thread, others in a process that can be killed."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeVar

from orchestrator.core.errors import AnswerRefused, Overloaded, TooCostly
from orchestrator.core.jsonld import Contexts
from orchestrator.core.listing import Members, plain, whole
from orchestrator.core.stream import StreamPage, read_ours, read_stream
from orchestrator.screener.pool import Rulebook, ScreenerSettings, ScreeningPool

_T = TypeVar("_T")
_SMALL: Final = 2_048
"""Bytes that a thread may read: it cannot be stopped, and 30 kB of JSON-LD can take it many seconds."""
_PLAIN: Final = 4_194_304
"""Bytes of plain JSON that a thread may read: the time that they take grows with them alone."""
_BUDGET: Final = 20.0
_WAITING: Final = 256


class ListingReader:
    """The `Listings` port. Its process is another than those that screen, and starts when it is needed."""

    def __init__(self, rulebook: Rulebook) -> None:
        """Read with the contexts of `rulebook`."""
        self._contexts = rulebook.contexts
        settings = ScreenerSettings(workers=1, budget=_BUDGET, waiting=_WAITING, patience=_BUDGET * _WAITING)
        self._pool = ScreeningPool(rulebook, settings)

    async def close(self) -> None:
        """End the process."""
        await self._pool.close()

    async def read(
        self, body: bytes, media_type: str, url: str, *, most: int
    ) -> tuple[Mapping[str, str], tuple[str, ...]]:
        """Return the members of a listing, URL → mark, and where it goes on. Raises `AnswerRefused`."""
        if len(body) <= _PLAIN and body[:1] == b"{":
            members = await asyncio.to_thread(plain, body, url, most=most)
            if members is not None:
                return members, ()
        return await self._run(body, media_type, url, partial(_listing, most=most))

    async def read_log(self, body: bytes, media_type: str, url: str, *, is_ours: bool) -> StreamPage | None:
        """Return what a page of a log says. Raises `AnswerRefused`."""
        if is_ours and len(body) <= _PLAIN:
            return await asyncio.to_thread(read_ours, body, url)
        return await self._run(body, media_type, url, _ours if is_ours else _stream)

    async def _run(
        self, body: bytes, media_type: str, url: str, work: Callable[[bytes, str, str, Contexts], _T]
    ) -> _T:
        if len(body) <= _SMALL:
            return await asyncio.to_thread(work, body, media_type, url, self._contexts)
        try:
            return await self._pool.run(work, body, media_type, url)
        except TooCostly:
            raise AnswerRefused(
                f"{url}: reading {len(body)} bytes of {media_type or 'no type'} took more than {_BUDGET:g} s "
                "or too much memory; use smaller pages, or N-Triples."
            ) from None
        except Overloaded:
            raise AnswerRefused(f"{url}: too many pages wait to be read.") from None


def _listing(
    body: bytes, media_type: str, url: str, contexts: Contexts, *, most: int
) -> tuple[Members, tuple[str, ...]]:
    return whole(body, media_type, url, contexts, most=most)


def _ours(body: bytes, _media_type: str, url: str, _contexts: Contexts) -> StreamPage | None:
    return read_ours(body, url)


def _stream(body: bytes, media_type: str, url: str, contexts: Contexts) -> StreamPage | None:
    return read_stream(body, media_type, url, contexts)
