"""The body of a POST: what is announced, how much comes, and in which time (threat T5)."""

import asyncio
from typing import Final

from aiohttp import HttpVersion11, StreamReader, hdrs, web

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import BadRequest, RequestTimeout, TooLarge, UnsupportedMediaType
from orchestrator.core.finding import Finding
from orchestrator.web.site import SITE

ACCEPT_POST: Final = f"{v.JSON_LD}, {v.ACTIVITY_JSON}, {v.JSON}"
"""What an inbox takes (W3C LDN section 3.2; application/json is what PREreview and Kotahi send)."""
_ACCEPTED: Final = frozenset((v.JSON_LD, v.ACTIVITY_JSON, v.JSON))
_MAX_SHOWN: Final = 80


def posted_type(request: web.BaseRequest) -> str:
    """Return the media type that the sender announces, without parameters.

    Raises `UnsupportedMediaType` for any other, for none, and for a compressed body: what is judged is
    what was sent.
    """
    if request.headers.get(hdrs.CONTENT_ENCODING):
        raise UnsupportedMediaType("Send the body as it is: an inbox takes no Content-Encoding.")
    given = request.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()
    if given not in _ACCEPTED:
        said = f"not {given[:_MAX_SHOWN]}" if given else "and say so in Content-Type"
        raise UnsupportedMediaType(f"Send {ACCEPT_POST}, {said}.")
    return given


async def read_body(request: web.BaseRequest, *, limit: int, timeout: float) -> bytes:  # noqa: ASYNC109
    """Return the whole body of at most `limit` bytes, if it comes within `timeout` seconds.

    Raises `TooLarge` before reading on, `RequestTimeout`, or `BadRequest` for broken framing.
    """
    announced = request.content_length
    if announced is not None and announced > limit:
        raise _too_large(limit)
    content = request.content
    # Most bodies come whole with their head: then no clock has to be set.
    body = content.read_nowait() if content.is_eof() else await _arriving(content, limit, timeout)
    if len(body) > limit:
        raise _too_large(limit)
    return body


async def _arriving(content: StreamReader, limit: int, timeout: float) -> bytes:  # noqa: ASYNC109
    """Return what comes within `timeout` seconds, up to the chunk that goes beyond `limit`."""
    body = bytearray()
    try:
        async with asyncio.timeout(timeout):
            async for chunk in content.iter_any():
                body += chunk
                if len(body) > limit:
                    break
    except TimeoutError:
        raise RequestTimeout(f"The body did not arrive within {timeout:g} s.") from None
    except web.RequestPayloadError:
        raise BadRequest("The body's transfer coding cannot be read.") from None
    return bytes(body)


def _too_large(limit: int) -> TooLarge:
    # The same rule that `core.strict_json` names, for a body that was never read to its end.
    rule = f"{v.PROBLEMS}unreadable-bytes#size"
    return TooLarge([Finding(rule=rule, message=f"Send at most {limit} bytes.", pointer="")])


async def expect(request: web.Request) -> None:
    """Ask for the body of `Expect: 100-continue`, unless it is announced as too large anyway.

    Other expectations are passed over, as RFC 9110 section 10.1.1 allows.
    """
    announced = request.content_length
    fits = announced is None or announced <= request.app[SITE].limits.body
    waits = request.version == HttpVersion11 and request.headers.get("Expect", "").lower() == "100-continue"
    if fits and waits:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # The answer itself has not begun (as aiohttp's own handler does).
        request.writer.output_size = 0
