"""The root of the command line: what all commands share, and what a failure looks like."""

import importlib
import os
from collections.abc import Mapping
from typing import Any, Final, cast

import click

from orchestrator.cli.output import say
from orchestrator.core.errors import (
    AddressRefused,
    ConfigurationError,
    OrchestratorError,
    Overloaded,
    PeerError,
    StorageError,
)

FINDINGS: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
_COMMANDS: Final[Mapping[str, str]] = {
    "app": "Follow an event log, and link artefacts to their reviews.",
    "check": "Screen a notification as the inbox does.",
    "config": "Look at settings.",
    "delivery": "Look after deliveries to service hubs, in the local database.",
    "demo": "See a request for a review go all the way.",
    "inbox": "Look into the inbox of the local database.",
    "key": "Look after the key that signs the log's checkpoints.",
    "log": "Read event logs.",
    "pod": "Write our links to artefacts in a pod.",
    "policy": "Check policy files.",
    "read": "Print each notification in an inbox.",
    "send": "Discover an inbox and POST a notification to it.",
    "source": "Poll remote inboxes and event logs, and see how that goes.",
    "serve": "Run the service: inbox, event log, policies, deliveries.",
}
"""Each command, which is called like its module, and its help in short: help must not import them all."""


class Root(click.Group):
    """A group whose commands may raise our errors, and are imported when they are asked for."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted(_COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Return a command."""
        if name not in _COMMANDS:
            return None
        return cast("click.Command", getattr(importlib.import_module(f"orchestrator.cli.{name}"), name))

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each command does."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name]) for name in sorted(_COMMANDS)])

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        """Run the command; an error of ours ends it with its exit code."""
        try:
            return super().invoke(ctx)
        except OrchestratorError as error:
            _tell(error)
            raise click.exceptions.Exit(exit_code(error)) from None


def exit_code(error: OrchestratorError) -> int:
    """Return the exit code that `error` ends a command with."""
    if isinstance(error, ConfigurationError | AddressRefused):
        return USAGE
    if isinstance(error, PeerError | StorageError | Overloaded):
        return UNREACHABLE
    return FINDINGS


def _tell(error: OrchestratorError) -> None:
    """Say what went wrong in the error's own words, with its findings if it has any: no traceback."""
    found = [f"{item.pointer or '/'}: {item.message}" for item in getattr(error, "findings", ())]
    for line in [*error.message.splitlines(), *found]:
        say(f"orchestrator: {line}")


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="orchestrator", message="%(prog)s %(version)s")
@click.option("--verbose", "-v", is_flag=True, help="Say more on stderr.")
@click.pass_context
def root(context: click.Context, /, *, verbose: bool) -> None:
    """A linked-data notification inbox and orchestrator (W3C LDN, COAR Notify).

    Begin with `orchestrator demo`. Every command ends with 0 when all is well, 1 when there are findings
    or a refusal, 2 when it was called or configured wrongly, 3 when something could not be reached.
    """
    context.obj = verbose
    if os.environ.get("NO_COLOR"):  # https://no-color.org
        context.color = False
    import logging

    from orchestrator.cli import logs

    level = logging.INFO if verbose else logging.WARNING
    logs.configure(logs.Sentences(), ours=logging.DEBUG if verbose else logging.WARNING, others=level)
