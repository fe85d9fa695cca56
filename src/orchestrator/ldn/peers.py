"""Discovery of inboxes, delivery to them, and the status of a resource (the port `Peers`)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Final, NamedTuple, Self

import aiohttp
from aiohttp.abc import AbstractResolver

from orchestrator.core import container, links
from orchestrator.core import vocabulary as v
from orchestrator.core.errors import AddressRefused, AnswerRefused, InboxNotFound, PeerUnreachable
from orchestrator.core.jsonld import Contexts
from orchestrator.ldn.asking import MOST_REDIRECTS, NO_HEAD, REDIRECTING, explain, join
from orchestrator.ldn.egress import EgressSettings, guarded_session, read_url, shown
from orchestrator.ports import Answer

HOUR: Final = 3_600_000
"""Milliseconds."""
_REMEMBERED: Final = 1_024
_TRY_AGAIN: Final = frozenset((408, 425, 429))
_DETAIL: Final = 1_000
_CHUNK: Final = 8_192


class _Found(NamedTuple):
    """Where the redirects have led so far, and what was answered there."""

    url: str
    hops: int = 0
    status: int = 0
    inboxes: tuple[str, ...] = ()
    media_type: str = ""
    body: bytes = b""


class Peers:
    """Other people's servers, over one guarded session: `async with Peers(…) as peers`."""

    def __init__(
        self,
        settings: EgressSettings,
        contexts: Contexts,
        now: Callable[[], int],
        *,
        remember: int = HOUR,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """Take the clock `now` (ms since 1970); remember up to 1,024 inboxes for `remember` ms."""
        self._settings = settings
        self._contexts = contexts
        self._now = now
        self._remember = remember
        self._resolver = resolver
        self._inboxes: dict[str, tuple[int, str]] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = guarded_session(self._settings, self._resolver)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def discover(self, target: str) -> str:
        """Return `target`'s inbox: Link header of a HEAD, of a GET, then its body (W3C LDN, section 3.1.1).

        The whole takes at most `total_timeout`. Raises `InboxNotFound` where the resource answers and
        advertises none, `PeerUnreachable` where it may tomorrow (no answer, 5xx, 408, 425, 429),
        `AnswerRefused` where the answer cannot be read, `AddressRefused` where we will not ask.
        """
        known = self._inboxes.get(target)
        # A clock that was set back must not keep an entry for days.
        if known is not None and 0 <= self._now() - known[0] < self._remember:
            return known[1]
        read_url(target)
        try:
            async with asyncio.timeout(self._settings.total_timeout):
                inbox = await self._discover(target)
        except TimeoutError:
            seconds = self._settings.total_timeout
            raise PeerUnreachable(f"{shown(target)}: no inbox found within {seconds:g} s.") from None
        self._inboxes.pop(target, None)
        self._inboxes[target] = (self._now(), inbox)
        if len(self._inboxes) > _REMEMBERED:
            del self._inboxes[next(iter(self._inboxes))]
        return inbox

    def forget(self, target: str) -> None:
        """Discover `target` anew the next time."""
        self._inboxes.pop(target, None)

    async def send(self, inbox: str, body: bytes) -> Answer:
        """POST `body` to `inbox` once, following no redirect (W3C LDN, section 3.1.2).

        Once there is a status, it counts: a body that stalls or is too large is cut, and is no error.
        """
        headers = {"Content-Type": v.AS_PROFILE, "Accept": f"{v.JSON_LD}, {v.PROBLEM_JSON}, */*;q=0.1"}
        async with self._ask("POST", inbox, headers, body) as answer:
            beginning = bytearray()
            with suppress(aiohttp.ClientError, OSError):
                await self._read(answer, beginning)
            location = answer.headers.get("Location")
            return Answer(
                status=answer.status,
                location=join(inbox, location) if location else None,
                retry_after=links.retry_after(answer.headers.get("Retry-After"), self._now()),
                detail=_printable(beginning),
            )

    async def status(self, url: str) -> int:
        """Return the status of a HEAD of `url`, or of a GET where HEAD is not known; follow no redirect."""
        with suppress(AnswerRefused):
            async with self._ask("HEAD", url, {"Accept": "*/*"}) as answer:
                if answer.status not in NO_HEAD:
                    return answer.status
        async with self._ask("GET", url, {"Accept": "*/*"}) as answer:
            return answer.status

    async def _discover(self, target: str) -> str:
        # Some answer HEAD without their Link headers, with a body, or not at all.
        found = _Found(target)
        with suppress(AnswerRefused):
            found = await self._follow("HEAD", found)
        if not found.inboxes:
            found = await self._follow("GET", found)
        inboxes, left_out = found.inboxes, tuple[str, ...]()
        if not inboxes and found.body:
            document = await asyncio.to_thread(
                container.read, found.body, found.media_type, found.url, self._contexts
            )
            left_out = document.left_out
            inboxes = tuple(container.inboxes(document, target))
        for inbox in inboxes:
            with suppress(AddressRefused):
                read_url(inbox)
                return inbox
        raise _not_found(target, found, left_out)

    async def _follow(self, method: str, start: _Found) -> _Found:
        """Ask for `url`, through at most three redirects; each hop passes the guard like the first."""
        url, hops = start.url, start.hops
        while True:
            async with self._ask(method, url, {"Accept": container.ACCEPT}) as answer:
                location = answer.headers.get("Location")
                if answer.status not in REDIRECTING or not location:
                    return await self._found(method, url, hops, answer)
            hops += 1
            if hops > MOST_REDIRECTS:
                raise AnswerRefused(f"{shown(url)} redirects more than {MOST_REDIRECTS} times.")
            url = join(url, location)

    async def _found(self, method: str, url: str, hops: int, answer: aiohttp.ClientResponse) -> _Found:
        if answer.status in _TRY_AGAIN or (answer.status >= 500 and method == "GET"):  # noqa: PLR2004
            raise PeerUnreachable(f"{shown(url)} answered {answer.status}.")
        inboxes: tuple[str, ...] = ()
        body = bytearray()
        media_type = answer.headers.get("Content-Type", "")
        if 200 <= answer.status < 300:  # noqa: PLR2004
            inboxes = tuple(links.find(answer.headers.getall("Link", []), v.INBOX, url))
            # A web page or a PDF says it in its header or not at all: save its bytes.
            wanted = method == "GET" and not inboxes and container.is_readable(media_type)
            if wanted and not await self._read(answer, body):
                limit = self._settings.answer_bytes
                raise AnswerRefused(f"{shown(url)} answered with more than {limit} bytes.")
        return _Found(url, hops, answer.status, inboxes, media_type, bytes(body))

    @asynccontextmanager
    async def _ask(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield the answer to one request; what goes wrong raises `PeerError`, naming the place."""
        if self._session is None:
            message = "Use Peers as a context manager: async with Peers(…)."
            raise RuntimeError(message)
        asked = read_url(url)
        try:
            async with self._session.request(
                method, asked, headers=headers, data=body, allow_redirects=False
            ) as answer:
                yield answer
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise explain(error, url) from None

    async def _read(self, answer: aiohttp.ClientResponse, into: bytearray) -> bool:
        """Add the body to `into`, up to the limit; return whether that was all of it."""
        async for chunk in answer.content.iter_chunked(_CHUNK):
            into += chunk
            if len(into) > self._settings.answer_bytes:
                del into[self._settings.answer_bytes :]
                # The rest is not wanted, so neither is the connection.
                answer.close()
                return False
        return True


def _not_found(target: str, found: _Found, left_out: tuple[str, ...]) -> InboxNotFound:
    if not 200 <= found.status < 300:  # noqa: PLR2004
        return InboxNotFound(f"{shown(found.url)} answered {found.status}, so its inbox is not known.")
    reason = f"; its contexts {', '.join(left_out)} are not known here" if left_out else ""
    return InboxNotFound(f"{shown(target)} advertises no LDN inbox{reason}.")


def _printable(beginning: bytes | bytearray) -> str:
    text = beginning[: 4 * _DETAIL].decode("utf-8", "replace")
    return "".join(char if char.isprintable() else " " for char in text)[:_DETAIL].strip()
