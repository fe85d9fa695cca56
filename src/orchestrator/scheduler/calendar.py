"""When a schedule next says to do something: APScheduler's triggers, which we ask rather than start."""

import functools
from datetime import UTC, datetime, timedelta
from typing import Final

from apscheduler.triggers.cron import CronTrigger

from orchestrator.core.schedule import Interval, read_schedule

_NEVER: Final = 366 * 86_400_000
_MILLISECOND: Final = timedelta(milliseconds=1)


def next_time(schedule: str, after: int) -> int:
    """Return when `schedule` (`core.schedule`) next comes after `after`, both in ms since the epoch.

    A year that is past never comes again; then it is looked at once a year.
    """
    if isinstance(found := read_schedule(schedule), Interval):
        return after + found.seconds * 1_000
    since = datetime.fromtimestamp(after / 1_000, UTC) + _MILLISECOND
    at: datetime | None = _trigger(schedule).get_next_fire_time(None, since)
    return after + _NEVER if at is None else round(at.timestamp() * 1_000)


@functools.lru_cache(maxsize=256)
def _trigger(schedule: str) -> CronTrigger:
    found = read_schedule(schedule)
    assert not isinstance(found, Interval)
    return CronTrigger(**found.fields, timezone=UTC)
