"""`orchestrator app`: the client app that follows an event log and links artefacts to their reviews."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from orchestrator.cli.commands import Command
from orchestrator.cli.options import config_option, json_option, load_settings
from orchestrator.cli.output import count, plain, say, show_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from orchestrator.app import Aim, App, StateFile, Told
    from orchestrator.config import Settings
    from orchestrator.screener import DirectScreener

_FINDINGS: Final = 1
_UNREACHABLE: Final = 3


@click.group
def app() -> None:
    """Follow an event log, and link artefacts to their reviews."""


@app.command(
    cls=Command,
    examples=(
        "orchestrator app run --config app.toml",
        "orchestrator app run --log https://institute.example/log --artefacts https://pod.example/ --dry-run",
    ),
)
@click.option("--log", metavar="URL", help="The event log to follow.")
@click.option("--artefacts", metavar="PREFIX", multiple=True, help="Write to artefacts below; repeatable.")
@click.option(
    "--link",
    "links",
    metavar="PATTERN=IRI",
    multiple=True,
    help="Which pattern makes which relation; repeatable. Default: reviews, cito:isReviewedBy.",
)
@click.option(
    "--shape", "shapes", metavar="FILE", multiple=True, help="Shapes that events must have besides."
)
@click.option("--id", "us", metavar="IRI", help="Who we are. Without it, nobody is told of links.")
@click.option("--inbox", metavar="URL", help="Our own inbox, where we have one.")
@click.option("--token-file", metavar="FILE", help="File with the bearer token that may write there.")
@click.option("--state", metavar="FILE", help="Keeps how far we are. Default: orchestrator-app.json.")
@click.option("--most", type=click.IntRange(min=1), metavar="N", help="Links of a relation on an artefact.")
@click.option("--once", is_flag=True, help="End where the log ends.")
@click.option("--dry-run", "rehearses", is_flag=True, help="Say what would be written; write nothing. Ends.")
@config_option
@json_option
def run(
    *,
    once: bool,
    rehearses: bool,
    config: Path | None,
    is_json: bool,
    **given: str | int | tuple[str, ...] | None,
) -> None:
    """Follow an event log, and link artefacts to what is announced of them.

    Of each event that concerns us, the artefact is read, what is missing is written (If-Match), and the
    log's inbox is told by an Update, once. Killed at any moment, it goes on where it was.
    """
    settings = load_settings(
        config,
        app__log=given["log"],
        app__artefacts=given["artefacts"] or None,
        app__links=given["links"] or None,
        app__shapes=given["shapes"] or None,
        app__id=given["us"],
        app__inbox=given["inbox"],
        app__token_file=given["token_file"],
        app__state=given["state"],
        app__most=given["most"],
    ).settings
    for name, value in (("log", settings.app_log), ("artefacts", settings.app_artefacts)):
        if not value:
            raise click.UsageError(f"say --{name}, or set app.{name}")
    import asyncio

    counts: Counter[str] = Counter()
    waiting: dict[str, str] = {}

    def tell(told: Told) -> None:
        counts[told.outcome] += 1
        waiting.pop(told.event, None)
        if told.outcome == "postponed":
            waiting[told.event] = told.said or ""
        if is_json:
            show_line(told.members())
        else:
            click.echo(plain(_line(told)))

    asyncio.run(_run(settings, tell, once=once or rehearses, rehearses=rehearses))
    say("; ".join(f"{number} {name}" for name, number in sorted(counts.items())) or "Nothing is new.")
    if waiting:
        say(f"{count(len(waiting), 'event')} to be tried again, for example: {next(iter(waiting.values()))}")
    if waiting or counts["refused"]:
        raise click.exceptions.Exit(_UNREACHABLE if waiting else _FINDINGS)


async def _run(settings: Settings, tell: Callable[[Told], None], *, once: bool, rehearses: bool) -> None:
    """Run until the log ends, or until somebody stops us."""
    import asyncio
    import signal

    from orchestrator.app import opened

    loop = asyncio.get_running_loop()
    with opened(Path(settings.app_state), settings.app_log, rehearses=rehearses) as file:
        async with app_of(settings, file, tell, rehearses=rehearses) as made:
            say(f"{settings.app_log}: events after {file.state.sequence}")
            running = asyncio.create_task(made.run(once=once))
            for name in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(name, running.cancel)
            with contextlib.suppress(asyncio.CancelledError):
                await running


@contextlib.asynccontextmanager
async def app_of(
    settings: Settings,
    file: StateFile,
    tell: Callable[[Told], None],
    *,
    rehearses: bool,
    screener: DirectScreener | None = None,
) -> AsyncIterator[App]:
    """Put the app together; a `screener` that runs already can be lent.

    Raises `ConfigurationError` before anything is asked of anybody.
    """
    import asyncio
    from dataclasses import replace

    from orchestrator.app import App, Deciding, ShapeFilter, read_files
    from orchestrator.bootstrap import catalogue_of, editor_of, rulebook_of
    from orchestrator.client import Client
    from orchestrator.pipeline.tokens import read_token
    from orchestrator.screener import DirectScreener, ScreenerSettings, ScreeningPool

    catalogue = catalogue_of(settings)
    _check_patterns(settings, catalogue.shapes)
    token_file = settings.app_token_file or None
    read_token(token_file)
    rulebook = rulebook_of(replace(settings, inbox_profile="lenient"), catalogue)
    pool = ScreeningPool(rulebook, ScreenerSettings(workers=1, budget=settings.budget))
    try:
        if screener is None:
            screener = await asyncio.to_thread(DirectScreener, rulebook, pool)
        shapes = ShapeFilter(read_files(settings.app_shapes), pool.run)
        async with Client() as client, editor_of(settings) as editor:
            yield App.made(
                deciding=Deciding(aim=_aim(settings), screen=screener.screen, broken_by=shapes.broken_by),
                log=client,
                editor=editor,
                token=lambda: read_token(token_file),
                file=file,
                tell=tell,
                rehearses=rehearses,
            )
    finally:
        await pool.close()


def _aim(settings: Settings) -> Aim:
    from orchestrator.app import Aim
    from orchestrator.core.enrichment import Teller
    from orchestrator.core.pod import Identity, Pod

    us, inbox = settings.app_id, settings.app_inbox
    return Aim(
        us=Teller(id=us, inbox=inbox or None) if us else None,
        pod=Pod(public_url=us, me=Identity(id=us, name=us, inbox=inbox), artefacts=settings.app_artefacts),
        links=settings.app_links,
        most=settings.app_most,
    )


def _check_patterns(settings: Settings, shapes: Mapping[str, str]) -> None:
    from orchestrator.core.errors import ConfigurationError

    known = sorted(shapes.keys() - {"notification", "lenient"})
    for pattern in settings.app_links:
        if pattern not in known:
            raise ConfigurationError(
                f"app.links: there is no pattern {pattern}; there are {', '.join(known)}"
            )


def _line(told: Told) -> str:
    """Return what an event came to on one line."""
    words = [str(told.sequence), told.outcome, told.artefact or told.event]
    if told.outcome in ("linked", "missing"):
        words += [f"<{relation}> <{thing}>" for _, relation, thing in told.links]
    if told.outcome == "reported":
        words += [told.location or told.activity or ""]
    if told.reason is not None:
        words += [f"{told.reason}: {told.said}"]
    return "  ".join(words)
