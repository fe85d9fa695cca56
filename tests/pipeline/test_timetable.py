"""The loops that drive the stages: woken by commits and by the clock, and ended without a word."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable

import pytest
from tests.acceptance.notifications import policy
from tests.acceptance.service import until

from orchestrator.core.delivery import DeliveryState
from orchestrator.core.errors import StorageError
from orchestrator.ports import NotificationState
from orchestrator.scheduler import Timetable, TimetableSettings
from orchestrator.storage import Store

from .conftest import BASE, House, Specimen

HUB = "https://hub.example/"
NEVER = 3_600.0
"""Seconds between looks, when only commits are to wake the loops."""


@contextlib.asynccontextmanager
async def running(
    house: House, *, interval: float, reload: Callable[[], bool] = lambda: False
) -> AsyncIterator[Timetable]:
    asyncio.get_running_loop().set_debug(True)
    timetable = Timetable(
        processing=house.processing,
        delivering=house.delivering,
        ledger=house.store.ledger,
        outbox=house.store.outbox,
        clock=house.clock,
        reload=reload,
        settings=TimetableSettings(interval=interval, stop_within=5.0),
    )
    await timetable.start()
    try:
        yield timetable
    finally:
        await timetable.stop()


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


async def finished(house: House) -> None:
    async def states() -> set[DeliveryState]:
        house.clock.time += 1  # an event may lead the clock by a little, and its delivery with it
        return {each.state for each in await house.store.outbox.deliveries()}

    await until(states, lambda found: found == {DeliveryState.DELIVERED})


async def test_a_commit_of_ours_is_followed_to_the_hub_without_waiting_for_the_clock(
    house: House, specimen: Specimen, caplog: pytest.LogCaptureFixture
) -> None:
    house.rule(policy("as:Announce", hubs=(HUB,)))
    async with running(house, interval=NEVER) as timetable:
        house.store.listen(timetable.wake)
        received = await house.receive(specimen())

        async def state() -> NotificationState:
            return (await house.stored(received.receipt.token)).state

        await until(state, lambda found: found is NotificationState.PROCESSED)
        timetable.wake("delivery")
        house.clock.time += 1
        timetable.wake("delivery")
        await finished(house)
    assert len(house.peers.sent) == 1
    assert errors(caplog) == []


async def test_what_another_process_commits_is_found_at_the_next_look(
    house: House, specimen: Specimen, caplog: pytest.LogCaptureFixture
) -> None:
    house.rule(policy("as:Announce", hubs=(HUB,)))
    other = House(store=await asyncio.to_thread(Store.open, str(house.store.engine.url), public_url=BASE))
    try:
        async with running(house, interval=0.05):
            await other.receive(specimen())
            await finished(house)
    finally:
        await other.store.close()
    assert len(await house.events()) == 1
    assert errors(caplog) == []


async def test_starting_and_stopping_at_any_moment_says_nothing(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """Jobs that run in threads, or that a stop cancels, would be errors in an operator's log."""
    looks = 0

    def reload() -> bool:
        nonlocal looks
        looks += 1
        time.sleep(0.01)
        return False

    for _ in range(20):
        before = looks
        async with running(house, interval=0.001, reload=reload):

            async def looked() -> int:
                return looks

            await until(looked, lambda found: found > before)  # noqa: B023
    assert errors(caplog) == []


@pytest.mark.parametrize("error", [StorageError("The database is busy."), RuntimeError("unforeseen")])
async def test_a_loop_that_fails_is_told_of_and_goes_on(
    house: House,
    specimen: Specimen,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    calls = 0
    claim = house.store.ledger.claim

    async def fails_first(owner: str, *, limit: int, now: int, lease: int) -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise error
        return await claim(owner, limit=limit, now=now, lease=lease)

    monkeypatch.setattr(house.store.ledger, "claim", fails_first)
    await house.receive(specimen())
    async with running(house, interval=0.05):
        await until(house.events)
    assert calls > 1
    assert len(errors(caplog)) == 1


async def test_what_has_just_come_is_processed_without_a_claim(
    house: House, specimen: Specimen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One commit less; the store is asked again by the clock, and when it may hold more than memory does."""
    claims = 0
    claim = house.store.ledger.claim

    async def counted(owner: str, *, limit: int, now: int, lease: int) -> object:
        nonlocal claims
        claims += 1
        return await claim(owner, limit=limit, now=now, lease=lease)

    monkeypatch.setattr(house.store.ledger, "claim", counted)
    async with running(house, interval=NEVER) as timetable:
        house.store.listen(timetable.wake)

        async def looked() -> int:
            return claims

        await until(looked)
        for number in range(1, 4):
            house.clock.time += 10
            await house.receive(specimen())
            await until(house.events, lambda found: len(found) == number)  # noqa: B023
    assert claims == 1


async def test_a_stop_waits_for_a_delivery_that_is_under_way(
    house: House, specimen: Specimen, caplog: pytest.LogCaptureFixture
) -> None:
    house.rule(policy("as:Announce", hubs=(HUB,)))
    await house.take(specimen())
    answers, asked = asyncio.Event(), asyncio.Event()

    async def thinks() -> None:
        asked.set()
        await answers.wait()

    house.peers.meanwhile = thinks
    async with running(house, interval=NEVER) as timetable:
        await asyncio.wait_for(asked.wait(), 10)
        stopping = asyncio.create_task(timetable.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
        answers.set()
        await stopping
        assert (await house.only()).state is DeliveryState.DELIVERED
    assert errors(caplog) == []
