"""Which events concern an app, and what it should make of them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from orchestrator.app.state import Pending, State
from orchestrator.core.enrichment import PassedOver, SeenEvent, Teller, is_ours, wanted
from orchestrator.core.errors import Overloaded, TooCostly
from orchestrator.core.notification import Notification
from orchestrator.core.pod import Pod
from orchestrator.core.screening import Screening

_T = TypeVar("_T")
_PAUSE: Final = 1.0
"""Seconds before a busy or lost worker is asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What an app is to do."""

    us: Teller | None
    """Who tells of links; None: nobody does."""
    pod: Pod
    """Its prefixes are those of the artefacts that we may change."""
    links: Mapping[str, str]
    """Pattern → relation."""
    most: int
    """Links of one relation that an artefact may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deciding:
    """Decides about one event after the other; nothing is asked of anybody's server."""

    aim: Aim
    screen: Callable[[bytes], Awaitable[Screening]]
    broken_by: Callable[[bytes], Awaitable[str | None]]
    """Returns which filter refuses a payload."""

    async def decide(self, event: SeenEvent, state: State) -> Pending:
        """Return what is to be made of `event`; raises `PassedOver` where that is nothing."""
        us = self.aim.us.id if self.aim.us else None
        if is_ours(event, us, sent=state.sent, caused=state.caused):
            state.remember(state.caused, event.iri)
            raise PassedOver("self", "We caused it.")
        if not self.aim.pod.owns(event.artefact):
            raise PassedOver("elsewhere", f"{event.artefact or 'Its artefact'} is none that we look after.")
        if event.body is None:
            raise PassedOver("erased", "Its payload was erased.")
        notification = await self._screened(event.body)
        links = wanted(event, notification, self.aim.links[notification.pattern or ""])
        return Pending(
            sequence=event.sequence,
            event=event.iri,
            activity=event.activity,
            artefact=links[0][0],
            links=list(links),
        )

    async def _screened(self, body: bytes) -> Notification:
        """Return the notification in `body` if its pattern is wanted and its shape is sound."""
        screening = await _patiently(lambda: self.screen(body))
        if screening.refusal == TooCostly.slug:
            raise PassedOver("too-costly", "Looking at it takes too long.")
        notification = screening.notification
        if screening.refusal is not None or notification is None:
            said = next((finding.message for finding in screening.findings if finding.refuses), "")
            raise PassedOver("shape", said or "It cannot be read.")
        if notification.pattern not in self.aim.links:
            raise PassedOver("pattern", f"It is {notification.pattern or 'of no pattern'}.")
        try:
            broken = await _patiently(lambda: self.broken_by(body))
        except TooCostly:
            raise PassedOver("too-costly", "Looking at it takes too long.") from None
        if broken is not None:
            raise PassedOver("filter", f"It does not have the shape of {broken}.")
        return notification


async def _patiently(ask: Callable[[], Awaitable[_T]]) -> _T:
    """Return what `ask` does; that a worker was lost is our trouble, not the event's."""
    while True:
        try:
            return await ask()
        except Overloaded:
            await asyncio.sleep(_PAUSE)
