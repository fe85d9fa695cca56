"""The members of a remote inbox: each fetched, received as if it had been posted, and noted."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from orchestrator.core.errors import (
    OrchestratorError,
    Overloaded,
    PeerBusy,
    PeerError,
    PeerUnreachable,
    TooLarge,
)
from orchestrator.core.source import A_DAY, patience
from orchestrator.pipeline.asking import Asking, usable
from orchestrator.pipeline.taking import Gone, Taking, Tally, again, refused
from orchestrator.ports.sources import Found, Member

_ACCEPT: Final = "*/*"
_GONE: Final = frozenset((404, 410))
_AT_ONCE: Final = 8
_NOTED_AT_ONCE: Final = 64
_MOST_SILENT: Final = 8
"""Members in a row without a usable answer: then it is the server that is ill, and not they."""
_MOST_ABSENT: Final = 5
"""How often a member that is not there is looked for: some servers list what is still being written."""
_ROOM: Final = 65_536
"""Bytes beyond the limit, so that it is ours that is exceeded first."""
_MOST_DIGITS: Final = 18


@dataclass(slots=True, kw_only=True)
class Fetching:
    """Fetches the members of one source."""

    taking: Taking
    asking: Asking
    limit: int
    """Bytes of a member that are read: what an inbox of ours takes."""
    chance: Callable[[], float]
    note: Callable[[list[Found]], Awaitable[None]]
    """Commits what became of some members."""
    tally: Tally

    _silent: int = 0

    async def fetch(self, members: list[Member]) -> None:
        """Fetch `members`, a few at a time, and note what became of each.

        Raises `PeerError` when the server as a whole does not answer, `Overloaded` or `StorageError` for
        trouble of our own; what was noted stays, the rest is as it was.
        """
        waiting = iter(members)
        found: list[Found] = []
        failed: list[Exception] = []
        try:
            failed += await self._all(waiting, found, min(_AT_ONCE, len(members)))
        except asyncio.CancelledError:
            # However slow a server is, what it has answered counts.
            with suppress(OrchestratorError):
                await asyncio.shield(self._noted(found))
            raise
        if not failed:
            await self._noted(found)
            return
        with suppress(OrchestratorError):
            await self._noted(found)
        raise failed[0]

    async def _all(self, waiting: Iterator[Member], found: list[Found], at_once: int) -> Sequence[Exception]:
        """Look at all that wait, `at_once` at a time; return why that ended early."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(self._some(waiting, found))
        except* Exception as several:  # noqa: BLE001  (the first says why; the others ended with it)
            failed = several.exceptions
        else:
            failed = ()
        return failed

    async def _some(self, waiting: Iterator[Member], found: list[Found]) -> None:
        for member in waiting:
            try:
                became = await self._one(member)
            except (Overloaded, _Ill) as error:
                # The next pass begins with others: nobody's trouble is in the way of all for ever.
                found.append(self._again(member, error))
                raise
            self.tally.add(became)
            found.append(became)
            if len(found) >= _NOTED_AT_ONCE:
                some, found[:] = list(found), []
                await self.note(some)

    async def _noted(self, found: list[Found]) -> None:
        if found:
            await self.note(found)

    async def _one(self, member: Member) -> Found:
        """Return what became of one member; what is wrong with it is its own trouble."""
        try:
            body, media_type = await self._fetched(member)
        except PeerUnreachable as error:
            self._silent += 1
            if self._silent >= _MOST_SILENT:
                raise _Ill(error) from None
            return self._again(member, error)
        except Gone as error:
            return self._gone(member, error)
        except TooLarge as error:
            return refused(member.url, member.mark, error)
        except PeerError as error:
            return self._again(member, error)
        return await self.taking.take(body, media_type, member.url, member.mark)

    async def _fetched(self, member: Member) -> tuple[bytes, str]:
        if _size(member.mark) > self.limit:
            raise TooLarge
        body = _Body(self.limit)
        answer = await self.asking.get(
            member.url, accept=_ACCEPT, limit=self.limit + _ROOM, feed=lambda _: body.take
        )
        if answer.status in _GONE:
            self._silent = 0
            raise Gone(member.url, answer.status)
        media_type = usable(answer).media_type.partition(";")[0].strip().lower()
        self._silent = 0
        return bytes(body.held), media_type or "application/octet-stream"

    def _again(self, member: Member, error: OrchestratorError) -> Found:
        return again(member.url, member.mark, error, self._later(member, error))

    def _gone(self, member: Member, error: Gone) -> Found:
        """Return that a member is not there; for a while it is looked for again."""
        found = refused(member.url, member.mark, error)
        if error.is_final or member.attempts + 1 >= _MOST_ABSENT:
            return found
        return replace(found, retry_at=self._later(member, error))

    def _later(self, member: Member, error: OrchestratorError) -> int:
        asked = error.retry_after if isinstance(error, PeerBusy) else None
        wait = patience("60s", member.attempts + 1, chance=self.chance(), asked=asked, longest=A_DAY)
        return self.taking.clock.now() + wait


class _Ill(PeerBusy):
    """It is not this member: the server answers none."""

    def __init__(self, last: PeerUnreachable) -> None:
        super().__init__(last.message, last.retry_after if isinstance(last, PeerBusy) else None)


class _Body:
    """A body that is coming, up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = bytearray()

    def take(self, chunk: bytes) -> None:
        """Add what has come; raises `TooLarge`."""
        if len(self.held) + len(chunk) > self._limit:
            raise TooLarge
        self.held += chunk


def _size(mark: str) -> int:
    """Return the bytes that the listing says a member has; 0 where it does not say."""
    text = mark.partition(" ")[2]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else 0
