"""One request, asked again where that can help; httpx has neither retries nor a total timeout."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

import httpx

from orchestrator.core import links
from orchestrator.core.errors import AddressRefused, AnswerRefused, PeerBusy, PeerUnreachable

LISTING_BYTES: Final = 16_777_216
MEMBER_BYTES: Final = 1_048_576
_AGAIN: Final = frozenset((408, 425, 429))
_LONGEST_WAIT: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer, read."""

    url: str
    """Where it came from in the end."""
    status: int
    headers: httpx.Headers
    body: bytes
    is_whole: bool
    """Whether the body ended within the limit."""

    @property
    def ok(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004

    @property
    def media_type(self) -> str:
        """Without parameters, in lower case."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    @property
    def retry_after(self) -> float | None:
        """Seconds that it asks us to wait; a date counts from its own, whatever our clock says."""
        asked = str(self.headers.get("retry-after", ""))
        date = links.http_date(self.headers.get("date"))
        return None if date is None and not asked.isdigit() else links.retry_after(asked, date or 0)

    def linked(self, rel: str) -> list[str]:
        """Return the targets of its Link headers with relation `rel`."""
        return links.find(self.headers.get_list("link"), rel, self.url)


class _Request(NamedTuple):
    """What is asked."""

    method: str
    url: str
    headers: dict[str, str]
    limit: int
    """Bytes of the answer's body that are read."""
    body: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """How often and how long to ask."""

    http: httpx.AsyncClient
    attempts: int
    backoff: float
    """Seconds before the second attempt; twice that before the third, and so on up to a minute."""
    timeout: float
    """Seconds for one attempt with everything in it."""

    async def get(self, url: str, accept: str, limit: int, more: Mapping[str, str] | None = None) -> Fetched:
        """GET `url` through redirects; `more` are headers beside Accept."""
        headers = {"Accept": accept, **(more or {})}
        return await self._ask(_Request("GET", url, headers, limit), self.attempts)

    @asynccontextmanager
    async def listen(self, url: str, accept: str, silence: float) -> AsyncIterator["Listening"]:
        """GET `url` once and yield its answer while it comes, for as long as it comes.

        More than `silence` seconds without a byte raise `PeerUnreachable`, as does what breaks off.
        """
        request = _Request("GET", url, {"Accept": accept, "Cache-Control": "no-store"}, 0)
        async with self._open(request, silence=silence) as answer:
            yield Listening(answer)

    async def head(self, url: str, accept: str) -> Fetched:
        """HEAD `url` through redirects, once: the GET that follows will insist."""
        return await self._ask(_Request("HEAD", url, {"Accept": accept}, 0), 1)

    async def post(self, url: str, body: bytes, headers: dict[str, str], *, attempts: int) -> Fetched:
        """POST `body`, following no redirect."""
        return await self._ask(_Request("POST", url, headers, MEMBER_BYTES, body), attempts)

    async def _ask(self, request: _Request, attempts: int) -> Fetched:
        """Return the first answer worth keeping, or the last one.

        Raises `PeerUnreachable` when the last attempt brought none.
        """
        wait = self.backoff
        for _ in range(attempts - 1):
            pause = min(wait, _LONGEST_WAIT)
            with suppress(PeerUnreachable):
                answer = await self._once(request)
                if not is_passing(answer.status):
                    return answer
                asked = answer.retry_after
                if asked is not None and asked > _LONGEST_WAIT:
                    return answer
                pause = pause if asked is None else asked
            await asyncio.sleep(pause)
            wait *= 2
        return await self._once(request)

    async def _once(self, request: _Request) -> Fetched:
        async with self._open(request) as answer:
            received = bytearray()
            async for chunk in answer.aiter_bytes():
                received += chunk
                if len(received) > request.limit:
                    break
            return Fetched(
                url=str(answer.url),
                status=answer.status_code,
                headers=answer.headers,
                body=bytes(received[: request.limit]),
                is_whole=len(received) <= request.limit,
            )

    @asynccontextmanager
    async def _open(
        self, request: _Request, *, silence: float | None = None
    ) -> AsyncIterator[httpx.Response]:
        """Yield the answer to one request; what goes wrong raises `PeerError`, naming the place.

        It takes as long as one attempt may; with `silence`, as long as no read takes so many seconds.
        """
        place = shown(request.url)
        waits = httpx.USE_CLIENT_DEFAULT if silence is None else httpx.Timeout(self.timeout, read=silence)
        asking = self.http.stream(
            request.method,
            request.url,
            # A compressed answer could grow a thousandfold before anyone counts.
            headers={"Accept-Encoding": "identity", **request.headers},
            content=request.body,
            follow_redirects=request.method != "POST",
            timeout=waits,
        )
        try:
            async with asyncio.timeout(self.timeout if silence is None else None), asking as answer:
                yield answer
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError):
            raise AddressRefused(f"{place} is not an http or https URL.") from None
        except (httpx.TimeoutException, TimeoutError):
            raise PeerUnreachable(f"{place} did not answer in time.") from None
        except httpx.TransportError as error:
            raise PeerUnreachable(f"{place}: {str(error) or type(error).__name__}.") from None
        except httpx.TooManyRedirects:
            raise AnswerRefused(f"{place} redirects without end.") from None
        except httpx.DecodingError:
            raise AnswerRefused(f"{place} answered in an encoding that nobody asked for.") from None


class Listening:
    """An answer that comes for as long as the server has something to say."""

    def __init__(self, answer: httpx.Response) -> None:
        """Take an answer of which the head has come."""
        self._answer = answer

    @property
    def head(self) -> Fetched:
        """What it says before its body."""
        return Fetched(
            url=str(self._answer.url),
            status=self._answer.status_code,
            headers=self._answer.headers,
            body=b"",
            is_whole=True,
        )

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield what comes, in the pieces in which it comes."""
        async for chunk in self._answer.aiter_bytes():
            yield chunk


def is_passing(status: int) -> bool:
    """Whether a status says that it may be another one later."""
    return status in _AGAIN or status >= 500  # noqa: PLR2004


def usable(answer: Fetched) -> Fetched:
    """Return `answer` if it is a whole 2xx; raises `PeerError` that says what it is instead."""
    if is_passing(answer.status):
        raise PeerBusy(f"{shown(answer.url)} answered {answer.status}.", answer.retry_after)
    if not answer.ok:
        raise AnswerRefused(f"{shown(answer.url)} answered {answer.status}.")
    if not answer.is_whole:
        raise AnswerRefused(f"{shown(answer.url)} answered with more than {len(answer.body)} bytes.")
    return answer


def shown(url: str) -> str:
    """Return `url` without user and query, which may be secret."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "This address"
    return str(parsed.copy_with(userinfo=b"", query=None, fragment=None)) or "This address"
