"""`orchestrator log follow`: every event of a log as one line, exactly once in a file, whatever happens."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.bookmark import Bookmark, Place, held
from orchestrator.cli.commands import Command
from orchestrator.cli.log_place import lines, log_url, until_stopped
from orchestrator.cli.options import config_option
from orchestrator.cli.sink import Sink, opened


@click.command(
    cls=Command,
    examples=(
        "orchestrator log follow https://repository.example/log --output events.jsonl",
        "orchestrator log follow https://repository.example/log --type Announce | jq -r .artefact",
        "orchestrator log follow https://repository.example/log --state mine.state >> events.jsonl",
    ),
)
@click.argument("url", required=False)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Append the lines to FILE.",
)
@click.option(
    "--state",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Remember here how far it got. Default: the output's name and .state.",
)
@click.option(
    "--since",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    help="Begin after sequence N, where no state says where.",
)
@click.option(
    "--type", "kind", metavar="TYPE", help="Only these: Announce, coar-notify:ReviewAction, an IRI."
)
@click.option("--artefact", metavar="IRI", help="Only about this artefact.")
@click.option("--once", is_flag=True, help="End where the log ends.")
@config_option
def follow(
    url: str | None,
    *,
    output: Path | None,
    state: Path | None,
    since: int,
    once: bool,
    config: Path | None,
    **wanted: str | None,
) -> None:
    """Print every event of a log as a line of JSON, as they come, until Ctrl-C or SIGTERM.

    URL is the log; without it, that of the settings. With --output (or --state and standard output
    redirected to a file) each event stands in the file exactly once, in order, even if the process is
    killed or the power fails: run the same command again. Into a pipe, with --state, what was printed
    last may come again after that: know it by its `sequence`.
    """
    log = log_url(url, config, **wanted)
    if state is None and output is not None:
        state = output.with_name(output.name + ".state")
    import asyncio

    from orchestrator.core.errors import StorageError

    try:
        with held(state, log) as bookmark, opened(output) as sink:
            _resume(sink, bookmark.place, output, state)
            asyncio.run(_follow(log, since, sink, bookmark, once=once))
    except BrokenPipeError:
        raise  # who read the lines has enough of them
    except OSError as error:
        place = error.filename or output or state or "the output"
        raise StorageError(f"{place}: {error.strerror or error}") from None


def _resume(sink: Sink, place: Place | None, output: Path | None, state: Path | None) -> None:
    knows = place is not None and place.offset is not None
    if output is not None and sink.offset and not knows:
        raise click.UsageError(
            f"{output} holds something, and {state} does not say what: name the state file that belongs to"
            " it, or another output"
        )
    sink.resume(place, checks=output is not None)


async def _follow(log: str, since: int, sink: Sink, bookmark: Bookmark, *, once: bool) -> None:
    """Write what comes, and then where that was; what arrives together goes to the disk together."""
    from contextlib import aclosing

    from orchestrator.client import Client

    place = bookmark.place or Place(log=log, sequence=since)
    async with until_stopped(), Client() as client:
        batches = client.batches(log, since=place.sequence, once=once)
        async with aclosing(batches) as arriving:
            async for batch in arriving:
                # Nothing is awaited here, so that no signal comes between the two.
                sink.write(lines(batch))
                place = Place(
                    log=log,
                    sequence=batch[-1]["sequence"],
                    offset=sink.offset,
                    events=place.events + len(batch),
                )
                bookmark.put(place)
