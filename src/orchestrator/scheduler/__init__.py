"""The timetable, on APScheduler, and the loops that it wakes."""

from orchestrator.scheduler.calendar import next_time
from orchestrator.scheduler.polling import Polling
from orchestrator.scheduler.timetable import Timetable, TimetableSettings

__all__ = ["Polling", "Timetable", "TimetableSettings", "next_time"]
