"""When a schedule next comes: in UTC, strictly later than now, and as a calendar on the wall would say."""

import calendar
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
import tzlocal
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import ConfigurationError
from orchestrator.scheduler import calendar as ours
from orchestrator.scheduler import next_time

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FRIDAY = 4
_times = st.integers(0, 4_102_444_799_999)  # before 2100
_minutes, _hours = st.integers(0, 59), st.integers(0, 23)


def at(text: str) -> int:
    """Return a time in UTC as ms since the epoch."""
    found = datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH
    return found // timedelta(milliseconds=1)


def midnights(after: int) -> Iterator[datetime]:
    """Yield the beginning of the day of a time, and of each day after it."""
    moment = EPOCH + timedelta(milliseconds=after)
    day = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    while True:
        yield day
        day += timedelta(days=1)


def first(after: int, is_meant: Callable[[date], bool], **clock: int) -> int:
    """Look for the first day that is meant with its time later than `after`, one day after the other."""
    for day in midnights(after):
        found = (day + timedelta(**clock) - EPOCH) // timedelta(milliseconds=1)
        if is_meant(day.date()) and found > after:
            return found
    raise AssertionError


@pytest.fixture(params=["UTC", "America/New_York", "Pacific/Chatham"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that stands somewhere; nothing about schedules may depend on it."""

    def settle() -> None:
        time.tzset()
        tzlocal.reload_localzone()  # APScheduler's own default
        ours._trigger.cache_clear()

    monkeypatch.setenv("TZ", request.param)
    settle()
    yield
    monkeypatch.undo()
    settle()


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        # Intervals count from now, to the millisecond.
        ("90s", "2026-01-01T00:00:00.001", "2026-01-01T00:01:30.001"),
        ("5m", "2026-12-31T23:59:59.999", "2027-01-01T00:04:59.999"),
        ("2h", "2028-02-28T23:00:00", "2028-02-29T01:00:00"),
        ("1d", "2026-02-28T12:00:00", "2026-03-01T12:00:00"),
        ("366d", "2028-01-01T00:00:00", "2029-01-01T00:00:00"),
        # A moment before, at, and after.
        ("0 * * * *", "2026-01-01T00:59:59.999", "2026-01-01T01:00:00"),
        ("0 * * * *", "2026-01-01T01:00:00", "2026-01-01T02:00:00"),
        ("0 * * * *", "2026-01-01T01:00:00.001", "2026-01-01T02:00:00"),
        ("*/20 * * * *", "2026-01-01T23:40:00", "2026-01-02T00:00:00"),
        ("@daily", "2026-12-31T00:00:00", "2027-01-01T00:00:00"),
        ("@yearly", "2026-01-01T00:00:00", "2027-01-01T00:00:00"),
        # 2026-01-01 is a Thursday.
        ("30 4 * * 1-5", "2026-01-02T04:30:00", "2026-01-05T04:30:00"),
        ("0 0 * * 0", "2026-01-01T00:00:00", "2026-01-04T00:00:00"),
        ("0 0 * * 7", "2026-01-04T00:00:00", "2026-01-11T00:00:00"),
        # Months without the day are left out.
        ("0 0 31 * *", "2026-01-31T00:00:00", "2026-03-31T00:00:00"),
        ("0 0 30 2,4 *", "2026-01-01T00:00:00", "2026-04-30T00:00:00"),
        # Leap days; 2100 has none.
        ("0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00:00", "2032-02-29T00:00:00"),
        ("0 0 29 2 *", "2096-02-29T00:00:00", "2104-02-29T00:00:00"),
        ("0 12 28 2 *", "2028-02-28T12:00:00", "2029-02-28T12:00:00"),
        ("0 0 0 L 2 ?", "2027-02-28T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 0 L 2 ?", "2028-02-29T00:00:00", "2029-02-28T00:00:00"),
        # Quartz: seconds first, weekdays from 1 for Sunday.
        ("15 0 0 * * ?", "2026-01-01T00:00:14.999", "2026-01-01T00:00:15"),
        ("15 0 0 * * ?", "2026-01-01T00:00:15", "2026-01-02T00:00:15"),
        ("0 0 12 ? * 2-6", "2026-01-02T12:00:00", "2026-01-05T12:00:00"),
        ("0 0 0 ? * 6#3", "2026-01-01T00:00:00", "2026-01-16T00:00:00"),
        ("0 0 0 ? * 6#5", "2026-01-30T00:00:00", "2026-05-29T00:00:00"),
        ("0 0 0 ? * FRIL", "2026-01-30T00:00:00", "2026-02-27T00:00:00"),
        ("0 0 6 ? * L", "2026-01-01T00:00:00", "2026-01-03T06:00:00"),
        ("0 0 0 1 JAN ? 2030", "2026-01-01T00:00:00", "2030-01-01T00:00:00"),
        ("0 0 0 1 1 ? 2027-2028", "2027-01-01T00:00:00", "2028-01-01T00:00:00"),
        # Where clocks are changed in summer, these hours come twice or not at all.
        ("30 2 * * *", "2026-03-07T02:30:00", "2026-03-08T02:30:00"),
        ("30 2 * * *", "2026-03-08T02:29:59.999", "2026-03-08T02:30:00"),
        ("30 1 * * *", "2026-11-01T01:30:00", "2026-11-02T01:30:00"),
        ("0 * * * *", "2026-11-01T06:00:00", "2026-11-01T07:00:00"),
    ],
)
@pytest.mark.usefixtures("zone")
def test_the_next_time_is_that_of_the_calendar(schedule: str, after: str, expected: str) -> None:
    assert next_time(schedule, at(after)) == at(expected)


@pytest.mark.parametrize("schedule", ["0 0 0 1 1 ? 1999", "0 0 0 29 FEB ? 2024", "59 59 23 31 12 ? 2025"])
def test_a_year_that_is_past_never_comes_and_is_looked_at_once_a_year(schedule: str) -> None:
    now = at("2026-01-01T00:00:00")
    assert next_time(schedule, now) == now + 366 * DAY


@pytest.mark.parametrize("schedule", ["0 0 0 29 2 ? 2027", "0 0 0 29 2 ? 2026"])
def test_a_day_that_there_is_not_never_comes_either(schedule: str) -> None:
    now = at("2026-01-01T00:00:00")
    assert next_time(schedule, now) == now + 366 * DAY


@given(seconds=st.integers(1, 999_999), after=_times)
def test_an_interval_is_counted_from_now(seconds: int, after: int) -> None:
    assert next_time(f"{seconds}s", after) == after + seconds * SECOND


@given(minute=_minutes, hour=_hours, after=_times)
def test_every_day(minute: int, hour: int, after: int) -> None:
    found = next_time(f"{minute} {hour} * * *", after)
    assert after < found <= after + DAY
    assert found % DAY == hour * HOUR + minute * MINUTE


@given(minute=_minutes, weekday=st.integers(0, 6), after=_times)
def test_every_week(minute: int, weekday: int, after: int) -> None:
    expected = first(after, lambda day: day.isoweekday() % 7 == weekday, hours=6, minutes=minute)
    assert next_time(f"{minute} 6 * * {weekday}", after) == expected
    assert next_time(f"0 {minute} 6 ? * {weekday + 1}", after) == expected


@given(day=st.integers(1, 31), months=st.sets(st.integers(1, 12), min_size=1), after=_times)
def test_every_month_that_has_the_day(day: int, months: set[int], after: int) -> None:
    said = ",".join(map(str, sorted(months)))
    if all(day > calendar.monthrange(2028, month)[1] for month in months):
        with pytest.raises(ConfigurationError, match="no such day ever comes"):
            next_time(f"0 0 {day} {said} *", after)
        return
    expected = first(after, lambda found: found.day == day and found.month in months)
    assert next_time(f"0 0 {day} {said} *", after) == expected
    assert next_time(f"0 0 0 {day} {said} ?", after) == expected


@given(after=_times)
def test_the_last_day_of_each_month_and_its_last_friday(after: int) -> None:
    def is_last(day: date) -> bool:
        return day.day == calendar.monthrange(day.year, day.month)[1]

    def is_last_friday(day: date) -> bool:
        return day.weekday() == FRIDAY and (day + timedelta(days=7)).month != day.month

    assert next_time("30 0 0 L * ?", after) == first(after, is_last, seconds=30)
    assert next_time("0 0 0 ? * FRIL", after) == first(after, is_last_friday)


@given(ordinal=st.integers(1, 5), weekday=st.integers(0, 6), after=_times)
def test_a_numbered_weekday_of_each_month(ordinal: int, weekday: int, after: int) -> None:
    def is_meant(day: date) -> bool:
        return day.isoweekday() % 7 == weekday and (day.day - 1) // 7 + 1 == ordinal

    assert next_time(f"0 0 0 ? * {weekday + 1}#{ordinal}", after) == first(after, is_meant)


_calendars = st.one_of(
    st.builds("*/{} * * * *".format, st.integers(1, 60)),
    st.builds("{} {} {} * *".format, _minutes, _hours, st.integers(1, 28)),
    st.builds("{} {} * {} {}".format, _minutes, _hours, st.integers(1, 12), st.integers(0, 7)),
    st.builds("{} {} {} ? * {}".format, _minutes, _minutes, _hours, st.integers(1, 7)),
    st.builds("0 0 0 1 1 ? {}".format, st.integers(2100, 2199)),
)


@given(schedule=_calendars, after=_times)
def test_the_next_time_is_later_on_a_second_and_nothing_lies_before_it(schedule: str, after: int) -> None:
    found = next_time(schedule, after)
    assert found > after
    assert found % SECOND == 0
    assert next_time(schedule, found - 1) == found


@given(after=_times)
def test_polling_from_time_to_time_misses_nothing(after: int) -> None:
    """The times of a day that follow each other are all there are."""
    begin = after - after % DAY
    now, found = begin - 1, []
    while (now := next_time("*/45 */5 * * *", now)) < begin + DAY:
        found.append(now - begin)
    assert found == [hour * HOUR + minute * MINUTE for hour in range(0, 24, 5) for minute in (0, 45)]
