"""Schedules mean what crontab and Quartz mean by them, when APScheduler runs them (P24)."""

from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import ConfigurationError
from orchestrator.core.schedule import Calendar, Interval, read_schedule

START = datetime(2026, 1, 1, tzinfo=UTC)  # a Thursday
NAMES = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def fires(text: str, number: int, start: datetime = START) -> list[str]:
    """Return the first times at which a schedule fires."""
    schedule = read_schedule(text)
    assert isinstance(schedule, Calendar)
    trigger = CronTrigger(**schedule.fields, timezone=UTC)
    found: list[str] = []
    last = None
    for _ in range(number):
        last = trigger.get_next_fire_time(last, start if last is None else last + timedelta(seconds=1))
        if last is None:
            break
        found.append(f"{last:%Y-%m-%d %H:%M:%S %a}")
    return found


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("5m", 300), ("2h", 7_200), (" 1D ", 86_400)])
def test_an_interval_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert read_schedule(text) == Interval(seconds)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*/20 * * * *", ["2026-01-01 00:00:00 Thu", "2026-01-01 00:20:00 Thu", "2026-01-01 00:40:00 Thu"]),
        ("30 4 * * 1-5", ["2026-01-01 04:30:00 Thu", "2026-01-02 04:30:00 Fri", "2026-01-05 04:30:00 Mon"]),
        ("0 0 * * 0", ["2026-01-04 00:00:00 Sun", "2026-01-11 00:00:00 Sun"]),
        ("0 0 * * 7", ["2026-01-04 00:00:00 Sun", "2026-01-11 00:00:00 Sun"]),
        ("0 0 * * 0-7", ["2026-01-01 00:00:00 Thu", "2026-01-02 00:00:00 Fri"]),
        ("0 0 * * 6-7", ["2026-01-03 00:00:00 Sat", "2026-01-04 00:00:00 Sun", "2026-01-10 00:00:00 Sat"]),
        (
            "0 0 * * fri-mon",
            ["2026-01-02 00:00:00 Fri", "2026-01-03 00:00:00 Sat", "2026-01-04 00:00:00 Sun"],
        ),
        ("0 12 1 feb,AUG *", ["2026-02-01 12:00:00 Sun", "2026-08-01 12:00:00 Sat"]),
        ("@weekly", ["2026-01-04 00:00:00 Sun"]),
        ("@monthly", ["2026-01-01 00:00:00 Thu", "2026-02-01 00:00:00 Sun"]),
    ],
)
def test_a_crontab_line_counts_weekdays_from_sunday(text: str, expected: list[str]) -> None:
    assert fires(text, len(expected)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 0/20 * * * ?", ["2026-01-01 00:00:00 Thu", "2026-01-01 00:20:00 Thu", "2026-01-01 00:40:00 Thu"]),
        (
            "15 30 4 ? * 2-6",
            ["2026-01-01 04:30:15 Thu", "2026-01-02 04:30:15 Fri", "2026-01-05 04:30:15 Mon"],
        ),
        ("0 0 0 ? * 1 *", ["2026-01-04 00:00:00 Sun", "2026-01-11 00:00:00 Sun"]),
        ("0 0 0 ? * SUN,WED", ["2026-01-04 00:00:00 Sun", "2026-01-07 00:00:00 Wed"]),
        ("0 0 0 ? * 6#3", ["2026-01-16 00:00:00 Fri", "2026-02-20 00:00:00 Fri"]),
        ("0 0 0 ? * FRIL", ["2026-01-30 00:00:00 Fri", "2026-02-27 00:00:00 Fri"]),
        ("0 0 0 L * ?", ["2026-01-31 00:00:00 Sat", "2026-02-28 00:00:00 Sat"]),
        ("0 0 0 ? * L", ["2026-01-03 00:00:00 Sat", "2026-01-10 00:00:00 Sat"]),
        ("0 0 0 1 JAN ? 2027-2028", ["2027-01-01 00:00:00 Fri", "2028-01-01 00:00:00 Sat"]),
    ],
)
def test_a_quartz_expression_counts_weekdays_from_one_for_sunday(text: str, expected: list[str]) -> None:
    assert fires(text, len(expected)) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "write 90s"),
        ("often", "write 90s"),
        ("0s", "1 second to 366 days"),
        ("400d", "366 days"),
        ("60 * * * *", "60” is no minute"),
        ("* * * * funday", "SUN to SAT"),
        ("0 0 1 * 1", "two schedules"),
        ("0 0 32 * *", "from 1 to 31"),
        ("*/0 * * * *", "“0” is no minute"),
        ("1,,2 * * * *", "“” is no minute"),
        ("* * * * * ?", "use an interval"),
        ("0/10 * * * * ?", "use an interval"),
        ("0 0 0 ? * ?", "exactly one"),
        ("0 0 0 * * MON", "exactly one"),
        ("0 0 0 15W * ?", "nearest weekday"),
        ("0 0 0 LW * ?", "nearest weekday"),
        ("0 0 0 L-3 * ?", "day of the month"),
        ("0 0 0 ? * 6#6", "1 to 5"),
        ("0 0 0 ? * 2-3#1", "not one weekday"),
        ("0 0 0 ? * 0", "from 1 to 7"),
        ("0 0 0 ? * 8", "from 1 to 7"),
        ("0 0 0 1 1 ? 1969", "no year"),
        ("0 0 0 1 1 ? 99999999999999999999", "no year"),
        ("٣ * * * *", "no minute"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_schedule(text)


_numbers = st.integers(0, 6)


@given(
    first=_numbers,
    last=_numbers,
    step=st.integers(1, 7),
    style=st.sampled_from(["numbers", "names"]),
    quartz=st.booleans(),
    day=st.integers(0, 400),
)
def test_a_range_of_weekdays_is_the_same_in_every_spelling(
    first: int, last: int, step: int, style: str, *, quartz: bool, day: int
) -> None:
    """Going over the end of the week too; a day fires if and only if the range holds it."""
    expected = {(first + each) % 7 for each in range(0, (last - first) % 7 + 1, step)}
    base = 1 if quartz else 0
    low, high = (NAMES[first], NAMES[last]) if style == "names" else (str(first + base), str(last + base))
    field = f"{low}-{high}/{step}"
    schedule = read_schedule(f"0 0 12 ? * {field}" if quartz else f"0 12 * * {field}")
    assert isinstance(schedule, Calendar)
    noon = START + timedelta(days=day, hours=12)
    trigger = CronTrigger(**schedule.fields, timezone=UTC)
    fired = trigger.get_next_fire_time(None, noon) == noon
    assert fired == ((noon.weekday() + 1) % 7 in expected)


@given(st.text(alphabet="0123456789*/,-?L#W @abcdefmnotu", max_size=30))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    """Never another error; and what is read, APScheduler takes."""
    try:
        schedule = read_schedule(text)
    except ConfigurationError:
        return
    if isinstance(schedule, Calendar):
        CronTrigger(**schedule.fields, timezone=UTC)


@pytest.mark.parametrize(
    ("expression", "comes"),
    [
        ("0 0 30 2 *", False),
        ("0 0 31 2,4,6,9,11 *", False),
        ("0 0 0 31 4 ?", False),
        ("0 0 29 2 *", True),
        ("0 0 30,28 2 *", True),
        ("0 0 31 * *", True),
        ("0 0 0 30 2,3 ?", True),
        ("0 0 0 L 2 ?", True),
    ],
)
def test_a_day_that_never_comes_is_refused(expression: str, comes: bool) -> None:
    """It would be sought through all years to come, at each pass."""
    if comes:
        read_schedule(expression)
        return
    with pytest.raises(ConfigurationError, match="no such day ever comes"):
        read_schedule(expression)
