"""The store: one database behind all ports that keep or read something."""

from collections.abc import Callable
from typing import Final

import sqlalchemy as sa

from orchestrator.core.errors import ConfigurationError
from orchestrator.ports import Ledger, Outbox, Reader
from orchestrator.ports.erasure import Erasure
from orchestrator.ports.sources import Progress, Sources
from orchestrator.ports.tree import Tree
from orchestrator.storage import schema
from orchestrator.storage.engine import open_engine
from orchestrator.storage.erasing import SqlErasure
from orchestrator.storage.ledger import SqlLedger
from orchestrator.storage.migrate import migrate
from orchestrator.storage.outbox import SqlOutbox
from orchestrator.storage.progress import SqlProgress
from orchestrator.storage.reader import SqlReader
from orchestrator.storage.readers import Readers
from orchestrator.storage.sources import SqlSources
from orchestrator.storage.tree import SqlTree
from orchestrator.storage.writer import Change, Counters, Writer

WAITING: Final = 1_024
"""Notifications that may wait to be written."""


class Store:
    """An open database. It serves one event loop at a time; `close` it when that ends."""

    ledger: Ledger
    reader: Reader
    outbox: Outbox
    sources: Sources
    progress: Progress
    tree: Tree
    erasure: Erasure

    def __init__(self, engine: sa.Engine, *, public_url: str, waiting: int = WAITING) -> None:
        """Take an engine whose database has today's schema; `Store.open` makes sure of that."""
        self._engine = engine
        self._writer = Writer(engine, waiting=waiting)
        self._readers = Readers(engine)
        base = public_url.rstrip("/")
        self.public_url = base
        """Base of the event IRIs."""
        self.ledger = SqlLedger(engine, self._writer, self._readers, public_url=base)
        self.reader = SqlReader(self._readers, public_url=base)
        self.outbox = SqlOutbox(self._writer, self._readers)
        self.sources = SqlSources(self._writer, self._readers)
        self.progress = SqlProgress(engine, self._writer, self._readers)
        self.tree = SqlTree(self._writer, self._readers)
        self.erasure = SqlErasure(engine, self._writer, public_url=base)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        public_url: str | None = None,
        page_size: int | None = None,
        waiting: int = WAITING,
    ) -> "Store":
        """Open the database at `url` (`sqlite:///path/to/file.db`), made or migrated as needed.

        Blocks meanwhile. Event IRIs begin with `public_url`; the first event fixes it, and the number of
        events on a page, for the life of the log; None takes what is fixed. When `waiting` notifications
        wait to be written, more are refused as overload. Raises `ConfigurationError` for
        a URL or file that cannot be used, or another `public_url` or `page_size`; `StorageError` when
        another process keeps the database busy.
        """
        engine = open_engine(url)
        migrate(url)
        return cls(engine, public_url=_fix_names(engine, public_url, page_size), waiting=waiting)

    @property
    def engine(self) -> sa.Engine:
        """The engine, for those who examine the database itself."""
        return self._engine

    @property
    def counters(self) -> Counters:
        """What the writer has done since the store was opened."""
        return self._writer.counters

    def listen(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call `callback` on the event loop after every commit of ours, once for each kind of change.

        A hint to look again: writes of other processes are not heard of. Returns how to stop it.
        """
        return self._writer.listen(callback)

    async def close(self) -> None:
        """Finish what was begun, and let go of the database."""
        await self._writer.close()
        await self._readers.close()
        self._engine.dispose()


def _fix_names(engine: sa.Engine, public_url: str | None, page_size: int | None) -> str:
    """Return the base of this log's event IRIs: they are names, as pages' are, and names do not move."""
    head = schema.log_head
    with engine.connect() as connection, connection.begin():
        row = connection.execute(
            sa.select(head.c.public_url, head.c.page_size, head.c.sequence).where(head.c.log == schema.LOG)
        ).one()
        base = row.public_url if public_url is None else public_url.rstrip("/")
        size = row.page_size if page_size is None else page_size
        if (base, size) == (row.public_url, row.page_size):
            return str(base)
        if row.sequence and base != row.public_url:
            raise ConfigurationError(
                f"The events of this log are named {row.public_url}/log/e/…: set server.public_url to "
                f"{row.public_url}, not {base}, or use another database."
            )
        if row.sequence and row.page_size and size != row.page_size:
            raise ConfigurationError(
                f"The pages of this log have {row.page_size} events, and readers keep them: set "
                f"log.page_size to {row.page_size}, not {size}, or use another database."
            )
        values = {"public_url": base, "page_size": size}
        connection.execute(sa.update(head).where(head.c.log == schema.LOG).values(**values))
    return str(base)
