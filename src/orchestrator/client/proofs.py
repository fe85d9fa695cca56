"""What a log publishes to prove itself, asked for: its checkpoint, keys, tiles, and proofs."""

import asyncio
import base64
import binascii
from dataclasses import dataclass
from typing import Final

from orchestrator.client import pages
from orchestrator.client.exchange import Exchange, shown, usable
from orchestrator.core import vocabulary as v
from orchestrator.core.checkpoint import MAX_NOTE, VerifierKey
from orchestrator.core.errors import AnswerRefused, ConfigurationError, ScreeningRefused
from orchestrator.core.merkle import TILE_WIDTH, tile_path
from orchestrator.core.published import parse_published
from orchestrator.core.strict_json import Json

_AT_ONCE: Final = 8
_MOST_KEYS: Final = 1_000
_JSON_BYTES: Final = 1_048_576
_HASH_BYTES: Final = 32
_TEXT: Final = "text/plain"
_OCTETS: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Proofs:
    """The proofs of the log at `url`. Every method raises `PeerError`."""

    exchange: Exchange
    url: str

    async def note(self) -> bytes:
        """Return the signed checkpoint."""
        return usable(await self.exchange.get(pages.below(self.url, "checkpoint"), _TEXT, MAX_NOTE)).body

    async def keys(self) -> list[VerifierKey]:
        """Return the keys that the log says have signed its checkpoints."""
        url = pages.below(self.url, "keys")
        said = await self._json(url)
        listed = said.get("keys") if isinstance(said, dict) else None
        named = listed[:_MOST_KEYS] if isinstance(listed, list) else []
        texts = [each.get("key") for each in named if isinstance(each, dict)]
        try:
            return [VerifierKey.parse(text) for text in texts if isinstance(text, str)]
        except ConfigurationError as error:
            raise AnswerRefused(f"{shown(url)} has a key that cannot be read: {error.message}") from None

    async def consistency(self, first: int, second: int) -> list[bytes]:
        """Return the proof that the tree of `second` leaves continues that of `first`."""
        url = pages.below(self.url, "proof", first=first, second=second)
        said = await self._json(url)
        proof = said.get("proof") if isinstance(said, dict) else None
        if not isinstance(proof, list):
            raise AnswerRefused(f"{shown(url)} is no proof.")
        return [_unbase64(text) for text in proof]

    async def leaves(self, size: int) -> list[bytes]:
        """Return the leaf hashes of a tree of `size` (C2SP tlog-tiles, "Merkle Tree")."""
        starts = range(0, size, TILE_WIDTH)
        leaves: list[bytes] = []
        for first in range(0, len(starts), _AT_ONCE):
            some = starts[first : first + _AT_ONCE]
            tiles = await asyncio.gather(
                *(self._tile(start // TILE_WIDTH, min(TILE_WIDTH, size - start)) for start in some)
            )
            for tile in tiles:
                leaves += [tile[at : at + _HASH_BYTES] for at in range(0, len(tile), _HASH_BYTES)]
        return leaves

    async def _tile(self, index: int, width: int) -> bytes:
        url = pages.below(self.url, f"tile/{tile_path(0, index, width)}")
        body = usable(await self.exchange.get(url, _OCTETS, width * _HASH_BYTES)).body
        if len(body) != width * _HASH_BYTES:
            raise AnswerRefused(f"{shown(url)} has {len(body)} bytes.")
        return body

    async def _json(self, url: str) -> Json:
        answer = usable(await self.exchange.get(url, v.JSON, _JSON_BYTES))
        try:
            return parse_published(answer.body)
        except ScreeningRefused as error:
            raise AnswerRefused(f"{shown(url)} is not JSON: {error.findings[0].message}") from None


def _unbase64(text: object) -> bytes:
    """Return what `text` encodes; nothing, which is no hash, where it does not."""
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        return b""
