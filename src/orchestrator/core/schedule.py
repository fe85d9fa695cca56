"""When something is looked at: every so often, or as a crontab line or a Quartz expression says.

APScheduler reads neither of the two as its authors mean them: it counts weekdays from Monday, where
crontab counts from Sunday and Quartz from 1 for Sunday, and it knows no `?`, `L` and `#`. So expressions
are read here, into sets of numbers, and handed over in APScheduler's own words.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.core.errors import ConfigurationError

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ORDINALS: Final = ("1st", "2nd", "3rd", "4th", "5th")
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_INTERVAL: Final = re.compile(r"(\d{1,6})\s*([smhd])")
_SHORTEST: Final = 1
_LONGEST: Final = 366 * 86_400
_NICKNAMES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_LONGEST_MONTH: Final = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
_CRONTAB: Final = 5
_QUARTZ: Final = (6, 7)


@dataclass(frozen=True, slots=True)
class Interval:
    """Every so many seconds."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """Whenever the clock, in UTC, agrees with every field."""

    fields: Mapping[str, str]
    """By the names and in the words of APScheduler's cron trigger, every one of its fields but `week`."""


Schedule = Interval | Calendar


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of an expression."""

    name: str
    low: int
    high: int
    names: Sequence[str] = ()
    """Words for the numbers from `low` on."""

    def read(self, text: str) -> set[int]:
        """Return the numbers that `text` stands for."""
        found: set[int] = set()
        for part in text.lower().split(","):
            span, slash, step = part.partition("/")
            every = self._number(step, 1, self.high - self.low + 1) if slash else 1
            low, dash, high = span.partition("-")
            if span in {"*", "?"}:
                first, last = self.low, self.high
            else:
                first = self._number(low, self.low, self.high)
                last = self._number(high, self.low, self.high) if dash else self.high if slash else first
            size = self.high - self.low + 1
            if last < first:  # over the end, as in FRI-MON
                last += size
            found.update((number - self.low) % size + self.low for number in range(first, last + 1, every))
        return found

    def _number(self, text: str, low: int, high: int) -> int:
        if text in self.names:
            return self.low + self.names.index(text)
        if text.isascii() and text.isdigit() and len(text) <= 4 and low <= int(text) <= high:  # noqa: PLR2004
            return int(text)
        raise _Wrong(f"“{text}” is no {self.name}: give a number from {low} to {high}{self._or_name()}")

    def _or_name(self) -> str:
        return f", or {self.names[0].upper()} to {self.names[-1].upper()}" if self.names else ""

    def write(self, numbers: Collection[int]) -> str:
        """Return `numbers` in APScheduler's words."""
        if len(numbers) == self.high - self.low + 1:
            return "*"
        return ",".join(self.names[n - self.low] if self.names else str(n) for n in sorted(numbers))


class _Wrong(Exception):
    """What is wrong with an expression."""


_SECOND: Final = _Field("second", 0, 59)
_MINUTE: Final = _Field("minute", 0, 59)
_HOUR: Final = _Field("hour", 0, 23)
_DAY: Final = _Field("day of the month", 1, 31)
_MONTH: Final = _Field("month", 1, 12, _MONTHS)
_YEAR: Final = _Field("year", 1970, 2199)
_CRONTAB_WEEKDAY: Final = _Field("weekday", 0, 6, _DAYS)
_QUARTZ_WEEKDAY: Final = _Field("weekday", 1, 7, _DAYS)


def read_schedule(text: str) -> Schedule:
    """Read `90s`, `5m`, `2h` or `1d`, a crontab line, or a Quartz expression; raises `ConfigurationError`.

    A crontab line has five fields (POSIX crontab; `@daily` and the like are known), a Quartz expression
    six or seven. Times are in UTC.
    """
    said = text.strip()
    interval = _INTERVAL.fullmatch(said.lower())
    fields = _NICKNAMES.get(said.lower(), said).split()
    try:
        if interval:
            return _interval(int(interval[1]) * _UNITS[interval[2]])
        if len(fields) == _CRONTAB:
            return _crontab(fields)
        if len(fields) in _QUARTZ:
            return _quartz(fields)
    except _Wrong as wrong:
        raise ConfigurationError(f"The schedule “{said[:80]}” cannot be used: {wrong}.") from None
    raise ConfigurationError(
        f"The schedule “{said[:80]}” cannot be read: write 90s, 5m, 2h or 1d, the five fields of a crontab "
        "line, or the six or seven of a Quartz expression."
    )


def _interval(seconds: int) -> Interval:
    if not _SHORTEST <= seconds <= _LONGEST:
        raise _Wrong("an interval is 1 second to 366 days")
    return Interval(seconds)


def _crontab(fields: Sequence[str]) -> Calendar:
    minute, hour, day, month, weekday = fields
    if "*" not in {day[:1], weekday[:1]}:
        # Either would do for cron, and both must hold for APScheduler.
        raise _Wrong("give a day of the month or a weekday, with * for the other; two schedules do for both")
    _refuse_never(_DAY.read(day), _MONTH.read(month))
    # Sunday is 0 and 7.
    weekday = re.sub(r"(?<!/)\b7\b", "0", re.sub(r"\b0-7\b", "*", weekday))
    return Calendar(
        {
            "year": "*",
            "month": _MONTH.write(_MONTH.read(month)),
            "day": _DAY.write(_DAY.read(day)),
            "day_of_week": _CRONTAB_WEEKDAY.write(_CRONTAB_WEEKDAY.read(weekday)),
            "hour": _HOUR.write(_HOUR.read(hour)),
            "minute": _MINUTE.write(_MINUTE.read(minute)),
            "second": "0",
        }
    )


def _quartz(fields: Sequence[str]) -> Calendar:
    second, minute, hour, day, month, weekday, year = (*fields, "*")[:7]
    if (day == "?") == (weekday == "?"):
        raise _Wrong("of the day of the month and the weekday exactly one is ?")
    if len(_SECOND.read(second)) != 1:
        raise _Wrong("give one second: for more than once a minute use an interval, such as 10s")
    days, weekdays = _days(day, weekday, _MONTH.read(month))
    return Calendar(
        {
            "year": _YEAR.write(_YEAR.read(year)),
            "month": _MONTH.write(_MONTH.read(month)),
            "day": days,
            "day_of_week": weekdays,
            "hour": _HOUR.write(_HOUR.read(hour)),
            "minute": _MINUTE.write(_MINUTE.read(minute)),
            "second": _SECOND.write(_SECOND.read(second)),
        }
    )


def _days(day: str, weekday: str, months: Collection[int]) -> tuple[str, str]:
    """Return APScheduler's `day` and `day_of_week` for Quartz's two fields, of which one is `?`."""
    if "w" in day.lower():
        raise _Wrong("the nearest weekday (W) is not known; name a day")
    if day.upper() == "L":
        return "last", "*"
    if weekday == "?":
        _refuse_never(_DAY.read(day), months)
        return _DAY.write(_DAY.read(day)), "*"
    which, number_sign, ordinal = weekday.partition("#")
    if number_sign:
        if ordinal not in {"1", "2", "3", "4", "5"}:
            raise _Wrong("after # stands 1 to 5, as in FRI#3")
        return f"{_ORDINALS[int(ordinal) - 1]} {_one_day(which)}", "*"
    if weekday.upper().endswith("L") and len(weekday) > 1:
        return f"last {_one_day(weekday[:-1])}", "*"
    if weekday.upper() == "L":
        return "*", "sat"
    return "*", _QUARTZ_WEEKDAY.write(_QUARTZ_WEEKDAY.read(weekday))


def _refuse_never(days: Collection[int], months: Collection[int]) -> None:
    """Refuse the 30th of February, which would be sought for ever."""
    if min(days) > max(_LONGEST_MONTH.get(month, 31) for month in months):
        raise _Wrong("no such day ever comes")


def _one_day(text: str) -> str:
    found = _QUARTZ_WEEKDAY.read(text)
    if len(found) != 1:
        raise _Wrong(f"“{text}” is not one weekday")
    return _DAYS[found.pop() - 1]
