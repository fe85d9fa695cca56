"""The log, read event by event; what concerns us goes on the agenda."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from orchestrator.app.agenda import Agenda
from orchestrator.app.deciding import Deciding
from orchestrator.app.state import Pending, StateFile
from orchestrator.app.telling import Told
from orchestrator.app.working import Log
from orchestrator.core.enrichment import PassedOver, SeenEvent, read_event
from orchestrator.core.errors import AnswerRefused
from orchestrator.core.source import place_of

_SAVED_EVERY: Final = 100
"""Events that are looked at once more after a kill, at most, where nothing was made of them."""


@dataclass(slots=True, kw_only=True)
class Reading:
    """Reads the log from where the state says."""

    log: Log
    file: StateFile
    deciding: Deciding
    agenda: Agenda
    tell: Callable[[Told], None]
    changed: Callable[[], None]
    """Called when there may be something to do."""

    async def check(self) -> None:
        """See that the last event that we know is there, and the same.

        Raises `AnswerRefused` where the log was reset, or restored from a backup: what it tells next would
        never be looked at. Raises another `PeerError` when the log cannot be read.
        """
        state = self.file.state
        if not state.sequence:
            return
        async with aclosing(self.log.log(state.log, since=state.sequence - 1)) as nodes:  # type: ignore[type-var]
            async for node in nodes:
                if node["sequence"] == state.sequence and _seal(node) == state.last:
                    return
                break
        raise AnswerRefused(
            f"{state.log} has no event {state.sequence}, or another one than before: it was reset or "
            "restored. Begin with a new --state: what is linked already is found, and not written again."
        )

    async def read(self, nodes: AsyncIterator[Mapping[str, Any]]) -> None:
        """Look at events in their order, as long as there are any."""
        state, unsaved = self.file.state, 0
        async for node in nodes:
            pending = await self._decided(node, is_new=True)
            # From here to the next event nothing waits: what a state says is true at any moment.
            state.sequence, state.last = node["sequence"], _seal(node)
            if pending is not None:
                self._add(pending)
            self.file.is_behind = True
            unsaved += 1
            if unsaved >= _SAVED_EVERY:
                unsaved = 0
                self.file.save()

    async def catch_up(self, place: str) -> None:
        """Read again what had no room at a place, until there is none again. Raises `PeerError`."""
        state = self.file.state
        seen = state.behind[place] - 1
        async with aclosing(self.log.log(state.log, since=seen)) as nodes:  # type: ignore[type-var]
            async for node in nodes:
                if node["sequence"] > state.sequence:
                    seen = state.sequence
                    break
                pending = None
                if place_of(str(node.get("artefact"))) == place:
                    pending = await self._decided(node, is_new=False)
                if pending is not None and not self._has_room(place):
                    return
                seen = node["sequence"]
                state.behind[place] = seen + 1
                if pending is not None:
                    state.pending.append(pending)
                    self.changed()
        if seen >= state.sequence:
            del state.behind[place]

    def _add(self, pending: Pending) -> None:
        place = pending.place
        if place not in self.file.state.behind and self._has_room(place):
            self.file.state.pending.append(pending)
            self.changed()
            return
        # Order: whatever comes after an event that has no room has none either.
        self.file.state.behind.setdefault(place, pending.sequence)
        self.tell(Told.of(pending, "postponed", "behind", f"Many events wait for {place} already."))

    def _has_room(self, place: str) -> bool:
        """Whether one more event can wait for a place; one that fails again and again makes room."""
        if self.agenda.room(place):
            return True
        hopeless = self.agenda.hopeless(place)
        if hopeless is None:
            return False
        self.agenda.done(hopeless)
        said = f"It has failed {hopeless.failures} times, and others wait."
        self.tell(Told.of(hopeless, "refused", "failed", said))
        return True

    async def _decided(self, node: Mapping[str, Any], *, is_new: bool) -> Pending | None:
        event: SeenEvent | None = None
        try:
            event = read_event(node)
            return await self.deciding.decide(event, self.file.state)
        except PassedOver as error:
            if is_new:
                self.tell(
                    Told(
                        sequence=node["sequence"],
                        event=event.iri if event else str(node.get("id"))[:200],
                        artefact=event.artefact if event else None,
                        outcome="skipped",
                        reason=error.reason,
                        said=error.message,
                    )
                )
            return None


def _seal(node: Mapping[str, Any]) -> str:
    """Return what stands for an event. Its payload does not: it may be erased."""
    said = f"{node.get('id')} {node.get('activity')} {node.get('digest')}"
    return sha256(said.encode("utf-8", "surrogatepass")).hexdigest()
