"""`orchestrator config`: the settings as they are in force."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from orchestrator.cli.commands import Command
from orchestrator.cli.options import config_option, json_option, load_settings
from orchestrator.cli.output import plain, show

if TYPE_CHECKING:
    from orchestrator.config import Loaded

_MASK: Final = "********"


@click.group
def config() -> None:
    """Look at settings."""


@config.command(
    "show",
    cls=Command,
    examples=(
        "orchestrator config show --origin",
        "ORCHESTRATOR_SERVER_PORT=9000 orchestrator config show --json",
    ),
)
@click.option("--origin", "with_origin", is_flag=True, help="Say where each value comes from.")
@config_option
@json_option
def show_(*, with_origin: bool, config: Path | None, is_json: bool) -> None:
    """Print every setting as it is in force; secrets are masked.

    A setting comes from an option, else the environment (ORCHESTRATOR_SECTION_NAME), else the file, else
    the default.
    """
    loaded = load_settings(config)
    values = _values(loaded)
    if is_json and with_origin:
        show({key: {"value": value, "origin": loaded.origins[key]} for key, value in values.items()})
    elif is_json:
        show(values)
    else:
        for key, value in values.items():
            origin = f"  # {plain(loaded.origins[key])}" if with_origin else ""
            click.echo(f"{key} = {plain(_toml(value))}{origin}")


def _values(loaded: Loaded) -> dict[str, object]:
    from orchestrator.config import declared

    found: dict[str, object] = {}
    for item in declared():
        key, value = str(item.metadata["key"]), getattr(loaded.settings, item.name)
        if item.metadata["secret"]:
            value = _MASK if value else ""
        elif key == "database.url":
            value = _without_password(value)
        elif isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, Mapping):
            value = dict(value)
        found[key] = value
    return found


def _without_password(url: str) -> str:
    scheme, slashes, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    name, colon, _ = user.partition(":")
    return f"{scheme}{slashes}{name}{colon}{_MASK if colon else ''}{at}{place}"


def _toml(value: object) -> str:
    """Return `value` as TOML writes it, which for these kinds is nearly as JSON does."""
    import json

    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {json.dumps(text)}" for key, text in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    return json.dumps(value, ensure_ascii=False)
