"""Where a reader of a log writes: a file that can be cut back to what is known to be good, or a stream."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from orchestrator.cli.bookmark import Place
from orchestrator.durable import lock, sync_folder

_LONGEST_LINE: Final = 2 * 1_048_576


class Sink:
    """A regular file by its descriptor, or standard output when that is anything else."""

    def __init__(self, descriptor: int | None, name: str) -> None:
        self.offset: int | None = None
        """Bytes that are written and on the disk; None for a stream."""
        self._descriptor = descriptor
        self._name = name
        if descriptor is not None:
            self.offset = os.lseek(descriptor, 0, os.SEEK_END)

    def resume(self, place: Place | None, *, checks: bool) -> None:
        """Go on after `place`: what a file holds beyond it is cut off, and comes again.

        With `checks`, its last line must be the event of `place`. Raises `click.UsageError` for a file that
        cannot be what was written.
        """
        if self._descriptor is None or place is None or place.offset is None:
            return
        if self.offset is not None and self.offset < place.offset:
            raise click.UsageError(
                f"{self._name} has {self.offset} bytes, and {place.offset} were written: it was cut, or is"
                " another file. Redirect with `>>`, which cuts nothing. Begin anew without state file and"
                " output"
            )
        if checks and place.offset and self._last(place.offset) != place.sequence:
            raise click.UsageError(
                f"{self._name} does not have event {place.sequence} where the state file says: it was"
                " changed, or is another file. Begin anew without state file and output"
            )
        self.cut(place.offset)

    def cut(self, offset: int) -> None:
        """Keep the first `offset` bytes of a file. Raises `OSError`."""
        assert self._descriptor is not None
        os.ftruncate(self._descriptor, offset)
        self.offset = os.lseek(self._descriptor, 0, os.SEEK_END)

    def write(self, content: bytes) -> None:
        """Write all of `content`, and have it on the disk where there is one. Raises `OSError`."""
        if self._descriptor is None:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
            return
        assert self.offset is not None
        left = memoryview(content)
        while left:
            written = os.write(self._descriptor, left)
            self.offset += written
            left = left[written:]
        os.fsync(self._descriptor)

    def _last(self, end: int) -> object:
        """Return the number of the event in the line that ends at `end`."""
        assert self._descriptor is not None
        start = max(0, end - _LONGEST_LINE)
        text = os.pread(self._descriptor, end - start, start)
        if not text.endswith(b"\n"):
            return None
        try:
            event = json.loads(text[:-1].rpartition(b"\n")[2])
        except ValueError:
            return None
        return event.get("sequence") if isinstance(event, dict) else None


@contextlib.contextmanager
def opened(path: Path | None) -> Iterator[Sink]:
    """Open the file at `path`, made where there is none, or without one take standard output.

    A file is held. Raises `click.UsageError`.
    """
    if path is None:
        yield Sink(_regular(), "the output")
        return
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror or error}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise click.UsageError(f"{path} is no file; write to standard output, and redirect that")
        lock(descriptor, str(path))
        sync_folder(path.parent)
        yield Sink(descriptor, str(path))
    finally:
        os.close(descriptor)


def _regular() -> int | None:
    """Return the descriptor of standard output where that is a regular file."""
    try:
        descriptor = sys.stdout.fileno()
        return descriptor if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    except (OSError, ValueError):  # somebody put something else in its place
        return None
