"""Which of what is pending may be tried now, and what has to wait.

Links of one artefact are written in the order of the log. One place (host and port) is asked one thing at a
time; while it does not answer, only its own artefacts wait.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from orchestrator.app.state import Pending, State

MOST_AT_A_PLACE: Final = 100
"""Events that wait for one place; later ones stay in the log, and are read again when there is room."""
MOST_REPORTS: Final = 1_000
"""Reports that wait; then nothing is written until the inbox takes some."""
MOST_FAILURES: Final = 60
"""Attempts after which an event is given up: two days of them."""
_LONGEST_WAIT: Final = 3_600.0
_LONGEST_HOLD: Final = 60.0
_HOPELESS: Final = 3
"""Failures after which an event makes room for another, where its place answers."""
_NEVER: Final = float("inf")


@dataclass(slots=True)
class _Hold:
    """A place that does not answer."""

    failures: int = 0
    until: float = 0.0


@dataclass(slots=True, kw_only=True)
class Agenda:
    """What is to be done, and when; times are forgotten with the process, so that a new one tries at once."""

    state: State
    now: Callable[[], float]
    """Seconds of a clock that nobody sets."""
    busy: set[str] = field(default_factory=set)
    """Places where something is under way."""
    _due: dict[tuple[str, str], float] = field(default_factory=dict)
    """Event and stage → when to try again."""
    _holds: dict[str, _Hold] = field(default_factory=dict)

    def ready(self) -> list[Pending]:
        """Return what can be begun: the first of an artefact, at a place where nothing is under way."""
        now, taken = self.now(), set(self.busy)
        seen: set[str] = set()
        found = []
        is_full = self._count("") >= MOST_REPORTS
        for pending in self.state.pending:
            # Of reports, none waits for another; the log keeps them in the order in which it gets them.
            if pending.stage != "reporting":
                if pending.artefact in seen or is_full:
                    continue
                seen.add(pending.artefact)
            place = pending.place
            if place not in taken and self.is_due(place) and self._due.get(_key(pending), 0.0) <= now:
                taken.add(place)
                found.append(pending)
        return found

    def is_due(self, place: str) -> bool:
        """Whether a place may be asked."""
        return self._holds.get(place, _Hold()).until <= self.now()

    def next_due(self) -> float:
        """Return in how many seconds something that waits may be tried; infinity where nothing waits."""
        now = self.now()
        times = [*self._due.values(), *(hold.until for hold in self._holds.values())]
        return min((time - now for time in times if time > now), default=_NEVER)

    def failed(self, pending: Pending, *, is_silent: bool) -> bool:
        """Try `pending` again later, and leave its place alone if that `is_silent`; whether to give up."""
        pending.failures += 1
        if is_silent:
            self.hold(pending.place)
        if pending.failures >= MOST_FAILURES:
            self.done(pending)
            return True
        self._due[_key(pending)] = self.now() + min(2.0 ** (pending.failures - 1), _LONGEST_WAIT)
        return False

    def hold(self, place: str) -> None:
        """Leave a place alone for a while, twice as long each time, up to a minute."""
        hold = self._holds.setdefault(place, _Hold())
        hold.until = self.now() + min(2.0**hold.failures, _LONGEST_HOLD)
        hold.failures = min(hold.failures + 1, 16)

    def answered(self, place: str) -> None:
        """Take note that a place answers."""
        self._holds.pop(place, None)

    def done(self, pending: Pending) -> None:
        """Have `pending` on the agenda no more."""
        self.state.pending.remove(pending)
        self._due.pop(_key(pending), None)

    def next_stage(self, pending: Pending) -> None:
        """Have `pending` tell of its links, from now on without failures."""
        self._due.pop(_key(pending), None)
        pending.stage, pending.failures = "reporting", 0

    def behind(self) -> list[str]:
        """Return the places that can be caught up with: nothing waits for them any more."""
        return [
            place
            for place in self.state.behind
            if place not in self.busy and self.is_due(place) and not self._count(place)
        ]

    def room(self, place: str) -> bool:
        """Whether one more event can wait for a place."""
        return self._count(place) < MOST_AT_A_PLACE

    def hopeless(self, place: str) -> Pending | None:
        """Return what may make room at a place that is full: not because the place is silent."""
        if place in self.busy or place in self._holds:
            return None
        tried = [each for each in self.state.pending if each.place == place and each.failures >= _HOPELESS]
        return max(tried, key=lambda pending: pending.failures, default=None)

    def _count(self, place: str) -> int:
        return sum(pending.place == place for pending in self.state.pending)


def _key(pending: Pending) -> tuple[str, str]:
    return pending.event, pending.place
