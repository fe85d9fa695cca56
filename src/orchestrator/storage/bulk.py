"""Statements that run for many rows at once, with as little between us and the driver as there can be."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

import sqlalchemy as sa

_AT_ONCE: Final = 1_000
_Text = tuple[str, Callable[[Mapping[str, object]], Any] | None]


class Bulk:
    """An INSERT or UPDATE that is compiled once for each kind of database.

    The values of a row reach the driver as they are: text, bytes, integers, truth values and None,
    by the names of the columns and parameters that the statement is made with.
    """

    def __init__(self, statement: sa.Insert | sa.Update, names: Sequence[str]) -> None:
        """Take a `statement` that sets `names`; each must be in every row."""
        self._statement: Final = statement
        self._names: Final = tuple(names)
        self._texts: Final[dict[str, _Text]] = {}

    def run(self, connection: sa.Connection, rows: Sequence[Mapping[str, object]]) -> int:
        """Execute for each of `rows`; return how many rows of the table that has changed."""
        if not rows:
            return 0
        dialect = connection.dialect
        text, pick = self._texts.get(dialect.name) or self._compile(dialect)
        values = list(rows) if pick is None else [pick(row) for row in rows]
        return connection.exec_driver_sql(text, values).rowcount

    def _compile(self, dialect: sa.Dialect) -> _Text:
        keys = list(self._names) if isinstance(self._statement, sa.Insert) else None
        compiled = self._statement.compile(dialect=dialect, column_keys=keys)
        if set(compiled.params) != set(self._names):
            raise ValueError(f"The statement takes {sorted(compiled.params)}, not {sorted(self._names)}.")
        order = compiled.positiontup if dialect.positional else None
        self._texts[dialect.name] = made = (str(compiled), None if order is None else itemgetter(*order))
        return made


def find_each(
    connection: sa.Connection, statement: sa.Select[*tuple[Any, ...]], name: str, values: Iterable[object]
) -> list[sa.Row[*tuple[Any, ...]]]:
    """Return what `statement` finds for all `values` of its expanding parameter `name`, in any order.

    In parts: a database takes some 32,000 parameters at most.
    """
    wanted = list(values)
    parts = [wanted[start : start + _AT_ONCE] for start in range(0, len(wanted), _AT_ONCE)]
    return [row for part in parts for row in connection.execute(statement, {name: part})]
