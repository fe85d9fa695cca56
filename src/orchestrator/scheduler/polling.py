"""Passes over sources: those that are due are claimed and read, a few at once."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from orchestrator.core.errors import NotFound, OrchestratorError, PeerError
from orchestrator.core.source import is_same_origin, place_of
from orchestrator.pipeline.collect import Collecting
from orchestrator.ports import Clock
from orchestrator.ports.sources import Ended, Pass, Progress, Remotes, Sources

_log = logging.getLogger(__name__)
_BETWEEN: Final = 1.0
"""Seconds between two polls that a channel asks for: what comes in between is read together."""
_PUT_OFF: Final = 5_000
"""Milliseconds after which a source whose host has enough places is looked at again."""
_STEADY: Final = 60_000
"""Milliseconds after which a channel that ends is opened again soon."""
_FIRST_PAUSE: Final = 5_000
_LONGEST_PAUSE: Final = 3_600_000
"""Milliseconds before a channel that ends at once is opened again: twice as long each time."""
_MOST_CHANNELS: Final = 256


@dataclass(slots=True, kw_only=True)
class Polling:
    """Reads sources when they are due, until it is stopped."""

    collecting: Collecting
    sources: Sources
    progress: Progress
    remotes: Remotes
    clock: Clock
    owner: str
    at_once: int = 8
    """Sources that are read at once."""
    per_host: int = 4
    """Sources of one host that are read at once."""
    lease: int = 60_000
    """Milliseconds for which a claimed source is ours; it is renewed."""
    listens: bool = True
    """Whether to listen to the channels of pods."""

    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there may be something to do."""
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)
    _places: Counter[str] = field(default_factory=Counter)
    """Host → its sources that are read now."""
    _channels: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """By name of the source."""
    _pauses: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Name of the source → when its channel may be opened again, and how long it was left alone before."""
    _stopped: bool = False

    async def look(self, wake_at: Callable[[int], None]) -> bool:
        """Begin to read what is due, as far as there is room; say when the next look is worth while."""
        room = self.at_once - len(self._under_way)
        if room <= 0 or self._stopped:
            return False
        now = self.clock.now()
        due = await self.progress.due()
        if due is None:
            return False
        if due > now:
            wake_at(due)
            return False
        claimed = await self.progress.claim(self.owner, limit=room, now=now, lease=self.lease)
        await self._begin(claimed, now)
        return bool(claimed)

    async def _begin(self, claimed: Sequence[Pass], now: int) -> None:
        """Begin to read what was claimed, but for what has to be put off."""
        for each in claimed:
            place = place_of(each.source.url)
            # Perhaps we were stopped while we claimed: what is begun now, nobody would end.
            if self._stopped or self._places[place] >= self.per_host:
                await self._put_off(each, now)
                continue
            self._places[place] += 1
            task = asyncio.create_task(self._pass(each), name=f"source {each.source.name}")
            self._under_way.add(task)
            task.add_done_callback(partial(self._ended, place))

    async def _put_off(self, claimed: Pass, now: int) -> None:
        """Give a source back for a moment: one slow server does not get the places of all others."""
        ended = Ended(progress=claimed.progress, next_at=now + _PUT_OFF, requests=0, is_whole=False)
        try:
            await self.progress.finish(claimed.lease, ended, now=now)
        except OrchestratorError:
            # Its lease runs out; the others that were claimed with it are begun all the same.
            _log.exception("source_not_given_back source=%s", claimed.source.name)

    async def stop(self) -> None:
        """Leave off: what is under way is given back, and whoever comes next goes on with it."""
        self._stopped = True
        tasks = [*self._under_way, *self._channels.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass(self, claimed: Pass) -> None:
        try:
            done = await self.collecting.collect(claimed)
        except Exception:  # noqa: BLE001  (its lease runs out, and it is read again)
            _log.exception("pass_failed source=%s", claimed.source.name)
            return
        if self.listens and done.channel:
            self._listen_to(claimed, done.channel)

    def _ended(self, place: str, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._places[place] -= 1
        if not self._places[place]:
            del self._places[place]
        self.wanted.set()

    def _listen_to(self, claimed: Pass, channel: str) -> None:
        name = claimed.source.name
        may_be_opened, _ = self._pauses.get(name, (0, 0))
        if name in self._channels or len(self._channels) >= _MOST_CHANNELS:
            return
        if self._stopped or self.clock.now() < may_be_opened:
            return
        task = asyncio.create_task(self._listen(claimed, channel), name=f"channel of {name}")
        self._channels[name] = task
        task.add_done_callback(lambda _: self._channels.pop(name, None))

    async def _listen(self, claimed: Pass, channel: str) -> None:
        """Have the source polled whenever its channel says something; polling goes on without it."""
        changed = asyncio.Event()
        opened = self.clock.now()
        hurrying = asyncio.create_task(self._hurry(claimed.source.name, changed))
        listening = asyncio.create_task(self._signs(claimed, channel, changed))
        try:
            await asyncio.wait((hurrying, listening), return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurrying.cancel()
            listening.cancel()
            await asyncio.gather(hurrying, listening, return_exceptions=True)
            self._pause(claimed.source.name, opened)

    def _pause(self, name: str, opened: int) -> None:
        """Leave a channel alone that has ended: longer each time, if it does not hold."""
        now = self.clock.now()
        _, before = self._pauses.get(name, (0, 0))
        wait = _FIRST_PAUSE if now - opened >= _STEADY else min(max(2 * before, _FIRST_PAUSE), _LONGEST_PAUSE)
        if len(self._pauses) > 4 * _MOST_CHANNELS:
            self._pauses.clear()
        self._pauses[name] = (now + wait, wait)

    async def _signs(self, claimed: Pass, channel: str, changed: asyncio.Event) -> None:
        try:
            at_home = is_same_origin(channel, claimed.source.url)
            token = self.collecting.token_of(claimed.source) if at_home else None
            async for _ in self.remotes.listen(channel, token=token):
                changed.set()
        except OrchestratorError as error:
            level = logging.INFO if isinstance(error, PeerError) else logging.WARNING
            _log.log(level, "channel_ended source=%s reason=%s", claimed.source.name, error.message)

    async def _hurry(self, name: str, changed: asyncio.Event) -> None:
        while True:
            await changed.wait()
            changed.clear()
            try:
                await self.sources.hurry(name, now=self.clock.now(), patient=True)
            except NotFound:
                return
            except OrchestratorError:
                _log.exception("source_not_hurried source=%s", name)
            await asyncio.sleep(_BETWEEN)
