"""What happens to fires when clocks change: the rows of ``docs/dst.md``, each of them a test."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cronbell.domain import DstGap, DstRepeat
from cronbell.errors import ScheduleError
from cronbell.schedule import compile_schedule
from cronbell.schedule.zones import zone_info

HOUR = 3600
DOCUMENT = Path(__file__).parents[2] / "docs" / "dst.md"


def table(title: str) -> list[list[str]]:
    """Return the rows of the table under a heading, without the marks of code."""
    section = DOCUMENT.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+) \|$", section, re.MULTILINE)[1:]
    return [[cell.strip("`") for cell in row.split(" | ")] for row in rows]


def seconds(zone: str, moment: str) -> int:
    return int(datetime.fromisoformat(moment).replace(tzinfo=zone_info(zone)).timestamp())


def local_fires(expression, zone_name, day, **policy):
    """List the fires of the first six hours of a local day, a second pass as ``b``."""
    zone = zone_info(zone_name)
    start = seconds(zone_name, day)
    schedule = compile_schedule(expression, timezone=zone_name, **policy)
    fires = schedule.fires(start - 1, start + 6 * HOUR)
    local = [datetime.fromtimestamp(fire, zone) for fire in fires]
    return " ".join(f"{time:%H:%M}{'b' * time.fold}" for time in local) or "none"


@pytest.mark.parametrize("row", table("Clocks go forward"), ids=" ".join)
def test_where_clocks_go_forward_the_default_rules_give_these_fires(row):
    zone, day, expression, expected = row
    assert local_fires(expression, zone, day) == expected


@pytest.mark.parametrize("row", table("Clocks go back"), ids=" ".join)
def test_where_clocks_go_back_the_default_rules_give_these_fires(row):
    zone, day, expression, expected = row
    assert local_fires(expression, zone, day) == expected


@pytest.mark.parametrize("row", table("Nothing changes"), ids=" ".join)
@pytest.mark.parametrize("gap", DstGap)
@pytest.mark.parametrize("repeat", DstRepeat)
def test_where_no_clock_changes_every_rule_gives_the_same_fires(row, gap, repeat):
    zone, day, expression, expected = row
    assert local_fires(expression, zone, day, dst_gap=gap, dst_repeat=repeat) == expected


@pytest.mark.parametrize("row", table("Chosen rules"), ids=" ".join)
def test_chosen_rules_give_these_fires(row):
    zone, day, expression, gap, repeat, expected = row
    policy = {"dst_gap": DstGap(gap), "dst_repeat": DstRepeat(repeat)}
    assert local_fires(expression, zone, day, **policy) == expected


@pytest.mark.parametrize("row", table("A day that never was"), ids=" ".join)
def test_a_day_that_never_was_gives_these_fires(row):
    zone_name, start, end, expression, gap, expected = row
    schedule = compile_schedule(expression, timezone=zone_name, dst_gap=DstGap(gap))
    fires = schedule.fires(seconds(zone_name, start) - 1, seconds(zone_name, end))
    zone = zone_info(zone_name)
    shown = [f"{datetime.fromtimestamp(fire, zone):%Y-%m-%d %H:%M}" for fire in fires]
    assert (", ".join(shown) or "none") == expected


@pytest.mark.parametrize("row", table("Days that calendars make hard"), ids=" ".join)
def test_hard_days_give_these_fires(row):
    start, expression, expected = row
    schedule, instant, found = compile_schedule(expression), seconds("UTC", start) - 1, []
    while len(found) < len(expected.split(", ")):
        instant = schedule.next(instant)
        found.append(f"{datetime.fromtimestamp(instant, UTC):%Y-%m-%d}")
    assert ", ".join(found) == expected


@pytest.mark.parametrize("row", table("Refused"), ids=" ".join)
def test_what_is_refused_says_why(row):
    expression, why = row
    with pytest.raises(ScheduleError, match=why) as caught:
        compile_schedule(expression)
    assert caught.value.hint


def test_fires_at_one_instant_are_one_fire():
    # Debian would run this twice at 03:00: once for 02:00, which was left out, once for 03:00.
    schedule = compile_schedule("0 1-4 * * *", timezone="America/New_York")
    start = int(datetime(2026, 3, 8, 5, tzinfo=UTC).timestamp())
    fires = list(schedule.fires(start, start + 6 * HOUR))
    assert len(fires) == len(set(fires)) == schedule.count(start, start + 6 * HOUR) == 3


@pytest.mark.parametrize("policy", [{"dst_gap": "skip"}, {"dst_repeat": "both"}])
def test_sabotage_another_rule_contradicts_the_tables(policy):
    """With the default rules taken away, rows of the tables must fail."""
    rows = table("Clocks go forward") + table("Clocks go back")
    failed = [row for row in rows if local_fires(row[2], row[0], row[1], **policy) != row[3]]
    assert len(failed) >= 5
