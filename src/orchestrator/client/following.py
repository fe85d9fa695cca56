"""Following an event log: every event once, in order, none left out, for as long as somebody asks.

What is told live is a hint that comes early; the log's own numbers decide what is new, and its pages fill
whatever a stream leaves out. Nothing that a server says is believed before that.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from orchestrator.client import pages
from orchestrator.client.exchange import Exchange, Fetched, is_passing, shown
from orchestrator.client.pages import EVENT_SEQUENCE, Event
from orchestrator.core.errors import AnswerRefused, PeerBusy, PeerUnreachable, ScreeningRefused
from orchestrator.core.event_stream import LONGEST, MEDIA_TYPE, EventStream, Message
from orchestrator.core.published import parse_published

_log = logging.getLogger(__name__)
_MOST_ON_A_PAGE: Final = 1_000
_LONGEST_PAUSE: Final = 60.0
_LONGEST_ASKED: Final = 300.0
"""Seconds of a Retry-After that are obeyed."""
_RETRY: Final = 1.0
"""Seconds before a stream that ended is asked for again, where it does not say."""
_POLLS_BEFORE_LIVE: Final = 20
"""Polls after which a log without a live stream is asked again whether it has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a log is followed."""

    live: bool = True
    """Whether to ask for the live stream."""
    once: bool = False
    """Whether to end where the log ends."""
    interval: float = 15.0
    """Seconds between two looks where there is no live stream."""
    silence: float = 45.0
    """Seconds without a sound after which a live stream is taken for dead; a heartbeat comes every 15."""


class _NotLive(Exception):
    """There is no live stream."""


async def batches(exchange: Exchange, url: str, since: int, pace: Pace) -> AsyncGenerator[list[Event], None]:
    """Yield what comes after `since`, in the parts in which it comes; see `Client.batches`."""
    following = _Following(exchange, url, since, pace)
    await following.look()
    wait = exchange.backoff
    polls = 0
    while True:
        before = following.last
        try:
            async with aclosing(following.catch_up()) as caught:
                async for batch in caught:
                    yield batch
            if pace.once:
                return
            if not pace.live or polls % _POLLS_BEFORE_LIVE:
                polls += 1
                await asyncio.sleep(_spread(pace.interval))
                continue
            async with aclosing(following.listen()) as heard:
                async for batch in heard:
                    yield batch
            pause = following.retry
        except _NotLive:
            polls += 1
            pause = pace.interval
        except PeerUnreachable as error:
            if pace.once:
                raise
            if following.last > before:
                wait = exchange.backoff
            asked = error.retry_after if isinstance(error, PeerBusy) else None
            pause = min(wait if asked is None else asked, _LONGEST_ASKED)
            wait = min(2 * wait, _LONGEST_PAUSE)
            _log.warning("log_lost reason=%s again_in=%.1f", error.message, pause)
        else:
            wait = exchange.backoff
        await asyncio.sleep(_spread(pause))


class _Following:
    """How far a log has been read."""

    def __init__(self, exchange: Exchange, url: str, since: int, pace: Pace) -> None:
        self.last = since
        """The number of the last event that was handed on."""
        self.retry = _RETRY
        """Seconds to wait before a stream that ended in order is asked for again."""
        self._exchange = exchange
        self._url = url
        self._pace = pace
        self._is_whole = False
        """Whether no number may be left out; in a part of a log, by query or by artefact, most are."""
        self._heard = since
        """Up to where the stream of a part says that nothing more is to be told."""
        self._known = ("", "")
        """What was asked for last, and the ETag of the answer."""

    async def look(self) -> None:
        """Look at the log itself. Raises `PeerError` when that cannot be, or when it is behind us."""
        root = await pages.fetch(self._exchange, pages.without_query(self._url))
        total = root.total if root else None
        self._is_whole = total is not None and "?" not in self._url
        if total is not None and total < self.last:
            raise AnswerRefused(
                f"{shown(self._url)} ends with event {total}, but event {self.last} was read from it before:"
                " it was put back to an earlier state, perhaps from a backup, or this is another log. Compare"
                " with a checkpoint that you kept (`orchestrator log verify --checkpoint`), then begin anew."
            )

    async def catch_up(self) -> AsyncGenerator[list[Event], None]:
        """Yield what the pages have after the last event, page by page."""
        while True:
            url = pages.with_query(self._url, since=self.last, limit=_MOST_ON_A_PAGE)
            page = await pages.fetch(self._exchange, url, tag=self._known[1] if self._known[0] == url else "")
            if page is None:
                return
            batch = self._new(pages.in_order(page.events))
            if not batch:
                if self.last:
                    await self.look()
                self._known = (url, page.tag)
                return
            if len(batch) > len(self._unbroken(batch)):
                raise self._has_gap(batch)
            self.last = batch[-1][EVENT_SEQUENCE]
            yield batch
            if not page.following:
                return

    async def listen(self) -> AsyncGenerator[list[Event], None]:
        """Yield what the live stream tells, until it ends.

        Raises `_NotLive` where there is none, and `PeerUnreachable` when it breaks off.
        """
        after = max(self.last, self._heard)
        url = pages.below(self._url, "live", after=after)
        async with self._exchange.listen(url, MEDIA_TYPE, self._pace.silence) as listening:
            _check(listening.head)
            stream = EventStream(longest=LONGEST)
            is_placed = False
            async with aclosing(listening.chunks()) as chunks:
                async for chunk in chunks:
                    messages = stream.feed(chunk)
                    place = _number(stream.id)
                    if stream.id and not is_placed:
                        is_placed = True
                        if place < after:  # it cannot begin where it was asked to
                            await self.look()
                    async with aclosing(self._told(messages, place)) as told:
                        async for batch in told:
                            yield batch
                    if stream.retry is not None:
                        self.retry = min(stream.retry / 1000, _LONGEST_PAUSE)

    async def _told(self, messages: Sequence[Message], place: int) -> AsyncGenerator[list[Event], None]:
        """Yield what is new in messages that came together; where they leave something out, pages do not.

        `place` is where the stream says that it is.
        """
        events = self._new([_event_of(each, self._url) for each in messages if each.type == "message"])
        batch = self._unbroken(events)
        if batch:
            self.last = batch[-1][EVENT_SEQUENCE]
            yield batch
        if not self._is_whole:
            self._heard = max(self._heard, place)
            return
        if place <= self.last:
            return
        async with aclosing(self.catch_up()) as caught:
            async for filled in caught:
                yield filled
        if place > self.last:
            raise PeerUnreachable(
                f"{shown(self._url)} tells of event {place}, and its pages end with {self.last}."
            )

    def _new(self, events: Sequence[Event]) -> list[Event]:
        """Return those whose numbers are larger than all before them."""
        found: list[Event] = []
        last = self.last
        for event in events:
            if event[EVENT_SEQUENCE] > last:
                last = event[EVENT_SEQUENCE]
                found.append(event)
        return found

    def _unbroken(self, events: list[Event]) -> list[Event]:
        """Return new events up to the first that leaves a number of a whole log out."""
        if self._is_whole:
            for index, event in enumerate(events):
                if event[EVENT_SEQUENCE] != self.last + 1 + index:
                    return events[:index]
        return events

    def _has_gap(self, events: list[Event]) -> AnswerRefused:
        last = self.last + len(self._unbroken(events))
        return AnswerRefused(
            f"{shown(self._url)} has no event {last + 1}: the next one after {last} is"
            f" {events[last - self.last][EVENT_SEQUENCE]}. A log has no gaps: try `orchestrator log verify`."
        )


def _check(head: Fetched) -> None:
    """Go on only if this is a live stream."""
    if is_passing(head.status):
        raise PeerBusy(f"{shown(head.url)} answered {head.status}.", head.retry_after)
    # 204 says not to ask again, to readers that reconnect by themselves (WHATWG HTML, section 9.2.3).
    if head.status != 200 or head.media_type != MEDIA_TYPE:  # noqa: PLR2004
        raise _NotLive


def _event_of(message: Message, url: str) -> Event:
    try:
        event = parse_published(message.data.encode("utf-8", "surrogatepass"))
    except ScreeningRefused as error:
        raise AnswerRefused(
            f"{shown(url)} tells live what is not JSON: {error.findings[0].message}"
        ) from None
    sequence = pages.sequence_of(event) if isinstance(event, dict) else None
    if not isinstance(event, dict) or sequence is None or message.id != str(sequence):
        raise AnswerRefused(f"{shown(url)} tells live what is no event, under the id {message.id[:40]!r}.")
    return event


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0  # noqa: PLR2004


def _spread(seconds: float) -> float:
    """Return about `seconds`, so that many who lost the same server do not come back at once."""
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311  (spreads retries; nothing secret)
