"""What a source holds, received as if it had been posted; and what becomes of each member by that."""

import asyncio
from dataclasses import dataclass, fields
from typing import Final

from orchestrator.core.errors import (
    ConflictingContent,
    OrchestratorError,
    Overloaded,
    PeerError,
    ScreeningRefused,
    SenderRefused,
    UnacceptableDocument,
)
from orchestrator.core.relative import resolve_own
from orchestrator.core.source import Source
from orchestrator.pipeline.receive import Received, receive
from orchestrator.ports import Clock, Ledger, Provenance, Screener
from orchestrator.ports.sources import Found, MemberState

_TURNS: Final = 10
"""How often a member waits for room of ours."""
_FIRST_TURN: Final = 0.1
_LONGEST_TURN: Final = 10.0
_SHOWN: Final = 500
_GONE: Final = 410


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """Receives what one source holds."""

    source: Source
    screener: Screener
    ledger: Ledger
    clock: Clock

    async def take(self, body: bytes, media_type: str, url: str, mark: str = "") -> Found:
        """Receive `body`, found at `url`; return what became of it.

        Raises `Overloaded` or `StorageError` for trouble of our own.
        """
        try:
            received = await self._received(body, media_type, url)
        except (ScreeningRefused, ConflictingContent) as error:
            return refused(url, mark, error)
        receipt = received.receipt
        state = MemberState.KEPT
        return Found(url=url, mark=mark, state=state, token=receipt.token, is_new=receipt.fresh)

    async def _received(self, body: bytes, media_type: str, url: str) -> Received:
        try:
            return await self._receive(body, media_type, url)
        except UnacceptableDocument:
            # A document in a pod may name itself relatively.
            resolved = resolve_own(body, url)
            if resolved is None:
                raise
            return await self._receive(resolved, media_type, url)

    async def _receive(self, body: bytes, media_type: str, url: str) -> Received:
        """Receive a body; wait for room where there is none."""
        source = self.source
        where = Provenance(source=source.name, via=url, trust="verified" if source.is_vouched else "unknown")
        wait = _FIRST_TURN
        for _ in range(_TURNS):
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
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LONGEST_TURN)
        raise Overloaded


class Gone(PeerError):
    """It is listed, and not there."""

    def __init__(self, url: str, status: int) -> None:
        """Take what was answered: 410 is meant for ever (RFC 9110, section 15.5.11), 404 may pass."""
        super().__init__(f"{url} answered {status}.")
        self.is_final = status == _GONE


def refused(url: str, mark: str, error: OrchestratorError) -> Found:
    """Return what becomes of a member that is not taken, with the reason."""
    if isinstance(error, Gone):
        return _found(url, mark, MemberState.GONE, error.message)
    if isinstance(error, SenderRefused):
        return _found(url, mark, MemberState.IGNORED, f"untrusted: {error.message}")
    said = error.message
    if isinstance(error, ScreeningRefused) and error.findings:
        said = "; ".join(f"{found.pointer or '/'}: {found.message}" for found in error.findings[:3])
    return _found(url, mark, MemberState.INVALID, f"{error.slug}: {said}")


def again(url: str, mark: str, error: OrchestratorError, at: int) -> Found:
    """Return that a member is to be fetched again at a time."""
    reason = error.message[:_SHOWN]
    return Found(url=url, mark=mark, state=MemberState.RETRY, reason=reason, retry_at=at)


def _found(url: str, mark: str, state: MemberState, reason: str) -> Found:
    return Found(url=url, mark=mark, state=state, reason=reason[:_SHOWN])
