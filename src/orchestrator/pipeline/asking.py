"""Requests of one pass over a source: counted, few at a time to one host, with the source's token."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from orchestrator.core.errors import AnswerRefused, PeerBusy, PeerUnreachable
from orchestrator.core.source import is_same_origin, place_of
from orchestrator.ports.sources import Fetched, Remotes

_BUSY: Final = frozenset((429, 503))
_SERVER_ERROR: Final = 500
_OK: Final = 200


@dataclass(slots=True)
class Doors:
    """How many requests one host gets at once, from all passes together."""

    at_once: int
    _doors: dict[str, asyncio.Semaphore] = field(default_factory=dict)
    _users: Counter[str] = field(default_factory=Counter)

    @asynccontextmanager
    async def through(self, host: str) -> AsyncIterator[None]:
        """Wait for one's turn at `host`."""
        door = self._doors.setdefault(host, asyncio.Semaphore(self.at_once))
        self._users[host] += 1
        try:
            async with door:
                yield
        finally:
            self._users[host] -= 1
            if not self._users[host]:
                # Nobody is at this door: hosts that are never asked again take no room.
                del self._users[host], self._doors[host]


@dataclass(slots=True, kw_only=True)
class Asking:
    """GETs for one pass."""

    remotes: Remotes
    doors: Doors
    token: str | None
    home: str
    """The URL to whose origin alone the token is shown."""
    requests: int = 0
    """Made so far."""

    async def get(
        self,
        url: str,
        *,
        accept: str,
        limit: int,
        etag: str | None = None,
        feed: Callable[[str], Any] = lambda _: None,
    ) -> Fetched:
        """GET `url`. Raises `PeerError`; `PeerBusy` when the server asks to be left alone."""
        place = place_of(url)
        async with self.doors.through(place):
            self.requests += 1
            answer = await self.remotes.get(
                url,
                accept=accept,
                limit=limit,
                etag=etag,
                token=self.token if is_same_origin(url, self.home) else None,
                feed=feed,
            )
        if answer.status in _BUSY:
            raise PeerBusy(f"{url} answered {answer.status}.", answer.retry_after)
        return answer


def usable(answer: Fetched) -> Fetched:
    """Return an answer that is a 200; raises `PeerUnreachable` or `AnswerRefused` for any other."""
    if answer.status >= _SERVER_ERROR:
        raise PeerUnreachable(f"{answer.url} answered {answer.status}.")
    if answer.status != _OK:
        raise AnswerRefused(f"{answer.url} answered {answer.status}.")
    return answer
