"""The app itself: reads, works and catches up at once, until the log ends or somebody stops it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final, Self

from orchestrator.app.agenda import Agenda
from orchestrator.app.deciding import Deciding
from orchestrator.app.reading import Reading
from orchestrator.app.state import StateFile
from orchestrator.app.telling import Told
from orchestrator.app.working import Log, Working
from orchestrator.core.errors import PeerError, PeerUnreachable
from orchestrator.ports.editing import Editor

_log = logging.getLogger(__name__)
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_SAVED_AFTER: Final = 1.0
"""Seconds after which what has happened is on disk, where nothing asked for it before."""


@dataclass(slots=True, kw_only=True)
class App:
    """Follows a log, writes links, and tells of them."""

    log: Log
    file: StateFile
    reading: Reading
    working: Working
    agenda: Agenda
    changed: asyncio.Event
    """Set when there may be something to do."""
    _tasks: dict[asyncio.Task[None], str] = field(default_factory=dict)
    """What is under way, and at which place."""

    @classmethod
    def made(
        cls,
        *,
        deciding: Deciding,
        log: Log,
        editor: Editor,
        token: Callable[[], str | None],
        file: StateFile,
        tell: Callable[[Told], None],
        rehearses: bool = False,
    ) -> Self:
        """Put an app together, in the event loop that it runs in.

        `token` returns the bearer token that may write (read anew each time; `ConfigurationError`), and
        `tell` is told of every outcome. With `rehearses` nothing is written, and nobody else is told.
        """
        changed = asyncio.Event()
        agenda = Agenda(state=file.state, now=asyncio.get_running_loop().time)
        reading = Reading(
            log=log, file=file, deciding=deciding, agenda=agenda, tell=tell, changed=changed.set
        )
        working = Working(
            aim=deciding.aim,
            log=log,
            editor=editor,
            token=token,
            file=file,
            agenda=agenda,
            tell=tell,
            rehearses=rehearses,
        )
        return cls(log=log, file=file, reading=reading, working=working, agenda=agenda, changed=changed)

    async def run(self, *, once: bool = False) -> None:
        """Run until cancelled; with `once`, until the log ends and all that waits was tried.

        Raises `PeerError` when the log cannot be read (unless it only does not answer, and there is time),
        and `StorageError`.
        """
        reading = asyncio.create_task(self._read_once() if once else self._read_for_ever())
        reading.add_done_callback(lambda _: self.changed.set())
        try:
            while True:
                self.changed.clear()
                self._reap()
                self._begin()
                if reading.done():
                    reading.result()
                    if not self._tasks:
                        return
                await self._wait()
        finally:
            under_way = [reading, *self._tasks]
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
            self.file.save()

    async def _wait(self) -> None:
        """Wait until something happens, or is due."""
        patience = min(self.agenda.next_due(), _SAVED_AFTER)
        try:
            async with asyncio.timeout(patience):
                await self.changed.wait()
        except TimeoutError:
            if self.file.is_behind:
                self.file.save()

    def _begin(self) -> None:
        for place in self.agenda.behind():
            self._start(self._catch_up(place), place)
        for pending in self.agenda.ready():
            self._start(self.working.work(pending), pending.place)

    def _start(self, work: Coroutine[None, None, None], place: str) -> None:
        self.agenda.busy.add(place)
        task = asyncio.create_task(work)
        self._tasks[task] = place
        task.add_done_callback(lambda _: self.changed.set())

    def _reap(self) -> None:
        for task in [task for task in self._tasks if task.done()]:
            self.agenda.busy.discard(self._tasks.pop(task))
            self.file.is_behind = True
            task.result()

    async def _catch_up(self, place: str) -> None:
        before = self.file.state.behind.get(place)
        try:
            await self.reading.catch_up(place)
        except PeerError as error:
            _log.warning("log_lost reason=%s", error.message)
        if self.file.state.behind.get(place) == before:
            self.agenda.hold(place)

    async def _read_once(self) -> None:
        await self.reading.check()
        state = self.file.state
        async with aclosing(self.log.log(state.log, since=state.sequence)) as nodes:  # type: ignore[type-var]
            await self.reading.read(nodes)

    async def _read_for_ever(self) -> None:
        state = self.file.state
        pause = _FIRST_PAUSE
        while True:
            before = state.sequence
            try:
                await self.reading.check()
                async with aclosing(self.log.follow(state.log, since=before)) as nodes:  # type: ignore[type-var]
                    await self.reading.read(nodes)
            except PeerUnreachable as error:
                pause = _FIRST_PAUSE if state.sequence > before else min(2 * pause, _LONGEST_PAUSE)
                _log.warning("log_lost reason=%s again_in=%.0f", error.message, pause)
            await asyncio.sleep(pause)
