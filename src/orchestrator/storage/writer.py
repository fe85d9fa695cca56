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

from orchestrator.core.errors import OrchestratorError, Overloaded, StorageError
from orchestrator.storage import engine as engines

Change = Literal["notification", "event", "delivery", "source"]
"""What is new since a commit: a notification that may go on, an event, a delivery that is due, a source."""

_A = TypeVar("_A")
_R = TypeVar("_R")

_LARGEST_GROUP: Final = 128
"""Works after which a group is closed: bounds how long the first of them waits for the last."""


@dataclass(slots=True, kw_only=True)
class Counters:
    """What the writer has done since it was made; for benchmarks, guards and those who watch."""

    commits: int = 0
    """Transactions that were committed."""
    works: int = 0
    """Works in them: a notification kept or an outcome recorded is one, and so is a claim."""
    largest: int = 0
    """Works in the largest group."""
    waiting: int = 0
    """Works that wait now, without those in the transaction under way."""
    refused: int = 0
    """Works that were refused because too many waited."""


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
    items: Sequence[Any]
    future: "asyncio.Future[list[Any]]"


class Writer:
    """Runs works in transactions, in one thread, for one event loop at a time.

    Who asks first is served first, whatever is asked. A work raises (or returns for its item) an
    `OrchestratorError` only before it has changed anything that must not stay. Any other exception undoes
    the whole group, which is then run in ever smaller parts, until it hurts only its cause. Who stops
    waiting does not stop the work: it is done whole or not at all.
    """

    def __init__(self, engine: sa.Engine, *, waiting: int) -> None:
        """Write through `engine`, over a connection of its own; let `waiting` works of strangers wait."""
        self._engine = engine
        self._most = waiting
        self._connection: sa.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="storage-writer")
        self._lock = threading.Lock()
        self._waiting: deque[_Request] = deque()
        self._draining = False
        self._closed = False
        self._listeners: list[Callable[[Change], None]] = []
        self.counters = Counters()

    def listen(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call `callback` on the event loop after each commit, once per change; return how to stop that."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    async def write(self, work: Callable[[Transaction], _R]) -> _R:
        """Run `work` and return its result once that is committed. Raises `StorageError`."""
        result: _R = _raised((await self._submit(_each, (work,)))[0])
        return result

    async def write_grouped(
        self,
        work: Callable[[Transaction, Sequence[_A]], Sequence[_R | OrchestratorError]],
        items: Sequence[_A],
    ) -> Sequence[_R | Exception]:
        """Run `work` over `items` and all others that wait for the same work; return a result per item.

        `work` returns one result per item, in order, an `OrchestratorError` among them. What keeps an
        item from being written is its result, too.
        """
        return await self._submit(work, items)

    async def write_bounded(
        self, work: Callable[[Transaction, Sequence[_A]], Sequence[_R | OrchestratorError]], item: _A
    ) -> _R:
        """Run `work` over `item` and others that wait for it; return its result or raise it.

        Raises `Overloaded` at once when too much waits already: strangers decide how much this is.
        """
        if self.counters.waiting >= self._most:
            self.counters.refused += 1
            raise Overloaded
        result: _R = _raised((await self._submit(work, (item,)))[0])
        return result

    async def close(self) -> None:
        """Commit what waits, then let go of the database. Later writes raise `StorageError`."""
        with self._lock:
            self._closed = True
        await asyncio.to_thread(self._stop)

    def _submit(self, work: _GroupWork, items: Sequence[Any]) -> "asyncio.Future[list[Any]]":
        loop = asyncio.get_running_loop()
        request = _Request(work=work, items=items, future=loop.create_future())
        with self._lock:
            if self._closed:
                message = "The database is closed."
                raise StorageError(message)
            self._waiting.append(request)
            self.counters.waiting += len(items)
            if not self._draining:
                self._draining = True
                self._thread.submit(self._drain, loop)
        return request.future

    # Below here: in the writer's thread.

    def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        while group := self._next_group():
            results, changed = self._run([(each.work, item) for each in group for item in each.items])
            try:
                loop.call_soon_threadsafe(self._settle, group, results, changed)
            except RuntimeError:
                # The loop was closed meanwhile: what was written stays, and nobody is left to be told.
                continue

    def _next_group(self) -> list[_Request]:
        """Take from those who wait, in order, until a group is full; with nothing left, be done."""
        group: list[_Request] = []
        size = 0
        with self._lock:
            while self._waiting and size < _LARGEST_GROUP:
                group.append(self._waiting.popleft())
                size += len(group[-1].items)
            self.counters.waiting -= size
            self._draining = bool(group)
        return group

    def _run(self, works: Sequence[tuple[_GroupWork, Any]]) -> tuple[list[Any], set[Change]]:
        try:
            return self._commit(works)
        except exc.SQLAlchemyError as error:
            trouble = engines.storage_error(error)
            trouble.__cause__ = getattr(error, "orig", None)
            if engines.is_fatal(error) or len(works) == 1:
                return [trouble] * len(works), set()
        except Exception as error:  # noqa: BLE001  (it belongs to who asked, in another thread)
            if len(works) == 1:
                return [error], set()
        # One of them broke the rest: each half is tried by itself.
        middle = len(works) // 2
        first, second = self._run(works[:middle]), self._run(works[middle:])
        return first[0] + second[0], first[1] | second[1]

    def _commit(self, works: Sequence[tuple[_GroupWork, Any]]) -> tuple[list[Any], set[Change]]:
        if self._connection is None:
            self._connection = engines.connect_writer(self._engine)
        by_work: dict[_GroupWork, list[int]] = {}
        for place, (work, _) in enumerate(works):
            by_work.setdefault(work, []).append(place)
        results: list[Any] = [None] * len(works)
        try:
            with self._connection.begin():
                transaction = Transaction(connection=self._connection)
                for work, places in by_work.items():
                    found = work(transaction, [works[place][1] for place in places])
                    for place, result in zip(places, found, strict=True):
                        results[place] = result
        except exc.SQLAlchemyError as error:
            if engines.is_fatal(error):
                self._let_go()
            raise
        self.counters.commits += 1
        self.counters.works += len(works)
        self.counters.largest = max(self.counters.largest, len(works))
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
        place = 0
        for request in group:
            if not request.future.done():
                request.future.set_result(list(results[place : place + len(request.items)]))
            place += len(request.items)
        loop = asyncio.get_running_loop()
        for change in sorted(changed):
            for listener in self._listeners:
                loop.call_soon(listener, change)


def _raised(result: Any) -> Any:  # noqa: ANN401  (whatever the work returns)
    """Return `result`, or raise it where it is an error."""
    if isinstance(result, Exception):
        raise result
    return result


def _each(transaction: Transaction, works: Sequence[Callable[[Transaction], Any]]) -> list[Any]:
    """Run works that share nothing but the transaction."""
    results: list[Any] = []
    for work in works:
        try:
            results.append(work(transaction))
        except OrchestratorError as error:
            results.append(error)
    return results
