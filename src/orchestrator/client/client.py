"""The client itself: what a sender, a consumer and a reader of the log do (W3C LDN, sections 3.1 and 3.3)."""

from collections.abc import AsyncGenerator, Callable, Container, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

import httpx

from orchestrator.client import following, pages, quads, reading, sending, verifying
from orchestrator.client.exchange import Exchange
from orchestrator.client.proofs import Proofs
from orchestrator.client.quads import Quads
from orchestrator.client.values import Checked, Kept, Received, Sent, Verified
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

    async def read(self, url: str, *, skip: Container[str] = frozenset()) -> AsyncGenerator[Received, None]:
        """Yield every notification in the inbox that `url` advertises, or that `url` is, in listed order.

        Members in `skip` (URLs that you have read) are not asked for. What cannot be read is yielded with
        its `problem`. Raises `PeerError` when the listing itself cannot be read.
        """
        async for received in reading.members(self._exchange, self._contexts, url, skip):
            yield received

    async def log(self, url: str, *, since: int = 0) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the events after sequence `since` of the event log at `url`, oldest first, as nodes."""
        async for event in pages.events(self._exchange, url, since):
            yield event

    async def follow(
        self, url: str, *, since: int = 0, live: bool = True, interval: float = 15.0
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield every event after sequence `since` of the log at `url`, for ever: each once, in order.

        First what its pages have, then what its live stream tells; without one (or with `live=False`) the
        log is asked every `interval` seconds. A filter in `url` (`?type=Announce`) goes along. To go on
        later, keep the last event's `sequence`. What is lost on the way is waited for, with a warning in
        the Python log. Raises `PeerError` when the log cannot be read at first, when it answers that it
        is not there, when it leaves an event out, and when it ends before `since`.
        """
        async with aclosing(self.batches(url, since=since, live=live, interval=interval)) as batches:
            async for batch in batches:
                for event in batch:
                    yield event

    async def batches(
        self, url: str, *, since: int = 0, live: bool = True, interval: float = 15.0, once: bool = False
    ) -> AsyncGenerator[list[dict[str, Any]], None]:
        """Yield what `follow` does in the parts in which it arrives, each to be kept with one commit.

        With `once` it ends where the log ends.
        """
        pace = following.Pace(live=live, once=once, interval=interval)
        async with aclosing(following.batches(self._exchange, url, since, pace)) as batches:
            async for batch in batches:
                yield batch

    async def quads(self, url: str, *, since: int = 0) -> AsyncGenerator[Quads, None]:
        """Yield the events after sequence `since` of the log at `url` as N-Quads, up to its end.

        An event's envelope is in the default graph, its payload in the graph that the event names.
        """
        async with aclosing(quads.quads(self._exchange, url, since)) as parts:
            async for part in parts:
                yield part

    async def checkpoint(self, url: str) -> bytes:
        """Return what the log at `url` signs, as it is: whether to believe it, `verify` says."""
        return await Proofs(self._exchange, url).note()

    async def verify(
        self,
        url: str,
        *,
        key: str | None = None,
        kept: Kept | None = None,
        quick: bool = False,
        progress: Callable[[int, int], None] = lambda _read, _all: None,
    ) -> Verified:
        """Compare every event of the log at `url` with what its checkpoint signed.

        `key` (NAME+ID+KEY) must have signed the checkpoint; without it, the key in `kept`; without that,
        one that the log itself names (`Verified.trust` says which). A checkpoint that was `kept` earlier
        shows whether the log was cut or written anew since: it must be a prefix of this one. With `quick`
        and `kept`, only the proof of that is asked for, and no event is read.

        What is wrong is in `Verified.discrepancies`. Raises `PeerError` when the log cannot be read,
        `BadCheckpoint` when what it signs is no checkpoint, `ConfigurationError` for a key that is none.
        """
        return await verifying.verify(self._exchange, url, key=key, kept=kept, quick=quick, progress=progress)
