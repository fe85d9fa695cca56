"""Where a reader of a log stopped: a small file that is replaced whole, and held by one reader at a time."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import click

from orchestrator.durable import locked, replace

_MOST: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far a log was read and written down."""

    log: str
    """URL that is read, with its filter."""
    sequence: int
    """The last event."""
    offset: int | None = None
    """Bytes of the output when it was written; None where the output is no file."""
    events: int = 0
    """How many were written in all."""
    form: str = "jsonl"
    """What they are written as."""


class Bookmark:
    """A state file that is held: what it says, and how to say more."""

    def __init__(self, path: Path | None, place: Place | None) -> None:
        self.place = place
        """What it said at first; None where there was none."""
        self._path = path

    def put(self, place: Place) -> None:
        """Remember `place`, before anything else happens. Raises `OSError`."""
        if self._path is not None:
            replace(self._path, json.dumps(asdict(place), indent=1).encode() + b"\n")


@contextlib.contextmanager
def held(path: Path | None, log: str, form: str = "jsonl") -> Iterator[Bookmark]:
    """Hold the state file at `path` for reading `log` as `form`; without a path nothing is remembered.

    Raises `click.UsageError` when somebody holds it, when it belongs to another log, or is none.
    """
    if path is None:
        yield Bookmark(None, None)
        return
    with locked(path):
        place = _read(path)
        if place is not None and (place.log, place.form) != (log, form):
            raise click.UsageError(
                f"{path} belongs to {place.log} as {place.form}, not to {log} as {form}: name another state"
                " file, or remove it"
            )
        yield Bookmark(path, place)


def _read(path: Path) -> Place | None:
    try:
        with path.open("rb") as file:
            said = json.loads(file.read(_MOST))
        place = Place(**said)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise click.UsageError(f"{path} is no state file: name another one, or remove it") from None
    texts = [place.log, place.form]
    numbers = [place.sequence, place.events, place.offset or 0]
    is_sound = all(type(each) is str for each in texts) and all(type(each) is int for each in numbers)
    if not is_sound or min(numbers) < 0:
        raise click.UsageError(f"{path} is no state file: name another one, or remove it")
    return place
