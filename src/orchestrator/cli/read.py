"""`orchestrator read`: an LDN consumer (W3C LDN, section 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orchestrator.cli.commands import Command
from orchestrator.cli.options import json_option, lines_option
from orchestrator.cli.output import say, show, show_line

if TYPE_CHECKING:
    from orchestrator.client import Received


@click.command(
    cls=Command,
    examples=(
        "orchestrator read https://repository.example/item/4417",
        "orchestrator read http://127.0.0.1:8080/inbox/ | jq -r .notification.type",
    ),
)
@click.argument("url")
@json_option
@lines_option
def read(url: str, *, is_json: bool, is_lines: bool) -> None:
    """Print each notification in an inbox: URL itself, or the one that it advertises.

    One line of JSON each (with --json, one array): url, mediaType, notification, problem. What cannot
    be read is told in `problem` and on stderr, and the rest goes on.
    """
    if is_json and is_lines:
        raise click.UsageError("--json and --nl exclude each other")
    import asyncio

    asyncio.run(_read(url, is_json=is_json))


async def _read(url: str, *, is_json: bool) -> None:
    from orchestrator.client import Client

    found = []
    async with Client() as client:
        async for received in client.read(url):
            if received.problem is not None:
                say(f"{received.url}: {received.problem}")
            if is_json:
                found.append(_members(received))
            else:
                show_line(_members(received))
    if is_json:
        show(found)


def _members(received: Received) -> dict[str, object]:
    return {
        "url": received.url,
        "mediaType": received.media_type,
        "notification": received.document,
        "problem": received.problem,
    }
