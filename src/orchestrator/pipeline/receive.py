"""Stage 1 of a notification's way: body → screened → kept once → receipt."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from orchestrator.core.errors import (
    ScreeningRefused,
    SenderRefused,
    ShapeViolated,
    TooCostly,
    TooLarge,
    UnacceptableDocument,
    UnreadableBytes,
)
from orchestrator.core.finding import Finding
from orchestrator.core.notification import Notification
from orchestrator.core.screening import Screening
from orchestrator.ports import Arrival, Clock, Ledger, Provenance, Receipt, Screener

_REFUSALS: Final = {
    error.slug: error for error in (UnreadableBytes, TooLarge, UnacceptableDocument, ShapeViolated, TooCostly)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What a sender is told."""

    receipt: Receipt
    warnings: tuple[Finding, ...]


async def receive(
    body: bytes,
    *,
    inbox: str,
    media_type: str,
    screener: Screener,
    ledger: Ledger,
    clock: Clock,
    provenance: Provenance | None = None,
    admits: Callable[[Notification], bool] | None = None,
) -> Received:
    """Screen `body` and keep it durably in `inbox`; `admits` judges its sender.

    Raises `ScreeningRefused` (of the stage's own class, with all its findings), `ConflictingContent`,
    `Overloaded` or `StorageError`; then nothing was kept.
    """
    screening = await screener.screen(body)
    refuse(screening)
    assert screening.notification is not None
    if admits is not None and not admits(screening.notification):
        raise SenderRefused
    receipt = await ledger.keep(
        Arrival(
            inbox=inbox,
            body=body,
            media_type=media_type,
            received=clock.now(),
            notification=screening.notification,
            warnings=screening.findings,
            provenance=provenance,
        )
    )
    return Received(receipt=receipt, warnings=screening.findings)


def refuse(screening: Screening) -> None:
    """Raise the error by which `screening` refuses, if it does."""
    if screening.refusal is not None:
        raise _REFUSALS.get(screening.refusal, ScreeningRefused)(screening.findings)
