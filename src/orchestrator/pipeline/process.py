"""Stage 2 of a notification's way: claimed → decided → its outcome recorded, in one transaction."""

import asyncio
import logging
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from orchestrator.core import vocabulary as v
from orchestrator.core.announcement import topic_of
from orchestrator.core.errors import Overloaded, StorageError, TooCostly
from orchestrator.core.event import SALT_BYTES, Draft, artefact_of
from orchestrator.core.notification import Notification
from orchestrator.core.pod import Pod
from orchestrator.core.policy import Decision, Facts, Judgement, PolicySet
from orchestrator.core.source import FOLLOWED
from orchestrator.pipeline.existence import Existence
from orchestrator.pipeline.record import record
from orchestrator.ports import (
    Background,
    Claimed,
    Clock,
    Decided,
    Ledger,
    NotificationState,
    Outcome,
    Plan,
    Policies,
    Reader,
    Screener,
    Thread,
)

_log = logging.getLogger(__name__)
_MAX_TYPES: Final = 16_384
"""Bytes of an event's types: with five IRIs of 2,048 characters an envelope stays below 65,536 bytes."""
_MAX_ATTEMPTS: Final = 5
_FIRST_RETRY: Final = 2_000
_ASKED_AT_ONCE: Final = 16
"""Judgements waited for together: the rest of a batch leaves room for what is being received."""
_TURN: Final = 0.005
"""Seconds of judging after which the event loop sees to everybody else."""
_LONG: Final = 5_000
"""Milliseconds after which what is decided is recorded, before the rest of its batch: leases run out."""
_MOST_HELD: Final = 256
"""Notifications that wait for an answer about their artefact, or for one that does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A notification that is to be judged, with what we know about it."""

    claimed: Claimed
    thread: Thread | None
    artefact: str | None


@dataclass(slots=True, kw_only=True)
class Processing:
    """Decides about claimed notifications, in batches, each once."""

    pod: Pod
    ledger: Ledger
    reader: Reader
    screener: Screener
    policies: Policies
    existence: Existence
    clock: Clock

    beat: int = 0
    """When something was last decided, ms since the epoch."""

    _turn_ends: float = 0.0
    """When the event loop is to see to everybody else, by `perf_counter`."""
    _held: dict[asyncio.Task[None], str] = field(default_factory=dict)
    """Tasks of those that go on by themselves → the notification's id."""

    async def process(self, batch: Sequence[Claimed]) -> None:
        """Decide about `batch` and record the outcomes, as few commits as can be.

        In order of arrival, but for answers to others in the batch: they come after those are recorded,
        so that an answer finds the event that it answers. What has to wait for another server, and the
        answers to it, go on by themselves: `finish` waits for them. Losing a lease or a failing database
        leaves a notification to the next claim.
        """
        waiting = list(batch)
        while waiting:
            ready, waiting = await self._turn(waiting)
            if ready:
                await self._finish(ready)

    async def finish(self) -> None:
        """Wait for those that go on by themselves; who gives up waiting leaves them to their leases."""
        try:
            while self._held:
                await asyncio.wait(self._held)
        finally:
            for task in self._held:
                task.cancel()

    async def _turn(self, waiting: Sequence[Claimed]) -> tuple[list[Claimed], list[Claimed]]:
        """Return those whose turn it is, and those that answer one of them; put aside what is held up."""
        ready: list[Claimed] = []
        later: list[Claimed] = []
        earlier: set[str] = set()
        for claimed in waiting:
            answered = claimed.notification.answered
            before = [task for task, held in self._held.items() if held == answered]
            if before:
                await self._hold(claimed, before)
            else:
                (later if answered in earlier else ready).append(claimed)
            earlier.add(claimed.notification.id)
        return ready, later

    async def _hold(self, claimed: Claimed, until: Iterable[asyncio.Task[None]]) -> None:
        """Let `claimed` go on by itself after `until`; wait for room among those that do."""
        while len(self._held) >= _MOST_HELD:
            await asyncio.wait(self._held, return_when=asyncio.FIRST_COMPLETED)
        identifier = claimed.notification.id
        task = asyncio.create_task(self._go_on(claimed, until), name=f"notification {identifier}")
        self._held[task] = identifier
        task.add_done_callback(lambda done: self._held.pop(done, None))

    async def _go_on(self, claimed: Claimed, until: Iterable[asyncio.Task[None]]) -> None:
        await asyncio.wait(until)
        try:
            await self._finish([claimed], alone=True)
        except Exception:  # noqa: BLE001  (its lease runs out, and it is claimed again)
            _log.exception("processing_failed key=%s", claimed.lease.key)

    async def _finish(self, batch: Sequence[Claimed], *, alone: bool = False) -> None:
        """Decide about each of `batch`, and record. Nobody else waits for one that is `alone`."""
        decided, cases = await self._opened(batch, alone=alone)
        policies = self.policies.snapshot()
        begun = self.clock.now()
        for start in range(0, len(cases), _ASKED_AT_ONCE):
            decided += await self._judged(cases[start : start + _ASKED_AT_ONCE], policies)
            self.beat = self.clock.now()
            if self.beat - begun >= _LONG:
                await self._record(decided)
                decided, begun = [], self.clock.now()
        await self._record(decided)

    async def _opened(self, batch: Sequence[Claimed], *, alone: bool) -> tuple[list[Decided], list[_Case]]:
        """Return what is decided without judging, and what is to be judged; without what is held up."""
        try:
            backgrounds = await self.reader.background([claimed.notification for claimed in batch])
        except StorageError as error:
            return [self._failed(claimed, error) for claimed in batch], []
        decided: list[Decided] = []
        cases: list[_Case] = []
        for claimed, background in zip(batch, backgrounds, strict=True):
            try:
                found = await self._open(claimed, background, alone=alone)
            except Exception as error:  # noqa: BLE001  (it ends DEAD with the reason, never in silence)
                decided.append(self._failed(claimed, error))
                continue
            if isinstance(found, Outcome):
                decided.append(Decided(claimed=claimed, outcome=found))
            elif found is not None:
                cases.append(found)
        return decided, cases

    async def _open(self, claimed: Claimed, background: Background, *, alone: bool) -> Outcome | _Case | None:
        """Return what is to be judged, or why nothing is; None for what is held up."""
        notification, thread = claimed.notification, background.thread
        if background.sent:
            return Outcome(state=NotificationState.IGNORED, reason="self")
        artefact = artefact_of(notification, thread.artefact if thread else None, self.pod.artefacts)
        if claimed.inbox != FOLLOWED and not self._addressed(notification, artefact, thread):
            return Outcome(state=NotificationState.IGNORED, reason="not_addressed")
        if artefact is not None and self.pod.owns(artefact):
            if self.existence.is_gone(artefact) is None:
                asking = self.existence.ask(artefact)
                if not alone:
                    await self._hold(claimed, [asking])
                    return None
                await asyncio.wait([asking])
            if self.existence.is_gone(artefact):
                return Outcome(state=NotificationState.IGNORED, reason="vanished")
        return _Case(claimed=claimed, thread=thread, artefact=artefact)

    async def _judged(self, cases: Sequence[_Case], policies: PolicySet) -> list[Decided]:
        """Decide about each of `cases` by itself: one that fails hurts no other."""
        judged: list[Judgement | BaseException | None] = []
        for case in cases:
            judged.append(self._judge_at_once(case, policies))
            if perf_counter() >= self._turn_ends:
                await asyncio.sleep(0)
                self._turn_ends = perf_counter() + _TURN
        left = [number for number, found in enumerate(judged) if found is None]
        asked = (self.screener.judge(cases[n].claimed.body, self._facts(cases[n]), policies) for n in left)
        for number, found in zip(left, await asyncio.gather(*asked, return_exceptions=True), strict=True):
            judged[number] = found
        return [self._decide(case, found, policies) for case, found in zip(cases, judged, strict=True)]

    def _judge_at_once(self, case: _Case, policies: PolicySet) -> Judgement | Exception | None:
        try:
            return self.screener.judge_at_once(case.claimed.body, self._facts(case), policies)
        except Exception as error:  # noqa: BLE001  (it ends DEAD with the reason, never in silence)
            return error

    def _decide(self, case: _Case, found: Judgement | BaseException | None, policies: PolicySet) -> Decided:
        if isinstance(found, Judgement):
            try:
                return Decided(claimed=case.claimed, outcome=self._outcome(case, found, policies))
            except Exception as error:  # noqa: BLE001
                found = error
        if not isinstance(found, Exception):
            raise found or RuntimeError("no judgement")
        return self._failed(case.claimed, found)

    def _failed(self, claimed: Claimed, error: Exception) -> Decided:
        if isinstance(error, Overloaded | StorageError):
            # Our own trouble, not the notification's: it never dies of it.
            outcome = self._retry(claimed, "overloaded", counts=False)
        elif isinstance(error, TooCostly):
            outcome = self._again(claimed, "too-costly")
        else:
            _log.error("processing_failed key=%s", claimed.lease.key, exc_info=error)
            outcome = self._again(claimed, f"failed: {type(error).__name__}")
        return Decided(claimed=claimed, outcome=outcome)

    async def _record(self, decided: Sequence[Decided]) -> None:
        await record(decided, ledger=self.ledger, clock=self.clock)

    def _again(self, claimed: Claimed, reason: str) -> Outcome:
        if claimed.attempts >= _MAX_ATTEMPTS:
            return Outcome(state=NotificationState.DEAD, reason=reason)
        return self._retry(claimed, reason)

    def _retry(self, claimed: Claimed, reason: str, *, counts: bool = True) -> Outcome:
        wait = _FIRST_RETRY * 2 ** min(claimed.attempts - 1, _MAX_ATTEMPTS)
        later = self.clock.now() + wait
        return Outcome(state=NotificationState.RETRY, reason=reason, retry_at=later, counts=counts)

    def _outcome(self, case: _Case, judgement: Judgement, policies: PolicySet) -> Outcome:
        claimed = case.claimed
        decision = policies.decide(judgement.matched, accepted=claimed.accepted)
        note = {
            "policies": list(judgement.matched),
            "disposition": decision.disposition,
            "because": list(decision.because),
            "policySet": policies.id,
        }
        if decision.disposition == "Ignore":
            return Outcome(state=NotificationState.IGNORED, reason="policy", note=note)
        if decision.disposition == "RequireAcceptance":
            return Outcome(state=NotificationState.PARKED, reason="acceptance required", note=note)
        # What another log told is told again only of what is ours; policies have seen it all the same.
        is_logged = claimed.inbox != FOLLOWED or self.pod.owns(case.artefact)
        return Outcome(
            state=NotificationState.PROCESSED,
            reason="logged" if is_logged else "followed",
            draft=self._draft(case, judgement, policies.id),
            is_logged=is_logged,
            deliveries=self._deliveries(claimed.notification, decision),
            note=note,
        )

    def _addressed(self, notification: Notification, artefact: str | None, thread: Thread | None) -> bool:
        """Whether this concerns us; a pod that names no artefacts takes whatever is posted to it."""
        if not self.pod.artefacts:
            return True
        me = self.pod.me
        # Specialised inboxes are below the main one.
        to_us = notification.target == me.id or (notification.target_inbox or "").startswith(me.inbox)
        about_ours = any(
            self.pod.owns(iri)
            for iri in (artefact, *notification.objects, *notification.contexts, *notification.inner_objects)
        )
        return to_us or about_ours or thread is not None

    def _facts(self, case: _Case) -> Facts:
        notification, artefact = case.claimed.notification, case.artefact
        mentioned = (*notification.contexts, *notification.objects, *notification.inner_objects)
        ours = {iri for iri in mentioned if self.pod.owns(iri)}
        if artefact is not None and (self.pod.owns(artefact) or not self.pod.artefacts):
            ours.add(artefact)
        return Facts(
            sender=notification.sender,
            # An open inbox has not checked who wrote; a source may answer for it.
            trust="unknown" if case.claimed.provenance is None else case.claimed.provenance.trust,
            artefacts=tuple(sorted(ours)),
            me=(self.pod.me.id,),
            solicited=case.thread is not None,
        )

    def _draft(self, case: _Case, judgement: Judgement, policy_set: str) -> Draft:
        notification, thread = case.claimed.notification, case.thread
        return Draft(
            types=_types(notification.types),
            activity=notification.id,
            sender=notification.sender,
            received=case.claimed.received,
            artefact=_public(case.artefact),
            actor=_public(notification.actor),
            origin=_public(notification.origin),
            in_reply_to=_public(notification.in_reply_to),
            correlated_by="inReplyTo" if thread is not None else None,
            caused_by=thread.iri if thread is not None else None,
            policy_set=policy_set,
            payload=judgement.payload,
            salt=secrets.token_hex(SALT_BYTES),
        )

    def _deliveries(self, notification: Notification, decision: Decision) -> tuple[Plan, ...]:
        """Return whom to tell: never the service that caused the event, nor ourselves."""
        if not decision.announce:
            return ()
        caused = {notification.origin, notification.actor, notification.origin_inbox, self.pod.me.id}
        topic = topic_of(notification)
        return tuple(
            Plan(target=hub, policies=tuple(sorted(policies)), topic=topic)
            for hub, policies in sorted(decision.announce.items())
            if hub not in caused
        )


def _public(iri: str | None) -> str | None:
    """Return `iri` unless it is somebody's address: envelopes are for ever."""
    return None if iri is None or iri[:7].lower() == "mailto:" else iri


def _types(names: Sequence[str]) -> tuple[str, ...]:
    """Return the types that an event tells: AS2's and COAR's, and of others what fits into an envelope.

    What is an event, and what an erasure, is ours to say.
    """
    kept, room = set(), _MAX_TYPES
    for name in sorted(names, key=lambda name: (not name.startswith((v.AS, v.NOTIFY)), name)):
        room -= len(name.encode())
        if room >= 0 and not name.startswith(v.LOG):
            kept.add(name)
    return tuple(name for name in names if name in kept)
