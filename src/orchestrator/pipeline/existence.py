"""Whether artefacts of ours still exist, as the server that has them says; answers are kept for a while."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final

from orchestrator.core.errors import PeerError
from orchestrator.ports import Clock, Peers

_log = logging.getLogger(__name__)
_GONE: Final = frozenset({404, 410})
_KEPT: Final = 300_000
"""Milliseconds for which an answer is believed."""
_UNKNOWN_KEPT: Final = 30_000
"""The same when there was no answer."""
_PATIENCE: Final = 3.0
"""Seconds for an answer: with all that wait before it, far less than a lease."""
_AT_ONCE: Final = 32
"""Questions under way at once."""
_MOST_KEPT: Final = 10_000


@dataclass(slots=True, kw_only=True)
class Existence:
    """Asks after artefacts, each once at a time, and remembers."""

    peers: Peers
    clock: Clock

    _known: dict[str, tuple[int, bool, int]] = field(default_factory=dict)
    """Artefact → when we asked, whether it was gone, and for how many ms we believe it."""
    _asking: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    def is_gone(self, artefact: str) -> bool | None:
        """Whether `artefact` is gone, as far as we know; None when we have to `ask`."""
        at, gone, kept = self._known.get(artefact, (0, False, 0))
        return gone if 0 <= self.clock.now() - at < kept else None

    def ask(self, artefact: str) -> asyncio.Task[None]:
        """Return the task that asks; afterwards it is known, also that there was no answer."""
        if artefact not in self._asking:
            task = asyncio.create_task(self._ask(artefact), name=f"existence of {artefact}")
            self._asking[artefact] = task
            task.add_done_callback(lambda _: self._asking.pop(artefact, None))
        return self._asking[artefact]

    async def _ask(self, artefact: str) -> None:
        # Not knowing is no reason to lose an event, nor to ask for each of the next ones.
        gone, kept = False, _UNKNOWN_KEPT
        async with self._room:
            try:
                async with asyncio.timeout(_PATIENCE):
                    gone, kept = await self.peers.status(artefact) in _GONE, _KEPT
            except (PeerError, TimeoutError):
                pass
            except Exception:  # noqa: BLE001  (whoever waits for the answer goes on without it)
                _log.exception("existence_unknown")
        if len(self._known) >= _MOST_KEPT:
            self._known.clear()
        self._known[artefact] = (self.clock.now(), gone, kept)
