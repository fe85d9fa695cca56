"""`orchestrator pod`: what we write to artefacts in a pod, so that others find us."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.commands import Command
from orchestrator.cli.options import config_option, json_option, load_settings
from orchestrator.cli.output import plain, say, show
from orchestrator.cli.root import exit_code
from orchestrator.core.errors import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.config import Settings
    from orchestrator.pipeline.link import Linked


@click.group
def pod() -> None:
    """Write our links to artefacts in a pod."""


@pod.command(
    cls=Command,
    examples=(
        "orchestrator pod link https://pod.example/papers/1 --token-file pod.token",
        "orchestrator pod link https://pod.example/papers/1 --inbox reviews --dry-run",
    ),
)
@click.argument("artefacts", metavar="URL...", nargs=-1, required=True)
@click.option("--inbox", default="inbox", show_default=True, metavar="NAME", help="Which inbox of ours.")
@click.option("--replace", "replaces", is_flag=True, help="Take out other inboxes that it advertises.")
@click.option("--token-file", metavar="FILE", help="File with the bearer token that may write there.")
@click.option("--dry-run", "rehearses", is_flag=True, help="Say what would be written; write nothing.")
@config_option
@json_option
def link(
    artefacts: tuple[str, ...],
    *,
    inbox: str,
    replaces: bool,
    token_file: str | None,
    rehearses: bool,
    config: Path | None,
    is_json: bool,
) -> None:
    """Have artefacts advertise our inbox (ldp:inbox) and their event log (daen:eventLog).

    Each is read first, and changed only where a link is missing, and only if nobody else changed it
    meanwhile (If-Match): a second run writes nothing. What is no RDF is described beside it.
    """
    settings = load_settings(config).settings
    if not settings.public_url:
        raise click.UsageError("set server.public_url first: the links are for others to follow")
    if inbox not in ("inbox", *settings.inboxes):
        names = ", ".join(("inbox", *settings.inboxes))
        raise click.UsageError(f"--inbox {inbox} names no inbox of ours; there are: {names}")
    import asyncio

    done = asyncio.run(
        _link(settings, artefacts, inbox, replaces=replaces, rehearses=rehearses, token_file=token_file)
    )
    if is_json:
        show([_members(artefact, linked) for artefact, linked in zip(artefacts, done, strict=True)])
    verb = "would write" if rehearses else "wrote"
    failed = [each for each in done if isinstance(each, OrchestratorError)]
    for artefact, linked in zip(artefacts, done, strict=True):
        if isinstance(linked, OrchestratorError):
            say(f"orchestrator: {linked.message}")
            continue
        for sign, triples in (("-", linked.change.deletes), ("+", linked.change.inserts)):
            for subject, predicate, target in triples if not is_json else ():
                click.echo(plain(f"{sign} <{subject}> <{predicate}> <{target}> ."))
        say(f"{artefact}: {f'{verb} to {linked.document}' if linked.change else 'all was there already'}")
    if failed:
        raise click.exceptions.Exit(max(exit_code(error) for error in failed))


async def _link(
    settings: Settings,
    artefacts: Sequence[str],
    inbox: str,
    *,
    replaces: bool,
    rehearses: bool,
    token_file: str | None,
) -> list[Linked | OrchestratorError]:
    """Link one artefact after the other; what goes wrong with one keeps none of the others back."""
    from orchestrator.bootstrap import editor_of
    from orchestrator.core.event import artefact_id
    from orchestrator.pipeline.link import link as write
    from orchestrator.pipeline.tokens import read_token

    ours = f"{settings.base}/inbox/" if inbox == "inbox" else f"{settings.base}/inbox/{inbox}/"
    token = read_token(token_file)
    done: list[Linked | OrchestratorError] = []
    async with editor_of(settings) as editor:
        for artefact in artefacts:
            log = f"{settings.base}/artefacts/{artefact_id(artefact)}/log"
            try:
                done.append(
                    await write(
                        artefact,
                        inbox=ours,
                        log=log,
                        editor=editor,
                        replaces=replaces,
                        rehearses=rehearses,
                        token=token,
                    )
                )
            except OrchestratorError as error:
                done.append(error)
    return done


def _members(artefact: str, linked: Linked | OrchestratorError) -> dict[str, object]:
    if isinstance(linked, OrchestratorError):
        return {"artefact": artefact, "problem": linked.message}
    return {
        "artefact": artefact,
        "document": linked.document,
        "deletes": [list(triple) for triple in linked.change.deletes],
        "inserts": [list(triple) for triple in linked.change.inserts],
    }
