"""Stage 1 of a notification's way: body → screened → kept once → receipt."""

from dataclasses import dataclass
from typing import Final

from orchestrator.core.errors import (
    ScreeningRefused,
    ShapeViolated,
    TooCostly,
    TooLarge,
    UnacceptableDocument,
    UnreadableBytes,
)
from orchestrator.core.finding import Finding
from orchestrator.core.screening import Screening
from orchestrator.ports import Arrival, Clock, Ledger, Receipt, Screener

_REFUSALS: Final = {
    error.slug: error for error in (UnreadableBytes, TooLarge, UnacceptableDocument, ShapeViolated, TooCostly)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What a sender is told."""

    receipt: Receipt
    warnings: tuple[Finding, ...]


async def receive(
    body: bytes, *, inbox: str, media_type: str, screener: Screener, ledger: Ledger, clock: Clock
) -> Received:
    """Screen `body` and keep it durably in `inbox`.

    Raises `ScreeningRefused` (of the stage's own class, with all its findings), `ConflictingContent`,
    `Overloaded` or `StorageError`; then nothing was kept.
    """
    screening = await screener.screen(body)
    refuse(screening)
    assert screening.notification is not None
    receipt = await ledger.keep(
        Arrival(
            inbox=inbox,
            body=body,
            media_type=media_type,
            received=clock.now(),
            notification=screening.notification,
            warnings=screening.findings,
        )
    )
    return Received(receipt=receipt, warnings=screening.findings)


def refuse(screening: Screening) -> None:
    """Raise the error by which `screening` refuses, if it does."""
    if screening.refusal is not None:
        raise _REFUSALS.get(screening.refusal, ScreeningRefused)(screening.findings)
