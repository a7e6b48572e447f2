"""The evaluator against cronsim and croniter, wherever these are right.

Each exemption has its reason: an expression or a zone that the library reads wrongly, which a test
of ours pins down elsewhere.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

import pytest
from croniter import croniter
from cronsim import CronSim

from cronbell.errors import ScheduleError
from cronbell.schedule import compile_schedule
from cronbell.schedule.zones import zone_info

DAY = 86_400
RANGES = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]
START = datetime(2026, 11, 22, tzinfo=UTC)


def random_expression(chance: random.Random) -> str:
    fields = []
    for low, high in RANGES:
        form = chance.randrange(6)
        start = chance.randint(low, high)
        end = chance.randint(start, high)
        step = chance.randint(1, high)
        fields.append(
            [
                "*",
                f"*/{step}",
                f"{start}",
                f"{start}-{end}",
                f"{start}-{end}/{step}",
                f"{start},{chance.randint(low, high)}",
            ][form]
        )
    if chance.random() < 0.6:
        fields[chance.choice([2, 4])] = "*"
    return " ".join(fields)


def one_value_ranges(expression: str) -> list[str]:
    items = [item for field in expression.split() for item in field.split(",")]
    return [
        item for item in items if "-" in item and len(set(item.partition("/")[0].split("-"))) == 1
    ]


def cronsim_errs(expression: str) -> bool:
    """Say whether cronsim 2.8 reads it wrongly: it takes a-a/n for a/n."""
    return any("/" in item for item in one_value_ranges(expression))


def croniter_errs(expression: str) -> bool:
    """Say whether croniter 7.0 reads it wrongly.

    It takes a-a for every value, and where day of month or day of week begins with a star and has
    a step, it takes either for enough; Debian cron wants both.
    """
    _, _, day, _, weekday = expression.split()
    pair = (day, weekday)
    starred = "*" not in pair and any(field.startswith("*/") for field in pair)
    return bool(one_value_ranges(expression)) or starred


def cronsim_fires(expression: str, after: datetime) -> Iterator[int]:
    return (int(fire.timestamp()) for fire in CronSim(expression, after))


def croniter_fires(expression: str, after: datetime) -> Iterator[int]:
    return (int(fire) for fire in croniter(expression, after).all_next(float))


def compare(library, errs, seed: int, wanted: int) -> None:
    chance, compared = random.Random(seed), 0
    while compared < wanted:
        expression = random_expression(chance)
        if errs(expression):
            continue
        try:
            expected = list(islice(library(expression, START), 4))
        except Exception:  # noqa: BLE001 - whatever it raises, we must refuse too
            with pytest.raises(ScheduleError):
                compile_schedule(expression)
            continue
        if not expected:  # both give up after fifty years; a leap day on a weekday may take forty
            continue
        fires = compile_schedule(expression).fires(int(START.timestamp()), expected[-1])
        assert list(fires) == expected, expression
        compared += 1


def test_cronsim_agrees_on_random_expressions():
    compare(cronsim_fires, cronsim_errs, 20261122, 1500)


def test_croniter_agrees_on_random_expressions():
    compare(croniter_fires, croniter_errs, 20261122, 400)


@pytest.mark.parametrize(
    ("library", "expression"),
    [
        (cronsim_fires, "0 0 5-5/2 * *"),
        (croniter_fires, "0 5-5 * * *"),
        (croniter_fires, "0 0 */2 * 5"),
        (croniter_fires, "0 0 13 * */5"),
    ],
)
def test_each_exemption_is_still_needed(library, expression):
    expected = list(islice(library(expression, START), 20))
    fires = compile_schedule(expression).fires(int(START.timestamp()), expected[-1])
    assert list(fires) != expected


# Cronsim only: croniter runs fixed times twice where clocks go back, and makes up for wildcard jobs
# where they go forward. Not Lord Howe or Chatham, whose changes are not at or by a full hour: there
# cronsim loses fires.
CHANGES = [
    ("America/New_York", "2026-03-07"), ("America/New_York", "2026-10-31"),
    ("Europe/London", "2026-03-28"), ("Europe/London", "2026-10-24"),
    ("Africa/Casablanca", "2026-02-14"), ("Africa/Casablanca", "2026-03-21"),
    ("Africa/Cairo", "2026-04-23"), ("Africa/Cairo", "2026-10-29"),
    ("America/Santiago", "2026-09-05"), ("Antarctica/Troll", "2026-03-28"),
    ("Antarctica/Troll", "2026-10-24"), ("Asia/Beirut", "2026-03-28"),
    ("America/Nuuk", "2026-03-27"), ("Asia/Seoul", "2026-03-28"),
]  # fmt: skip
MINUTES = ["0", "30", "*/20", "59"]
HOURS = ["*", "*/2", "1-4", "2", "0", "0-23", "1,2"]


def differences(library, zone_name: str, day: str) -> list[str]:
    start = datetime.fromisoformat(day).replace(tzinfo=zone_info(zone_name))
    first = int(start.timestamp())
    found = []
    for expression in (f"{minute} {hour} * * *" for minute in MINUTES for hour in HOURS):
        ours = list(compile_schedule(expression, timezone=zone_name).fires(first, first + 2 * DAY))
        if list(islice(library(expression, start), len(ours))) != ours:
            found.append(expression)
    return found


@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_cronsim_agrees_where_clocks_change(zone, day):
    assert differences(cronsim_fires, zone, day) == []


@pytest.mark.parametrize(
    ("zone", "day", "expression"),
    [
        ("Pacific/Chatham", "2026-09-26", "59 */2 * * *"),
        ("Australia/Lord_Howe", "2026-10-03", "*/20 0 * * *"),
        ("Australia/Lord_Howe", "2026-04-04", "0 */2 * * *"),
    ],
)
def test_each_exempted_zone_is_still_read_wrongly(zone, day, expression):
    assert expression in differences(cronsim_fires, zone, day)
