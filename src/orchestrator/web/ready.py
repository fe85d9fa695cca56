"""Answers whose bytes are there already: as aiohttp would write them, without putting them together anew."""

import functools
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Final

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter

from orchestrator.web.headers import ALWAYS

_ALWAYS: Final = "".join(f"{name}: {said}\r\n" for name, said in ALWAYS.items())


def head_of(status: HTTPStatus, headers: Mapping[str, str], length: int) -> bytes:
    """Return the head of an answer with `headers` and a body of `length` bytes, as far as the date.

    Raises ValueError for a line break in a header, as aiohttp does (RFC 9110, section 5.5).
    """
    lines = "".join([f"{name}: {said}\r\n" for name, said in headers.items()])
    if not lines.count("\n") == lines.count("\r") == len(headers) or "\0" in lines:
        raise ValueError("A header may not have line breaks or NUL.")
    first = f"HTTP/1.1 {status.value} {status.phrase}\r\n"
    return f"{first}{lines}{_ALWAYS}{hdrs.CONTENT_LENGTH}: {length}\r\n".encode()


def takes_ready(request: web.BaseRequest) -> bool:
    """Whether a ready answer is right for `request`: it wants a body, and leaves its connection open."""
    return request.version == HttpVersion11 and request.keep_alive and request.method != hdrs.METH_HEAD


class Ready(web.StreamResponse):
    """An answer of a head, today's date, and a body; for a request that `takes_ready`."""

    def __init__(self, status: HTTPStatus, head: bytes, body: bytes, *, now: int) -> None:
        """Take what `head_of` returned for `status`, the body, and the time in ms since the epoch."""
        super().__init__(status=status)
        self._now = now
        self._head = head
        self._content = body
        self._writer: AbstractStreamWriter | None = None

    @property
    def prepared(self) -> bool:
        """It needs no more headers."""
        return True

    @property
    def keep_alive(self) -> bool | None:
        """The connection stays open."""
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send it, in one piece."""
        writer = self._writer = request.writer
        await writer.write(b"".join((self._head, _date(self._now // 1_000), self._content)))
        return writer

    async def write_eof(self, data: Any = b"") -> None:  # noqa: ANN401, ARG002  (aiohttp's signature)
        """Wait until the reader has taken most of it."""
        if self._writer is not None:
            await self._writer.write_eof()


@functools.lru_cache(maxsize=2)
def _date(now: int) -> bytes:
    return f"Date: {formatdate(now, usegmt=True)}\r\n\r\n".encode()
