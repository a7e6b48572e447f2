"""The rules against models of Debian cron and of Vercel, at every kind of change a clock makes.

Debian's is in ``tests.support.debian``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from typing import NamedTuple

import pytest
from tests.support.debian import DAY, EPOCH, HOUR, Debian, Step, offset, steps

from cronbell.domain import DstGap, DstRepeat
from cronbell.schedule import compile_schedule
from cronbell.schedule.zones import zone_names

BEFORE, AFTER = 14 * HOUR, 30 * HOUR  # around a change, so that both its days are seen whole

# Of each sort: fixed times in, around and far from where clocks change; wildcards in the minute,
# the hour and both; ranges over everything, which are no wildcards; weekdays; days of the month.
EXPRESSIONS = [
    "30 2 * * *", "30 1 * * *", "10 2,3 * * *", "0 1-4 * * *", "15 */2 * * *", "0 */2 * * *",
    "0,30 */3 * * *", "0 * * * *", "*/30 * * * *", "* * * * *", "0 0 * * *", "59 23 * * *",
    "0 3 * * *", "20 1,2 * * 0", "0-59 0-23 * * *", "5 0-23 * * *", "*/7 1-3 * * *", "0 12 * * *",
    "30 0,23 * * 6", "15 2 1-7 * *", "0 0 * 3,10 *", "45 */2 8-14 * 0",
]  # fmt: skip


class Change(NamedTuple):
    """One change of a zone's clocks: its kind, and where to find one of it."""

    before: int  # minutes east of UTC
    after: int
    local: int  # minute of the local day at which it comes
    day: int  # local, since 1970: which weekday and day of the month it is
    zone: str
    instant: int  # minutes since 1970


def changes_of(zone: str, first: int, last: int) -> Iterator[int]:
    """Yield the minutes at which a zone's offset changes, by halving the days on which it does."""
    for start in range(first, last, DAY):
        low, high = start, start + DAY
        if offset(zone, low) == offset(zone, high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            if offset(zone, middle) == offset(zone, low):
                low = middle
            else:
                high = middle
        yield high


def minutes(year: int) -> int:
    return (date(year, 1, 1) - date(1970, 1, 1)).days * DAY


@cache
def kinds_of_change() -> tuple[Change, ...]:
    """Return one change of each kind that any zone makes from 2024 to the end of 2027."""
    found: dict[tuple[int, ...], Change] = {}
    for zone in sorted(zone_names()):
        for instant in changes_of(zone, minutes(2024), minutes(2028)):
            before, after = offset(zone, instant - 1), offset(zone, instant)
            day, local = divmod(instant + before, DAY)
            kind = (before, after, local, day)
            found.setdefault(kind, Change(*kind, zone, instant))
    return tuple(found.values())


# Those that no zone makes in these years: three hours, just past what counts as a gap and just
# what counts as a repeat; a day left out; a day that came twice; half an hour for good.
HISTORIC = [
    ("Antarctica/Casey", 2020), ("Antarctica/Casey", 2021), ("Pacific/Apia", 2011),
    ("Pacific/Kwajalein", 1969), ("Asia/Pyongyang", 2015), ("Asia/Pyongyang", 2018),
    ("Asia/Seoul", 1988), ("America/Caracas", 2016), ("Europe/Lisbon", 1992),
]  # fmt: skip


def historic_changes() -> Iterator[Change]:
    for zone, year in HISTORIC:
        for instant in changes_of(zone, minutes(year), minutes(year + 1)):
            before, after = offset(zone, instant - 1), offset(zone, instant)
            day, local = divmod(instant + before, DAY)
            yield Change(before, after, local, day, zone, instant)


def walk(change: Change) -> list[Step]:
    """Wake up each minute around a change."""
    return steps(change.zone, change.instant - BEFORE, change.instant + AFTER)


def ours(expression: str, change: Change, **policy) -> set[int]:
    schedule = compile_schedule(expression, timezone=change.zone, **policy)
    first, last = change.instant - BEFORE, change.instant + AFTER
    return {fire // 60 for fire in schedule.fires(first * 60 - 1, last * 60 - 1)}


def differences(changes, **policy) -> list[tuple[str, str, str, set[int]]]:
    models = {expression: Debian(expression) for expression in EXPRESSIONS}
    found = []
    for change in changes:
        steps = walk(change)
        for expression, model in models.items():
            differing = model.fires(steps) ^ ours(expression, change, **policy)
            if differing:
                moment = EPOCH + timedelta(minutes=change.instant)
                found.append((change.zone, f"{moment:%Y-%m-%d}", expression, differing))
    return found


def test_no_kind_of_change_from_2024_to_2027_fires_other_than_debian_cron():
    """Every zone's every change, one of each kind, times every expression: the same instants.

    As a set: where Debian starts a job twice at one instant, ours is one fire (0002-schedules).
    """
    changes = kinds_of_change()
    assert len(changes) >= 200
    assert {change.after - change.before for change in changes} >= {-120, -60, -30, 30, 60, 120}
    assert differences(changes) == []


def test_changes_that_years_past_have_seen_fire_as_debian_cron_would():
    changes = list(historic_changes())
    assert {abs(change.after - change.before) for change in changes} >= {30, 60, 180, DAY}
    assert differences(changes) == []


def vercel_fires(model: Debian, steps: list[Step]) -> set[int]:
    """Return what Vercel's schedules run: each local time that there is, the first time it is."""
    seen: set[int] = set()
    fires = set()
    for step in steps:
        if model.matches(step.now) and step.now not in seen:
            fires.add(step.instant)
        seen.add(step.now)
    return fires


def test_skip_and_first_fire_as_vercel_s_schedules_do_at_every_kind_of_change():
    policy = {"dst_gap": DstGap.SKIP, "dst_repeat": DstRepeat.FIRST}
    for change in kinds_of_change():
        steps = walk(change)
        for expression in EXPRESSIONS:
            expected = vercel_fires(Debian(expression), steps)
            assert ours(expression, change, **policy) == expected, (change, expression)


@pytest.mark.parametrize(
    "policy", [{"dst_gap": DstGap.SKIP}, {"dst_gap": DstGap.SHIFT}, {"dst_repeat": DstRepeat.BOTH},
               {"dst_repeat": DstRepeat.FIRST}]
)  # fmt: skip
def test_sabotage_with_any_other_rule_the_model_disagrees(policy):
    assert differences(kinds_of_change()[:12], **policy)
