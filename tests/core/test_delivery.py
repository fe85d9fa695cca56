import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.delivery import LAWFUL, SCHEDULE, Attempt, DeliveryState, delivery_id, verdict


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_success_delivers(status: int) -> None:
    assert verdict(Attempt(status=status), attempts=1, now=0, chance=0).state is DeliveryState.DELIVERED


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 405, 410, 413, 422])
def test_a_redirect_or_a_refusal_ends_it_at_once(status: int) -> None:
    decided = verdict(Attempt(status=status), attempts=1, now=0, chance=0)
    assert decided.state is DeliveryState.DEAD
    assert str(status) in (decided.reason or "")


@pytest.mark.parametrize("status", [None, 408, 425, 429, 500, 502, 503, 504])
def test_a_passing_fault_follows_the_schedule(status: int | None) -> None:
    for attempts in range(1, len(SCHEDULE)):
        decided = verdict(Attempt(status=status), attempts=attempts, now=1_000, chance=0)
        assert (decided.state, decided.next_at) == (DeliveryState.RETRYING, 1_000 + SCHEDULE[attempts])
    assert (
        verdict(Attempt(status=status), attempts=len(SCHEDULE), now=0, chance=0).state is DeliveryState.DEAD
    )


@given(
    st.one_of(st.none(), st.integers(100, 599)),
    st.integers(1, 12),
    st.floats(0, 0.999),
    st.one_of(st.none(), st.floats(0, 1e9)),
)
def test_a_retry_is_never_earlier_than_its_time_nor_later_than_twice_its_wait(
    status: int | None, attempts: int, chance: float, after: float | None
) -> None:
    decided = verdict(Attempt(status=status, retry_after=after), attempts=attempts, now=0, chance=chance)
    assert decided.state in LAWFUL[DeliveryState.PENDING]
    if decided.state is DeliveryState.RETRYING:
        assert decided.next_at is not None
        assert SCHEDULE[attempts] <= decided.next_at <= 2 * SCHEDULE[attempts]


def test_the_id_of_what_we_send_depends_on_event_and_target_only() -> None:
    first = delivery_id("https://pod.example/log/e/1", "https://hub.example/")
    assert first == delivery_id("https://pod.example/log/e/1", "https://hub.example/")
    assert first.startswith("urn:uuid:")
    assert (
        len(
            {
                first,
                delivery_id("https://pod.example/log/e/2", "https://hub.example/"),
                delivery_id("https://pod.example/log/e/1", "https://other.example/"),
            }
        )
        == 3
    )
