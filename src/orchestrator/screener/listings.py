"""Reads listings of remote inboxes: small ones in a thread, others in a process that can be killed."""

import asyncio
from collections.abc import Mapping
from typing import Final

from orchestrator.core.errors import AnswerRefused, Overloaded, TooCostly
from orchestrator.core.listing import whole
from orchestrator.screener.pool import Rulebook, ScreenerSettings, ScreeningPool

_SMALL: Final = 32_768
"""Bytes that a thread may read: even as Turtle they take no longer than 30 ms."""
_BUDGET: Final = 60.0
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
        if len(body) <= _SMALL:
            return await asyncio.to_thread(whole, body, media_type, url, self._contexts, most=most)
        try:
            return await self._pool.read_listing(body, media_type, url, most)
        except TooCostly:
            raise AnswerRefused(
                f"{url}: reading {len(body)} bytes of {media_type or 'no type'} took more than {_BUDGET:g} s "
                "or too much memory; page the listing, or offer N-Triples."
            ) from None
        except Overloaded:
            raise AnswerRefused(f"{url}: too many listings wait to be read.") from None
