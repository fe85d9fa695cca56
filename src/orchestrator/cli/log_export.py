"""`orchestrator log export`: a whole log as one file, in parts that are never read twice."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from orchestrator.cli.bookmark import Bookmark, Place, held
from orchestrator.cli.commands import Command
from orchestrator.cli.log_place import lines, log_url, until_stopped
from orchestrator.cli.options import config_option
from orchestrator.cli.output import count, say
from orchestrator.cli.progress import progress
from orchestrator.cli.sink import Sink, opened
from orchestrator.durable import sync_folder

if TYPE_CHECKING:
    from orchestrator.client import Client


class _Part(NamedTuple):
    """Some events, as they are written."""

    text: bytes
    last: int
    events: int


@click.command(
    cls=Command,
    examples=(
        "orchestrator log export https://repository.example/log --output log.jsonl.gz",
        "orchestrator log export https://repository.example/log --output log.nq --format nquads",
    ),
)
@click.argument("url", required=False)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Where to; compressed if its name ends with .gz.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "nquads"]),
    default="jsonl",
    show_default=True,
    help="One node of JSON-LD a line, or RDF with each payload in a graph of its own.",
)
@config_option
def export(url: str | None, *, output: Path, form: str, config: Path | None) -> None:
    """Write all events of a log to a file, from first to last.

    URL is the log; without it, that of the settings. FILE appears when it is whole. Until then it is
    FILE.part: run the same command again to go on where it stopped.
    """
    log = log_url(url, config)
    part = output.with_name(output.name + ".part")
    state = part.with_name(part.name + ".state")
    import asyncio

    from orchestrator.core.errors import StorageError

    try:
        with held(state, log, form) as bookmark, opened(part) as sink:
            place = _resume(sink, bookmark.place) or Place(log=log, sequence=0, form=form)
            place, note, is_whole = asyncio.run(
                _export(place, sink, bookmark, is_packed=output.suffix == ".gz")
            )
            if not is_whole:
                say(f"{count(place.events, 'event')} in {part}; run the same command again to go on.")
                raise click.exceptions.Exit(1)
            part.replace(output)
            state.unlink(missing_ok=True)
            sync_folder(output.parent)
    except OSError as error:
        raise StorageError(f"{error.filename or part}: {error.strerror or error}") from None
    say(f"{count(place.events, 'event')}, {count(sink.offset or 0, 'byte')} in {output}. {_checkpoint(note)}")


def _resume(sink: Sink, place: Place | None) -> Place | None:
    """Cut the file back to what is known to be whole: to nothing, where nothing is."""
    is_there = place is not None and place.offset is not None and (sink.offset or 0) >= place.offset
    sink.cut((place.offset or 0) if place is not None and is_there else 0)
    return place if is_there else None


async def _export(
    place: Place, sink: Sink, bookmark: Bookmark, *, is_packed: bool
) -> tuple[Place, bytes | None, bool]:
    """Write what is left; return how far it got, the log's checkpoint if it has one, and if that is all."""
    import gzip
    from contextlib import aclosing, suppress

    from orchestrator.client import Client
    from orchestrator.core.errors import AnswerRefused

    note, is_whole = None, False
    with progress("events written") as shown:
        async with until_stopped(), Client() as client:
            async with aclosing(_parts(client, place)) as parts:
                async for part in parts:
                    # A file of gzip may have several members (RFC 1952, section 2.2): each part is one.
                    sink.write(gzip.compress(part.text, mtime=0) if is_packed else part.text)
                    place = Place(
                        log=place.log,
                        sequence=part.last,
                        offset=sink.offset,
                        events=place.events + part.events,
                        form=place.form,
                    )
                    bookmark.put(place)
                    shown(place.events)
            with suppress(AnswerRefused):
                note = await client.checkpoint(place.log)
            is_whole = True
    return place, note, is_whole


async def _parts(client: Client, place: Place) -> AsyncGenerator[_Part, None]:
    from contextlib import aclosing

    if place.form == "nquads":
        async with aclosing(client.quads(place.log, since=place.sequence)) as found:
            async for quads in found:
                yield _Part(quads.text, quads.last, quads.count)
        return
    async with aclosing(client.batches(place.log, since=place.sequence, once=True)) as batches:
        async for batch in batches:
            yield _Part(lines(batch), batch[-1]["sequence"], len(batch))


def _checkpoint(note: bytes | None) -> str:
    """Say what a checkpoint says, believed or not."""
    from orchestrator.core.checkpoint import BadCheckpoint, parse_note

    try:
        said = parse_note(note or b"")
    except BadCheckpoint:
        return "The log has no checkpoint."
    root = base64.b64encode(said.root).decode()
    return f"Checkpoint of the log: {count(said.size, 'event')}, root {root}."
