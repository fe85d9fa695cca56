"""Reads what maintainers edit: shapes, contexts, policies, problem pages → immutable snapshots.

Files are read whole, checked whole and put in force at once; a broken edit keeps what was in force.
"""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from orchestrator.contexts import bundled_contexts
from orchestrator.core.errors import ConfigurationError
from orchestrator.core.jsonld import Contexts
from orchestrator.core.policy import PolicySet

_log = logging.getLogger(__name__)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_MAX_BYTES: Final = 256 * 1024


def packaged(name: str) -> Path:
    """Return a folder that ships with the package: inside the wheel, or at the top of a checkout."""
    inside = Path(str(resources.files("orchestrator"))) / name
    if inside.is_dir():
        return inside
    top = {"problems": "docs/problems", "specimens": "fixtures/notifications"}.get(name, name)
    return Path(__file__).resolve().parents[2] / top


def read_folder(folder: Path, suffix: str) -> dict[str, str]:
    """Return the texts of `folder` by name without `suffix`.

    Raises `ConfigurationError` for a missing folder, a strange name, a link that leads out, or a file
    that is too large or not UTF-8.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is not a folder")
    texts: dict[str, str] = {}
    root = folder.resolve()
    for path in sorted(folder.glob(f"*{suffix}")):
        name = path.name.removesuffix(suffix)
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"{path}: name files with a-z, 0-9 and - only, at most 64 characters")
        if path.is_symlink() and root not in path.resolve().parents:
            raise ConfigurationError(f"{path} leads out of its folder")
        if not path.is_file():
            # A folder, a link to nothing; a pipe would be waited for without end.
            raise ConfigurationError(f"{path} is not a file")
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise ConfigurationError(f"{path} is larger than {_MAX_BYTES // 1024} KiB")
            texts[name] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{path}: byte {error.start} is not UTF-8") from None
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}") from None
    return texts


def read_policies(folder: Path) -> PolicySet:
    """Return the policies of `folder`. Raises `ConfigurationError` with file, line and column."""
    return PolicySet({f"{name}.ttl": text for name, text in read_folder(folder, ".ttl").items()})


def read_contexts(extra: Mapping[str, Path]) -> Contexts:
    """Return the bundled contexts and `extra`: URL → file of the operator's."""
    contexts = bundled_contexts()
    documents = dict(contexts.documents)
    for url, path in extra.items():
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"context {url}: {path}: {error}") from None
        if not isinstance(document, dict) or not isinstance(document.get("@context"), dict):
            raise ConfigurationError(f"context {url}: {path} has no @context object")
        if url in contexts.aliases:
            raise ConfigurationError(f"context {url} is bundled and cannot be replaced")
        documents[url] = document
    return Contexts(documents, contexts.aliases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Everything that is read once, at the start."""

    contexts: Contexts
    shapes: Mapping[str, str]
    problems: Mapping[str, str]
    """Markdown by slug."""
    vocabularies: Mapping[str, str]
    """Turtle by name."""

    @classmethod
    def load(cls, contexts: Mapping[str, Path]) -> "Catalogue":
        """Read everything that ships with the package, and the operator's contexts."""
        shapes = read_folder(packaged("shapes"), ".ttl")
        return cls(
            contexts=read_contexts(contexts),
            shapes=shapes,
            problems=read_folder(packaged("problems"), ".md"),
            vocabularies=read_folder(packaged("vocabularies"), ".ttl"),
        )


class PolicyFolder:
    """The `Policies` port over a folder that its maintainers edit while we run."""

    def __init__(self, folder: Path | None) -> None:
        """Read `folder`, or have no policies. A broken set at the first start refuses to start."""
        self._folder = folder
        self._set = read_policies(folder) if folder is not None else PolicySet({})
        self._seen = self._signature()
        for remark in self._set.remarks:
            _log.warning("policy_remark %s", remark)

    def snapshot(self) -> PolicySet:
        """Return the set in force."""
        return self._set

    def reload(self) -> bool:
        """Put the files in force if they changed and are sound; whether another set is in force now."""
        signature = self._signature()
        if self._folder is None or signature == self._seen:
            return False
        self._seen = signature
        try:
            loaded = read_policies(self._folder)
        except (ConfigurationError, OSError) as error:
            _log.error("policies_refused the last good set %s stays: %s", self._set.id, error)
            return False
        changed = loaded.id != self._set.id
        self._set = loaded
        _log.info("policies_loaded %s from %d files", loaded.id, len(loaded.files))
        return changed

    def _signature(self) -> tuple[tuple[str, int, int], ...]:
        if self._folder is None:
            return ()
        found = []
        for path in sorted(self._folder.glob("*.ttl")):
            try:
                status = path.stat()
            except OSError:
                continue
            found.append((path.name, status.st_mtime_ns, status.st_size))
        return tuple(found)
