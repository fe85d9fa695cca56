"""Shapes of the operator's own: what an event's payload must be besides, to concern the app."""

import functools
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from orchestrator.core.errors import ConfigurationError
from orchestrator.core.jsonld import Contexts, expand, to_quads
from orchestrator.core.notification import activity_root
from orchestrator.core.shapes.compiler import Compiled, Compiler
from orchestrator.core.shapes.data import Data
from orchestrator.core.shapes.loading import node_shapes, read_shapes
from orchestrator.core.strict_json import parse

_MAX_BYTES: Final = 256 * 1024


class ShapeFilter:
    """The shapes of some files: every node shape that has a name is asked of the activity."""

    def __init__(self, files: Mapping[str, str], run: Callable[..., Awaitable[bool]]) -> None:
        """Judge by `files` (Turtle by file name) where `run` does work that may take long.

        Raises `ConfigurationError` with file, line and every error.
        """
        for name, text in files.items():
            _compiled(name, text)
        self._files = dict(files)
        self._run = run

    async def broken_by(self, body: bytes) -> str | None:
        """Return the file whose shapes `body` does not have; None when there is none.

        Raises `TooCostly` when that takes more than its budget, and `Overloaded`.
        """
        for name, text in self._files.items():
            if not await self._run(conforms, body, name, text):
                return name
        return None


def read_files(paths: tuple[str, ...]) -> dict[str, str]:
    """Return the texts of files of shapes, by path. Raises `ConfigurationError`."""
    found: dict[str, str] = {}
    for path in paths:
        try:
            with Path(path).open("rb") as file:
                text = file.read(_MAX_BYTES + 1)
            if len(text) > _MAX_BYTES:
                raise ConfigurationError(f"{path} is larger than {_MAX_BYTES // 1024} KiB")
            found[path] = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{path}: byte {error.start} is not UTF-8") from None
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}") from None
    return found


def conforms(body: bytes, name: str, text: str, contexts: Contexts) -> bool:
    """Whether the activity in `body` has the shapes of a file; it may take long."""
    root = activity_root(expand(parse(body), contexts))
    data = Data.from_quads(to_quads([root], contexts))
    return _compiled(name, text).conforms(data, root["@id"], unbounded=True)


@functools.lru_cache(maxsize=64)
def _compiled(name: str, text: str) -> Compiled:
    try:
        graph = read_shapes({"given": text})
    except ConfigurationError as error:
        raise ConfigurationError(error.message.replace("shapes/given.ttl", name)) from None
    shapes = node_shapes(graph)
    if not shapes:
        raise ConfigurationError(f"{name} has no node shape with a name: <#mine> a sh:NodeShape …")
    return Compiler(graph).compile(shapes)
