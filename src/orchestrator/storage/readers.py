"""A few threads that read; in WAL mode they neither wait for the writer nor keep it waiting."""

import asyncio
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
    """A few threads that read; each answer comes from one state of the database."""

    def __init__(self, engine: sa.Engine) -> None:
        """Read through `engine`."""
        self._engine = engines.reader(engine)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="storage-reader")

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
        await asyncio.to_thread(self._threads.shutdown)

    def _ask(self, question: Callable[[sa.Connection], _R]) -> _R:
        try:
            with self._engine.connect() as connection:
                return question(connection)
        except exc.SQLAlchemyError as error:
            raise engines.storage_error(error) from getattr(error, "orig", None)
