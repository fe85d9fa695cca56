"""One thread that writes, and commits in groups, so that one sync of the disk serves all who wait."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from orchestrator.core.errors import OrchestratorError, StorageError
from orchestrator.storage import engine as engines

Change = Literal["notification", "event", "delivery"]
"""What a commit has changed."""

_A = TypeVar("_A")
_R = TypeVar("_R")

_LARGEST_GROUP: Final = 128
"""Works per transaction: bounds how long the first of them waits for the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """What a work may use while it runs."""

    connection: sa.Connection
    changed: set[Change] = field(default_factory=set)
    """For the listeners, who hear of it after the commit."""


_GroupWork = Callable[[Transaction, Sequence[Any]], Sequence[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    work: _GroupWork
    item: Any
    future: "asyncio.Future[Any]"


class Writer:
    """Runs works in transactions, in one thread, for one event loop at a time.

    A work raises (or returns for its item) an `OrchestratorError` only before it has changed anything
    that must not stay. Any other exception undoes the whole group, whose works are then run one by one.
    Who stops waiting does not stop the work: it is done whole or not at all.
    """

    def __init__(self, engine: sa.Engine) -> None:
        """Write through `engine`, over a connection of its own."""
        self._engine = engine
        self._connection: sa.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="storage-writer")
        self._lock = threading.Lock()
        self._waiting: deque[_Request] = deque()
        self._draining = False
        self._closed = False
        self._listeners: list[Callable[[Change], None]] = []

    def listen(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call `callback` on the event loop after each commit, once per change; return how to stop that."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    async def write(self, work: Callable[[Transaction], _R]) -> _R:
        """Run `work` and return its result once that is committed. Raises `StorageError`."""
        result: _R = await self._submit(_each, work)
        return result

    async def write_grouped(
        self, work: Callable[[Transaction, Sequence[_A]], Sequence[_R | OrchestratorError]], item: _A
    ) -> _R:
        """Run `work` over `item` and all other items that wait for the same work; return its result.

        `work` returns one result per item, in order; an `OrchestratorError` among them is raised here.
        """
        result: _R = await self._submit(work, item)
        return result

    async def close(self) -> None:
        """Commit what waits, then let go of the database. Later writes raise `StorageError`."""
        with self._lock:
            self._closed = True
        await asyncio.to_thread(self._stop)

    def _submit(self, work: _GroupWork, item: object) -> "asyncio.Future[Any]":
        loop = asyncio.get_running_loop()
        request = _Request(work=work, item=item, future=loop.create_future())
        with self._lock:
            if self._closed:
                message = "The database is closed."
                raise StorageError(message)
            self._waiting.append(request)
            if not self._draining:
                self._draining = True
                self._thread.submit(self._drain, loop)
        return request.future

    # Below here: in the writer's thread.

    def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            with self._lock:
                group = [self._waiting.popleft() for _ in range(min(len(self._waiting), _LARGEST_GROUP))]
                if not group:
                    self._draining = False
                    return
            results, changed = self._run(group)
            try:
                loop.call_soon_threadsafe(self._settle, group, results, changed)
            except RuntimeError:
                # The loop was closed meanwhile: what was written stays, and nobody is left to be told.
                continue

    def _run(self, group: Sequence[_Request]) -> tuple[list[Any], set[Change]]:
        try:
            return self._commit(group)
        except exc.SQLAlchemyError as error:
            trouble = engines.storage_error(error)
            trouble.__cause__ = getattr(error, "orig", None)
            if engines.is_fatal(error) or len(group) == 1:
                return [trouble] * len(group), set()
        except Exception as error:  # noqa: BLE001  (it belongs to who asked, in another thread)
            if len(group) == 1:
                return [error], set()
        # One of them broke the rest: taken one by one, it hurts only itself.
        alone = [self._run([request]) for request in group]
        return [result for results, _ in alone for result in results], set().union(
            *(found for _, found in alone)
        )

    def _commit(self, group: Sequence[_Request]) -> tuple[list[Any], set[Change]]:
        if self._connection is None:
            self._connection = self._engine.connect()
        by_work: dict[_GroupWork, list[int]] = {}
        for place, request in enumerate(group):
            by_work.setdefault(request.work, []).append(place)
        results: list[Any] = [None] * len(group)
        try:
            with self._connection.begin():
                transaction = Transaction(connection=self._connection)
                for work, places in by_work.items():
                    found = work(transaction, [group[place].item for place in places])
                    for place, result in zip(places, found, strict=True):
                        results[place] = result
        except exc.SQLAlchemyError as error:
            if engines.is_fatal(error):
                self._let_go()
            raise
        return results, transaction.changed

    def _let_go(self) -> None:
        # After a failed write or sync nothing that this connection remembers can be trusted.
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _stop(self) -> None:
        self._thread.shutdown(wait=True)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # Below here: in the event loop.

    def _settle(self, group: Sequence[_Request], results: Sequence[Any], changed: Iterable[Change]) -> None:
        for request, result in zip(group, results, strict=True):
            if request.future.done():
                continue
            if isinstance(result, Exception):
                request.future.set_exception(result)
            else:
                request.future.set_result(result)
        loop = asyncio.get_running_loop()
        for change in sorted(changed):
            for listener in self._listeners:
                loop.call_soon(listener, change)


def _each(transaction: Transaction, works: Sequence[Callable[[Transaction], Any]]) -> list[Any]:
    """Run works that share nothing but the transaction."""
    results: list[Any] = []
    for work in works:
        try:
            results.append(work(transaction))
        except OrchestratorError as error:
            results.append(error)
    return results
