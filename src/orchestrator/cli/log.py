"""`orchestrator log`: the event log, of the local database or of anybody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from orchestrator.cli.commands import Command
from orchestrator.cli.log_erase import erase
from orchestrator.cli.log_export import export
from orchestrator.cli.log_follow import follow
from orchestrator.cli.log_place import log_url
from orchestrator.cli.log_verify import verify
from orchestrator.cli.options import config_option, json_option, lines_option, load_settings, open_database
from orchestrator.cli.output import say, show, show_line, table

if TYPE_CHECKING:
    from orchestrator.config import Settings

_PAGE: Final = 250


@click.group
def log() -> None:
    """Read event logs."""


log.add_command(export)
log.add_command(follow)
log.add_command(verify)
log.add_command(erase)


@log.command(
    "read",
    cls=Command,
    examples=(
        "orchestrator log read --type Announce",
        "orchestrator log read https://repository.example/log --since 250 --nl",
    ),
)
@click.argument("url", required=False)
@click.option("--since", metavar="N", type=click.IntRange(min=0), default=0, help="Events after sequence N.")
@click.option(
    "--type", "kind", metavar="TYPE", help="Of this type: Announce, coar-notify:ReviewAction, an IRI."
)
@click.option("--artefact", metavar="IRI", help="About this artefact.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many. Default: all.")
@config_option
@json_option
@lines_option
def read_(
    url: str | None,
    *,
    since: int,
    limit: int | None,
    config: Path | None,
    is_json: bool,
    is_lines: bool,
    **wanted: str | None,
) -> None:
    """Read events in log order: from URL, or without one from the local database."""
    if is_json and is_lines:
        raise click.UsageError("--json and --nl exclude each other")
    given = {name: value for name, value in wanted.items() if value is not None}
    if url is not None:
        events = _remote(url, since, given)
    else:
        events = _local(load_settings(config).settings, since, given)
    import asyncio

    form = "json" if is_json else "lines" if is_lines else "table"
    asyncio.run(_print(events, limit, form))


async def _print(events: AsyncIterator[Mapping[str, Any]], limit: int | None, form: str) -> None:
    """Print up to `limit` events: line by line as they come, or all at the end."""
    import contextlib

    kept = []
    number = 0
    async with contextlib.aclosing(events) as following:  # type: ignore[type-var]
        async for event in following:
            number += 1
            if form == "lines":
                show_line(event)
            else:
                kept.append(event)
            if number == limit:
                break
    if form == "json":
        show(kept)
    elif form == "table" and kept:
        table(map(_row, kept))
    elif form == "table":
        say("No event is there.")


async def _remote(url: str, since: int, wanted: Mapping[str, str]) -> AsyncIterator[Mapping[str, Any]]:
    from orchestrator.client import Client

    async with Client() as client:
        async for event in client.log(log_url(url, None, **wanted), since=since):
            yield event


async def _local(
    settings: Settings, since: int, wanted: Mapping[str, str]
) -> AsyncIterator[Mapping[str, Any]]:
    import json
    from dataclasses import replace

    from orchestrator.core.event import member
    from orchestrator.ports import Query

    kind = _type_iri(wanted["kind"]) if "kind" in wanted else None
    query = Query(since=since, type=kind, artefact=wanted.get("artefact"), limit=_PAGE)
    async with open_database(settings) as store:
        while page := await store.reader.events(query):
            for event in page:
                yield json.loads(member(event.envelope, event.payload, event.salt))
            query = replace(query, since=page[-1].sequence)


def _type_iri(text: str) -> str:
    """Return the IRI of a type as the log abbreviates it. Raises `click.BadParameter`."""
    from orchestrator.core.event import CONTEXT
    from orchestrator.core.jsonld import is_absolute
    from orchestrator.core.pointers import Terms

    terms = Terms()
    terms.add(CONTEXT)
    iri = terms.iri(text)
    if not is_absolute(iri):
        raise click.BadParameter("use Announce, coar-notify:ReviewAction or an IRI", param_hint="'--type'")
    return iri


def _row(event: Mapping[str, Any]) -> list[object]:
    types = event.get("type")
    named = [name for name in types if name != "LifecycleEvent"] if isinstance(types, list) else [types]
    return [
        event.get("sequence"),
        event.get("created"),
        " ".join(map(str, named)),
        event.get("activity"),
        event.get("artefact"),
    ]
