"""Listening to what the store says to its database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from orchestrator.storage import Store

Statement = tuple[str, Any]
"""Text and parameters."""


@contextmanager
def statements(store: Store, ran: list[Statement]) -> Iterator[None]:
    """Collect in `ran` everything that is executed meanwhile."""

    def note(_connection: object, _cursor: object, text: str, values: object, *_: object) -> None:
        ran.append((text, values))

    sa.event.listen(store.engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        sa.event.remove(store.engine, "before_cursor_execute", note)
