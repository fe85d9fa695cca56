"""`orchestrator delivery`: what is on its way to service hubs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from orchestrator.cli.commands import Command
from orchestrator.cli.options import config_option, json_option, limit_option, load_settings, open_database
from orchestrator.cli.output import count, say, show, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.config import Settings
    from orchestrator.ports import Delivery

_STATES: Final = ("PENDING", "RETRYING", "DELIVERED", "DEAD", "CANCELLED")


@click.group
def delivery() -> None:
    """Look after deliveries to service hubs, in the local database."""


@delivery.command("list", cls=Command, examples=("orchestrator delivery list --state DEAD",))
@click.option("--state", type=click.Choice(_STATES, case_sensitive=False), help="Only those in this state.")
@limit_option(100)
@config_option
@json_option
def list_(*, state: str | None, limit: int, config: Path | None, is_json: bool) -> None:
    """List deliveries, the newest first."""
    settings = load_settings(config).settings
    import asyncio

    found, base = asyncio.run(_list(settings, state, limit))
    if is_json:
        show([_members(each, base) for each in found])
    elif found:
        table(_row(each) for each in found)
    else:
        say("No delivery is there." if state is None else f"No delivery is {state.upper()}.")


@delivery.command(
    cls=Command, examples=("orchestrator delivery retry urn:uuid:6f1c2f5e-5d0b-5c50-9d0f-3a1f7f6f3f55",)
)
@click.argument("identifier", metavar="ID")
@config_option
@json_option
def retry(identifier: str, *, config: Path | None, is_json: bool) -> None:
    """Make a DEAD delivery due again, at once and with the whole schedule before it.

    ID is the id of the notification that is sent, as `delivery list` shows it. A running service takes
    it up within its schedule.interval.
    """
    settings = load_settings(config).settings
    import asyncio

    revived, base = asyncio.run(_retry(settings, identifier))
    if is_json:
        show(_members(revived, base))
    else:
        table([_row(revived)])


async def _list(settings: Settings, state: str | None, limit: int) -> tuple[Sequence[Delivery], str]:
    from orchestrator.core.delivery import DeliveryState

    async with open_database(settings) as store:
        wanted = DeliveryState(state.upper()) if state else None
        return await store.outbox.deliveries(state=wanted, limit=limit), store.public_url


async def _retry(settings: Settings, identifier: str) -> tuple[Delivery, str]:
    from orchestrator.bootstrap import SystemClock

    async with open_database(settings) as store:
        return await store.outbox.retry(identifier, now=SystemClock().now()), store.public_url


def _row(delivery: Delivery) -> list[object]:
    state = f"{delivery.state}{f' ({delivery.reason})' if delivery.reason else ''}"
    return [
        delivery.id,
        f"event {delivery.event}" if delivery.event else "followed",
        state,
        count(delivery.attempts, "attempt"),
        delivery.status,
        delivery.target,
    ]


def _members(delivery: Delivery, base: str) -> dict[str, object]:
    from orchestrator.core.event import stamp

    return {
        "id": delivery.id,
        "event": f"{base}/log/e/{delivery.event}" if delivery.event else None,
        "told": delivery.told,
        "target": delivery.target,
        "inbox": delivery.inbox,
        "policies": list(delivery.policies),
        "state": delivery.state.value,
        "reason": delivery.reason,
        "attempts": delivery.attempts,
        "status": delivery.status,
        "location": delivery.location,
        "created": stamp(delivery.created),
        "next": stamp(delivery.next_at) if delivery.next_at is not None else None,
        "finished": stamp(delivery.finished) if delivery.finished is not None else None,
    }
