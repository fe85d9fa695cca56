"""Erasing a payload, as a contract: what the General Data Protection Regulation asks for (article 17)."""

from collections.abc import Mapping
from typing import Protocol

from orchestrator.core.event import Draft, LifecycleEvent


class Erasure(Protocol):
    """Takes what was published of a notification out of the log, and what we have received of it."""

    async def erase(
        self, sequence: int, tombstone: Draft, *, who: str, note: Mapping[str, object], now: int
    ) -> LifecycleEvent | None:
        """Erase the payload and salt of an event, the notification behind it, and what deliveries hold of it.

        Deliveries that are not finished are cancelled. In the same transaction `tombstone` is appended, with
        a delivery to each hub that may have been told, and the journal gets `who` and `note`. Envelope, leaf
        and tree stay as they are. Returns the tombstone as it stands in the log; None when the payload was
        erased before, and nothing was done. Raises `NotFound`, `LogAhead`, `StorageError`.
        """
        ...

    async def purge(self) -> bool:
        """Have what was erased leave the database's files too; whether it has."""
        ...
