"""`orchestrator key`: the key that signs the log's checkpoints. The secret is never printed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.commands import Command
from orchestrator.cli.options import config_option, json_option, load_settings, open_database
from orchestrator.cli.output import say, show, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.config import Settings
    from orchestrator.ports.tree import PublishedKey


@click.group
def key() -> None:
    """Look after the key that signs the log's checkpoints."""


@key.command("show", cls=Command, examples=("orchestrator key show", "orchestrator key show --json"))
@config_option
@json_option
def show_(*, config: Path | None, is_json: bool) -> None:
    """Show the public key in use, earlier ones, and where the secret one is kept."""
    import asyncio

    from orchestrator.bootstrap import key_path

    settings = load_settings(config).settings
    path = key_path(settings).absolute()
    known = asyncio.run(_known(settings))
    if is_json:
        show({"file": str(path), "keys": [_members(each) for each in known]})
        return
    table([("file", path, ""), *(_row(each) for each in reversed(known))])
    if not known:
        say("The log has no key yet: the service makes it when it starts.")


@key.command(cls=Command, examples=("orchestrator key rotate",))
@config_option
def rotate(*, config: Path | None) -> None:
    """Put a new key in the place of the one in use, whose file may be lost. Prints the new public key.

    A running service signs with the old one until it is restarted.
    """
    import asyncio

    settings = load_settings(config).settings
    made, url = asyncio.run(_rotate(settings))
    click.echo(made)
    say(f"A new key signs the log; readers find it at {url}/log/keys.")
    say("Restart the service if it runs: until then it signs with the old key. Keep a copy of the new file.")


async def _known(settings: Settings) -> Sequence[PublishedKey]:
    async with open_database(settings) as store:
        return await store.tree.keys()


async def _rotate(settings: Settings) -> tuple[str, str]:
    """Return the new public key, and the public URL of the log's service."""
    from orchestrator import keys
    from orchestrator.bootstrap import SystemClock, key_path, pod_of

    path = key_path(settings)
    async with open_database(settings) as store:
        # The log's name is a name for life: the database has it, also where this command's settings do not.
        pod = pod_of(replace(settings, public_url=store.public_url or settings.public_url))
        new = await keys.rotate(path, pod.origin, store.tree, now=SystemClock().now())
    return new.verifier.text(), pod.public_url


def _row(known: PublishedKey) -> tuple[str, str, str]:
    from orchestrator.core.event import stamp

    if known.until is None:
        return "key in use", known.verifier, f"since {stamp(known.since)}"
    return "earlier key", known.verifier, f"{stamp(known.since)} to {stamp(known.until)}"


def _members(known: PublishedKey) -> dict[str, object]:
    from orchestrator.core.event import stamp

    return {
        "key": known.verifier,
        "since": stamp(known.since),
        "until": None if known.until is None else stamp(known.until),
    }
