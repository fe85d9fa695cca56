"""`orchestrator inbox`: what came in, and what became of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from orchestrator.cli.commands import Command
from orchestrator.cli.options import (
    config_option,
    inbox_option,
    json_option,
    limit_option,
    load_settings,
    open_database,
    person,
)
from orchestrator.cli.output import plain, say, show, table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from orchestrator.config import Settings
    from orchestrator.ports import Reader, Stored

_STATES: Final = ("RECEIVED", "RETRY", "PROCESSED", "IGNORED", "PARKED", "DEAD")


@click.group
def inbox() -> None:
    """Look into the inbox of the local database."""


@inbox.command(
    "list",
    cls=Command,
    examples=(
        "orchestrator inbox list --state IGNORED",
        "orchestrator inbox list --json --limit 1000",
    ),
)
@click.option("--state", type=click.Choice(_STATES, case_sensitive=False), help="Only those in this state.")
@limit_option(50)
@inbox_option
@config_option
@json_option
def list_(*, state: str | None, limit: int, inbox: str, config: Path | None, is_json: bool) -> None:
    """List the latest notifications, the newest last."""
    settings = load_settings(config).settings
    import asyncio

    found, base = asyncio.run(
        _list(settings, _known(settings, inbox), state.upper() if state else None, limit)
    )
    if is_json:
        show([_members(stored, base) for stored in found])
    elif found:
        table(_row(stored) for stored in found)
    else:
        say("No notification is there." if state is None else f"No notification is {state.upper()}.")


@inbox.command(
    "show",
    cls=Command,
    examples=(
        "orchestrator inbox show 0b7d1c52",
        "orchestrator inbox show 0b7d1c52 --raw > notification.json",
    ),
)
@click.argument("token")
@inbox_option
@config_option
@json_option
@click.option("--raw", "is_raw", is_flag=True, help="Print the bytes received and nothing else.")
def show_(token: str, *, inbox: str, config: Path | None, is_json: bool, is_raw: bool) -> None:
    """Show one notification: state, reason, warnings, event, and the text received.

    TOKEN is the last part of its URL; the URL itself will do.
    """
    settings = load_settings(config).settings
    import asyncio

    stored, base = asyncio.run(_show(settings, _known(settings, inbox), _token_of(token)))
    if is_raw:
        sys.stdout.buffer.write(stored.body)
        return
    members = _members(stored, base)
    if is_json:
        show({**members, "body": stored.body.decode("utf-8", "replace")})
        return
    warnings = members.pop("warnings")
    table((name, value) for name, value in members.items() if value is not None)
    for finding in stored.warnings:
        click.echo(f"warning  {plain(finding.pointer or '/')}: {plain(finding.message)}")
    if not warnings:
        click.echo("no warnings")
    click.echo()
    for line in stored.body.decode("utf-8", "replace").splitlines():
        click.echo(plain(line))


@inbox.command("accept", cls=Command, examples=("orchestrator inbox accept 0b7d1c52",))
@click.argument("token")
@inbox_option
@config_option
def accept(token: str, *, inbox: str, config: Path | None) -> None:
    """Let a parked notification go on, as if no policy had parked it.

    A running service takes it up within seconds.
    """
    _settle(config, inbox, token, is_accepted=True)
    say("Accepted: it will be processed.")


@inbox.command("dismiss", cls=Command, examples=("orchestrator inbox dismiss 0b7d1c52",))
@click.argument("token")
@inbox_option
@config_option
def dismiss(token: str, *, inbox: str, config: Path | None) -> None:
    """End a parked notification as IGNORED: it stays in the inbox, and never comes into the log."""
    _settle(config, inbox, token, is_accepted=False)
    say("Dismissed: it stays out of the log.")


def _token_of(text: str) -> str:
    """Return the token in a notification's URL, or the token itself."""
    return text.rstrip("/").rpartition("/")[2]


def _settle(config: Path | None, inbox: str, token: str, *, is_accepted: bool) -> None:
    import asyncio

    from orchestrator.bootstrap import SystemClock

    settings = load_settings(config).settings
    who = person()

    async def settle() -> None:
        async with open_database(settings) as store:
            now = SystemClock().now()
            await store.ledger.settle(
                _known(settings, inbox), _token_of(token), accept=is_accepted, who=who, now=now
            )

    asyncio.run(settle())


def _known(settings: Settings, inbox: str) -> str:
    """Return `inbox` where there is one of that name, or what followed logs told."""
    from orchestrator.core.source import FOLLOWED, MAIN

    names = (MAIN, *settings.inboxes, FOLLOWED)
    if inbox not in names:
        raise click.UsageError(f"--inbox {inbox} names no inbox; there are: {', '.join(names)}")
    return inbox


async def _list(
    settings: Settings, inbox: str, state: str | None, limit: int
) -> tuple[Sequence[Stored], str]:
    async with open_database(settings) as store:
        return await latest(store.reader, inbox, state, limit), store.public_url


async def latest(reader: Reader, inbox: str, state: str | None, limit: int) -> Sequence[Stored]:
    """Return the last `limit` notifications in `state`, in order of arrival.

    The port reads forward only, so this steps back in growing strides until there are enough.
    """
    start = await reader.latest(inbox)
    stride = 2 * limit
    while True:
        start = max(0, start - stride)
        found = [
            stored async for stored in _from(reader, inbox, start) if state in (None, stored.state.value)
        ]
        if len(found) >= limit or start == 0:
            return found[-limit:]
        stride *= 4


async def _from(reader: Reader, inbox: str, after: int) -> AsyncIterator[Stored]:
    while page := await reader.listing(inbox, after=after):
        for stored in page:
            yield stored
        after = page[-1].key


async def _show(settings: Settings, inbox: str, token: str) -> tuple[Stored, str]:
    from orchestrator.core.errors import NotFound

    async with open_database(settings) as store:
        stored = await store.reader.notification(inbox, token)
    if stored is None:
        raise NotFound(f"There is no notification {token} in the inbox {inbox}.")
    return stored, store.public_url


def _row(stored: Stored) -> list[object]:
    from orchestrator.core.event import stamp

    notification = stored.notification
    what = notification.pattern or " ".join(name.rpartition("#")[2] for name in notification.types)
    event = f"event {stored.event}" if stored.event else "-"
    state = f"{stored.state}{f' ({stored.reason})' if stored.reason else ''}"
    return [stored.token, stamp(stored.received), state, event, what, notification.sender or notification.id]


def _members(stored: Stored, base: str) -> dict[str, object]:
    from orchestrator.core.event import stamp
    from orchestrator.web.violations import as_json

    notification = stored.notification
    return {
        "token": stored.token,
        "url": f"{base}{_path(stored)}",
        "id": notification.id,
        "pattern": notification.pattern,
        "sender": notification.sender or None,
        "received": stamp(stored.received),
        "mediaType": stored.media_type,
        "state": stored.state.value,
        "reason": stored.reason,
        "attempts": stored.attempts,
        "event": f"{base}/log/e/{stored.event}" if stored.event else None,
        "source": stored.provenance.source if stored.provenance else None,
        "via": stored.provenance.via if stored.provenance else None,
        "warnings": [as_json(finding) for finding in stored.warnings],
    }


def _path(stored: Stored) -> str:
    return f"/inbox/{stored.token}" if stored.inbox == "inbox" else f"/inbox/{stored.inbox}/{stored.token}"
