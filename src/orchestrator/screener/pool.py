"""Runs `core.screening` and `core.policy` in worker processes that can be killed.

A stranger's document can make pyld slow, or a maintainer's pattern, in ways that no limit of structure
foresees. Here it costs at most its time budget and a worker, which is replaced; the event loop never waits
on it.
"""

import asyncio
import contextlib
import ctypes
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as BudgetSpent
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from pebble import ProcessExpired, ProcessPool

from orchestrator.core.errors import Overloaded, StorageError, TooCostly
from orchestrator.core.finding import Finding
from orchestrator.core.jsonld import Contexts
from orchestrator.core.policy import Facts, Judgement, PolicySet, judge
from orchestrator.core.screening import Rules, Screening, screen
from orchestrator.core.shapes.shape_set import Profile, ShapeSet
from orchestrator.core.strict_json import Limits
from orchestrator.core.vocabulary import PROBLEMS

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
_TRIES: Final = 2
_PR_SET_PDEATHSIG: Final = 1
_POLICY_SETS_KEPT: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenerSettings:
    """What bounds the work."""

    workers: int = 2
    """Processes."""
    budget: float = 2.0
    """Seconds for one document; then its worker is killed."""
    waiting: int = 256
    """Documents that may wait; more are refused as overload."""
    patience: float = 10.0
    """Seconds that a document waits for a worker; then its sender is told to come back."""
    memory: int = 512 * 1024 * 1024
    """Bytes of data that a worker may hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """What a worker needs to judge, as plain values that a process can be given."""

    contexts: Contexts
    shapes: Mapping[str, str]
    """Turtle by slug."""
    profile: Profile
    limits: Limits

    def rules(self) -> Rules:
        """Return the rules, with the shapes compiled."""
        shapes = ShapeSet(self.shapes)
        return Rules(contexts=self.contexts, shapes=shapes, profile=self.profile, limits=self.limits)


class ScreeningPool:
    """The `Screener` port over a pool of processes."""

    def __init__(self, rulebook: Rulebook, settings: ScreenerSettings) -> None:
        """Prepare a pool; its processes are made by `start`, or when they are first needed."""
        self._rulebook = rulebook
        self._settings = settings
        self._pool = self._new_pool()
        self._starting = threading.Lock()
        self._closing = False
        self._under_way = 0
        self._room = asyncio.Semaphore(settings.workers)

    async def start(self) -> None:
        """Start every worker, and see that they can work."""
        ready = [self._call(_ready, timeout=60.0) for _ in range(self._settings.workers)]
        await asyncio.gather(*ready)

    async def close(self) -> None:
        """End all workers."""
        self._closing = True
        self._pool.stop()  # type: ignore[no-untyped-call]
        await asyncio.to_thread(self._pool.join, 5)

    @property
    def works(self) -> bool:
        """Whether there is a pool to give work to."""
        return bool(self._pool.active)

    async def screen(self, body: bytes) -> Screening:
        """Screen `body` (see `core.screening`); a document over its budget is refused as too costly."""
        try:
            return await self._call(_screen, body, timeout=self._settings.budget)
        except TooCostly as error:
            finding = Finding(rule=f"{PROBLEMS}too-costly#budget", message=error.message, pointer="")
            return Screening(refusal=TooCostly.slug, findings=(finding,), notification=None)

    async def judge(self, body: bytes, facts: Facts, policies: PolicySet) -> Judgement:
        """Project and match an accepted `body` (see `core.policy`). Raises `TooCostly`, `Overloaded`."""
        return await self._call(
            _judge, body, facts, policies.id, policies.files, timeout=self._settings.budget
        )

    async def run(self, work: Callable[[bytes, str, str, Contexts], _T], *given: object) -> _T:
        """Do other `work` on strangers' bytes within the same bounds; the worker adds its contexts.

        Raises what `work` raises, `TooCostly`, or `Overloaded`.
        """
        return await self._call(_run, work, *given, timeout=self._settings.budget)

    async def _call(self, function: Callable[..., _T], *arguments: object, timeout: float) -> _T:  # noqa: ASYNC109
        if self._under_way >= self._settings.waiting:
            raise Overloaded
        self._under_way += 1
        try:
            await self._turn()
        except BaseException:
            self._under_way -= 1
            raise
        try:
            for _ in range(_TRIES):
                try:
                    # In a thread: the first call, or one after a loss, starts processes, which takes a while.
                    work = await asyncio.to_thread(self._schedule, function, arguments, timeout)
                    return cast("_T", await asyncio.wrap_future(work))
                except (ProcessExpired, BrokenProcessPool):
                    # Somebody killed the worker, not this document: a document is stopped by its budget.
                    _log.warning("worker_lost")
            raise Overloaded
        except BudgetSpent:
            message = f"Screening took more than {timeout:g} s. Send a simpler document."
            raise TooCostly(message=message) from None
        except MemoryError:
            message = "Screening took more memory than it may. Send a simpler document."
            raise TooCostly(message=message) from None
        finally:
            self._room.release()
            self._under_way -= 1

    async def _turn(self) -> None:
        """Wait for a worker, but not for ever: a flood of costly documents would make everyone time out."""
        try:
            async with asyncio.timeout(self._settings.patience):
                await self._room.acquire()
        except TimeoutError:
            raise Overloaded from None

    def _schedule(
        self, function: Callable[..., _T], arguments: tuple[object, ...], timeout: float
    ) -> Future[object]:
        """Give a worker its work. A pool whose idle workers were killed never recovers: take a new one."""
        with self._starting:
            if self._closing:
                raise StorageError("The service is stopping.")
            if not self._pool.active:
                _log.warning("workers_replaced")
                self._pool.stop()  # type: ignore[no-untyped-call]
                self._pool = self._new_pool()
            try:
                return cast(
                    "Future[object]", self._pool.schedule(function, args=list(arguments), timeout=timeout)
                )
            except RuntimeError:
                raise Overloaded from None  # it broke in this very moment

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(
            max_workers=self._settings.workers,
            context=multiprocessing.get_context("spawn"),
            initializer=_enter,
            initargs=[self._rulebook, self._settings.memory, os.getpid()],
        )


# What a worker process keeps between documents.
_worker: dict[str, Any] = {}


def _enter(rulebook: Rulebook, memory: int, parent: int) -> None:
    """Make this process a worker: limited, and gone when its parent is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C stops the parent, which stops us
    # A worker has nothing to tell: verdicts are its words. rdflib would print strangers' literals.
    logging.disable(logging.CRITICAL)
    with contextlib.suppress(ImportError, OSError, AttributeError):
        # Linux only: a killed parent cannot tell its workers to end.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415  (not on every platform)

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    _worker.update(rules=rulebook.rules(), policies={})


def _ready() -> bool:
    return "rules" in _worker


def _screen(body: bytes) -> Screening:
    return screen(body, _worker["rules"])


def _run(work: Callable[..., _T], *given: object) -> _T:
    return work(*given, _worker["rules"].contexts)


def _judge(body: bytes, facts: Facts, set_id: str, files: Mapping[str, str]) -> Judgement:
    known: dict[str, PolicySet] = _worker["policies"]
    if set_id not in known:
        if len(known) >= _POLICY_SETS_KEPT:
            known.clear()
        known[set_id] = PolicySet(files)
    return judge(body, facts, contexts=_worker["rules"].contexts, policies=known[set_id])
