"""`orchestrator log erase`: take out of the log, and out of the database, what a notification said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.commands import Command
from orchestrator.cli.options import config_option, json_option, load_settings, open_database, person
from orchestrator.cli.output import say, show

if TYPE_CHECKING:
    from orchestrator.config import Settings
    from orchestrator.pipeline.erase import Erased


@click.command(
    "erase",
    cls=Command,
    examples=("orchestrator log erase 42 --because 'request of 3 May, article 17 GDPR'",),
)
@click.argument("sequence", type=click.IntRange(1, 2**63 - 1))
@click.option("--because", required=True, metavar="TEXT", help="Why; kept in the private journal only.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@json_option
def erase(sequence: int, *, because: str, yes: bool, config: Path | None, is_json: bool) -> None:
    """Erase the payload of event SEQUENCE, the notification behind it, and what deliveries keep of it.

    The envelope and its place in the tree stay, so that every proof still holds; a tombstone event tells of
    the erasure, and hubs that were told are asked to delete. Who reads the log may have copies.
    """
    import asyncio

    settings = load_settings(config).settings
    if not yes:
        click.confirm(f"Erase the payload of event {sequence} for good?", abort=True, err=True)
    done = asyncio.run(_erase(settings, sequence, because))
    if is_json:
        show(
            {
                "event": done.event.iri,
                "tombstone": None if done.tombstone is None else done.tombstone.iri,
                "purged": done.is_purged,
            }
        )
    if done.tombstone is None:
        say(f"{done.event.iri} had been erased before.")
    else:
        say(f"{done.event.iri} is erased; {done.tombstone.iri} tells of it.")
    if not done.is_purged:
        say("Somebody reads the database just now, so old pages are still in its files: run this once more.")


async def _erase(settings: Settings, sequence: int, because: str) -> Erased:
    from dataclasses import replace

    from orchestrator.bootstrap import SystemClock, pod_of, policy_set_of
    from orchestrator.pipeline.erase import erase as write

    async with open_database(settings) as store:
        return await write(
            sequence,
            because=because,
            who=person(),
            me=pod_of(replace(settings, public_url=store.public_url)).me,
            policy_set=policy_set_of(settings),
            reader=store.reader,
            erasure=store.erasure,
            clock=SystemClock(),
        )
