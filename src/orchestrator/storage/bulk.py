"""Statements that run for many rows at once, with as little between us and the driver as there can be."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import sqlalchemy as sa

_AT_ONCE: Final = 1_000
_MOST_ROWS: Final = 32
"""Rows of one INSERT: the driver keeps its text and plan for each number of them."""
_Pick = Callable[[Mapping[str, object]], tuple[Any, ...]]


class Bulk:
    """An INSERT that is compiled once for each kind of database.

    The values of a row reach the driver as they are: text, bytes, integers, truth values and None,
    by the names of the columns that the statement is made with.
    """

    def __init__(self, statement: sa.Insert, names: Sequence[str]) -> None:
        """Take a `statement` that sets `names`, in the order of the table; each must be in every row."""
        self._statement: Final = statement
        self._names: Final = list(names)
        self._pick: Final[_Pick] = itemgetter(*names)
        self._texts: Final[dict[str, str]] = {}

    def run(self, connection: sa.Connection, rows: Sequence[Mapping[str, object]]) -> int:
        """Execute for each of `rows`; return how many rows of the table that has changed."""
        if not rows:
            return 0
        dialect = connection.dialect
        text = self._texts.get(dialect.name) or self._compile(dialect)
        if not dialect.positional:
            return connection.exec_driver_sql(text, list(rows)).rowcount
        # Many rows a statement: SQLite's driver lets go of the interpreter for every one that it is given,
        # and then waits for it while the event loop works.
        values = [self._pick(row) for row in rows]
        changed = 0
        for start in range(0, len(values), _MOST_ROWS):
            some = values[start : start + _MOST_ROWS]
            changed += connection.exec_driver_sql(
                text.replace(self._row, ", ".join([self._row] * len(some))), tuple(chain.from_iterable(some))
            ).rowcount
        return changed

    @property
    def _row(self) -> str:
        return f"({', '.join('?' * len(self._names))})"

    def _compile(self, dialect: sa.Dialect) -> str:
        compiled = self._statement.compile(dialect=dialect, column_keys=self._names)
        text = str(compiled)
        order = compiled.positiontup if dialect.positional else list(compiled.params)
        if order != self._names or (dialect.positional and text.count(self._row) != 1):
            raise ValueError(f"The statement takes {order}, not {self._names}: {text}")
        self._texts[dialect.name] = text
        return text


def find_each(
    connection: sa.Connection, statement: sa.Select[*tuple[Any, ...]], name: str, values: Iterable[object]
) -> list[sa.Row[*tuple[Any, ...]]]:
    """Return what `statement` finds for all `values` of its expanding parameter `name`, in any order.

    In parts: a database takes some 32,000 parameters at most.
    """
    wanted = list(values)
    parts = [wanted[start : start + _AT_ONCE] for start in range(0, len(wanted), _AT_ONCE)]
    return [row for part in parts for row in connection.execute(statement, {name: part})]
