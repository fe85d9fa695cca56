"""The root of the command line: what all commands share, and what a failure looks like."""

import os
from typing import Any, Final

import click

from orchestrator.cli import check, config, delivery, demo, inbox, log, policy, read, send, serve
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


class Root(click.Group):
    """A group whose commands may raise our errors."""

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


for command in (
    serve.serve,
    demo.demo,
    check.check,
    send.send,
    read.read,
    inbox.inbox,
    log.log,
    policy.policy,
    delivery.delivery,
    config.config,
):
    root.add_command(command)
