"""Which form of a resource a reader gets, and whether it has that form already.

Content negotiation (RFC 9110, section 12), entity tags and conditional reads (section 13), links
(RFC 8288).
"""

import functools
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple
from urllib.parse import quote

from aiohttp import hdrs, web

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import NotAcceptable, NotFound

AS_JSON_LD: Final = (v.JSON_LD, v.AS_PROFILE, v.ACTIVITY_JSON, v.JSON)
"""One JSON-LD document under the names by which people ask for it, ours first."""
REVALIDATE: Final = "no-cache"
PRIVATE: Final = "private, no-cache"
IMMUTABLE: Final = "public, max-age=31536000, immutable"

_URI: Final = "%:/?#[]@!$&'()*+,;=~"
QUALITY: Final = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")
_ANY: Final = "*/*"
_MAX_ACCEPT: Final = 2_000
"""Characters of Accept that are read; browsers send about 150."""


class MediaType(NamedTuple):
    """A media type, or a range of them."""

    name: str
    parameters: frozenset[tuple[str, str]]


class _Wish(NamedTuple):
    range: MediaType
    quality: float


def parse_type(text: str) -> MediaType:
    """Return the media type of a Content-Type header, lower case and without quotes."""
    name, *rest = text.split(";")
    pairs = (part.partition("=") for part in rest)
    parameters = {(key.strip().lower(), value.strip().strip('"')) for key, equals, value in pairs if equals}
    return MediaType(name.strip().lower(), frozenset(parameters))


def accept_of(request: web.BaseRequest, header: str = hdrs.ACCEPT) -> str | None:
    """Return all that a request says in Accept, or in another such header; None when it says nothing."""
    said = request.headers.getall(header, ())
    return (said[0] if len(said) == 1 else ", ".join(said)) or None


def negotiate(accept: str | None, offers: tuple[str, ...]) -> str:
    """Return the offer that `accept` likes best; equals go to the more explicit wish, then to ours.

    HTML is for those who name it: no wildcard chooses it. Raises `NotAcceptable`, which lists the offers.
    """
    return _chosen(accept[:_MAX_ACCEPT], offers) if accept else offers[0]


def chosen(request: web.Request, offers: tuple[str, ...], suffixes: Mapping[str, str]) -> str:
    """Return the offer that the address names by its suffix, else the one that Accept likes best."""
    named = request.match_info.get("form")
    if named is None:
        return negotiate(accept_of(request), offers)
    if suffixes[named] not in offers:
        raise NotFound
    return suffixes[named]


@functools.lru_cache(maxsize=512)
def _chosen(accept: str, offers: tuple[str, ...]) -> str:
    wishes = _wishes(accept)
    if not wishes:
        return offers[0]
    ranked = [(*_rank(offer, wishes), -place, offer) for place, offer in enumerate(offers)]
    quality, _, _, best = max(ranked)
    if quality <= 0:
        raise NotAcceptable("This resource is available as " + ", ".join(offers))
    return best


def names(accept: str | None, media_type: str) -> bool:
    """Whether `accept` asks for `media_type` by its name, not by a wildcard."""
    wanted = parse_type(media_type).name
    return any(wish.range.name == wanted and wish.quality > 0 for wish in _wishes(accept or ""))


def _wishes(accept: str) -> list[_Wish]:
    found = []
    for part in accept[:_MAX_ACCEPT].split(","):
        parsed = parse_type(part)
        weight = next((value for key, value in parsed.parameters if key == "q"), "1")
        if "/" in parsed.name and QUALITY.fullmatch(weight):
            wanted = frozenset(pair for pair in parsed.parameters if pair[0] != "q")
            found.append(_Wish(MediaType(parsed.name, wanted), float(weight)))
    return found


def _rank(offer: str, wishes: Iterable[_Wish]) -> tuple[float, int]:
    """Return the quality that the most specific matching wish gives, and how specific it is.

    A profile or charset that we do not know is a preference, not a condition (RFC 6906, section 3).
    """
    known = parse_type(offer)
    ranks = [(_specificity(known, wish.range), wish.quality) for wish in wishes]
    specificity, quality = max(ranks, default=(0, 0.0))
    return (quality, specificity) if specificity else (0.0, 0)


def _specificity(offer: MediaType, wanted: MediaType) -> int:
    if wanted.name == offer.name:
        # An exact match counts only where it says more than the bare name does.
        return 4 if wanted.parameters and wanted.parameters == offer.parameters else 3
    if offer.name == v.HTML:
        return 0
    if wanted.name == offer.name.partition("/")[0] + "/*":
        return 2
    return 1 if wanted.name == _ANY else 0


def entity_tag(*parts: object) -> str:
    """Return the opaque tag of the representation that `parts` determine."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else str(part).encode("utf-8", "backslashreplace"))
        digest.update(b"\n")
    return digest.hexdigest()[:32]


def cache_headers(tag: str, caching: str = REVALIDATE, vary: str = "Accept") -> dict[str, str]:
    """Return the headers by which caches and readers know a representation again."""
    return {"ETag": f'"{tag}"', "Cache-Control": caching, "Vary": vary}


def is_unchanged(request: web.BaseRequest, headers: Mapping[str, str]) -> bool:
    """Whether the reader has the representation with these headers already (RFC 9110, section 13.1.2)."""
    tag = headers["ETag"].strip('"')
    return any(known.value in (tag, "*") for known in request.if_none_match or ())


def not_modified(headers: Mapping[str, str]) -> web.Response:
    """Return the 304 for a reader that has the representation already."""
    return web.Response(status=304, headers=headers)


def labelled(media_type: str) -> str:
    """Return the Content-Type of `media_type` in UTF-8."""
    # Turtle is always UTF-8 (its registration); other text has to say so.
    is_text = media_type.startswith("text/") and media_type != v.TURTLE
    return f"{media_type}; charset=utf-8" if is_text else media_type


def respond(body: bytes | str, media_type: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a 200 with `body`, labelled `media_type` to the letter."""
    content = body.encode() if isinstance(body, str) else body
    return web.Response(body=content, headers={**(headers or {}), "Content-Type": labelled(media_type)})


def link(target: str, rel: str) -> str:
    """Return one link for a Link header, whose target is a URI where ours may be IRIs (RFC 8288)."""
    return f'<{quote(target, safe=_URI)}>; rel="{rel}"'
