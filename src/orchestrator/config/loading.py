"""Reading settings: flag > environment > TOML file > default.

A key `section.name` is `name` under `[section]` in the file and `ORCHESTRATOR_SECTION_NAME` in the
environment; a secret may also be given as `…_FILE`, the path of a file that holds it. An unknown key is
an error that names the nearest one.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast

from orchestrator.config.checking import check
from orchestrator.config.settings import Settings, declared
from orchestrator.core.errors import ConfigurationError

_PREFIX: Final = "ORCHESTRATOR_"
_TRUTH: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings, and where each came from."""

    settings: Settings
    origins: Mapping[str, str]
    """Key → `default`, the file's path, the environment variable, or `flag`."""


def environment_name(key: str) -> str:
    """Return the environment variable of a key."""
    return _PREFIX + key.replace(".", "_").upper()


def load(
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Loaded:
    """Read the settings. `flags` are by key. Raises `ConfigurationError` with place and remedy."""
    values: dict[str, Any] = {}
    origins = {str(item.metadata["key"]): "default" for item in declared()}
    sources = [
        (_from_file(file), {}),
        _from_environment(environment or {}),
        ({key: value for key, value in (flags or {}).items() if value is not None}, {}),
    ]
    names = {str(item.metadata["key"]): item for item in declared()}
    for number, (found, where) in enumerate(sources):
        for key, raw in found.items():
            if key not in names:
                raise ConfigurationError(
                    f"{_label(number, file, key, where)}: unknown setting {key}{_hint(key, names)}"
                )
            label = _label(number, file, key, where)
            values[names[key].name] = _convert(names[key], raw, label)
            origins[key] = label
    settings = Settings(**values)
    check(settings)
    return Loaded(settings=settings, origins=origins)


def _label(number: int, file: Path | None, key: str, where: Mapping[str, str]) -> str:
    return (str(file), where.get(key, environment_name(key)), "flag")[number]


def _hint(key: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _from_file(file: Path | None) -> dict[str, object]:
    if file is None:
        return {}
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"{file} does not exist") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file}: {error}") from None
    found: dict[str, object] = {}
    for section, members in document.items():
        if section == "contexts" or not isinstance(members, dict):
            found[section] = members
            continue
        found.update({f"{section}.{name}": value for name, value in members.items()})
    return found


def _from_environment(environment: Mapping[str, str]) -> tuple[dict[str, object], dict[str, str]]:
    names = {environment_name(str(item.metadata["key"])): item for item in declared()}
    found: dict[str, object] = {}
    where: dict[str, str] = {}
    for name, value in environment.items():
        if not name.startswith(_PREFIX):
            continue
        item = names.get(name)
        text = value
        if item is None and name.endswith("_FILE"):
            item = names.get(name.removesuffix("_FILE"))
            if item is not None and item.metadata["secret"]:
                try:
                    text = Path(value).read_text(encoding="utf-8").strip()
                except OSError as error:
                    raise ConfigurationError(f"{name}: {error}") from None
            else:
                item = None
        if item is None:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
            raise ConfigurationError(f"{name} is no setting" + (f"; did you mean {near[0]}?" if near else ""))
        found[str(item.metadata["key"])] = text
        where[str(item.metadata["key"])] = name
    return found, where


def _convert(item: Field[Any], raw: object, label: str) -> object:
    """Return `raw` as the type of the setting's default; text comes from the environment and flags."""
    default, key, read = item.metadata["default"], item.metadata["key"], item.metadata["read"]
    if read is not None:
        return read(raw, label)
    wrong = ConfigurationError(f"{label}: {key} must be {_kind(default)}, not {raw!r}")
    if item.metadata["secret"]:
        wrong = ConfigurationError(f"{label}: {key} must be {_kind(default)}")
    try:
        value = _as_kind_of(default, raw)
    except (TypeError, ValueError, KeyError):
        raise wrong from None
    if item.metadata["choices"] and value not in item.metadata["choices"]:
        choices = ", ".join(choice for choice in item.metadata["choices"] if choice)
        raise ConfigurationError(f"{label}: {key} must be one of {choices}, not {raw!r}")
    return value


def _as_kind_of(default: object, raw: object) -> object:
    if isinstance(default, bool):
        return raw if isinstance(raw, bool) else _TRUTH[str(raw).lower()]
    if isinstance(default, int | float):
        if isinstance(raw, bool) or (isinstance(default, int) and isinstance(raw, float)):
            raise TypeError
        return type(default)(cast("Any", raw))
    if isinstance(default, tuple):
        items = raw.split(",") if isinstance(raw, str) else raw
        if not isinstance(items, list | tuple):
            raise TypeError
        kind = type(default[0]) if default else str
        return tuple(kind(str(part).strip()) for part in items if str(part).strip())
    if isinstance(default, Mapping):
        if not isinstance(raw, dict) or not all(isinstance(value, str) for value in raw.values()):
            raise TypeError
        return MappingProxyType(dict(raw))
    if not isinstance(raw, str):
        raise TypeError
    return raw


def _kind(default: object) -> str:
    if isinstance(default, bool):
        return "true or false"
    if isinstance(default, int):
        return "an integer"
    if isinstance(default, float):
        return "a number"
    if isinstance(default, tuple):
        return "a list"
    return "a table of URL = file" if isinstance(default, Mapping) else "text"
