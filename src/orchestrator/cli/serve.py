"""`orchestrator serve`: the service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.commands import Command
from orchestrator.cli.options import config_option, json_option, load_settings
from orchestrator.cli.output import show_line, table

if TYPE_CHECKING:
    from orchestrator.bootstrap import Running


@click.command(
    cls=Command,
    examples=(
        "orchestrator serve --config orchestrator.toml",
        "orchestrator serve --port 8080 --policies policies/",
    ),
)
@config_option
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port to listen on; 0 takes a free one.")
@click.option("--database", metavar="URL", help="Where everything is kept, such as sqlite:///file.sqlite.")
@click.option("--public-url", metavar="URL", help="Base of our IRIs, as others reach us.")
@click.option("--policies", metavar="DIR", help="Folder of policy files.")
@json_option
@click.pass_context
def serve(
    context: click.Context, /, *, config: Path | None, is_json: bool, **flags: str | int | None
) -> None:
    """Run the service: inbox, event log, policies, deliveries.

    Prints its URLs once it is ready, and logs JSON lines on stderr. SIGTERM and Ctrl-C end it in order.
    """
    settings = load_settings(
        config,
        server__host=flags["host"],
        server__port=flags["port"],
        database__url=flags["database"],
        server__public_url=flags["public_url"],
        policies__folder=flags["policies"],
    ).settings
    import asyncio
    import logging

    from orchestrator.bootstrap import loop_factory, open_socket, run_until_stopped
    from orchestrator.cli import logs

    logs.configure(
        logs.JsonLines(),
        ours=logging.DEBUG if context.obj else logging.INFO,
        others=logging.INFO if context.obj else logging.WARNING,
    )

    def ready(running: Running) -> None:
        places = urls(running.url)
        if is_json:
            show_line(places)
        else:
            table(places.items())

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(run_until_stopped(settings, open_socket(settings), ready))


def urls(base: str) -> dict[str, str]:
    """Return where the service answers."""
    paths = {
        "inbox": "/inbox/",
        "log": "/log",
        "shapes": "/shapes/",
        "policies": "/policies/",
        "profile": "/",
    }
    return {name: base + path for name, path in paths.items()}
