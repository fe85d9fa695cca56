"""The timetable, on APScheduler, and the loops that it wakes.

A job only sets an event: a wake-up that arrives while work runs is kept, and a stop can wait for the
work. A commit sets the same events, so that nothing waits for the clock; the clock is there for what
other processes commit, for retries and for whatever a crash has left.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from orchestrator.core.errors import StorageError
from orchestrator.pipeline.deliver import Delivering
from orchestrator.pipeline.process import Processing
from orchestrator.ports import Clock, Delivery, Ledger, Outbox
from orchestrator.scheduler.polling import Polling

_log = logging.getLogger(__name__)
_GATHER: Final = 0.01
"""Seconds after a batch of several in which the next one may grow: they share look-ups and a commit."""


_GIVE_BACK: Final = 3.0
"""Seconds in which passes over sources note what they have and give their sources back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimetableSettings:
    """How often, how much, how long."""

    owner: str = "worker"
    """Name of this process, which no other one has."""
    interval: float = 2.0
    """Seconds between looks at the store when nothing wakes us."""
    batch: int = 128
    """Notifications claimed at once: they share a look-up and a commit."""
    deliveries: int = 64
    """Deliveries under way at once."""
    processing_lease: int = 60_000
    """Milliseconds for which a claimed notification is ours."""
    delivery_lease: int = 45_000
    """Milliseconds for which a claimed delivery is ours: longer than any attempt."""
    stop_within: float = 12.0
    """Seconds that a stop waits for work under way."""


class Timetable:
    """Runs processing and delivering until it is stopped."""

    def __init__(
        self,
        *,
        processing: Processing,
        delivering: Delivering,
        ledger: Ledger,
        outbox: Outbox,
        clock: Clock,
        reload: Callable[[], bool],
        settings: TimetableSettings,
        polling: Polling | None = None,
    ) -> None:
        """Take everything that the loops call; `start` begins."""
        self._processing = processing
        self._delivering = delivering
        self._ledger = ledger
        self._outbox = outbox
        self._clock = clock
        self._reload = reload
        self._settings = settings
        self._owner = settings.owner
        self._polling = polling
        self._arrived = asyncio.Event()
        self._due = asyncio.Event()
        self._edited = asyncio.Event()
        self._stopping = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._looked = 0
        self._behind = True
        """Whether more may wait in the store than what has just come."""
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )

    @property
    def beat(self) -> int:
        """When processing last looked at the store or decided something, ms since the epoch."""
        return max(self._looked, self._processing.beat)

    def wake(self, what: str) -> None:
        """Look at the store at once: something of `what` was committed."""
        if what == "notification":
            self._arrived.set()
        elif what == "delivery":
            self._due.set()
        elif what == "source" and self._polling is not None:
            self._polling.wanted.set()

    async def start(self) -> None:
        """Begin; whatever an earlier process left is taken up first."""
        every = IntervalTrigger(seconds=self._settings.interval, timezone=UTC)
        self._scheduler.add_job(self._tick, every, id="look", name="look at the store and the policies")
        self._scheduler.start()
        self._look()
        self._loops = [
            asyncio.create_task(self._run(self._arrived, self._process), name="processing"),
            asyncio.create_task(self._run(self._due, self._deliver), name="delivering"),
            asyncio.create_task(self._run(self._edited, self._read_policies), name="reloading"),
        ]
        if self._polling is not None:
            polling = self._run(self._polling.wanted, self._poll)
            self._loops.append(asyncio.create_task(polling, name="polling"))

    async def stop(self) -> None:
        """Take nothing new; wait for what is under way, then leave the rest to its lease."""
        self._stopping.set()
        with contextlib.suppress(Exception):
            self._scheduler.pause()
        self._look()
        if self._polling is not None:
            # First, and by itself: what is being polled is given back whatever else takes its time.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GIVE_BACK):
                    await self._polling.stop()
        try:
            async with asyncio.timeout(self._settings.stop_within):
                # The loops first: a claim that is under way still starts its deliveries.
                await asyncio.gather(*self._loops)
                await self._processing.finish()
                while self._under_way:
                    await asyncio.wait(set(self._under_way))
        except TimeoutError:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def _tick(self) -> None:
        # A coroutine: APScheduler runs plain functions in threads, where no event may be set.
        self._look()

    def _look(self) -> None:
        self._behind = True
        self._arrived.set()
        self._due.set()
        self._edited.set()
        if self._polling is not None:
            self._polling.wanted.set()

    async def _poll(self) -> bool:
        """Begin to read the sources that are due; whether there may be more."""
        assert self._polling is not None
        return await self._polling.look(self._wake_polling)

    def _wake_polling(self, at: int) -> None:
        """Look at the sources at a time, in ms since the epoch; the tick looks now and then anyway."""
        when = DateTrigger(datetime.fromtimestamp(at / 1_000, UTC), timezone=UTC)
        self._scheduler.add_job(self._tick_polling, when, id="poll", name="poll", replace_existing=True)

    async def _tick_polling(self) -> None:
        assert self._polling is not None
        self._polling.wanted.set()

    async def _run(self, wake: asyncio.Event, work: Callable[[], Awaitable[bool]]) -> None:
        while not self._stopping.is_set():
            await wake.wait()
            wake.clear()
            try:
                while not self._stopping.is_set() and await work():
                    pass
            except StorageError:
                _log.exception("store_unavailable")
            except Exception:  # noqa: BLE001  (a loop that ends is a service that stands still)
                _log.exception("loop_failed")

    async def _process(self) -> bool:
        """Process one batch; whether there may be more."""
        self._looked = now = self._clock.now()
        batch = self._settings.batch
        some = () if self._behind else self._ledger.fresh(self._owner, limit=batch)
        if not some:
            lease = self._settings.processing_lease
            some = await self._ledger.claim(self._owner, limit=batch, now=now, lease=lease)
            self._behind = len(some) == batch
        if some:
            await self._processing.process(some)
        if 1 < len(some) < batch:
            await asyncio.sleep(_GATHER)
        return len(some) == batch

    async def _read_policies(self) -> bool:
        """Put edited policies in force; reading files and shapes is not for the event loop."""
        await asyncio.to_thread(self._reload)
        return False

    async def _deliver(self) -> bool:
        """Start what is due, as far as there is room; whether there may be more."""
        room = self._settings.deliveries - len(self._under_way)
        if room <= 0:
            return False
        now = self._clock.now()
        due = await self._outbox.claim(
            self._owner, limit=min(room, self._settings.batch), now=now, lease=self._settings.delivery_lease
        )
        for delivery in due:
            task = asyncio.create_task(self._attempt(delivery), name=f"delivery {delivery.id}")
            self._under_way.add(task)
            task.add_done_callback(self._finished)
        return len(due) == min(room, self._settings.batch)

    async def _attempt(self, delivery: Delivery) -> None:
        try:
            await self._delivering.deliver(delivery)
        except Exception:  # noqa: BLE001  (its lease runs out, and it is tried again)
            _log.exception("delivery_failed id=%s", delivery.id)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._due.set()
