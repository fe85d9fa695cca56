"""Which log a command is about, how it waits for it, and how it writes events."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from orchestrator.cli.options import load_settings
from orchestrator.cli.output import as_json

PARAMETERS: Final[Mapping[str, str]] = {"kind": "type", "artefact": "artefact"}
"""Options that filter, and what they are called in a log's URL."""


def log_url(url: str | None, config: Path | None, **wanted: str | None) -> str:
    """Return the log at `url`, or without one that of the configuration, with what is `wanted` of it.

    Raises `click.UsageError` where there is neither, and `ConfigurationError`.
    """
    from urllib.parse import urlencode

    if url is None:
        settings = load_settings(config).settings
        if not settings.public_url:
            raise click.UsageError(
                "say which log: its URL, or server.public_url in the settings (--config) for the local one"
            )
        url = f"{settings.base}/log"
    query = urlencode({PARAMETERS[name]: value for name, value in wanted.items() if value is not None})
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url


def lines(events: Sequence[object]) -> bytes:
    """Return a line of JSON for each event."""
    return "".join(f"{as_json(event)}\n" for event in events).encode()


@contextlib.asynccontextmanager
async def until_stopped() -> AsyncIterator[None]:
    """Run the block to its end, or until Ctrl-C or SIGTERM stop it where it waits for something."""
    import asyncio
    import signal

    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        task.cancel()

    names = (signal.SIGTERM, signal.SIGINT)
    for name in names:
        loop.add_signal_handler(name, stop)
    try:
        yield
    except asyncio.CancelledError:
        if not stopped:
            raise
        task.uncancel()
    finally:
        for name in names:
            loop.remove_signal_handler(name)
