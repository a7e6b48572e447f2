"""Whatever is asked, an answer or a refusal comes, and comes soon."""

from __future__ import annotations

import resource
from itertools import pairwise

import pytest

from cronbell.domain import Dialect, DstGap, DstRepeat
from cronbell.errors import ScheduleError
from cronbell.schedule import compile_schedule
from cronbell.schedule.cron import _compile
from cronbell.schedule.explain import dst_notes, explain

FIRST, LAST = -62_135_596_800, 253_402_300_799
# CPU seconds, so that a busy machine makes no difference: what would hang takes for ever.
ENOUGH = 2.0

HUGE = [
    "9" * 5_000 + " * * * *",
    "9" * 5_000,
    "*/" + "9" * 5_000 + " * * * *",
    "0 0 1-" + "9" * 5_000 + " * *",
    "0 0 * * 1#" + "9" * 5_000,
    "every " + "9" * 5_000 + "s",
    "@" + "daily" * 40_000,
    "0," * 100_000 + "0 * * * *",
    "*" * 200_000,
    " " * 200_000,
    "/" * 200_000,
    "-" * 200_000 + " * * * *",
    "* * * * *" + " *" * 100_000,
    "\ud800" * 200_000,
    "é" * 200_000,
    "\0" * 200_000,
]
# As long as is let in: what costs the most within the limit.
LONGEST = [
    ",".join(["*/1"] * 60) + " * * * *",
    "0 0 " + ",".join(["1-31"] * 49) + " * *",
    "0 0 * * " + ",".join(["1#1"] * 61),
    "9" * 248 + " * * * *",
    "*/" + "9" * 246 + " * * * *",
    "0/" + "9" * 246 + " * * * *",
]


def seconds_spent() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@pytest.fixture
def soon():
    """Fail what takes long."""
    begun = seconds_spent()
    yield
    assert seconds_spent() - begun < ENOUGH


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("expression", HUGE, ids=range(len(HUGE)))
def test_what_is_huge_is_refused_in_a_short_sentence(expression, dialect, soon):
    with pytest.raises(ScheduleError) as caught:
        compile_schedule(expression, dialect=dialect)
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()
    assert caught.value.hint


@pytest.mark.parametrize("expression", LONGEST, ids=range(len(LONGEST)))
def test_the_longest_let_in_is_answered(expression, soon):
    assert len(expression) <= 256
    if expression.startswith("9"):  # no minute, but no reason to stumble either
        with pytest.raises(ScheduleError, match="out of range"):
            compile_schedule(expression)
        return
    schedule = compile_schedule(expression)
    assert schedule.next(0) is not None
    assert explain(schedule)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Seoul", "Pacific/Apia"])
@pytest.mark.parametrize(
    "expression", ["* * * * *", "0 0 29 2 0", "59 23 31 12 *", "every 1s", "every 366d"]
)
@pytest.mark.parametrize(
    "instant", [-(10**4000), FIRST - 1, FIRST, 0, 2**31, LAST - 1, LAST, LAST + 1, 10**4000]
)
def test_any_instant_is_answered(zone, expression, instant, soon):
    schedule = compile_schedule(expression, timezone=zone)
    fire, before = schedule.next(instant), schedule.previous(instant)
    assert fire is None or max(instant, FIRST - 1) < fire <= LAST
    assert before is None or FIRST <= before < min(instant, LAST + 1)
    assert schedule.count(instant, instant + 400 * 86_400) >= 0
    assert next(schedule.fires(instant, 10**4001), None) == fire
    assert isinstance(dst_notes(schedule, instant, instant + 400 * 86_400), list)


@pytest.mark.parametrize(
    "expression", ["0 0 30 2 *", "0 0 31 2 *", "0 0 31 4,6,9,11 *", "0 0 30,31 2 *", "0 0 30 2 */2"]
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("gap", DstGap)
@pytest.mark.parametrize("repeat", DstRepeat)
def test_what_never_fires_is_refused_whatever_the_rules(expression, zone, gap, repeat, soon):
    with pytest.raises(ScheduleError, match="never fires"):
        compile_schedule(expression, timezone=zone, dst_gap=gap, dst_repeat=repeat)


def test_a_refusal_is_not_kept_and_does_not_fill_the_cache():
    kept = _compile.cache_info().currsize
    for number in range(60, 160):
        with pytest.raises(ScheduleError):
            compile_schedule(f"{number} * * * *")
    assert _compile.cache_info().currsize == kept


def test_a_leap_day_on_one_weekday_is_found_however_far_it_is(soon):
    # A star first means both must match: every 28 years, 12 or 40 where a century has no leap day.
    schedule = compile_schedule("0 0 29 2 */7")
    fires = []
    instant = 0
    while len(fires) < 40:
        instant = schedule.next(instant)
        fires.append(instant)
    gaps = {round((later - earlier) / 31_556_952) for earlier, later in pairwise(fires)}
    assert gaps <= {28, 40, 12}
