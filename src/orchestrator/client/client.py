"""The client itself: what a sender, a consumer and a reader of the log do (W3C LDN, sections 3.1 and 3.3)."""

from collections.abc import AsyncIterator, Container, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from orchestrator.client import reading, sending
from orchestrator.client.exchange import Exchange
from orchestrator.client.values import Checked, Received, Sent
from orchestrator.contexts import bundled_contexts
from orchestrator.core.jsonld import Contexts


class Client:
    """A sender and consumer of notifications: `async with Client() as client`.

    An `http` client of yours is used as it is and not closed.
    """

    def __init__(
        self,
        http: httpx.AsyncClient | None = None,
        *,
        contexts: Contexts | None = None,
        attempts: int = 3,
        backoff: float = 0.5,
        timeout: float = 30.0,
    ) -> None:
        """Ask up to `attempts` times, `backoff` seconds apart at first, `timeout` seconds each.

        Asked again is what was lost on the way and what answers 408, 425, 429 or 5xx. A Retry-After of up
        to a minute is obeyed; a longer one ends the attempts. `contexts` default to the bundled ones.
        """
        self._owns = http is None
        self._http = http or httpx.AsyncClient(
            timeout=httpx.Timeout(15.0, connect=5.0),
            max_redirects=3,
            headers={"User-Agent": "orchestrator client (W3C LDN; COAR Notify)"},
        )
        self._contexts = contexts or bundled_contexts()
        self._exchange = Exchange(http=self._http, attempts=attempts, backoff=backoff, timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owns:
            await self._http.aclose()

    async def discover(self, url: str) -> str:
        """Return the inbox that the resource at `url` advertises: Link header, then body.

        Raises `InboxNotFound` or another `PeerError`.
        """
        return await reading.discover(self._exchange, self._contexts, url)

    async def send(
        self, notification: bytes | Mapping[str, Any], *, to: str | None = None, inbox: str | None = None
    ) -> Sent:
        """POST `notification` to `inbox`, or to the inbox that the resource `to` advertises.

        Without either, its own `target` says: the `inbox` there, else the one that the target's id
        advertises. Bytes go out unchanged. A notification with an id is sent again when its answer is
        lost, since the receiver knows it by its id; one without is not, it may have arrived.

        Returns the answer whatever its status: see `Sent.accepted`. Raises `PeerError` when there was
        none, and `ScreeningRefused` when the target is needed and cannot be read.
        """
        return await sending.send(self._exchange, self._contexts, notification, to, inbox)

    async def inbox_of(self, notification: bytes | Mapping[str, Any], *, to: str | None = None) -> str:
        """Return the inbox that `send` would take: of `to`, else of the notification's target.

        Raises `PeerError`, `InboxNotFound` where there is none, `ScreeningRefused` for what is no JSON.
        """
        body = sending.bytes_of(notification)
        return await sending.inbox_of(self._exchange, self._contexts, body, to)

    async def check(self, inbox: str, notification: bytes | Mapping[str, Any]) -> Checked:
        """Ask an orchestrator's `inbox` what it would say, without leaving anything there.

        Only an inbox of this software knows `?dry-run=true`; another one may keep the notification,
        which raises `AnswerRefused` saying so.
        """
        return await sending.check(self._exchange, inbox, notification)

    async def read(self, url: str, *, skip: Container[str] = frozenset()) -> AsyncIterator[Received]:
        """Yield every notification in the inbox that `url` advertises, or that `url` is, in listed order.

        Members in `skip` (URLs that you have read) are not asked for. What cannot be read is yielded with
        its `problem`. Raises `PeerError` when the listing itself cannot be read.
        """
        async for received in reading.members(self._exchange, self._contexts, url, skip):
            yield received

    async def log(self, url: str, *, since: int = 0) -> AsyncIterator[dict[str, Any]]:
        """Yield the events after sequence `since` of the event log at `url`, oldest first, as nodes."""
        async for event in reading.events(self._exchange, url, since):
            yield event
