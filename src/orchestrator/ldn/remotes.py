"""Other people's inboxes and logs, read and nothing else, through the guarded egress (port `Remotes`)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self
from urllib.parse import urldefrag

import aiohttp
from aiohttp.abc import AbstractResolver

from orchestrator.core import links
from orchestrator.core import vocabulary as v
from orchestrator.core.errors import AnswerRefused
from orchestrator.core.source import is_same_origin, is_web
from orchestrator.ldn.asking import MOST_REDIRECTS, REDIRECTING, explain, join
from orchestrator.ldn.egress import EgressSettings, guarded_session, read_url, shown
from orchestrator.ports.sources import Fetched

_CHUNK: Final = 16_384
"""Bytes that are read at once: looking through them takes the event loop about a millisecond."""
_OK: Final = 200
_NOT_MODIFIED: Final = 304
_CHANNELS: Final = 256
_LONGEST_FIELD: Final = 1_024
_A_YEAR: Final = 31_536_000
_DEAF: Final = 3_600.0
"""Seconds after which a channel that says nothing is opened anew."""
Feed = Callable[[str], Callable[[bytes], None] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a server that is read may take, in seconds."""

    whole: float = 120.0
    """For one answer with everything in it."""
    silence: float = 15.0
    """Between two pieces of it."""


class Remotes:
    """Other people's inboxes and logs: `async with Remotes(…) as remotes`."""

    def __init__(
        self,
        settings: EgressSettings,
        now: Callable[[], int],
        *,
        patience: Patience | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """Take the clock `now` (ms since 1970); at most `settings.per_host` connections to one host."""
        self._settings = settings
        self._now = now
        self._patience = patience or Patience()
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None
        self._channels: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = guarded_session(self._settings, self._resolver)
        # A channel keeps its connection: they must not use up those that read.
        channels = replace(self._settings, concurrency=_CHANNELS, per_host=_CHANNELS)
        self._channels = guarded_session(channels, self._resolver)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in (self._session, self._channels):
            if session is not None:
                await session.close()
        self._session = self._channels = None

    async def get(
        self,
        url: str,
        *,
        accept: str,
        limit: int,
        etag: str | None = None,
        token: str | None = None,
        feed: Feed = lambda _: None,
    ) -> Fetched:
        """GET `url` through redirects, each of which passes the guard; see `ports.sources.Remotes`."""
        headers = {"Accept": accept}
        if etag is not None:
            headers["If-None-Match"] = etag
        timeout = aiohttp.ClientTimeout(
            total=self._patience.whole,
            sock_connect=self._settings.connect_timeout,
            sock_read=self._patience.silence,
        )
        place = url
        for _ in range(MOST_REDIRECTS + 1):
            # Whoever it was sent to says where to go from there, even back: the token stays at home.
            token = token if is_same_origin(place, url) else None
            async with self._ask(self._session, place, headers, token, timeout) as answer:
                location = answer.headers.get("Location")
                if answer.status not in REDIRECTING or not location:
                    return await self._fetched(answer, place, limit, feed)
            place = join(place, location)
        raise AnswerRefused(f"{shown(url)} redirects more than {MOST_REDIRECTS} times.")

    async def listen(self, url: str, *, token: str | None = None) -> AsyncIterator[None]:
        """Yield when the channel at `url` is open, and at each sign of a change.

        What it says is not read: a sign is a reason to look, and nothing more.
        """
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self._settings.connect_timeout, sock_read=_DEAF
        )
        async with self._ask(self._channels, url, {"Accept": "*/*"}, token, timeout) as answer:
            if answer.status != _OK:
                raise AnswerRefused(f"{shown(url)} answered {answer.status}.")
            yield
            async for _ in answer.content.iter_any():
                yield

    async def _fetched(self, answer: aiohttp.ClientResponse, url: str, limit: int, feed: Feed) -> Fetched:
        headers = answer.headers
        linked = headers.getall("Link", [])
        body = bytearray()
        media_type = _plain(headers.get("Content-Type", ""))
        if answer.status == _OK:
            if headers.get("Content-Encoding", "identity").lower() != "identity":
                raise AnswerRefused(f"{shown(url)} answered in an encoding that nobody asked for.")
            await self._read(answer, url, limit, feed(media_type) or body.extend)
        return Fetched(
            url=urldefrag(url).url,
            status=answer.status,
            media_type=media_type,
            etag=_tag(headers.get("ETag")),
            body=bytes(body),
            following=tuple(link for link in links.find(linked, "next", url) if is_web(link)),
            channel=next((link for link in links.find(linked, v.UPDATES, url) if is_web(link)), None),
            is_final=_is_final(headers.get("Cache-Control", "")),
            retry_after=links.retry_after(headers.get("Retry-After"), self._now()),
        )

    async def _read(
        self, answer: aiohttp.ClientResponse, url: str, limit: int, take: Callable[[bytes], None]
    ) -> None:
        left = limit
        async for chunk in answer.content.iter_chunked(_CHUNK):
            left -= len(chunk)
            if left < 0:
                # aiohttp closes a connection whose answer is not wanted to its end.
                raise AnswerRefused(f"{shown(url)} answered with more than {limit} bytes.")
            take(chunk)
            # What has come already is handed out without a pause, and others wait.
            await asyncio.sleep(0)

    @asynccontextmanager
    async def _ask(
        self,
        session: aiohttp.ClientSession | None,
        url: str,
        headers: dict[str, str],
        token: str | None,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  (aiohttp's)
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if session is None:
            message = "Use Remotes as a context manager: async with Remotes(…)."
            raise RuntimeError(message)
        if token is not None:
            headers = {**headers, "Authorization": f"Bearer {token}"}
        asked = read_url(url)
        try:
            async with session.get(asked, headers=headers, allow_redirects=False, timeout=timeout) as answer:
                yield answer
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise explain(error, url) from None


def _plain(text: str) -> str:
    """Return the beginning of a header field as it may be kept: strangers write any byte there."""
    return "".join(char for char in text[:_LONGEST_FIELD] if char.isascii() and char.isprintable())


def _tag(etag: str | None) -> str | None:
    """Return an ETag that can be kept and shown again; another is none."""
    return etag if etag and len(etag) <= _LONGEST_FIELD and _plain(etag) == etag else None


def _is_final(cache_control: str) -> bool:
    """Whether an answer never changes (RFC 8246): `immutable` promises it for as long as it is fresh."""
    directives = [each.strip().lower() for each in cache_control.split(",")]
    ages = [each.partition("=")[2] for each in directives if each.startswith("max-age=")]
    return "immutable" in directives and any(age.isdigit() and int(age[:12]) >= _A_YEAR for age in ages)
