"""What changing documents in a pod asks of other people's servers."""

from dataclasses import dataclass
from typing import Protocol

from orchestrator.core.patch import Triple


@dataclass(frozen=True, slots=True, kw_only=True)
class Editable:
    """A document as it was read, and how it can be changed."""

    url: str
    said: tuple[Triple, ...]
    """What it says, as far as subject, predicate and object are IRIs."""
    etag: str | None
    takes: tuple[str, ...]
    """Media types of changes that it takes, in the order of `core.patch.FORMATS`."""


class Editor(Protocol):
    """Documents in pods, read and changed through the guarded egress."""

    async def read(self, url: str, *, token: str | None = None) -> Editable:
        """Return what describes the resource at `url`: itself where it is RDF, else its description.

        Raises `PeerError`, or `NotFound` where there is nothing.
        """
        ...

    async def patch(
        self, document: Editable, body: bytes, media_type: str, *, token: str | None = None
    ) -> bool:
        """Change a document as long as it is as it was read; return whether it was. Raises `PeerError`."""
        ...
