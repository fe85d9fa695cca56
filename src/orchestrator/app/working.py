"""One attempt at one event: the links are written, and then told of.

What we are about to do is on disk before we do it. Whenever the process is killed, the next one finds out
from the document what was done, and tells it under the same id, in the same bytes.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol
from urllib.parse import urljoin

from orchestrator.app.agenda import Agenda
from orchestrator.app.deciding import Aim
from orchestrator.app.state import Pending, StateFile
from orchestrator.app.telling import Outcome, Told
from orchestrator.core.enrichment import PassedOver, activity_of, enriched, update
from orchestrator.core.errors import (
    AnswerRefused,
    InboxNotFound,
    NotFound,
    OrchestratorError,
    PeerUnreachable,
    StorageError,
)
from orchestrator.core.patch import Change
from orchestrator.pipeline.apply import TRIES, Applied, apply
from orchestrator.ports.editing import Editable, Editor

_NOT_FOUND: Final = 404
_TRY_AGAIN: Final = frozenset((408, 425, 429))


class Answer(Protocol):
    """What an inbox says to a notification."""

    @property
    def status(self) -> int:
        """The status."""
        ...

    @property
    def location(self) -> str | None:
        """Where the notification is kept."""
        ...

    @property
    def detail(self) -> str:
        """The beginning of the body."""
        ...


class Log(Protocol):
    """The event log that is followed, and its inbox (`client.Client`)."""

    def log(self, url: str, *, since: int = 0) -> AsyncIterator[dict[str, Any]]:
        """Yield the events after `since`, up to the end. Raises `PeerError`."""
        ...

    def follow(self, url: str, *, since: int = 0) -> AsyncIterator[dict[str, Any]]:
        """Yield the events after `since`, for ever. Raises `PeerError`."""
        ...

    async def discover(self, url: str) -> str:
        """Return the inbox that a resource advertises. Raises `PeerError`."""
        ...

    async def send(self, notification: bytes | Mapping[str, Any], *, inbox: str | None = None) -> Answer:
        """POST a notification. Raises `PeerError` where there was no answer."""
        ...


@dataclass(slots=True, kw_only=True)
class Working:
    """Does what is on the agenda."""

    aim: Aim
    log: Log
    editor: Editor
    token: Callable[[], str | None]
    """Returns the bearer token that may write; read anew each time. Raises `ConfigurationError`."""
    file: StateFile
    agenda: Agenda
    tell: Callable[[Told], None]
    rehearses: bool = False
    _inbox: str | None = field(default=None)
    """Where reports go, once that is known."""

    async def work(self, pending: Pending) -> None:
        """Try `pending` once, and take note of what came of it. Raises `StorageError`."""
        place = pending.place
        try:
            if pending.stage == "reporting":
                await self._report(pending)
            else:
                await self._write(pending)
        except PassedOver as error:
            self._end(pending, "skipped", error.reason, error.message)
        except NotFound as error:
            self._end(pending, "skipped", "vanished", error.message)
        except StorageError:
            # Our own disk: without it nothing can be begun.
            raise
        except OrchestratorError as error:
            is_silent = isinstance(error, PeerUnreachable | InboxNotFound)
            self._failed(pending, error, is_silent=is_silent)
            if is_silent:
                return
        self.agenda.answered(place)

    async def _write(self, pending: Pending) -> None:
        resumed = pending.stage == "writing"

        def wanted(document: Editable) -> Change:
            return enriched(document.said, pending.links, most=self.aim.most)

        applied = await apply(
            pending.artefact,
            wanted,
            editor=self.editor,
            rehearses=self.rehearses,
            token=self.token(),
            before=partial(self._intend, pending),
        )
        if applied is None:
            if not resumed:
                pending.stage, pending.written = "seen", []
            raise AnswerRefused(f"{pending.artefact} was changed by others each of {TRIES} times.")
        if self.rehearses:
            outcome: Outcome = "missing" if applied.change else "there"
            self._end(pending, outcome, links=applied.change.inserts, document=applied.document)
        elif applied.change or resumed:
            self._written(pending, applied)
        else:
            self._end(pending, "there", document=applied.document)

    def _intend(self, pending: Pending, change: Change) -> None:
        """Have on disk what is about to be written, so that whoever finds it there knows that it was us."""
        known = list(dict.fromkeys((*pending.written, *change.inserts)))
        if pending.stage != "writing" or known != pending.written:
            pending.stage, pending.written = "writing", known
            self.file.save()

    def _written(self, pending: Pending, applied: Applied) -> None:
        self.tell(Told.of(pending, "linked", links=pending.written, document=applied.document))
        if self.aim.us is None:
            self.agenda.done(pending)
        else:
            self.agenda.next_stage(pending)

    async def _report(self, pending: Pending) -> None:
        us, state = self.aim.us, self.file.state
        if us is None:
            # Somebody has taken our name away since the links were written.
            self.agenda.done(pending)
            return
        if self._inbox is None:
            self._inbox = await self.log.discover(state.log.partition("?")[0])
        activity = activity_of(us.id, pending.event)
        if pending.report is None:
            pending.report = update(
                us,
                event=pending.event,
                activity=pending.activity,
                links=pending.written,
                # Who keeps a log is not said in it; ours is at `log` below its keeper's name.
                target=urljoin(state.log, "."),
                inbox=self._inbox,
            ).decode()
            state.remember(state.sent, activity)
            self.file.save()
        answer = await self.log.send(pending.report.encode(), inbox=self._inbox)
        if 200 <= answer.status < 300:  # noqa: PLR2004
            self._end(pending, "reported", activity=activity, location=answer.location)
            return
        said = f"{self._inbox} answered {answer.status}: {answer.detail[:200]}"
        if answer.status == _NOT_FOUND:
            # It has moved; nobody has taken what we told.
            self._inbox = pending.report = None
            raise InboxNotFound(said)
        if answer.status >= 500 or answer.status in _TRY_AGAIN:  # noqa: PLR2004
            raise PeerUnreachable(said)
        self._end(pending, "refused", "report", said, activity=activity)

    def _failed(self, pending: Pending, error: OrchestratorError, *, is_silent: bool) -> None:
        is_last = self.agenda.failed(pending, is_silent=is_silent)
        self.tell(Told.of(pending, "refused" if is_last else "postponed", "failed", error.message))

    def _end(
        self,
        pending: Pending,
        outcome: Outcome,
        reason: str | None = None,
        said: str | None = None,
        **more: Any,  # noqa: ANN401  (members of `Told`)
    ) -> None:
        self.agenda.done(pending)
        self.tell(Told.of(pending, outcome, reason, said, **more))
