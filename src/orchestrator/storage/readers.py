"""A few threads that read; in WAL mode they neither wait for the writer nor keep it waiting."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from orchestrator.core.errors import StorageError
from orchestrator.storage import engine as engines

_R = TypeVar("_R")
_THREADS: Final = 3


class Readers:
    """A few threads that read, each over a connection of its own; each answer is from one state."""

    def __init__(self, engine: sa.Engine) -> None:
        """Read through `engine`."""
        self._engine = engines.reader(engine)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="storage-reader")
        self._connections: dict[int, sa.Connection] = {}
        """By thread. Fetching one from the engine's pool for each question costs as much as asking it."""

    async def read(self, question: Callable[[sa.Connection], _R]) -> _R:
        """Return what `question` finds. Raises `StorageError`."""
        try:
            answer = self._threads.submit(self._ask, question)
        except RuntimeError:
            message = "The database is closed."
            raise StorageError(message) from None
        return await asyncio.wrap_future(answer)

    async def close(self) -> None:
        """Answer what was asked, then stop."""
        await asyncio.to_thread(self._stop)

    def _ask(self, question: Callable[[sa.Connection], _R]) -> _R:
        thread = threading.get_ident()
        try:
            connection = self._connections.get(thread)
            if connection is None:
                connection = self._connections[thread] = self._engine.connect()
            try:
                return question(connection)
            finally:
                # What stays open would keep the WAL from being emptied.
                connection.rollback()
        except exc.SQLAlchemyError as error:
            # Whatever this connection remembers, the next question begins anew.
            self._let_go(thread)
            raise engines.storage_error(error) from getattr(error, "orig", None)

    def _let_go(self, thread: int) -> None:
        connection = self._connections.pop(thread, None)
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _stop(self) -> None:
        self._threads.shutdown()
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
