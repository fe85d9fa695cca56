"""Options that several commands have, and the settings and database that follow from them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from orchestrator.config import Loaded, Settings
    from orchestrator.storage import Store

_Command = TypeVar("_Command", bound=Callable[..., Any])
DEFAULT_FILE: Final = Path("orchestrator.toml")
config_option: Final = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Settings in TOML. Default: ./orchestrator.toml, where it exists.",
)
json_option: Final = click.option("--json", "is_json", is_flag=True, help="Print JSON.")
lines_option: Final = click.option("--nl", "is_lines", is_flag=True, help="Print one line of JSON each.")

inbox_option: Final = click.option(
    "--inbox",
    default="inbox",
    show_default=True,
    metavar="NAME",
    help="Which inbox: one of inbox.names, or log for what followed logs told.",
)


def limit_option(default: int) -> Callable[[_Command], _Command]:
    """Return the option that says how many to show."""
    return click.option(
        "--limit",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        help="Show at most so many.",
    )


def load_settings(config: Path | None, **flags: object) -> Loaded:
    """Return the settings from file, environment and `flags` (`section__name`; None is not given).

    Raises `ConfigurationError` with place and remedy.
    """
    from orchestrator.config import load

    file = config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    given = {key.replace("__", "."): value for key, value in flags.items()}
    return load(file=file, environment=os.environ, flags=given)


@contextlib.asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Store]:
    """Open the database of a service that has run before, and close it.

    Raises `ConfigurationError` where there is none: reading must not make an empty one by accident.
    """
    _refuse_to_make(settings.database)
    from orchestrator.bootstrap import open_store

    store = await open_store(settings)
    try:
        yield store
    finally:
        await store.close()


def _refuse_to_make(database: str) -> None:
    from orchestrator.core.errors import ConfigurationError

    path = database.partition("?")[0].removeprefix("sqlite:///")
    if database.startswith("sqlite:///") and not Path(path).exists():
        raise ConfigurationError(
            f"there is no database {path} yet: give --config or set database.url, or start the service first"
        )


def person() -> str:
    """Return who gives a command, for the journal; in a container a user may have no name."""
    import getpass

    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    return f"command line of {name}"
