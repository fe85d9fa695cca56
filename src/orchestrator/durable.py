"""Files that are whole or as they were, whatever moment a process or the power ends at."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from orchestrator.core.errors import ConfigurationError


def replace(path: Path, content: bytes) -> None:
    """Have `path` hold `content`: the old one stays until the new one is on the disk (rename(2)).

    Raises `OSError`.
    """
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in `folder` on the disk: a file's own fsync(2) does not keep its name."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def lock(descriptor: int, what: str) -> None:
    """Hold an open file until it is closed, or this process ends (flock(2)). Raises `ConfigurationError`."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigurationError(f"{what} is in use by another process: end that first") from None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold `path` by a file beside it, for `path` itself is replaced meanwhile.

    Raises `ConfigurationError`.
    """
    place = path.with_name(path.name + ".lock")
    try:
        descriptor = _hold(place, str(path))
    except OSError as error:
        raise ConfigurationError(f"{place}: {error.strerror or error}") from None
    try:
        yield
    finally:
        place.unlink(missing_ok=True)
        os.close(descriptor)


def _hold(place: Path, what: str) -> int:
    while True:
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            lock(descriptor, what)
            # Who held it before may have removed it when it was open here already.
            if place.exists() and os.path.samestat(place.stat(), os.fstat(descriptor)):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
