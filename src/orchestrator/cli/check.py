"""`orchestrator check`: what the inbox would say to a notification."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from orchestrator.cli.commands import Command
from orchestrator.cli.given import read_given
from orchestrator.cli.options import config_option, json_option, load_settings
from orchestrator.cli.output import bad, count, good, plain, show

if TYPE_CHECKING:
    from orchestrator.config import Settings
    from orchestrator.core.finding import Finding
    from orchestrator.core.screening import Screening


@click.command(
    cls=Command,
    examples=(
        "orchestrator check notification.json",
        "curl -s https://repository.example/offer.json | orchestrator check --profile strict -",
    ),
)
@click.argument("source", metavar="FILE|URL|-")
@click.option(
    "--profile",
    type=click.Choice(["strict", "lenient"]),
    help="strict: COAR Notify 1.0.1 to the letter. Default: as the inbox is set.",
)
@config_option
@json_option
@click.option("--turtle", "is_turtle", is_flag=True, help="Print the SHACL validation report as Turtle.")
def check(source: str, *, profile: str | None, config: Path | None, is_json: bool, is_turtle: bool) -> None:
    """Screen a notification as the inbox does, with the same rules and limits.

    Nothing is sent or kept. Ends with 0 when the inbox would take it, warnings or not, and with 1 when
    it would not.
    """
    if is_json and is_turtle:
        raise click.UsageError("--json and --turtle exclude each other")
    settings = load_settings(config, inbox__profile=profile).settings
    screening = _screen(read_given(source), settings)
    if is_json:
        show(_members(screening))
    elif is_turtle:
        from orchestrator.core.vocabulary import TURTLE
        from orchestrator.web.violations import as_graph

        click.echo(as_graph(screening.findings, TURTLE), nl=False)
    else:
        for line in _report("standard input" if source == "-" else source, screening):
            click.echo(line)
    raise click.exceptions.Exit(0 if screening.accepted else 1)


def _screen(body: bytes, settings: Settings) -> Screening:
    """Screen in this process: the worker that the inbox uses would treble the time."""
    from orchestrator.catalogue import packaged, read_contexts, read_folder
    from orchestrator.core.screening import Rules, screen
    from orchestrator.core.shapes.shape_set import ShapeSet
    from orchestrator.core.strict_json import Limits

    shapes = ShapeSet(read_folder(packaged("shapes"), ".ttl"))
    contexts = read_contexts({url: Path(path) for url, path in settings.contexts.items()})
    try:
        with _within(settings.budget):
            rules = Rules(
                contexts=contexts,
                shapes=shapes,
                profile="strict" if settings.inbox_profile == "strict" else "lenient",
                limits=Limits(body=settings.inbox_body),
            )
            return screen(body, rules)
    except _BudgetSpent:
        return _too_costly(settings.budget)


class _BudgetSpent(BaseException):
    """Screening takes too long; no library's `except Exception` may keep it."""


@contextlib.contextmanager
def _within(budget: float) -> Iterator[None]:
    """Interrupt what takes more than `budget` seconds, where the platform can."""

    def spent(*_: object) -> NoReturn:
        raise _BudgetSpent

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, spent)
    signal.setitimer(signal.ITIMER_REAL, budget)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _too_costly(budget: float) -> Screening:
    from orchestrator.core.errors import TooCostly
    from orchestrator.core.finding import Finding
    from orchestrator.core.screening import Screening
    from orchestrator.core.vocabulary import PROBLEMS

    message = f"Screening took more than {budget:g} s. Send a simpler document."
    finding = Finding(rule=f"{PROBLEMS}{TooCostly.slug}#budget", message=message, pointer="")
    return Screening(refusal=TooCostly.slug, findings=(finding,), notification=None)


def _members(screening: Screening) -> dict[str, object]:
    """Return the report as `POST /inbox/?dry-run=true` gives it."""
    from orchestrator.web.violations import as_json

    notification = screening.notification
    return {
        "accepted": screening.accepted,
        "refusal": screening.refusal,
        "pattern": notification.pattern if notification else None,
        "violations": [as_json(finding) for finding in screening.findings],
    }


def _report(source: str, screening: Screening) -> Iterator[str]:
    notification = screening.notification
    kind = (notification.pattern if notification else None) or "no known pattern"
    verdict = good("accepted") if screening.accepted else bad(f"refused, {screening.refusal}")
    refusing = sum(finding.refuses for finding in screening.findings)
    counts = [count(refusing, "violation"), count(len(screening.findings) - refusing, "warning")]
    yield f"{plain(source)}: {verdict} ({kind}; {', '.join(counts)})"
    for finding in screening.findings:
        yield from _lines(finding)


def _lines(finding: Finding) -> Iterator[str]:
    place = finding.pointer or "the whole document"
    missing = f", “{finding.term}” is missing" if finding.term else ""
    severity = finding.severity.lower()
    yield f"  {plain(place)}{plain(missing)}: {bad(severity) if finding.refuses else severity}"
    yield f"      {plain(finding.message)}"
    if finding.value is not None:
        yield f"      found: {plain(finding.value)}"
    yield f"      rule: {plain(finding.rule)}"
    if finding.spec:
        yield f"      spec: {plain(finding.spec)}"
