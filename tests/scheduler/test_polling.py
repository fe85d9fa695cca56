"""Channels: a hint that must not become a storm."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from orchestrator.core.errors import LeaseLost
from orchestrator.core.source import Source, SourceKind
from orchestrator.pipeline.collect import Collecting, Done
from orchestrator.pipeline.taking import Tally
from orchestrator.ports import Lease
from orchestrator.ports.sources import Ended, Pass
from orchestrator.scheduler import Polling, Timetable, TimetableSettings

POD = "https://pod.example/inbox/"
CHANNEL = "https://pod.example/.notifications/1"


@dataclass
class World:
    """A clock, a store that is always due, and a channel that ends as soon as it is open."""

    time: int = 1_000_000
    opened: list[int] = field(default_factory=list)
    hurried: int = 0
    holds: int = 0
    """Milliseconds for which the channel stays open."""

    def now(self) -> int:
        return self.time

    async def listen(self, _url: str, **_: object) -> AsyncIterator[None]:
        self.opened.append(self.time)
        yield
        self.time += self.holds

    async def hurry(self, _name: str, **_: object) -> None:
        self.hurried += 1

    async def collect(self, _claimed: Pass) -> Done:
        return Done(reason=None, tally=Tally(), requests=1, channel=CHANNEL)

    def token_of(self, _source: Source) -> str | None:
        return None


def polling(world: World) -> Polling:
    made = cast("Any", world)
    return Polling(
        collecting=cast("Collecting", made),
        sources=made,
        progress=made,
        remotes=made,
        clock=made,
        owner="us",
    )


async def one_pass(made: Polling) -> None:
    """Make a pass, and wait until the channel that it may have opened has ended."""
    source = Source(name="pod", kind=SourceKind.INBOX, url=POD)
    lease = Lease(key="pod", owner="us", fence=1, until=0)
    await made._pass(Pass(lease=lease, source=source, progress={}, failures=0))
    await asyncio.gather(*made._channels.values())


async def test_a_channel_that_ends_at_once_is_opened_less_and_less_often() -> None:
    world = World()
    made = polling(world)
    for _ in range(4_000):
        await one_pass(made)
        world.time += 1_000
    pauses = [later - earlier for earlier, later in zip(world.opened, world.opened[1:], strict=False)]
    assert pauses[:4] == [5_000, 10_000, 20_000, 40_000]
    assert len(world.opened) < 15


@pytest.mark.parametrize(("holds", "pause"), [(60_000, 5_000), (59_999, 10_000)])
async def test_a_channel_that_has_held_is_opened_again_soon(holds: int, pause: int) -> None:
    world = World()
    made = polling(world)
    await one_pass(made)
    world.time += 5_000
    world.holds = holds
    await one_pass(made)
    world.holds = 0
    ended = world.time
    world.time = ended + pause - 1
    await one_pass(made)
    assert len(world.opened) == 2
    world.time = ended + pause
    await one_pass(made)
    assert len(world.opened) == 3


async def test_nothing_is_opened_once_it_is_stopped() -> None:
    world = World()
    made = polling(world)
    await made.stop()
    await one_pass(made)
    assert world.opened == []


async def test_a_stop_gives_sources_back_though_something_else_stands_still() -> None:
    """Files that cannot be read, say: whoever comes next does not wait for our lease all the same."""
    given_back = asyncio.Event()

    class Slow(World):
        """A store with a source that is due, and a pass that takes long."""

        async def due(self) -> int:
            return 0

        async def claim(self, *_: object, **__: object) -> list[Pass]:
            source = Source(name="pod", kind=SourceKind.INBOX, url=POD)
            lease = Lease(key="pod", owner="us", fence=1, until=0)
            return [] if given_back.is_set() else [Pass(lease=lease, source=source, progress={}, failures=0)]

        async def collect(self, _claimed: Pass) -> Done:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                given_back.set()
                raise
            raise AssertionError

    world = Slow()
    made = polling(world)
    made.at_once = 1
    blocked = threading.Event()
    nothing = cast("Any", None)
    timetable = Timetable(
        processing=cast("Any", Idle()),
        delivering=nothing,
        ledger=cast("Any", Idle()),
        outbox=cast("Any", Idle()),
        clock=cast("Any", world),
        reload=lambda: blocked.wait(20),
        polling=made,
        settings=TimetableSettings(interval=3_600, stop_within=0.3),
    )
    await timetable.start()
    while not made._under_way:  # noqa: ASYNC110  (it is set by nobody but the loop itself)
        await asyncio.sleep(0.01)
    await timetable.stop()
    blocked.set()
    assert given_back.is_set()


async def test_one_host_does_not_get_all_places() -> None:
    """Its sources are given back for a moment, and those of others are read."""
    put_off: dict[str, Ended] = {}
    begun: list[str] = []
    hold = asyncio.Event()

    class Many(World):
        """Six sources of one host that take long, and one of another."""

        async def due(self) -> int:
            return 0

        async def claim(self, *_: object, **__: object) -> list[Pass]:
            urls = [f"https://slow.example/{number}/" for number in range(6)] + [POD]
            return [
                Pass(
                    lease=Lease(key=url, owner="us", fence=1, until=0),
                    source=Source(name=str(number), kind=SourceKind.INBOX, url=url),
                    progress={"etag": url},
                    failures=0,
                )
                for number, url in enumerate(urls)
            ]

        async def finish(self, lease: Lease, ended: Ended, **_: object) -> None:
            put_off[lease.key] = ended

        async def collect(self, claimed: Pass) -> Done:
            begun.append(claimed.source.url)
            await hold.wait()
            return Done(reason=None, tally=Tally())

    world = Many()
    made = polling(world)
    assert await made.look(lambda _: None)
    await asyncio.sleep(0)
    assert begun == [*(f"https://slow.example/{number}/" for number in range(4)), POD]
    assert list(put_off) == ["https://slow.example/4/", "https://slow.example/5/"]
    for url, ended in put_off.items():
        assert (ended.progress, ended.is_whole, ended.reason) == ({"etag": url}, False, None)
        assert ended.next_at > world.time
    hold.set()
    await asyncio.gather(*made._under_way)
    await asyncio.sleep(0)
    assert not made._places


async def test_what_was_claimed_while_we_stopped_is_given_back() -> None:
    put_off: list[str] = []

    class Stopping(World):
        """A store whose answer comes when we have been stopped."""

        async def due(self) -> int:
            return 0

        async def claim(self, *_: object, **__: object) -> list[Pass]:
            await made.stop()
            names = ("a", "b")
            return [
                Pass(
                    lease=Lease(key=name, owner="us", fence=1, until=0),
                    source=Source(name=name, kind=SourceKind.INBOX, url=POD),
                    progress={},
                    failures=0,
                )
                for name in names
            ]

        async def finish(self, lease: Lease, _ended: Ended, **_: object) -> None:
            put_off.append(lease.key)
            if lease.key == "a":
                raise LeaseLost

    made = polling(Stopping())
    await made.look(lambda _: None)
    assert put_off == ["a", "b"]
    assert not made._under_way


class Idle:
    """Stages and stores with nothing to do."""

    beat = 0

    async def claim(self, *_: object, **__: object) -> list[object]:
        return []

    async def finish(self) -> None:
        return
