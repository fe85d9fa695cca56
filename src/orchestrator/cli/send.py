"""`orchestrator send`: an LDN sender (W3C LDN, section 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orchestrator.cli.commands import Command
from orchestrator.cli.given import read_given
from orchestrator.cli.options import json_option
from orchestrator.cli.output import bad, good, plain, say, show
from orchestrator.cli.specimens import specimen

if TYPE_CHECKING:
    from orchestrator.client import Sent

_PASSING = frozenset({408, 425, 429})
"""Answers that say to come back, like every 5xx: the inbox has not judged the notification."""


@click.command(
    cls=Command,
    examples=(
        "orchestrator send offer.json",
        "orchestrator send announcement.json --to https://repository.example/item/4417",
        "orchestrator send --pattern announce-review --to http://127.0.0.1:8080/",
        "orchestrator send --pattern request-review --dry-run",
    ),
)
@click.argument("source", metavar="[FILE|URL|-]", required=False)
@click.option(
    "--to", metavar="URL", help="Resource whose inbox is meant. Default: the notification's target."
)
@click.option("--pattern", metavar="SLUG", help="Send a specimen of this COAR pattern, under a new id.")
@click.option("--dry-run", is_flag=True, help="Discover the inbox, print the request, send nothing.")
@json_option
def send(source: str | None, *, to: str | None, pattern: str | None, dry_run: bool, is_json: bool) -> None:
    """Discover an inbox and POST a notification to it.

    What is lost on the way or answered with 408, 425, 429 or 5xx is sent again, the same bytes. Ends
    with 0 when the inbox took it, 1 when it refused, 3 when it could not be reached or is in trouble.
    """
    if (source is None) == (pattern is None):
        raise click.UsageError("give a FILE, or --pattern for a specimen")
    if pattern is not None and to is None and not dry_run:
        raise click.UsageError("the target of a specimen does not exist: say --to URL, or --dry-run")
    body = specimen(pattern) if pattern is not None else read_given(source or "-")
    import asyncio

    if dry_run:
        _show_request(asyncio.run(_inbox(body, to)), body, is_json=is_json)
        return
    sent = asyncio.run(_send(body, to))
    _show_answer(sent, is_json=is_json)
    passing = sent.status >= 500 or sent.status in _PASSING  # noqa: PLR2004
    raise click.exceptions.Exit(0 if sent.accepted else 3 if passing else 1)


async def _send(body: bytes, to: str | None) -> Sent:
    from orchestrator.client import Client

    async with Client() as client:
        return await client.send(body, to=to)


async def _inbox(body: bytes, to: str | None) -> str:
    from orchestrator.client import Client

    async with Client() as client:
        return await client.inbox_of(body, to=to)


def _show_request(inbox: str, body: bytes, *, is_json: bool) -> None:
    from orchestrator.core.vocabulary import AS_PROFILE

    headers = {"Content-Type": AS_PROFILE, "Content-Length": str(len(body))}
    text = body.decode("utf-8", "replace")
    if is_json:
        show({"method": "POST", "inbox": inbox, "headers": headers, "body": text})
        return
    click.echo(f"POST {plain(inbox)}")
    for name, value in headers.items():
        click.echo(f"{name}: {value}")
    click.echo()
    for line in text.splitlines():
        click.echo(plain(line))
    say("Nothing was sent.")


def _show_answer(sent: Sent, *, is_json: bool) -> None:
    if is_json:
        show(
            {
                "accepted": sent.accepted,
                "inbox": sent.inbox,
                "status": sent.status,
                "location": sent.location,
                "detail": sent.detail,
            }
        )
        return
    verdict = good("accepted") if sent.accepted else bad("refused")
    click.echo(f"{plain(sent.inbox)}: {verdict} with {sent.status}")
    if sent.location:
        click.echo(f"  kept at {plain(sent.location)}")
    if sent.detail and not sent.accepted:
        click.echo(f"  {plain(sent.detail)}")
