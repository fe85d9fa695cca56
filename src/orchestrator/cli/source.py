"""`orchestrator source`: the remote inboxes and event logs that are polled."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from orchestrator.cli.commands import Command
from orchestrator.cli.options import (
    config_option,
    json_option,
    limit_option,
    load_settings,
    open_database,
    person,
)
from orchestrator.cli.output import count, say, show, table

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from orchestrator.config import Settings
    from orchestrator.pipeline.collect import Done
    from orchestrator.pipeline.taking import Tally
    from orchestrator.ports.sources import Member, Sources, Status

_STATES: Final = ("KEPT", "IGNORED", "INVALID", "GONE", "RETRY")
_UNREACHABLE: Final = 3


@click.group
def source() -> None:
    """Poll remote inboxes and event logs, and see how that goes."""


@source.command(
    cls=Command,
    examples=(
        "orchestrator source add pod --inbox https://pod.example/inbox/ --schedule 5m",
        "orchestrator source add paper --artefact https://pod.example/papers/1 --token-file pod.token",
        "orchestrator source add institute --log https://institute.example/log --schedule '0 * * * *'",
    ),
)
@click.argument("name")
@click.option("--inbox", metavar="URL", help="The remote inbox.")
@click.option("--artefact", metavar="URL", help="An artefact or profile that advertises its inbox.")
@click.option("--log", metavar="URL", help="An event log, or another LDES.")
@click.option("--schedule", metavar="WHEN", help="90s, 5m, 2h, 1d, or five fields of crontab. Default: 5m.")
@click.option(
    "--policy",
    type=click.Choice(["open", "registered", "authenticated"]),
    help="Whom to believe to have written there. Default: open, anybody.",
)
@click.option("--sender", "senders", metavar="URL", multiple=True, help="Who may have written; repeatable.")
@click.option("--into", metavar="NAME", help="Which inbox of ours keeps what is found. Default: inbox.")
@click.option("--token-file", metavar="FILE", help="File with the bearer token that reads the source.")
@config_option
def add(*, config: Path | None, senders: tuple[str, ...], **given: str | None) -> None:
    """Poll a remote inbox or event log from now on. Nothing is ever written there."""
    from orchestrator.core.source import FOLLOWED, MAIN, read_source

    settings = load_settings(config).settings
    members: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if senders:
        members["senders"] = list(senders)
    if members.get("token_file"):
        members["token_file"] = str(Path(str(members["token_file"])).absolute())
    made = read_source(members, "source add")
    if made.into not in {FOLLOWED, MAIN, *settings.inboxes}:
        raise click.UsageError(f"--into {made.into} names no inbox; inbox.names has: {_names(settings)}")
    _change(settings, lambda sources, who, now: sources.add(made, who=who, now=now))
    say(f"Added: {made.name} is polled at once, and then {made.schedule}.")


@source.command(cls=Command, examples=("orchestrator source remove pod",))
@click.argument("name")
@config_option
def remove(name: str, *, config: Path | None) -> None:
    """Poll a source no more, and forget how far it was read. What was received stays."""
    _change(load_settings(config).settings, lambda sources, who, now: sources.remove(name, who=who, now=now))
    say(f"Removed: {name}.")


@source.command(cls=Command, examples=("orchestrator source pause pod",))
@click.argument("name")
@config_option
def pause(name: str, *, config: Path | None) -> None:
    """Leave a source alone until it is resumed."""
    _change(
        load_settings(config).settings,
        lambda sources, who, now: sources.pause(name, paused=True, who=who, now=now),
    )
    say(f"Paused: {name}.")


@source.command(cls=Command, examples=("orchestrator source resume pod",))
@click.argument("name")
@config_option
def resume(name: str, *, config: Path | None) -> None:
    """Go on polling a paused source."""
    _change(
        load_settings(config).settings,
        lambda sources, who, now: sources.pause(name, paused=False, who=who, now=now),
    )
    say(f"Resumed: {name}.")


@source.command("list", cls=Command, examples=("orchestrator source list", "orchestrator source list --json"))
@config_option
@json_option
def list_(*, config: Path | None, is_json: bool) -> None:
    """List the sources, with how the last pass over each went."""
    import asyncio

    settings = load_settings(config).settings
    found, _ = asyncio.run(_statuses(settings, None, None, 0))
    if is_json:
        show([status.described() for status in found])
    elif found:
        table(_row(status) for status in found)
    else:
        say("There is no source; the service takes those of its configuration up when it starts.")


@source.command(
    "show",
    cls=Command,
    examples=("orchestrator source show pod", "orchestrator source show pod --state INVALID"),
)
@click.argument("name")
@click.option("--state", type=click.Choice(_STATES, case_sensitive=False), help="Only members in this state.")
@limit_option(20)
@config_option
@json_option
def show_(name: str, *, state: str | None, limit: int, config: Path | None, is_json: bool) -> None:
    """Show one source, and what became of the members that were looked at last."""
    import asyncio

    settings = load_settings(config).settings
    [status], members = asyncio.run(_statuses(settings, name, state, limit))
    said = status.described()
    if is_json:
        show({**said, "latest": [member.described() for member in members]})
        return
    counts = said.pop("members")
    table((key, ", ".join(value) if isinstance(value, list) else value) for key, value in said.items())
    assert isinstance(counts, dict)
    table((f"members {key}", value) for key, value in counts.items())
    if members:
        click.echo()
        table((member.state, member.url, member.reason or member.token) for member in members)


@source.command(cls=Command, examples=("orchestrator source poll pod", "orchestrator source poll pod --json"))
@click.argument("name")
@config_option
@json_option
def poll(name: str, *, config: Path | None, is_json: bool) -> None:
    """Read a source now, in this process, paused or not; what is new is received as if posted.

    A running service processes what was kept within its schedule.interval.
    """
    import asyncio
    import logging

    settings = load_settings(config).settings
    # What it logs of a pass is said below.
    logging.getLogger("orchestrator.pipeline.collect").setLevel(logging.ERROR)
    done = asyncio.run(_poll(settings, name))
    tally = {
        "members": done.tally.members,
        "kept": done.tally.kept,
        "known": done.tally.known,
        "ignored": done.tally.ignored,
        "invalid": done.tally.invalid,
        "gone": done.tally.gone,
        "retry": done.tally.retry,
    }
    if is_json:
        show({"source": name, "requests": done.requests, "reason": done.reason, **tally})
    else:
        table([("requests", done.requests), *tally.items()])
    if done.reason is not None:
        say(f"orchestrator: {done.reason}")
        raise click.exceptions.Exit(_UNREACHABLE)


def _names(settings: Settings) -> str:
    return ", ".join(settings.inboxes) or "none"


def _change(settings: Settings, change: Callable[[Sources, str, int], Awaitable[None]]) -> None:
    import asyncio

    from orchestrator.bootstrap import SystemClock

    async def work() -> None:
        async with open_database(settings) as store:
            await change(store.sources, person(), SystemClock().now())

    asyncio.run(work())


async def _statuses(
    settings: Settings, name: str | None, state: str | None, limit: int
) -> tuple[Sequence[Status], Sequence[Member]]:
    from orchestrator.bootstrap import SystemClock
    from orchestrator.ports.sources import MemberState

    async with open_database(settings) as store:
        found = await store.sources.statuses(name, now=SystemClock().now())
        if name is None:
            return found, ()
        wanted = MemberState(state.upper()) if state else None
        return found, await store.sources.members(name, state=wanted, limit=limit)


async def _poll(settings: Settings, name: str) -> Done:
    import asyncio

    from orchestrator.bootstrap import SystemClock, collector_of, owner
    from orchestrator.core.errors import BadRequest
    from orchestrator.pipeline.taking import Tally

    async with open_database(settings) as store, collector_of(settings, store) as collecting:
        lease = round(settings.poll_lease * 1_000)
        await store.sources.statuses(name)  # says when there is none
        claimed = await store.progress.claim(
            owner(), limit=1, now=SystemClock().now(), lease=lease, name=name
        )
        if not claimed:
            raise BadRequest(f"{name} is being polled already; see orchestrator source show {name}.")
        tally = Tally()
        telling = asyncio.create_task(_tell(tally))
        try:
            return await collecting.collect(claimed[0], tally)
        finally:
            telling.cancel()


async def _tell(tally: Tally) -> None:
    """Say now and then how far it is, where somebody is looking."""
    import asyncio

    while sys.stderr.isatty():
        await asyncio.sleep(1)
        say(f"{tally.seen} of {count(tally.members, 'member')}" if tally.members else "listing …")


def _row(status: Status) -> Sequence[object]:
    from orchestrator.core.event import stamp

    last = stamp(status.succeeded) if status.succeeded is not None else "never"
    return [
        status.source.name,
        status.state,
        status.source.schedule,
        last,
        status.source.url,
        status.reason or "",
    ]
