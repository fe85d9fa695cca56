"""How far long work is, on a terminal; elsewhere nothing is said."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Final

_CLEAR: Final = "\r\x1b[K"


class Progress:
    """One line on stderr, written over and over: call it with what is done, and of how much."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_shown = sys.stderr.isatty()

    def __call__(self, done: int, of: int | None = None) -> None:
        """Show how much is done."""
        if self._is_shown:
            whole = "" if of is None else f" of {of}"
            sys.stderr.write(f"{_CLEAR}{done}{whole} {self._what}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Leave the line empty."""
        if self._is_shown:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()


@contextlib.contextmanager
def progress(what: str) -> Iterator[Progress]:
    """Show progress in the block, and clear it when that ends."""
    shown = Progress(what)
    try:
        yield shown
    finally:
        shown.clear()
