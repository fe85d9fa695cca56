"""The key that signs the log's checkpoints: a file that only its owner reads (floor 2).

The file is the secret; what was published of it stands in the database, so that a lost or foreign file is
found out before anything is signed with it.
"""

import asyncio
import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from orchestrator.core.checkpoint import SignerKey
from orchestrator.core.errors import ConfigurationError
from orchestrator.durable import lock, sync_folder
from orchestrator.ports.tree import Tree

_ROTATE: Final = "“orchestrator key rotate” puts a new one in its place, and readers see that it is new"
_SEED: Final = 32
_LARGEST: Final = 10_000
_OTHERS: Final = stat.S_IRWXO


async def signing_key(path: Path, name: str, tree: Tree, *, now: int) -> SignerKey:
    """Return the key in `path`, made if the log has none yet; it is published before it is returned.

    Raises `ConfigurationError` for a file that is missing, unreadable, or not the log's key.
    """
    current = await _current(tree)
    key = await asyncio.to_thread(_find, path, name, current)
    if not await tree.use_key(key.verifier.text(), now=now):
        raise ConfigurationError(
            f"{path} is not the key that signs this log, which is {await _current(tree)}: put the right file "
            f"there, or set log.key. {_ROTATE}."
        )
    return key


async def rotate(path: Path, name: str, tree: Tree, *, now: int) -> SignerKey:
    """Make a new key, publish it in the place of the one in use, and put it into `path`.

    Whenever this is cut off, either key is whole in its file, and `signing_key` finds the right one.
    Raises `ConfigurationError` where the file cannot be written, or another rotation is under way.
    """
    with _alone(path):
        key = await asyncio.to_thread(_prepare, path, name)
        await tree.use_key(key.verifier.text(), now=now, replaces=True)
        await asyncio.to_thread(_settle, path)
    return key


async def _current(tree: Tree) -> str | None:
    return next((key.verifier for key in await tree.keys() if key.until is None), None)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep others from rotating a key in this folder meanwhile; a process that ends lets go (flock(2))."""
    try:
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise _trouble(path, "written", error) from None
    try:
        lock(folder, str(path))
        yield
    finally:
        os.close(folder)


def _find(path: Path, name: str, current: str | None) -> SignerKey:
    """Return the key in `path`, made where the log has no `current` one."""
    if current is None and not _exists(path):
        _write(path, SignerKey.generate(name, secrets.token_bytes(_SEED)))
    new = _left_over(path, name) if current is not None else None
    if new is not None and new.verifier.text() == current:
        _settle(path)
        return new
    return _read(path, name)


def _left_over(path: Path, name: str) -> SignerKey | None:
    """Return the key of a rotation that was cut off: it may have been published, and is not in its place."""
    try:
        return _read(_pending(path), name) if _exists(_pending(path)) else None
    except ConfigurationError:
        return None


def _prepare(path: Path, name: str) -> SignerKey:
    key = SignerKey.generate(name, secrets.token_bytes(_SEED))
    try:
        _pending(path).unlink(missing_ok=True)
    except OSError as error:
        raise _trouble(_pending(path), "removed", error) from None
    _write(_pending(path), key)
    return key


def _settle(path: Path) -> None:
    try:
        if os.geteuid() == 0 and _exists(path):
            # Rotated by an administrator, the key is still the service's.
            owner = path.stat()
            os.chown(_pending(path), owner.st_uid, owner.st_gid)
        _pending(path).replace(path)
        sync_folder(path.parent)
    except FileNotFoundError:
        return  # a service that started meanwhile has done it
    except OSError as error:
        raise _trouble(path, "written", error) from None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise _trouble(path, "read", error) from None


def _pending(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def _read(path: Path, name: str) -> SignerKey:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            pem = file.read(_LARGEST)
    except FileNotFoundError:
        raise ConfigurationError(
            f"The key that signs this log is missing: restore {path}, or set log.key. {_ROTATE}."
        ) from None
    except OSError as error:
        raise _trouble(path, "read", error) from None
    if mode & _OTHERS:
        raise ConfigurationError(f"Others may read {path}, or change it: chmod o= {path}.")
    return SignerKey.from_pem(name, pem)


def _write(path: Path, key: SignerKey) -> None:
    """Put a key where none is, whole or not at all, for its owner only, and have it on the disk."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key.to_pem())
            file.flush()
            os.fsync(file.fileno())
        # Fails where another process was first: then its key is the log's.
        with contextlib.suppress(FileExistsError):
            os.link(new, path)
        sync_folder(path.parent)
    except OSError as error:
        raise _trouble(path, "written", error) from None
    finally:
        with contextlib.suppress(OSError):
            new.unlink()


def _trouble(path: Path, what: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{path} cannot be {what}: {error.strerror or error}.")
