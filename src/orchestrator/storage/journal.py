"""The private journal: rows that are written in the transaction that they tell of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from orchestrator.storage import rows, schema
from orchestrator.storage.bulk import Bulk
from orchestrator.storage.writer import Transaction

_ADD: Final = Bulk(sa.insert(schema.journal), ("log", "at", "what", "who", "note"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that was done."""

    at: int
    """When, in ms since the epoch."""
    what: str
    who: str
    note: Mapping[str, object]


def write(transaction: Transaction, entries: Sequence[Entry]) -> None:
    """Add `entries`."""
    values = [
        {
            "log": schema.LOG,
            "at": entry.at,
            "what": entry.what,
            "who": entry.who,
            "note": rows.to_json(entry.note),
        }
        for entry in entries
    ]
    _ADD.run(transaction.connection, values)
