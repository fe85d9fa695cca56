"""One who follows the log live: a connection, and neither a task nor an aiohttp object for it."""

import asyncio
import logging
import socket
from typing import Final, Protocol

from orchestrator.web.blocks import LAST_CHUNK, RETRY, Wish, retry_of

_log = logging.getLogger(__name__)

WAITING: Final = 32 * 1024
"""Bytes that may wait for one follower in our memory before he is set aside; and as many in the kernel's."""
_UNSAID: Final = 4_096
"""Bytes that a follower may send, who has nothing to say any more."""
_UNACKNOWLEDGED: Final = 60_000
"""Milliseconds after which the kernel gives a peer up that acknowledges nothing (RFC 5482)."""


class Company(Protocol):
    """What a follower tells of what happens to his connection."""

    patience: float
    """Seconds for which he may take nothing of what waits for him."""
    is_closed: bool
    """Whether all answers are being ended."""

    def withdraw(self, follower: "Follower") -> None:
        """Write to him no more of what is new."""
        ...

    def set_aside(self, follower: "Follower") -> None:
        """Do the same, since he takes it too slowly; lead him through the log when he can go on."""
        ...

    def forget(self, follower: "Follower") -> None:
        """Give his place to somebody else."""
        ...


class Follower(asyncio.Protocol):
    """One follower's connection, after its answer's head was sent."""

    __slots__ = ("_company", "_heard", "_room", "_timer", "is_live", "seen", "transport", "wish")

    def __init__(self, company: Company, wish: Wish) -> None:
        """Belong to `company`; `begin` gives him his connection."""
        self._company = company
        self.wish = wish
        self.seen = 0
        """The last sequence that he has, or does not want."""
        self.is_live = False
        """Whether he gets what is new as it comes."""
        self.transport: asyncio.Transport | None = None
        self._room: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0

    @property
    def is_gone(self) -> bool:
        """Whether nothing can reach him any more."""
        return self.transport is None or self.transport.is_closing()

    def begin(self, transport: asyncio.Transport, seen: int) -> None:
        """Take over a connection, whose reader has or skips all up to `seen`."""
        self.transport = transport
        self.seen = seen
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=WAITING)
        _bound(transport)
        if not transport.is_reading():
            transport.resume_reading()  # or we would not hear of its end
        if self._company.is_closed:
            self.end(RETRY)

    def send(self, block: bytes) -> None:
        """Send him a block that is not for others."""
        self.write(self.wish.framed(block))

    def write(self, framed: bytes) -> None:
        """Write what is framed for the wire; a connection that is lost says so by itself."""
        if self.transport is not None:
            try:
                self.transport.write(framed)
            except Exception:  # noqa: BLE001  (one connection's trouble is nobody else's)
                _log.exception("follower_lost")
                self.transport.abort()

    async def room(self) -> None:
        """Return when he has taken enough of what waits for him, or is gone."""
        if self._room is not None:
            await asyncio.shield(self._room)

    @property
    def has_room(self) -> bool:
        """Whether more may be written to him."""
        return self._room is None

    def end(self, retry: int) -> None:
        """End his answer in order; he asks again after `retry` milliseconds."""
        self._company.withdraw(self)
        if not self.is_gone and self.transport is not None:
            self.send(retry_of(retry))
            if self.wish.is_chunked:
                self.write(LAST_CHUNK)
            self.transport.close()

    def pause_writing(self) -> None:
        """Set him aside, but not for ever: what he does not take lies in our memory."""
        if self._room is None and self.transport is not None:
            loop = asyncio.get_running_loop()
            self._room = loop.create_future()
            self._timer = loop.call_later(self._company.patience, self.transport.abort)
        if self.is_live:
            self._company.set_aside(self)

    def resume_writing(self) -> None:
        """Go on: he took what waited."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._room is not None:
            if not self._room.done():
                self._room.set_result(None)
            self._room = None

    def data_received(self, data: bytes) -> None:
        """Pass over what a follower says, within bounds."""
        self._heard += len(data)
        if self._heard > _UNSAID and self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (asyncio's signature)
        """Forget him."""
        self.transport = None
        self._company.forget(self)
        self.resume_writing()


def _bound(transport: asyncio.Transport) -> None:
    """Bound what the kernel keeps for a follower, and for how long for one who has vanished."""
    ours: socket.socket | None = transport.get_extra_info("socket")
    if ours is not None:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, WAITING)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED)
