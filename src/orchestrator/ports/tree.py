"""What proves the log: the tree over all its events, and the keys that sign for it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.core.merkle import Frontier


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedKey:
    """A public key that signs, or has signed, checkpoints of the log."""

    verifier: str
    """As C2SP signed-note writes it: name, id and key."""
    since: int
    until: int | None = None
    """When another took its place; None for the one in use."""


class Tree(Protocol):
    """The tree over the log's envelopes (RFC 6962, section 2.1); leaf N-1 is event N."""

    async def frontier(self) -> Frontier:
        """Return the tree as it is now: its size is the log's last sequence."""
        ...

    async def tiles(
        self, wanted: Collection[tuple[int, int]], size: int
    ) -> Mapping[tuple[int, int], Sequence[bytes]]:
        """Return the hashes of tiles, by level and index, in the tree of `size`: up to 256 each.

        A tile of which that tree has nothing is left out. `size` is at most the tree's own.
        """
        ...

    async def keys(self) -> Sequence[PublishedKey]:
        """Return the keys that have signed for this log, the oldest first."""
        ...

    async def use_key(self, verifier: str, *, now: int, replaces: bool = False) -> bool:
        """Publish the key that signs from now on; return whether it is the one in use.

        Another one that is in use keeps it from being so, unless `replaces`: then that one ends now. A key
        that has ended is not used again. An empty log forgets the keys of other names, for it may
        still get another one itself.
        """
        ...
