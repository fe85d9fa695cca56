"""A pass over a source: read what is new there, receive each as if it had been posted, and note how far.

The source is only read; what a killed pass has not noted is found again by the next, and the inbox knows
what it has already.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from orchestrator.core.errors import (
    AnswerRefused,
    ConfigurationError,
    LeaseLost,
    Overloaded,
    PeerBusy,
    PeerError,
    StorageError,
)
from orchestrator.core.listing import Members, batches
from orchestrator.core.source import Source, SourceKind, patience
from orchestrator.pipeline.asking import Asking, Doors
from orchestrator.pipeline.collect_listing import Listing
from orchestrator.pipeline.collect_members import Fetching
from orchestrator.pipeline.follow import Following
from orchestrator.pipeline.taking import Taking, Tally
from orchestrator.pipeline.tokens import read_token
from orchestrator.ports import Clock, Ledger, Peers, Screener
from orchestrator.ports.sources import Ended, Found, Listings, Member, MemberState, Pass, Progress, Remotes

_log = logging.getLogger(__name__)
_MOST_AT_ONCE: Final = 10_000
"""Members that one pass fetches; the next one, at once, goes on."""
_AT_A_TIME: Final = 1_000
_LIFETIMES: Final = 10
"""How many times what an inbox may list at once it may list in all."""
_SOON: Final = 1_000
"""Milliseconds before the next pass goes on with what is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectSettings:
    """What bounds a pass."""

    members: int = 100_000
    """Members that are read of one inbox."""
    listing: int = 67_108_864
    """Bytes of a page of a listing."""
    body: int = 65_536
    """Bytes of a notification."""
    lease: int = 60_000
    """Milliseconds for which a source is ours; it is renewed while we read."""
    per_host: int = 4
    """Requests to one host at once."""
    budget: float = 300.0
    """Seconds for one pass: others wait for its place. What it has not read the next one reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a pass came to."""

    reason: str | None
    """Why it failed."""
    tally: Tally
    requests: int = 0
    channel: str | None = None
    """Where the source tells of changes, if it does."""


@dataclass(slots=True, kw_only=True)
class Collecting:
    """Reads claimed sources."""

    progress: Progress
    peers: Peers
    remotes: Remotes
    listings: Listings
    screener: Screener
    ledger: Ledger
    clock: Clock
    next_time: Callable[[str, int], int]
    """When a schedule next says to poll, after a time."""
    settings: CollectSettings
    chance: Callable[[], float] = random.random

    _doors: Doors = field(init=False)

    def __post_init__(self) -> None:
        """Make the doors to hosts, which all passes share."""
        self._doors = Doors(self.settings.per_host)

    async def collect(self, claimed: Pass, tally: Tally | None = None) -> Done:
        """Read a source once. `tally` counts while it goes on."""
        tally = tally if tally is not None else Tally()
        source = claimed.source
        asking: Asking | None = None
        progress, wait, reason, is_all = dict(claimed.progress), None, None, False
        try:
            async with self._held(claimed):
                asking = self._asking(source)
                read = self._follow if source.kind is SourceKind.LOG else self._read
                async with asyncio.timeout(self.settings.budget):
                    is_all = await read(claimed, asking, tally, progress)
                wait = None if is_all else _SOON
        except LeaseLost:
            _log.warning("lease_lost source=%s", source.name)
            return Done(reason="Another process reads it.", tally=tally)
        except asyncio.CancelledError:
            # We are stopping: who comes next goes on at once, and does not wait for the lease.
            await asyncio.shield(self._finish(claimed, asking, progress, wait=0, is_whole=False))
            raise
        except TimeoutError as error:
            # It goes on from where it is; unless there is nothing to go on from.
            reason = None if tally.seen else f"Reading it took more than {self.settings.budget:g} s."
            wait = _SOON if tally.seen else self._patience(claimed, error)
        except (PeerError, Overloaded, StorageError, ConfigurationError) as error:
            reason, wait = error.message, self._patience(claimed, error)
        except Exception as error:  # noqa: BLE001  (a source that fails is polled again, whatever it was)
            _log.exception("pass_failed source=%s", source.name)
            reason, wait = f"failed: {type(error).__name__}", self._patience(claimed, error)
        await self._finish(claimed, asking, progress, reason=reason, wait=wait, is_whole=is_all)
        _log.log(
            logging.WARNING if reason else logging.INFO,
            "source_polled source=%s requests=%d %s reason=%s",
            source.name,
            asking.requests if asking else 0,
            tally,
            reason,
        )
        return Done(
            reason=reason,
            tally=tally,
            requests=asking.requests if asking else 0,
            channel=progress.get("channel"),
        )

    async def _read(self, claimed: Pass, asking: Asking, tally: Tally, progress: dict[str, Any]) -> bool:
        """Read an inbox; return whether that was all of it. `progress` is changed when it was."""
        source = claimed.source
        inbox = await self._inbox(source)
        listing = Listing(
            inbox=inbox,
            progress=claimed.progress,
            asking=asking,
            listings=self.listings,
            now=self.clock.now(),
            most=self.settings.members,
            limit=self.settings.listing,
        )
        try:
            listed = await listing.read()
        except PeerError:
            # It may have moved: the artefact is asked again where its inbox is.
            if source.is_discovered:
                self.peers.forget(source.url)
            raise
        if listed.elsewhere:
            _log.warning("members_elsewhere source=%s members=%d", source.name, listed.elsewhere)
        todo, is_all = await self._todo(source, listed.members)
        most = _LIFETIMES * self.settings.members
        if todo and await self.progress.known(source.name, most=most) >= most:
            # An inbox that lists others each time would fill our database.
            raise AnswerRefused(
                f"{inbox} has listed {most} members by now: raise polling.members, or archive."
            )
        tally.members = len(todo)
        fetching = Fetching(
            taking=self._taking(source),
            asking=asking,
            limit=self.settings.body,
            chance=self.chance,
            note=lambda found: self._note(claimed, found),
            tally=tally,
        )
        await fetching.fetch(todo)
        if is_all:
            progress.clear()
            progress.update(listed.progress)
        return is_all

    async def _follow(self, claimed: Pass, asking: Asking, tally: Tally, progress: dict[str, Any]) -> bool:
        """Read a log; return whether that was all of it. `progress` is changed page by page."""
        following = Following(
            log=claimed.source.url,
            progress=progress,
            asking=asking,
            listings=self.listings,
            taking=self._taking(claimed.source),
            note=lambda found: self._note(claimed, found),
            wanted=lambda listed: self.progress.wanted(claimed.source.name, listed),
            tally=tally,
            limit=self.settings.listing,
        )
        return await following.read()

    def _taking(self, source: Source) -> Taking:
        return Taking(source=source, screener=self.screener, ledger=self.ledger, clock=self.clock)

    async def _inbox(self, source: Source) -> str:
        return await self.peers.discover(source.url) if source.is_discovered else source.url

    async def _todo(self, source: Source, listed: Members) -> tuple[list[Member], bool]:
        """Return members to fetch, and whether these are all.

        They are those that are new or have changed, and those whose time has come.
        """
        now = self.clock.now()
        overdue = await self.progress.overdue(source.name, now=now, limit=_MOST_AT_ONCE)
        todo = {member.url: member for member in overdue}
        for some in batches(listed, _AT_A_TIME):
            for url in await self.progress.wanted(source.name, some):
                todo[url] = _new(url, some[url], now)
            if len(todo) > _MOST_AT_ONCE:
                return list(todo.values())[:_MOST_AT_ONCE], False
        return list(todo.values()), True

    async def _note(self, claimed: Pass, found: list[Found]) -> None:
        await self.progress.note(claimed.lease, found, now=self.clock.now())

    def _asking(self, source: Source) -> Asking:
        token = self.token_of(source)
        return Asking(remotes=self.remotes, doors=self._doors, token=token, home=source.url)

    def token_of(self, source: Source) -> str | None:
        """Return the token that reads `source`, as its file says now; raises `ConfigurationError`."""
        return read_token(source.token_file)

    def _patience(self, claimed: Pass, error: Exception) -> int:
        asked = error.retry_after if isinstance(error, PeerBusy) else None
        return patience(claimed.source.schedule, claimed.failures + 1, chance=self.chance(), asked=asked)

    async def _finish(
        self,
        claimed: Pass,
        asking: Asking | None,
        progress: dict[str, Any],
        *,
        reason: str | None = None,
        wait: int | None,
        is_whole: bool,
    ) -> None:
        """Record how it ended; `wait` ms, else until the schedule says."""
        now = self.clock.now()
        ended = Ended(
            progress=progress,
            next_at=self.next_time(claimed.source.schedule, now) if wait is None else now + wait,
            requests=asking.requests if asking else 0,
            reason=reason,
            is_whole=is_whole,
        )
        try:
            await self.progress.finish(claimed.lease, ended, now=now)
        except LeaseLost:
            _log.warning("lease_lost source=%s", claimed.source.name)
        except Exception:  # noqa: BLE001  (what cannot be recorded is left to the lease, and read again)
            _log.exception("pass_not_recorded source=%s", claimed.source.name)

    @contextlib.asynccontextmanager
    async def _held(self, claimed: Pass) -> AsyncIterator[None]:
        """Hold the source's lease for as long as the body takes; losing it ends the body with `LeaseLost`."""
        task = asyncio.current_task()
        assert task is not None
        lost: list[LeaseLost] = []

        async def renew() -> None:
            while True:
                await asyncio.sleep(self.settings.lease / 3_000)
                try:
                    await self.progress.renew(claimed.lease, until=self.clock.now() + self.settings.lease)
                except LeaseLost as error:
                    lost.append(error)
                    task.cancel()
                    return
                except StorageError:
                    _log.exception("lease_not_renewed source=%s", claimed.source.name)

        renewing = asyncio.create_task(renew(), name=f"lease of {claimed.source.name}")
        try:
            yield
        except asyncio.CancelledError:
            if lost:
                task.uncancel()
                raise lost[0] from None
            raise
        finally:
            renewing.cancel()


def _new(url: str, mark: str, now: int) -> Member:
    state = MemberState.RETRY
    return Member(
        url=url, mark=mark, state=state, reason=None, token=None, attempts=0, seen=now, retry_at=now
    )
