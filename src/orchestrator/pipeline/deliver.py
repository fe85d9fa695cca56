"""Stage 3 of a notification's way: a due delivery → discovered → sent → what came of it.

At least once, with the same id and the same bytes: they are fixed in the store before the first send.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from orchestrator.core.announcement import compose
from orchestrator.core.delivery import Attempt, DeliveryState, Verdict, verdict
from orchestrator.core.erasure import withdraw
from orchestrator.core.errors import AddressRefused, LeaseLost, PeerError, StorageError
from orchestrator.core.pod import Pod
from orchestrator.core.source import FOLLOWED
from orchestrator.ports import Answer, Clock, Delivery, Lease, Outbox, Peers, Reader

_log = logging.getLogger(__name__)
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivering:
    """Attempts claimed deliveries."""

    pod: Pod
    reader: Reader
    outbox: Outbox
    peers: Peers
    clock: Clock
    published: Callable[[bytes], bytes]
    """What of a notification that another log told is passed on: the payload of an event."""
    attempt_timeout: float = 15.0
    """Seconds for a whole attempt, discovery included; the lease is longer."""

    async def deliver(self, delivery: Delivery) -> DeliveryState | None:
        """Make one attempt and record what came of it; None when somebody else holds it by now."""
        lease = delivery.lease
        assert lease is not None
        try:
            decided, attempt = await self._attempt(delivery, lease)
            await self.outbox.finish(
                lease,
                decided,
                now=self.clock.now(),
                status=attempt.status if attempt else None,
                location=attempt.location if attempt else None,
            )
        except LeaseLost:
            _log.warning("lease_lost delivery=%s", delivery.id)
            return None
        except StorageError:
            _log.exception("delivery_not_recorded delivery=%s", delivery.id)
            return None
        _log.info(
            "delivery_attempted id=%s state=%s attempt=%d status=%s reason=%s",
            delivery.id,
            decided.state,
            delivery.attempts + 1,
            attempt.status if attempt else None,
            decided.reason,
        )
        return decided.state

    async def _attempt(self, delivery: Delivery, lease: Lease) -> tuple[Verdict, Attempt | None]:
        try:
            async with asyncio.timeout(self.attempt_timeout):
                attempt = await self._send(delivery, lease)
        except _Erased:
            return Verdict(state=DeliveryState.CANCELLED, reason="the event's payload was erased"), None
        except AddressRefused as error:
            # The egress rule will say the same next time.
            return Verdict(state=DeliveryState.DEAD, reason=error.message), None
        except TimeoutError:
            attempt = Attempt(status=None, detail=f"no answer within {self.attempt_timeout:g} s")
        except PeerError as error:
            attempt = Attempt(status=None, detail=error.message)
        except (LeaseLost, StorageError):
            raise
        except Exception as error:  # noqa: BLE001  (it follows the schedule to its end, not its lease for ever)
            _log.exception("attempt_failed delivery=%s", delivery.id)
            attempt = Attempt(status=None, detail=f"failed: {type(error).__name__}")
        decided = verdict(
            attempt,
            attempts=delivery.attempts + 1,
            now=self.clock.now(),
            chance=random.random(),  # noqa: S311  (spreads retries; nothing secret)
        )
        if decided.state is not DeliveryState.DELIVERED:
            said = f"{decided.reason}: {attempt.detail}" if decided.reason else attempt.detail
            decided = replace(decided, reason=said[:500].rstrip(": ") or f"status {attempt.status}")
        return decided, attempt

    async def _send(self, delivery: Delivery, lease: Lease) -> Attempt:
        inbox = delivery.inbox or await self.peers.discover(delivery.target)
        body = delivery.body or await self._compose(delivery, inbox)
        await self.outbox.prepare(lease, inbox=inbox, body=body)
        answer = await self.peers.send(inbox, body)
        if answer.status == _NOT_FOUND:
            answer = await self._elsewhere(delivery, lease, inbox, body) or answer
        return Attempt(
            status=answer.status,
            detail=answer.detail,
            location=answer.location,
            retry_after=answer.retry_after,
        )

    async def _elsewhere(self, delivery: Delivery, lease: Lease, inbox: str, body: bytes) -> Answer | None:
        """Look for the inbox once more: hubs move, and a 404 is how one learns of it."""
        self.peers.forget(delivery.target)
        found = await self.peers.discover(delivery.target)
        if found == inbox:
            return None
        await self.outbox.prepare(lease, inbox=found, body=body)
        return await self.peers.send(found, body)

    async def _compose(self, delivery: Delivery, inbox: str) -> bytes:
        # What no policy asked for tells of an erasure.
        write = compose if delivery.policies else withdraw
        return write(
            await self._payload(delivery),
            activity=delivery.id,
            me=self.pod.me,
            target=delivery.target,
            inbox=inbox,
        )

    async def _payload(self, delivery: Delivery) -> bytes:
        """Return what is told: of an event of ours, or as another log told it; raises `_Erased`."""
        if delivery.event is None:
            told = await self.reader.notification(FOLLOWED, delivery.told or "")
            payload = (
                None if told is None or not told.body else await asyncio.to_thread(self.published, told.body)
            )
        else:
            event = await self.reader.event(delivery.event)
            payload = None if event is None else event.payload
        if payload is None:
            raise _Erased
        return payload


class _Erased(Exception):
    """There is nothing left to tell."""
