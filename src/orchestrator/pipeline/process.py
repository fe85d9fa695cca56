"""Stage 2 of a notification's way: claimed → decided → its outcome recorded, in one transaction."""

import asyncio
import logging
import secrets
from dataclasses import dataclass, field
from typing import Final

from orchestrator.core.announcement import topic_of
from orchestrator.core.errors import LeaseLost, LogAhead, Overloaded, PeerError, StorageError, TooCostly
from orchestrator.core.event import SALT_BYTES, Draft, LifecycleEvent, artefact_of
from orchestrator.core.notification import Notification
from orchestrator.core.pod import Pod
from orchestrator.core.policy import Decision, Facts, Judgement
from orchestrator.ports import (
    Claimed,
    Clock,
    Ledger,
    NotificationState,
    Outbox,
    Outcome,
    Peers,
    Plan,
    Policies,
    Reader,
    Screener,
)

_log = logging.getLogger(__name__)
_MAX_ATTEMPTS: Final = 5
_FIRST_RETRY: Final = 2_000
_LOG_AHEAD: Final = 250
"""Milliseconds by which the log's time may lead the clock."""
_GONE: Final = frozenset({404, 410})
_KEPT: Final = 300_000
"""Milliseconds for which the answer about an artefact's existence is believed."""
_UNKNOWN_KEPT: Final = 30_000
"""The same when there was no answer."""
_PATIENCE: Final = 3.0
"""Seconds for the answer: the next notifications wait for it too."""
_MOST_KEPT: Final = 10_000


@dataclass(slots=True, kw_only=True)
class Processing:
    """Decides about claimed notifications, one at a time, each once."""

    pod: Pod
    ledger: Ledger
    reader: Reader
    outbox: Outbox
    screener: Screener
    policies: Policies
    peers: Peers
    clock: Clock

    _existing: dict[str, tuple[int, bool, int]] = field(default_factory=dict)
    """Artefact → when we asked for it, whether it was gone, and for how many ms we believe it."""

    async def process(self, claimed: Claimed) -> LifecycleEvent | None:
        """Decide about `claimed` and record the outcome; return the event, if it became one.

        Losing the lease or a failing database leaves the notification to the next claim.
        """
        try:
            outcome = await self._outcome(claimed)
        except (Overloaded, StorageError):
            # Our own trouble, not the notification's: it never dies of it.
            outcome = self._retry(claimed, "overloaded", counts=False)
        except TooCostly:
            outcome = self._again(claimed, "too-costly")
        except Exception as error:  # noqa: BLE001  (it ends DEAD with the reason, never in silence)
            _log.exception("processing_failed key=%s", claimed.lease.key)
            outcome = self._again(claimed, f"failed: {type(error).__name__}")
        try:
            return await self._record(claimed, outcome)
        except LeaseLost:
            _log.warning("lease_lost key=%s", claimed.lease.key)
        except StorageError:
            _log.exception("record_failed key=%s", claimed.lease.key)
        return None

    async def _record(self, claimed: Claimed, outcome: Outcome) -> LifecycleEvent | None:
        try:
            return await self.ledger.record(claimed.lease, outcome, now=self.clock.now())
        except LogAhead:
            now = self.clock.now()
            later = Outcome(
                state=NotificationState.RETRY, reason="log ahead", retry_at=now + _LOG_AHEAD, counts=False
            )
            return await self.ledger.record(claimed.lease, later, now=now)

    def _again(self, claimed: Claimed, reason: str) -> Outcome:
        if claimed.attempts >= _MAX_ATTEMPTS:
            return Outcome(state=NotificationState.DEAD, reason=reason)
        return self._retry(claimed, reason)

    def _retry(self, claimed: Claimed, reason: str, *, counts: bool = True) -> Outcome:
        wait = _FIRST_RETRY * 2 ** min(claimed.attempts - 1, _MAX_ATTEMPTS)
        later = self.clock.now() + wait
        return Outcome(state=NotificationState.RETRY, reason=reason, retry_at=later, counts=counts)

    async def _outcome(self, claimed: Claimed) -> Outcome:
        notification = claimed.notification
        if await self.outbox.sent(notification.id):
            return Outcome(state=NotificationState.IGNORED, reason="self")
        thread = await self._thread(notification)
        artefact = artefact_of(notification, thread.artefact if thread else None, self.pod.artefacts)
        if not self._addressed(notification, artefact, thread):
            return Outcome(state=NotificationState.IGNORED, reason="not_addressed")
        if artefact is not None and self.pod.owns(artefact) and await self._vanished(artefact):
            return Outcome(state=NotificationState.IGNORED, reason="vanished")
        facts = self._facts(notification, artefact, solicited=thread is not None)
        policies = self.policies.snapshot()
        judgement = await self.screener.judge(claimed.body, facts, policies)
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
        return Outcome(
            state=NotificationState.PROCESSED,
            reason="logged",
            draft=self._draft(claimed, artefact, thread, judgement, policies.id),
            deliveries=self._deliveries(notification, decision),
            note=note,
        )

    async def _thread(self, notification: Notification) -> LifecycleEvent | None:
        if notification.in_reply_to is None or notification.in_reply_to == notification.id:
            return None
        return await self.reader.thread(notification.in_reply_to, author=notification.target)

    def _addressed(
        self, notification: Notification, artefact: str | None, thread: LifecycleEvent | None
    ) -> bool:
        """Whether this concerns us; a pod that names no artefacts takes whatever is posted to it."""
        if not self.pod.artefacts:
            return True
        me = self.pod.me
        to_us = notification.target == me.id or notification.target_inbox == me.inbox
        about_ours = any(
            self.pod.owns(iri)
            for iri in (artefact, *notification.objects, *notification.contexts, *notification.inner_objects)
        )
        return to_us or about_ours or thread is not None

    async def _vanished(self, artefact: str) -> bool:
        now = self.clock.now()
        at, gone, kept = self._existing.get(artefact, (0, False, 0))
        if 0 <= now - at < kept:
            return gone
        try:
            async with asyncio.timeout(_PATIENCE):
                gone, kept = await self.peers.status(artefact) in _GONE, _KEPT
        except (PeerError, TimeoutError):
            # Not knowing is no reason to lose an event, nor to wait for each of the next ones.
            gone, kept = False, _UNKNOWN_KEPT
        if len(self._existing) >= _MOST_KEPT:
            self._existing.clear()
        self._existing[artefact] = (self.clock.now(), gone, kept)
        return gone

    def _facts(self, notification: Notification, artefact: str | None, *, solicited: bool) -> Facts:
        mentioned = (*notification.contexts, *notification.objects, *notification.inner_objects)
        ours = {iri for iri in mentioned if self.pod.owns(iri)}
        if artefact is not None and (self.pod.owns(artefact) or not self.pod.artefacts):
            ours.add(artefact)
        return Facts(
            sender=notification.sender,
            trust="unknown",  # an open inbox has not checked who wrote
            artefacts=tuple(sorted(ours)),
            me=(self.pod.me.id,),
            solicited=solicited,
        )

    def _draft(
        self,
        claimed: Claimed,
        artefact: str | None,
        thread: LifecycleEvent | None,
        judgement: Judgement,
        policy_set: str,
    ) -> Draft:
        notification = claimed.notification
        actor = notification.actor
        return Draft(
            types=notification.types,
            activity=notification.id,
            sender=notification.sender,
            received=claimed.received,
            artefact=artefact,
            actor=None if actor is None or actor.lower().startswith("mailto:") else actor,
            origin=notification.origin,
            in_reply_to=notification.in_reply_to,
            correlated_by="inReplyTo" if thread is not None else None,
            caused_by=thread.iri if thread is not None else None,
            policy_set=policy_set,
            payload=judgement.payload,
            salt=secrets.token_hex(SALT_BYTES),
        )

    def _deliveries(self, notification: Notification, decision: Decision) -> tuple[Plan, ...]:
        """Return whom to tell: never the service that caused the event, nor ourselves."""
        caused = {notification.origin, notification.actor, notification.origin_inbox, self.pod.me.id}
        topic = topic_of(notification)
        return tuple(
            Plan(target=hub, policies=tuple(sorted(policies)), topic=topic)
            for hub, policies in sorted(decision.announce.items())
            if hub not in caused
        )
