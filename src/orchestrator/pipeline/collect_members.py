"""The members of a remote inbox: each fetched, received as if it had been posted, and noted."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Final

from orchestrator.core.errors import (
    AnswerRefused,
    ConflictingContent,
    OrchestratorError,
    Overloaded,
    PeerBusy,
    PeerError,
    PeerUnreachable,
    ScreeningRefused,
    SenderRefused,
    TooLarge,
    UnacceptableDocument,
)
from orchestrator.core.relative import resolve_own
from orchestrator.core.source import Source, patience
from orchestrator.pipeline.asking import Asking, usable
from orchestrator.pipeline.receive import Received, receive
from orchestrator.ports import Clock, Ledger, Provenance, Screener
from orchestrator.ports.sources import Found, Member, MemberState

_ACCEPT: Final = "*/*"
_GONE: Final = frozenset((404, 410))
_AT_ONCE: Final = 8
_NOTED_AT_ONCE: Final = 64
_MOST_SILENT: Final = 8
"""Members in a row without an answer: then it is the server that is ill, and not they."""
_TURNS: Final = 10
"""How often a member waits for room of ours."""
_LONGEST_TURN: Final = 10.0
_SHOWN: Final = 500


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a pass has brought so far."""

    members: int = 0
    """To be looked at in this pass."""
    kept: int = 0
    """Received for the first time."""
    known: int = 0
    """Received before, from here or from elsewhere."""
    ignored: int = 0
    invalid: int = 0
    gone: int = 0
    retry: int = 0

    def add(self, found: Found) -> None:
        """Count what became of one member."""
        name = found.state.value.lower()
        if found.state is MemberState.KEPT and not found.is_new:
            name = "known"
        setattr(self, name, getattr(self, name) + 1)

    def __str__(self) -> str:
        """Return the counts as words of a log line."""
        return " ".join(f"{each.name}={getattr(self, each.name)}" for each in fields(self))

    @property
    def seen(self) -> int:
        """Members that were looked at."""
        return self.kept + self.known + self.ignored + self.invalid + self.gone + self.retry


@dataclass(slots=True, kw_only=True)
class Fetching:
    """Fetches the members of one source."""

    source: Source
    asking: Asking
    screener: Screener
    ledger: Ledger
    clock: Clock
    limit: int
    """Bytes of a member that are read: what an inbox of ours takes."""
    chance: Callable[[], float]
    note: Callable[[list[Found]], Awaitable[None]]
    """Commits what became of some members."""
    tally: Tally = field(default_factory=Tally)

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
            async with asyncio.TaskGroup() as group:
                for _ in range(min(_AT_ONCE, len(members))):
                    group.create_task(self._some(waiting, found))
        except* Exception as several:  # noqa: BLE001  (the first says why; the others ended with it)
            failed += several.exceptions
        if not failed:
            await self._noted(found)
            return
        with suppress(OrchestratorError):
            await self._noted(found)
        raise failed[0]

    async def _some(self, waiting: Iterator[Member], found: list[Found]) -> None:
        for member in waiting:
            became = await self._one(member)
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
            received = await self._received(member)
        except PeerBusy:
            raise
        except PeerUnreachable as error:
            self._silent += 1
            if self._silent >= _MOST_SILENT:
                raise
            return self._again(member, error)
        except AnswerRefused as error:
            return self._again(member, error)
        except (_Gone, ScreeningRefused, ConflictingContent) as error:
            return self._found(member, *_verdict(error))
        receipt = received.receipt
        return Found(
            url=member.url,
            mark=member.mark,
            state=MemberState.KEPT,
            token=receipt.token,
            is_new=receipt.fresh,
        )

    async def _received(self, member: Member) -> Received:
        if _size(member.mark) > self.limit:
            raise TooLarge
        body = _Body(self.limit)
        answer = await self.asking.get(
            member.url, accept=_ACCEPT, limit=self.limit + 1, feed=lambda _: body.take
        )
        self._silent = 0
        if answer.status in _GONE:
            raise _Gone(f"{member.url} answered {answer.status}.")
        usable(answer)
        media_type = answer.media_type.partition(";")[0].strip().lower() or "application/octet-stream"
        try:
            return await self._receive(bytes(body.held), media_type, member)
        except UnacceptableDocument:
            resolved = resolve_own(bytes(body.held), member.url)
            if resolved is None:
                raise
            return await self._receive(resolved, media_type, member)

    async def _receive(self, body: bytes, media_type: str, member: Member) -> Received:
        """Receive a body; wait for room where there is none."""
        source = self.source
        where = Provenance(
            source=source.name, via=member.url, trust="verified" if source.is_vouched else "unknown"
        )
        wait = 0.1
        for turn in range(_TURNS):
            try:
                return await receive(
                    body,
                    inbox=source.into,
                    media_type=media_type,
                    screener=self.screener,
                    ledger=self.ledger,
                    clock=self.clock,
                    provenance=where,
                    admits=source.admits,
                )
            except Overloaded:
                if turn == _TURNS - 1:
                    raise
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LONGEST_TURN)
        raise Overloaded

    def _again(self, member: Member, error: PeerError) -> Found:
        later = self.clock.now() + patience("60s", member.attempts + 1, chance=self.chance())
        return self._found(member, MemberState.RETRY, error.message, retry_at=later)

    def _found(
        self, member: Member, state: MemberState, reason: str, *, retry_at: int | None = None
    ) -> Found:
        return Found(url=member.url, mark=member.mark, state=state, reason=reason[:_SHOWN], retry_at=retry_at)


class _Gone(PeerError):
    """It is listed, and not there."""


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
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0  # noqa: PLR2004


def _verdict(error: OrchestratorError) -> tuple[MemberState, str]:
    """Return what becomes of a member that is not taken, and why."""
    if isinstance(error, _Gone):
        return MemberState.GONE, error.message
    if isinstance(error, SenderRefused):
        return MemberState.IGNORED, f"untrusted: {error.message}"
    return MemberState.INVALID, _reason(error)


def _reason(error: OrchestratorError) -> str:
    if not isinstance(error, ScreeningRefused):
        return f"{error.slug}: {error.message}"
    said = "; ".join(f"{found.pointer or '/'}: {found.message}" for found in error.findings[:3])
    return f"{error.slug}: {said or error.message}"
