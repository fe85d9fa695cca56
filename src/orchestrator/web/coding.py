"""Content codings: which one a reader takes (RFC 9110, section 12.5.3), and gzip itself."""

import functools
import zlib
from typing import Final

from aiohttp import hdrs, web

from orchestrator.core.errors import NotAcceptable
from orchestrator.web.representation import QUALITY, accept_of

GZIP: Final = "gzip"
IDENTITY: Final = "identity"
_ALIASES: Final = {"x-gzip": GZIP}
_MAX_ACCEPT: Final = 500
"""Characters of Accept-Encoding that are read; browsers send about 30."""
_GZIP_FORMAT: Final = 31
"""zlib's number for gzip with the largest window; it writes no time, so equal input gives equal bytes."""


def coding_for(request: web.BaseRequest) -> str:
    """Return the coding in which `request` wants what we have in both.

    gzip is for those who ask for it. Raises `NotAcceptable` for a reader who takes neither.
    """
    accept = accept_of(request, hdrs.ACCEPT_ENCODING)
    return _chosen(accept[:_MAX_ACCEPT]) if accept else IDENTITY


@functools.lru_cache(maxsize=256)
def _chosen(accept: str) -> str:
    weights = _weights(accept)
    others = weights.get("*")
    gzip = weights.get(GZIP, others or 0.0)
    identity = weights.get(IDENTITY, others)
    if gzip > 0 and (identity is None or gzip >= identity):
        return GZIP
    if identity != 0:  # what is not mentioned is acceptable
        return IDENTITY
    raise NotAcceptable("This resource is available compressed with gzip, and as it is.")


def _weights(accept: str) -> dict[str, float]:
    """Return the weight of each coding that is named; what cannot be read is passed over."""
    found = {}
    for part in accept.lower().split(","):
        name, _, weight = (piece.strip() for piece in part.partition(";"))
        quality = weight.replace(" ", "").removeprefix("q=") if weight else "1"
        if name and QUALITY.fullmatch(quality):
            found[_ALIASES.get(name, name)] = float(quality)
    return found


def gzip(body: bytes) -> bytes:
    """Return `body` compressed, about 2 ms for 180 kB: not for the event loop."""
    packer = zlib.compressobj(wbits=_GZIP_FORMAT)
    return packer.compress(body) + packer.flush()
