"""What waits is tried in order, a place at a time, and a place that is silent keeps only its own waiting."""

from orchestrator.app import Agenda
from orchestrator.app.agenda import MOST_AT_A_PLACE, MOST_FAILURES, MOST_REPORTS
from orchestrator.app.state import Pending, State


def agenda(*artefacts: str) -> tuple[Agenda, list[float]]:
    """Return an agenda with an event for each artefact, and its clock."""
    clock = [0.0]
    made = Agenda(state=State(log="https://log.example/log"), now=lambda: clock[0])
    for artefact in artefacts:
        add(made, artefact)
    return made, clock


def add(made: Agenda, artefact: str) -> Pending:
    number = len(made.state.pending) + 1
    pending = Pending(
        sequence=number,
        event=f"https://log.example/log/e/{number}",
        activity="urn:a",
        artefact=artefact,
        links=[(artefact, "urn:reviewed", "https://reviews.example/1")],
    )
    made.state.pending.append(pending)
    return pending


def ready(made: Agenda) -> list[int]:
    return [pending.sequence for pending in made.ready()]


ONE, ANOTHER, ELSEWHERE = "https://one.example/1", "https://one.example/2", "https://two.example/1"


def test_one_thing_at_a_place_at_a_time() -> None:
    made, _ = agenda(ONE, ONE, ANOTHER, ELSEWHERE, ELSEWHERE)
    assert ready(made) == [1, 4]
    made.busy.add("one.example")
    assert ready(made) == [4]


def test_links_of_an_artefact_come_in_the_order_of_the_log_even_when_the_first_fails() -> None:
    made, clock = agenda(ONE, ONE, ANOTHER)
    made.failed(made.state.pending[0], is_silent=False)
    assert ready(made) == [3]
    made.done(made.state.pending[2])
    assert ready(made) == []
    clock[0] = 1.0
    assert ready(made) == [1]


def test_a_silent_place_rests_twice_as_long_each_time_up_to_a_minute() -> None:
    made, clock = agenda(ONE, ELSEWHERE)
    waits = []
    for _ in range(9):
        made.hold("one.example")
        assert ready(made) == [2]
        waits.append(made.next_due())
        clock[0] += waits[-1]
        assert ready(made) == [1, 2]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    made.answered("one.example")
    made.hold("one.example")
    assert made.next_due() == 1


def test_one_that_fails_is_tried_for_two_days_and_then_given_up() -> None:
    made, clock = agenda(ONE)
    [pending] = made.state.pending
    while not made.failed(pending, is_silent=False):
        clock[0] += made.next_due()
    assert pending.failures == MOST_FAILURES
    assert made.state.pending == []
    assert 1.9 < clock[0] / 86_400 < 2.1


def test_a_report_waits_for_no_artefact_and_no_pod() -> None:
    made, _ = agenda(ONE, ONE)
    first = made.state.pending[0]
    made.failed(first, is_silent=True)
    made.next_stage(first)
    assert ready(made) == [1]
    made.answered("one.example")
    assert ready(made) == [1, 2]
    assert first.failures == 0


def test_nothing_is_written_while_too_much_is_to_be_told() -> None:
    made, _ = agenda(*[ONE] * MOST_REPORTS, ELSEWHERE)
    for pending in made.state.pending[:-1]:
        made.next_stage(pending)
    assert ready(made) == [1]
    made.done(made.state.pending[0])
    assert ready(made) == [2, MOST_REPORTS + 1]


def test_a_place_takes_so_many() -> None:
    made, _ = agenda(*[ONE] * (MOST_AT_A_PLACE - 1))
    assert made.room("one.example")
    add(made, ANOTHER)
    assert not made.room("one.example")
    assert made.room("two.example")
    made.next_stage(made.state.pending[0])
    assert made.room("one.example")


def test_what_fails_again_and_again_makes_room_unless_its_place_is_silent() -> None:
    made, _ = agenda(ONE, ANOTHER)
    for _ in range(3):
        made.failed(made.state.pending[1], is_silent=False)
    assert made.hopeless("one.example") is made.state.pending[1]
    made.busy.add("one.example")
    assert made.hopeless("one.example") is None
    made.busy.clear()
    made.hold("one.example")
    assert made.hopeless("one.example") is None
    made.answered("one.example")
    made.state.pending[1].failures = 2
    assert made.hopeless("one.example") is None


def test_a_place_is_caught_up_with_when_nothing_waits_for_it_and_it_answers() -> None:
    made, clock = agenda(ONE)
    made.state.behind["one.example"] = 2
    assert made.behind() == []
    made.done(made.state.pending[0])
    assert made.behind() == ["one.example"]
    made.hold("one.example")
    assert made.behind() == []
    clock[0] = 1.0
    assert made.behind() == ["one.example"]
    made.busy.add("one.example")
    assert made.behind() == []


def test_where_nothing_waits_nothing_is_due() -> None:
    made, _ = agenda()
    assert made.next_due() == float("inf")
