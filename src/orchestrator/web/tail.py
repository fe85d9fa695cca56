"""The end of the log, read once for all who want to know what is new.

One task reads: as soon as a commit of ours hints at it, and now and then for what other processes write.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Final

from aiohttp import web

from orchestrator.core.errors import StorageError
from orchestrator.core.event import LifecycleEvent
from orchestrator.ports import Query, Reader
from orchestrator.web.blocks import RETRY, Wish, block_of, mark_of
from orchestrator.web.follower import Follower
from orchestrator.web.followers import Followers
from orchestrator.web.site import Listen, Live

_log = logging.getLogger(__name__)

_BATCH: Final = 100
"""Events that are read at once."""
_PART: Final = 64 * 1024
"""Bytes that are written to a follower at once, if they are more than one event."""

_GATHER: Final = 0.01
"""Seconds after a batch of several in which the next one may grow: they share a write."""
_ALONE: Final = 0.25
"""The same while nobody follows, and only those in `on_event` are told."""
_REPLAYED: Final = 24
"""Events, of at most 64 KiB each, that are read at once for one who is behind."""
_REPLAYS: Final = 2
"""Readers of the database who serve those who are behind; it has three."""


class Tail:
    """Knows where the log ends, and tells everybody what is new."""

    def __init__(self, reader: Reader, live: Live, listen: Listen) -> None:
        """Read from `reader`, and hear from `listen` when to; `start` begins."""
        self._reader = reader
        self._live = live
        self._listen = listen
        self._unlisten: Callable[[], None] = lambda: None
        self.on_event: list[Callable[[LifecycleEvent], None]] = []
        """Called with every event that is new in the log, whoever wrote it, in order; not for long."""
        self.followers = Followers(most=live.followers, patience=live.patience, lead=self._catch_up)
        self._position = 0
        """The last sequence that was told, or that nobody waited for."""
        self._woken = asyncio.Event()
        self._replays = asyncio.Semaphore(_REPLAYS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_idle = False
        """Whether nothing was read lately, since nobody wants to know."""

    def wake(self, what: str) -> None:
        """Look at the log at once: something of `what` was committed."""
        if what == "event":
            self._woken.set()

    async def start(self) -> None:
        """Begin behind what is in the log. Raises `StorageError`."""
        self._position = (await self._reader.head()).sequence
        self._unlisten = self._listen(self.wake)
        self._spawn(self._run())

    async def stop(self) -> None:
        """End the answers of all who follow."""
        self._unlisten()
        self.followers.is_closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.followers.close()

    async def start_of(self, asked: int | None) -> int:
        """Return the sequence after which a reader begins who asks for what comes after `asked`.

        Without that he begins at the end; so does who asks for what lies beyond it: a log that was restored
        from a backup is shorter than he remembers, and he shall hear of what is new. Raises `StorageError`.
        """
        if asked is not None and asked <= self._position and not self._is_idle:
            return asked
        end = (await self._reader.head()).sequence
        if self._is_idle:
            self._is_idle = False
            self._position = max(self._position, end)  # what lies between nobody waited for
        return end if asked is None else min(asked, end)

    def lead(self, follower: Follower) -> None:
        """Lead a new follower to where the others are."""
        if follower.seen < self._position:
            self._catch_up(follower)
        elif not follower.is_gone:
            self.followers.admit(follower)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        beat = loop.time() + self._live.heartbeat
        is_behind = False
        while True:
            if not is_behind:
                await self._rest(beat - loop.time())
            is_behind = await self._try()
            if loop.time() >= beat:
                beat = loop.time() + self._live.heartbeat
                await self.followers.beat(self._position)

    async def _try(self) -> bool:
        """Look, whatever happens; whether there may be more."""
        try:
            return await self._look()
        except StorageError:
            _log.exception("store_unavailable")
        except Exception:  # noqa: BLE001  (a loop that ends is a log that stands still)
            _log.exception("loop_failed")
        return False

    async def _rest(self, until_beat: float) -> None:
        """Wait for something new, but not longer than to the next look or heartbeat."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0, min(self._live.interval, until_beat))):
                await self._woken.wait()
            if not len(self.followers):
                await asyncio.sleep(_ALONE)
        self._woken.clear()

    async def _look(self) -> bool:
        """Tell of what is new; whether there may be more."""
        if not self.on_event and not len(self.followers):
            self._is_idle = True
            return False
        found = await self._reader.events(Query(since=self._position, limit=_BATCH))
        some = [event for event in found if event.sequence > self._position]
        for event in some:
            self._call(event)
        spent = _GATHER if 1 < len(found) < _BATCH else 0.0
        for part in _parts(some):
            before, self._position = self._position, part[-1].sequence
            spent += await self.followers.tell(part, before)
        # However many follow, half of the time is for others; and what comes meanwhile shares a write.
        await asyncio.sleep(spent)
        return len(found) == _BATCH

    def _call(self, event: LifecycleEvent) -> None:
        for callback in self.on_event:
            try:
                callback(event)
            except Exception:  # noqa: BLE001  (the others are told all the same)
                _log.exception("on_event_failed sequence=%d", event.sequence)

    def _catch_up(self, follower: Follower) -> None:
        if not self.followers.is_closed:
            self._spawn(self._replay(follower))

    async def _replay(self, follower: Follower) -> None:
        """Lead a follower through the log, as fast as he takes it, to where the others are."""
        try:
            while not follower.is_gone:
                await follower.room()
                if follower.seen >= self._position:
                    self.lead(follower)  # nothing was awaited since: he misses nothing
                    return
                await self._send_some(follower)
        except StorageError:
            follower.end(RETRY)  # the journal hears of it from `_try`, once and not from everybody
        except Exception:  # noqa: BLE001  (he comes back, and begins where he was)
            _log.exception("replay_failed")
            follower.end(RETRY)

    async def _send_some(self, follower: Follower) -> None:
        """Send what comes next for a follower; what finds no room is read again."""
        until, wish = self._position, follower.wish
        async with self._replays:
            found = await self._reader.events(_query(wish, follower.seen, until))
        for event in found:
            follower.send(block_of(event))
            follower.seen = event.sequence
            if not follower.has_room or follower.is_gone:
                return
        if len(found) < _REPLAYED:
            follower.seen = until
            if wish.is_narrow:
                follower.send(mark_of(until))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _query(wish: Wish, since: int, until: int) -> Query:
    return Query(since=since, until=until, type=wish.type, artefact=wish.artefact, limit=_REPLAYED)


def _parts(events: Sequence[LifecycleEvent]) -> Iterator[list[LifecycleEvent]]:
    """Yield `events` in parts of at most `_PART` bytes, or of one event."""
    part: list[LifecycleEvent] = []
    size = 0
    for event in events:
        weight = len(event.envelope) + len(event.payload or b"")
        if part and size + weight > _PART:
            yield part
            part, size = [], 0
        part.append(event)
        size += weight
    if part:
        yield part


TAIL: Final = web.AppKey("tail", Tail)


async def start(app: web.Application) -> None:
    """Begin to watch the log of `app`."""
    await app[TAIL].start()


async def stop(app: web.Application) -> None:
    """Watch the log of `app` no longer, and end the answers of all who follow it."""
    await app[TAIL].stop()
