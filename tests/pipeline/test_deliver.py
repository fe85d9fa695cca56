"""Stage 3: what is sent, how often, and that it ends somewhere."""

import asyncio
import dataclasses
import json
from typing import Any

import pytest
import sqlalchemy as sa
from tests.acceptance.notifications import policy

from orchestrator.core.delivery import DeliveryState, delivery_id
from orchestrator.core.errors import (
    AddressRefused,
    AnswerRefused,
    InboxNotFound,
    PeerError,
    PeerUnreachable,
    StorageError,
)
from orchestrator.core.pod import Identity
from orchestrator.ports import Answer

from .conftest import BASE, House, Specimen

HUB = "https://hub.example/"
INBOX = f"{HUB}inbox/"
LEASE = 45_000
# docs/reference/deliveries.md: milliseconds after each attempt.
SCHEDULE = [
    5_000,
    5 * 60_000,
    30 * 60_000,
    *(hours * 3_600_000 for hours in (2, 5, 10, 14, 20, 24)),
]


@pytest.fixture
async def due(house: House, specimen: Specimen) -> House:
    """A pod with one delivery that is due."""
    house.rule(policy("as:Announce", hubs=(HUB,)))
    await house.take(specimen())
    return house


async def test_a_hub_gets_our_own_announcement_of_the_event(due: House) -> None:
    """Section 3 of wire.md: a new activity of ours; any 2xx is success; `Location` is kept."""
    due.peers.answers = [Answer(status=201, location=f"{INBOX}17")]
    assert await due.deliver() == [DeliveryState.DELIVERED]
    [(inbox, body)] = due.peers.sent
    [event] = await due.events()
    assert event.payload is not None
    payload, said = json.loads(event.payload), json.loads(body)
    assert inbox == INBOX
    assert {name: said[name] for name in ("type", "object", "context", "actor")} == {
        name: payload[name] for name in ("type", "object", "context", "actor")
    }
    assert said["id"] == delivery_id(event.iri, HUB) != event.activity
    assert said["origin"] == {"id": f"{BASE}/", "type": "Service", "inbox": f"{BASE}/inbox/"}
    assert said["target"] == {"id": HUB, "type": "Service", "inbox": INBOX}
    assert "inReplyTo" not in said
    done = await due.only()
    assert (done.state, done.status, done.location, done.attempts) == (
        DeliveryState.DELIVERED,
        201,
        f"{INBOX}17",
        1,
    )
    assert (done.inbox, done.body, done.next_at, done.reason) == (INBOX, body, None, None)
    due.clock.time += 100 * 3_600_000
    assert await due.deliver() == []


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_success(due: House, status: int) -> None:
    due.peers.answers = [Answer(status=status)]
    assert await due.deliver() == [DeliveryState.DELIVERED]


@pytest.mark.parametrize(
    "status", [300, 301, 302, 303, 307, 308, 400, 401, 403, 405, 409, 410, 413, 415, 422]
)
async def test_what_a_hub_refuses_or_redirects_is_dead_at_once_with_what_it_said(
    due: House, status: int
) -> None:
    due.peers.answers = [Answer(status=status, detail="Not for us.")]
    assert await due.deliver() == [DeliveryState.DEAD]
    dead = await due.only()
    assert (dead.status, dead.attempts, dead.next_at) == (status, 1, None)
    assert dead.reason is not None
    assert str(status) in dead.reason
    assert dead.reason.endswith("Not for us.")
    assert len(due.peers.sent) == 1


@pytest.mark.parametrize(
    "answer",
    [
        *(Answer(status=status) for status in (408, 425, 429, 500, 502, 503, 504)),
        PeerUnreachable("no answer"),
        AnswerRefused("not HTTP"),
    ],
)
async def test_what_may_be_better_tomorrow_is_tried_again_after_five_seconds_with_the_same_bytes(
    due: House, answer: Answer | Exception
) -> None:
    """Invariant I7: "all attempts of one delivery carry byte-identical bodies"."""
    due.peers.answers = [answer]
    start = due.clock.time
    assert await due.deliver() == [DeliveryState.RETRYING]
    waiting = await due.only()
    assert waiting.next_at is not None
    assert start + 5_000 <= waiting.next_at <= start + 6_000
    assert waiting.reason
    due.clock.time = waiting.next_at - 1
    assert await due.deliver() == []
    # Whatever we are called by now, what was said stays said.
    due.pod = dataclasses.replace(
        due.pod, me=Identity(id="https://new.example/", name="New", inbox="https://new.example/inbox/")
    )
    due.clock.time += 1
    assert await due.deliver() == [DeliveryState.DELIVERED]
    first, second = due.peers.sent
    assert first == second
    assert due.peers.discovered == [HUB]
    done = await due.only()
    assert (done.attempts, done.reason) == (2, None)


async def test_ten_attempts_follow_the_schedule_and_then_it_is_dead(due: House) -> None:
    """Invariant I6: "ends DELIVERED or DEAD with a reason; none vanish. Dead only after the whole schedule"."""
    for wait in SCHEDULE:
        due.peers.answers = [Answer(status=503, detail="Closed for the holidays.")]
        start = due.clock.time
        assert await due.deliver() == [DeliveryState.RETRYING]
        waiting = await due.only()
        assert waiting.next_at is not None
        assert start + wait <= waiting.next_at <= start + wait * 1.2
        due.clock.time = waiting.next_at
    due.peers.answers = [Answer(status=503, detail="Closed for the holidays.")]
    assert await due.deliver() == [DeliveryState.DEAD]
    dead = await due.only()
    assert (dead.attempts, dead.reason) == (10, "no success in 10 attempts: Closed for the holidays.")
    assert len({body for _, body in due.peers.sent}) == 1

    # An operator gives it the whole schedule again, with the same bytes.
    await due.store.outbox.retry(dead.id, now=due.clock.time)
    assert await due.deliver() == [DeliveryState.DELIVERED]
    assert len({body for _, body in due.peers.sent}) == 1


@pytest.mark.parametrize(
    ("asked", "least", "most"), [(1.0, 5_000, 6_000), (8.0, 8_000, 8_000), (99.0, 10_000, 10_000)]
)
async def test_a_hub_may_ask_for_up_to_twice_the_wait(
    due: House, asked: float, least: int, most: int
) -> None:
    due.peers.answers = [Answer(status=429, retry_after=asked)]
    start = due.clock.time
    await due.deliver()
    next_at = (await due.only()).next_at
    assert next_at is not None
    assert least <= next_at - start <= most


async def test_after_a_404_the_inbox_is_looked_for_once_more(due: House) -> None:
    due.peers.answers = [Answer(status=503)]
    await due.deliver()
    due.peers.inboxes[HUB] = f"{HUB}moved/?to=here"
    due.peers.answers = [Answer(status=404), Answer(status=202)]
    due.clock.time += 6_000
    assert await due.deliver() == [DeliveryState.DELIVERED]
    assert due.peers.forgotten == [HUB]
    assert due.peers.discovered == [HUB, HUB]
    assert [inbox for inbox, _ in due.peers.sent] == [INBOX, INBOX, f"{HUB}moved/?to=here"]
    assert len({body for _, body in due.peers.sent}) == 1
    assert (await due.only()).inbox == f"{HUB}moved/?to=here"


async def test_an_inbox_that_is_still_advertised_and_still_404_is_dead(due: House) -> None:
    due.peers.answers = [Answer(status=404, detail="No such inbox.")]
    assert await due.deliver() == [DeliveryState.DEAD]
    assert (await due.only()).reason == "refused with 404: No such inbox."
    assert due.peers.discovered == [HUB, HUB]
    assert len(due.peers.sent) == 1


@pytest.mark.parametrize("answers", [[404, 404], [404, 410]])
async def test_a_new_inbox_is_not_looked_for_a_second_time(due: House, answers: list[int]) -> None:
    places = iter([INBOX, f"{HUB}other/", f"{HUB}third/"])

    async def discover(target: str) -> str:
        due.peers.discovered.append(target)
        return next(places)

    due.peers.discover = discover  # type: ignore[method-assign]
    due.peers.answers = [Answer(status=status) for status in answers]
    assert await due.deliver() == [DeliveryState.DEAD]
    assert len(due.peers.sent) == len(due.peers.discovered) == 2


@pytest.mark.parametrize("error", [InboxNotFound(), PeerUnreachable(), AnswerRefused()])
async def test_a_hub_whose_inbox_cannot_be_found_is_tried_again(due: House, error: PeerError) -> None:
    due.peers.inboxes[HUB] = error
    assert await due.deliver() == [DeliveryState.RETRYING]
    waiting = await due.only()
    assert (waiting.reason, waiting.status, waiting.body) == (error.message, None, None)
    assert due.peers.sent == []
    del due.peers.inboxes[HUB]
    due.clock.time += 6_000
    assert await due.deliver() == [DeliveryState.DELIVERED]


@pytest.mark.parametrize("where", ["discovery", "sending"])
async def test_an_address_that_the_egress_refuses_is_dead_at_once(due: House, where: str) -> None:
    refusal = AddressRefused("http://10.0.0.1/: 10.0.0.1 is not a public address.")
    if where == "discovery":
        due.peers.inboxes[HUB] = refusal
    else:
        due.peers.answers = [refusal]
    assert await due.deliver() == [DeliveryState.DEAD]
    assert (await due.only()).reason == refusal.message


async def test_a_hub_that_is_silent_for_too_long_is_tried_again(due: House) -> None:
    due.attempt_timeout = 0.05
    for_ever = asyncio.Event()
    due.peers.meanwhile = for_ever.wait
    assert await due.deliver() == [DeliveryState.RETRYING]
    assert (await due.only()).reason == "no answer within 0.05 s"
    due.peers.meanwhile = None
    due.clock.time += 6_000
    assert await due.deliver() == [DeliveryState.DELIVERED]
    first, second = due.peers.sent
    assert first == second


async def test_a_late_finisher_changes_nothing(due: House) -> None:
    """Invariant I8: the hub sees the same id and bytes twice, and the second attempt counts."""
    held: list[DeliveryState | None] = []

    async def somebody_else() -> None:
        due.peers.meanwhile = None
        due.clock.time += LEASE
        due.peers.answers = [Answer(status=202), Answer(status=410)]
        held.extend(await due.deliver())

    due.peers.meanwhile = somebody_else
    assert await due.deliver() == [None]
    assert held == [DeliveryState.DELIVERED]
    done = await due.only()
    assert (done.state, done.status, done.attempts) == (DeliveryState.DELIVERED, 202, 1)
    first, second = due.peers.sent
    assert first == second


async def test_who_lost_the_lease_before_sending_sends_nothing(due: House) -> None:
    async def discover(target: str) -> str:
        due.peers.discover = discovered  # type: ignore[method-assign]
        due.clock.time += LEASE
        assert await due.deliver() == [DeliveryState.DELIVERED]
        return await discovered(target)

    discovered = due.peers.discover
    due.peers.discover = discover  # type: ignore[method-assign]
    assert await due.deliver() == [None]
    assert len(due.peers.sent) == 1


@pytest.mark.parametrize("step", ["prepare", "finish"])
async def test_what_could_not_be_recorded_is_sent_again_after_the_lease_with_the_same_bytes(
    due: House, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise StorageError("The disk of the database is full.")

    outbox: Any = due.store.outbox
    with monkeypatch.context() as patch:
        patch.setattr(outbox, step, fails)
        assert await due.deliver() == [None]
    # Nothing goes out before its bytes are fixed.
    assert len(due.peers.sent) == (step == "finish")
    assert (await due.only()).state is DeliveryState.PENDING
    assert await due.deliver() == []
    due.clock.time += LEASE
    assert await due.deliver() == [DeliveryState.DELIVERED]
    assert len(set(due.peers.sent)) == 1


@pytest.mark.parametrize("where", ["discovery", "sending"])
async def test_what_nobody_foresaw_follows_the_schedule_to_its_end(due: House, where: str) -> None:
    """Invariant I6: a delivery that fails by a fault of ours must not be tried for ever, nor forgotten."""
    for _ in SCHEDULE:
        if where == "discovery":
            due.peers.inboxes[HUB] = RecursionError("of a hub's own making")
        else:
            due.peers.answers = [RecursionError("of a hub's own making")]
        assert await due.deliver() == [DeliveryState.RETRYING]
        waiting = await due.only()
        assert waiting.next_at is not None
        due.clock.time = waiting.next_at
    due.peers.answers = [RecursionError()]
    assert await due.deliver() == [DeliveryState.DEAD]
    assert (await due.only()).reason == "no success in 10 attempts: failed: RecursionError"


async def test_what_was_erased_is_told_to_nobody(due: House) -> None:
    with due.store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE event SET payload = NULL, salt = NULL"))
    assert await due.deliver() == [DeliveryState.CANCELLED]
    assert (await due.only()).reason == "the event's payload was erased"
    assert due.peers.sent == []


async def test_a_delivery_to_a_dead_hub_keeps_no_other_waiting(house: House, specimen: Specimen) -> None:
    other = "https://other.example/"
    house.rule(policy("as:Announce", hubs=(HUB, other)))
    await house.take(specimen())
    house.peers.inboxes[HUB] = PeerUnreachable()
    assert sorted(str(state) for state in await house.deliver()) == ["DELIVERED", "RETRYING"]
    assert {target: each.state for target, each in (await house.deliveries()).items()} == {
        HUB: DeliveryState.RETRYING,
        other: DeliveryState.DELIVERED,
    }


async def test_an_answer_that_is_passed_on_stays_an_answer(house: House, specimen: Specimen) -> None:
    """Decision 0006: an Accept without `inReplyTo` would break its own shape."""
    house.rule(policy("as:Accept", hubs=(HUB,)))
    document = specimen("accept")
    await house.take(document)
    assert await house.deliver() == [DeliveryState.DELIVERED]
    [(_, body)] = house.peers.sent
    assert json.loads(body)["inReplyTo"] == document["object"]["id"]
    verdict = await house.screener.screen(body)
    assert verdict.findings == ()
