"""The store: one database behind the ports `Ledger`, `Reader` and `Outbox`."""

from collections.abc import Callable

import sqlalchemy as sa

from orchestrator.ports import Ledger, Outbox, Reader
from orchestrator.storage.engine import open_engine
from orchestrator.storage.ledger import SqlLedger
from orchestrator.storage.migrate import migrate
from orchestrator.storage.outbox import SqlOutbox
from orchestrator.storage.reader import SqlReader
from orchestrator.storage.readers import Readers
from orchestrator.storage.writer import Change, Writer


class Store:
    """An open database. It serves one event loop at a time; `close` it when that ends."""

    ledger: Ledger
    reader: Reader
    outbox: Outbox

    def __init__(self, engine: sa.Engine, *, public_url: str) -> None:
        """Take an engine whose database has today's schema; `Store.open` makes sure of that."""
        self._engine = engine
        self._writer = Writer(engine)
        self._readers = Readers(engine)
        base = public_url.rstrip("/")
        self.ledger = SqlLedger(engine, self._writer, self._readers, public_url=base)
        self.reader = SqlReader(self._readers, public_url=base)
        self.outbox = SqlOutbox(self._writer, self._readers)

    @classmethod
    def open(cls, url: str, *, public_url: str) -> "Store":
        """Open the database at `url` (`sqlite:///path/to/file.db`), made or migrated as needed.

        Blocks meanwhile. Event IRIs begin with `public_url`. Raises `ConfigurationError` for a URL or
        file that cannot be used, `StorageError` when another process keeps the database busy.
        """
        engine = open_engine(url)
        migrate(url)
        return cls(engine, public_url=public_url)

    @property
    def engine(self) -> sa.Engine:
        """The engine, for those who examine the database itself."""
        return self._engine

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
