"""`orchestrator log verify`: whether a log is what it signed, and still what it was."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.commands import Command
from orchestrator.cli.log_place import log_url
from orchestrator.cli.options import config_option, json_option
from orchestrator.cli.output import bad, count, good, plain, say, show
from orchestrator.cli.progress import progress
from orchestrator.durable import replace

if TYPE_CHECKING:
    from orchestrator.client import Kept, Verified
    from orchestrator.core.verification import Discrepancy


@click.command(
    cls=Command,
    examples=(
        "orchestrator log verify https://repository.example/log --save kept.checkpoint",
        "orchestrator log verify https://repository.example/log --checkpoint kept.checkpoint",
        "orchestrator log verify https://repository.example/log --checkpoint kept.checkpoint --quick",
    ),
)
@click.argument("url", required=False)
@click.option(
    "--checkpoint",
    "kept",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A checkpoint kept earlier: the log must begin as it did then.",
)
@click.option(
    "--key", metavar="NAME+ID+KEY", help="The log's key. Default: the one kept, else what the log says."
)
@click.option(
    "--save",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the checkpoint here, and its key, if all is well; the kept one may be replaced so.",
)
@click.option("--quick", is_flag=True, help="Only ask for the proof since --checkpoint; read no events.")
@config_option
@json_option
def verify(
    url: str | None,
    *,
    kept: Path | None,
    key: str | None,
    save: Path | None,
    quick: bool,
    config: Path | None,
    is_json: bool,
) -> None:
    """Compare every event of a log with its signed checkpoint; what is wrong is told event by event.

    URL is the log; without it, that of the settings. Ends with 1 when something is not as it was signed.
    What was rewritten before you first looked can be found only by comparing with others who kept a
    checkpoint: keep yours (--save), and give it the next time (--checkpoint).
    """
    if quick and kept is None:
        raise click.UsageError("--quick needs --checkpoint: without one, every event has to be read")
    log = log_url(url, config)
    before = _kept(kept, save)
    import asyncio

    verified = asyncio.run(_verify(log, key, before, quick=quick))
    if is_json:
        show(_members(verified))
    else:
        _tell(verified)
    if verified.trust == "first use":
        say(
            "The key is what the log itself says. Compare it with what its owner told you otherwise, or keep"
            f" it with --save, so that it cannot change unseen: {verified.checkpoint.key}"
        )
    if not verified.ok:
        raise click.exceptions.Exit(1)
    if save is not None:
        _save(save, verified.checkpoint)


def _kept(path: Path | None, save: Path | None) -> Kept | None:
    """Return the checkpoint in a file; none where it is to be saved for the first time."""
    if path is None:
        return None
    from orchestrator.client import Kept

    try:
        return Kept.parse(path.read_bytes())
    except FileNotFoundError:
        if path == save:
            say(f"{path} does not exist yet: this is the first time.")
            return None
        raise click.UsageError(f"{path} does not exist: make it with --save") from None
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror or error}") from None


def _save(path: Path, checkpoint: Kept) -> None:
    from orchestrator.core.errors import StorageError

    try:
        replace(path, checkpoint.to_bytes())
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}") from None


async def _verify(log: str, key: str | None, kept: Kept | None, *, quick: bool) -> Verified:
    from orchestrator.client import Client

    with progress("events read") as shown:
        async with Client() as client:
            return await client.verify(log, key=key, kept=kept, quick=quick, progress=shown)


def _tell(verified: Verified) -> None:
    for found in verified.discrepancies:
        click.echo(plain(f"{_subject(found)}: {found.message}"))
    if verified.more:
        click.echo(f"and {verified.more} more")
    facts = [f"checkpoint of {count(verified.size, 'event')}"]
    if verified.events is not None:
        facts.append(f"{verified.events} read, {verified.erased} of them without payload")
    if verified.kept_size is not None:
        facts.append(f"compared with the checkpoint of {count(verified.kept_size, 'event')}")
    verdict = good("as it was signed") if verified.ok else bad("NOT as it was signed")
    click.echo(f"{plain(verified.log)}: {verdict} ({'; '.join(facts)})")


def _subject(found: Discrepancy) -> str:
    if found.event is not None:
        return f"event {found.event}"
    return "checkpoint" if found.rule in ("signature", "origin", "kept") else "log"


def _members(verified: Verified) -> dict[str, object]:
    return {
        "log": verified.log,
        "ok": verified.ok,
        "origin": verified.origin,
        "size": verified.size,
        "root": base64.b64encode(verified.root).decode(),
        "key": verified.checkpoint.key,
        "trust": verified.trust,
        "checkpoint": verified.checkpoint.note.decode("utf-8", "replace"),
        "kept": verified.kept_size,
        "events": verified.events,
        "erased": verified.erased,
        "discrepancies": [
            {"rule": found.rule, "event": found.event, "message": found.message}
            for found in verified.discrepancies
        ],
        "more": verified.more,
    }
