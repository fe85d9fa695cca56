"""All who follow the log live.

What is new is put together once and written to the connections of all who wait for it. Who takes it too
slowly is set aside until he has taken it, and is then led through the log to the place where the others are.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

from orchestrator.core.errors import Overloaded
from orchestrator.core.event import LifecycleEvent
from orchestrator.web.blocks import RETRY, SILENCE, Wish, block_of, mark_of
from orchestrator.web.follower import Follower

_AT_ONCE: Final = 64
"""Followers who are written to before others get their turn on the event loop: 1 ms or so."""
_GRACE: Final = 1.0
"""Seconds in which followers take what waits for them when all is ended."""
_FORMS: Final = (Wish(is_chunked=False), Wish(is_chunked=True))


class Followers:
    """All who follow the log in this process, `most` at once."""

    def __init__(self, *, most: int, patience: float, lead: Callable[[Follower], None]) -> None:
        """Have those who are set aside led by `lead`; cut off who takes nothing for `patience` seconds."""
        self._most = most
        self.patience = patience
        self._lead = lead
        self.is_closed = False
        self._all: set[Follower] = set()
        self._live: dict[Wish, set[Follower]] = {}
        self._empty = asyncio.Event()

    def __len__(self) -> int:
        """Return how many there are, those that are led through the log included."""
        return len(self._all)

    def enter(self, wish: Wish) -> Follower:
        """Return a new follower, who has a place but no connection yet. Raises `Overloaded`."""
        if self.is_closed or len(self._all) >= self._most:
            raise Overloaded
        follower = Follower(self, wish)
        self._all.add(follower)
        return follower

    def admit(self, follower: Follower) -> None:
        """Let him have what is new from now on: he has all that came before."""
        follower.is_live = True
        self._live.setdefault(follower.wish, set()).add(follower)

    def withdraw(self, follower: Follower) -> None:
        """Write to him no more of what is new."""
        if follower.is_live:
            follower.is_live = False
            group = self._live[follower.wish]
            group.discard(follower)
            if not group:
                del self._live[follower.wish]

    def set_aside(self, follower: Follower) -> None:
        """Do the same, since he takes it too slowly; lead him through the log when he can go on."""
        self.withdraw(follower)
        self._lead(follower)

    def forget(self, follower: Follower) -> None:
        """Give his place to somebody else."""
        self.withdraw(follower)
        self._all.discard(follower)
        if not self._all:
            self._empty.set()

    async def tell(self, events: Sequence[LifecycleEvent], before: int) -> float:
        """Tell all who are live of `events`, the next ones of the log after `before`.

        Returns the seconds that this took, without those in which others had the event loop.
        """
        end = events[-1].sequence
        blocks = [(event, block_of(event)) for event in events]
        turn = _Turn()
        for wish, group in list(self._live.items()):
            wanted = [(event.sequence, block) for event, block in blocks if wish.takes(event)]
            if not wanted:
                await turn.over(1)
                continue
            framed = wish.framed(b"".join(block for _, block in wanted))
            for some in _slices(group):
                for follower in some:
                    if not follower.is_live:  # he left meanwhile, or is set aside
                        continue
                    if follower.seen > before:  # he has read ahead of the others
                        _send_rest(follower, wanted)
                    else:
                        follower.seen = end  # before the write, which may set him aside
                        follower.write(framed)
                await turn.over(len(some))
        return turn.pause()

    async def beat(self, sequence: int) -> None:
        """Show all, and whatever lies between, that the connection stands.

        Who is told of few events only is told how far the log has come: there he resumes.
        """
        told = b":\n%b" % mark_of(sequence)
        framed = {
            (wish.is_chunked, block): wish.framed(block) for wish in _FORMS for block in (SILENCE, told)
        }
        turn = _Turn()
        for some in _slices(self._all):
            for follower in some:
                if follower.has_room:
                    block = told if follower.is_live and follower.wish.is_narrow else SILENCE
                    follower.write(framed[follower.wish.is_chunked, block])
            await turn.over(len(some))

    async def close(self) -> None:
        """End the answers of all; they come back one after the other, not all at once."""
        self.is_closed = True
        turn = _Turn()
        for place, follower in enumerate(list(self._all)):
            follower.end(RETRY + place)
            await turn.over(1)
        if self._all:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GRACE):
                    await self._empty.wait()
        for follower in list(self._all):
            if follower.transport is not None:
                follower.transport.abort()


class _Turn:
    """Lets others have the event loop now and then."""

    def __init__(self) -> None:
        self._count = 0
        self._began = time.perf_counter()
        self.spent = 0.0
        """Seconds of work, without those in which others had the event loop."""

    async def over(self, count: int) -> None:
        """Take note of work on `count` followers."""
        self._count += count
        if self._count >= _AT_ONCE:
            self._count = 0
            self.pause()
            await asyncio.sleep(0)
            self._began = time.perf_counter()

    def pause(self) -> float:
        """Return the seconds of work so far."""
        self.spent += time.perf_counter() - self._began
        return self.spent


def _slices(group: Collection[Follower]) -> Sequence[Sequence[Follower]]:
    members = list(group)
    return [members[start : start + _AT_ONCE] for start in range(0, len(members), _AT_ONCE)]


def _send_rest(follower: Follower, wanted: Sequence[tuple[int, bytes]]) -> None:
    rest = [block for sequence, block in wanted if sequence > follower.seen]
    if rest:
        follower.seen = wanted[-1][0]
        follower.send(b"".join(rest))
