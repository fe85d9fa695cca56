"""Where everything is kept: inboxes, event log, deliveries and journal, in one database.

`Store.open` gives the adapters of `orchestrator.ports`. SQLAlchemy and Alembic stay behind this door.
"""

from orchestrator.storage.store import Store
from orchestrator.storage.writer import Change, Counters

__all__ = ["Change", "Counters", "Store"]
