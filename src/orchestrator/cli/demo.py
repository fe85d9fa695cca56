"""`orchestrator demo`: the whole service in a fresh folder, and a round of notifications through it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from orchestrator.cli.commands import Command
from orchestrator.cli.options import json_option
from orchestrator.cli.output import bad, count, good, plain, say, show
from orchestrator.cli.serve import urls

if TYPE_CHECKING:
    import asyncio

    from orchestrator.bootstrap import Running
    from orchestrator.cli.demo_peers import Peer
    from orchestrator.config import Settings

_POLICY: Final = "announce-reviews.ttl"
_PLACEHOLDER: Final = "<https://hub.example/>"
_PEERS: Final = ("Repository", "Certification service", "Service hub")


@click.command(
    cls=Command,
    examples=(
        "orchestrator demo",
        "orchestrator demo --once --json",
    ),
)
@click.option("--once", is_flag=True, help="Send everything twice, see that it counts once, and end.")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="A new or empty folder. Default: a temporary one."
)
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, help="Port to listen on. Default: a free one."
)
@json_option
@click.pass_context
def demo(context: click.Context, /, *, once: bool, folder: Path | None, port: int, is_json: bool) -> None:
    """See a request for a review go all the way, over real HTTP on this machine.

    Makes a folder with settings, policies and an SQLite database, and starts the service with a
    repository, a certification service and a service hub around it: the repository asks for a review,
    the certification service accepts and announces it, a policy tells the hub. Then it keeps serving
    until Ctrl-C, or with --once ends: with 0 only if everything went as it should.
    """
    import asyncio
    import logging

    from orchestrator.cli import logs

    logs.configure(logs.JsonLines(), ours=logging.INFO if context.obj else logging.WARNING)

    went_well = asyncio.run(_demo(_fresh(folder), port, once=once, is_json=is_json))
    raise click.exceptions.Exit(0 if went_well else 1)


def _fresh(folder: Path | None) -> Path:
    if folder is None:
        import tempfile

        return Path(tempfile.mkdtemp(prefix="orchestrator-demo-"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise click.UsageError(f"{folder} is not empty; name a new folder")
    except OSError as error:
        raise click.UsageError(f"{folder}: {error.strerror or error}") from None
    return folder.resolve()


async def _demo(folder: Path, port: int, *, once: bool, is_json: bool) -> bool:
    import asyncio

    from orchestrator.bootstrap import open_socket, running
    from orchestrator.cli.demo_peers import served
    from orchestrator.cli.demo_round import Round
    from orchestrator.client import Client
    from orchestrator.config import load

    wanted = load(flags={"server.port": port}).settings
    with open_socket(wanted) as bound, served(_PEERS) as (repository, certifier, hub):
        settings = _furnish(folder, bound.getsockname()[1], hub)
        async with running(settings, bound) as service, Client() as client:
            story = Round(service, repository, certifier, hub, client)
            await story.go(twice=once)
            account = _around(service, folder, (repository, certifier, hub)) | story.account()
            if is_json:
                show(account)
            else:
                for line in _told(account):
                    click.echo(line)
            if not once:
                stop = _stop_on_signals(asyncio.Event())
                for line in _next(service.url, folder):
                    say(line)
                await stop.wait()
    return bool(account["ok"])


def _stop_on_signals(stop: asyncio.Event) -> asyncio.Event:
    import asyncio
    import signal

    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    return stop


def _furnish(folder: Path, port: int, hub: Peer) -> Settings:
    """Write settings and policies into the folder, and read them as `serve` would."""
    from orchestrator.catalogue import packaged
    from orchestrator.config import load
    from orchestrator.core.errors import ConfigurationError

    policy = (packaged("policies") / _POLICY).read_text(encoding="utf-8")
    if _PLACEHOLDER not in policy:
        raise ConfigurationError(f"{_POLICY} names no hub {_PLACEHOLDER} that the demo could replace")
    policies = folder / "policies"
    policies.mkdir()
    (policies / _POLICY).write_text(policy.replace(_PLACEHOLDER, f"<{hub.url}>"), encoding="utf-8")
    file = folder / "orchestrator.toml"
    database = f"sqlite:///{folder / 'orchestrator.sqlite'}"
    text = (
        "[server]\n"
        f"port = {port}\n\n"
        "[database]\n"
        f"url = {_quoted(database)}\n\n"
        "[policies]\n"
        f"folder = {_quoted(str(policies))}\n\n"
        "# The demo's other servers are on this machine.\n"
        "[egress]\n"
        'allow_private = ["127.0.0.0/8", "::1/128"]\n'
    )
    file.write_text(text, encoding="utf-8")
    # Nothing of the environment: the demo is the same for everybody.
    return load(file=file).settings


def _quoted(text: str) -> str:
    # A JSON string is a TOML basic string as long as nothing beyond ASCII is escaped.
    return json.dumps(text, ensure_ascii=False)


def _around(service: Running, folder: Path, peers: tuple[Peer, ...]) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "urls": urls(service.url),
        "peers": {
            peer.name: {"url": peer.url, "inbox": peer.inbox, "kept": len(peer.kept)} for peer in peers
        },
    }


def _told(account: Mapping[str, Any]) -> Iterator[str]:
    """Tell the account to a person."""
    yield f"folder     {plain(account['folder'])}"
    for name, url in account["urls"].items():
        yield f"{name:<10} {plain(url)}"
    for name, peer in account["peers"].items():
        yield f"{plain(peer['url'])}  {plain(name)}"
    for number, step in enumerate(account["received"], 1):
        yield ""
        yield f"{number}. {plain(step['title'])}."
        yield f"   received   {step['status']}, kept at {plain(step['location'])}"
        yield f"   screened   {plain(step['pattern'])}, {count(step['warnings'] or 0, 'warning')}"
        yield f"   processed  {plain(step['state'])} ({plain(step['reason'])})"
        yield f"   logged     event {step['sequence']}, {plain(step['event'])}"
    for delivery in account["deliveries"]:
        yield f"   delivered  {plain(delivery['state'])} with {delivery['status']}"
        yield f"              to {plain(delivery['hub'])}"
        yield f"              kept there at {plain(delivery['location'])}"
    yield ""
    for sentence, holds in account["expected"].items():
        yield f"{good('ok  ') if holds else bad('FAIL')}  {plain(sentence)}."


def _next(url: str, folder: Path) -> Iterator[str]:
    config = shlex.quote(str(folder / "orchestrator.toml"))
    yield ""
    yield "Still serving; Ctrl-C ends it. Try, in another terminal:"
    yield f"  curl -s {url}/log?since=0"
    yield f"  curl -s -H 'Accept: text/turtle' {url}/inbox/"
    yield f"  orchestrator send --pattern announce-review --to {url}/"
    yield f"  orchestrator inbox list --config {config}"
    yield f"  orchestrator delivery list --config {config}"
    yield f"  edit {shlex.quote(str(folder / 'policies' / _POLICY))} and send again: no restart is needed"
