"""Second hop: an expression and an instant go in, fires come out (UTC epoch seconds).

Pure: no I/O but reading zone rules from the ``tzdata`` package, no clock, no Django.
``grammar`` reads an expression, ``days`` knows the calendar, ``zones`` knows when clocks change,
``cron`` puts the three together, and ``policy`` decides what becomes of the fires that are due.
"""

from __future__ import annotations

from cronbell.schedule.cron import Schedule, compile_schedule, schedule_of
from cronbell.schedule.policy import Missed, Plan, plan_fires
from cronbell.schedule.zones import tzdata_version

__all__ = [
    "Missed",
    "Plan",
    "Schedule",
    "compile_schedule",
    "plan_fires",
    "schedule_of",
    "tzdata_version",
]
