"""What each dialect accepts, and what it says about the rest."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cronbell.domain import Dialect, DstGap, DstRepeat
from cronbell.errors import ScheduleError
from cronbell.schedule import compile_schedule


def refusal(expression, dialect) -> ScheduleError:
    with pytest.raises(ScheduleError) as caught:
        compile_schedule(expression, dialect=dialect)
    return caught.value


# (expression, field, part of the message, part of the hint)
VERCEL_REFUSES = [
    ("0 9 * * mon", "day of week", "`mon` holds a name", "write `1`"),
    ("0 9 * * MON-FRI", "day of week", "`MON-FRI` holds a name", "write `1-5`"),
    ("0 9 * jan,dec *", "month", "holds a name", "write `1,12`"),
    ("0 9 * * monday", "day of week", "holds a name", "write the value as a number, 0–6"),
    ("0 0 1 * 1", "day of week", "both set", "`0 0 1 * *` and `0 0 * * 1`"),
    ("0 0 */2 * 1", "day of week", "both set", "make two entries"),
    ("0 0 * * 7", "day of week", "counts Sunday as 7", "write `0`"),
    ("0 0 * * 5-7", "day of week", "counts Sunday as 7", "write `0,5,6`"),
    ("0 0 5 * * *", "expression", "6 fields", "`0 5 * * *`"),
    ("0 0 * *", "expression", "4 fields", "`0 0 * * *`"),
    ("*", "expression", "1 field,", "`* * * * *`"),
    ("0 0 1 1 * 2026 x", "expression", "7 fields", "remove"),
    ("@daily", "expression", "shorthand", "write `0 0 * * *`"),
    ("@hourly", "expression", "shorthand", "write `0 * * * *`"),
    ("@Midnight", "expression", "shorthand", "write `0 0 * * *`"),
    ("@reboot", "expression", "not known", "run now"),
    ("0 0 L * *", "day of month", "last day", "cronbell.toml"),
    ("0 0 * * 5#2", "day of week", "nth weekday", "cronbell.toml"),
    ("0 0 ? * *", "day of month", "holds `?`", "write `*`"),
    ("every 30s", "expression", "interval", "cronbell.toml"),
    ("0  5 * * *", "expression", "extra blanks", "write `0 5 * * *`"),
    (" 0 5 * * *", "expression", "extra blanks", "write `0 5 * * *`"),
    ("0\t5 * * *", "expression", "extra blanks", "write `0 5 * * *`"),
    ("not a cron expression at all", "expression", "6 fields", ""),
    ("61 0 * * *", "minute", "`61` is out of range (range 0–59)", "0–59"),
    ("1,1 * * * *", "minute", "names 1 twice", "write `1`"),
    ("0 0-6,5 * * *", "hour", "names 5 twice", "write `0-6`"),
    ("*/20,0 5 * * *", "minute", "names 0 twice", "write `0,20,40`"),
    ("0-30,20-59 5 * * *", "minute", "names 20 twice", "write `*`"),
    ("0 5 1,01 * *", "day of month", "names 1 twice", "write `1`"),
    ("0 5 * * 1,*", "day of week", "has `*` in a list", "write `*` alone"),
    ("*,* 5 * * *", "minute", "has `*` in a list", "write `*` alone"),
]

BOTH_REFUSE = [
    ("", "expression", "empty", "0 0 * * *"),
    (" \t ", "expression", "empty", "0 0 * * *"),
    ("60 * * * *", "minute", "`60` is out of range (range 0–59)", "0–59"),
    ("0 24 * * *", "hour", "`24` is out of range (range 0–23)", "0–23"),
    ("0 0 0 * *", "day of month", "`0` is out of range (range 1–31)", "1–31"),
    ("0 0 32 * *", "day of month", "out of range", "1–31"),
    ("0 0 * 13 *", "month", "out of range", "1–12"),
    ("0 0 * * 8", "day of week", "out of range", "0–6"),
    ("0 22-2 * * *", "hour", "runs backwards", "write `22-23,0-2`"),
    ("50-10 * * * *", "minute", "runs backwards", "write `50-59,0-10`"),
    ("*/0 * * * *", "minute", "step of 0", "1 or more"),
    ("*/x * * * *", "minute", "", ""),
    ("*/ * * * *", "minute", "step that is not a whole number", ""),
    ("/5 * * * *", "minute", "step of nothing", "write `*/5`"),
    ("-5 * * * *", "minute", "negative", "0–59"),
    ("5- * * * *", "minute", "lacks the end", "0-59"),
    ("1-2-3 * * * *", "minute", "more than two ends", "one range"),
    ("*/2/3 * * * *", "minute", "step that is not", ""),
    ("1,,2 * * * *", "minute", "empty entry", "remove a comma"),
    (", * * * *", "minute", "empty entry", "remove a comma"),
    ("*5 * * * *", "minute", "not a number", "0–59"),
    ("1.5 * * * *", "minute", "not a number", "0–59"),
    ("9" * 200 + " * * * *", "minute", "out of range", "0–59"),
    ("9" * 5000 + " * * * *", "expression", "5008 characters; the limit is 256", "ranges"),
    ("*," * 100_000 + "* * * * *", "expression", "limit is 256", "ranges"),
    ("٣ * * * *", "expression", "'\\u0663'", "ASCII digits"),
    ("５ * * * *", "expression", "character 1 ", "ASCII digits"),
    ("0 0 * *\u00a0*", "expression", "character 8 ", "ASCII"),
    ("0 0 * * *\n", "expression", "'\\n'", "ASCII"),
    ("0 0 * * \0", "expression", "'\\x00'", "ASCII"),
    ("0 0 \ud800 * *", "expression", "'\\ud800'", "ASCII"),
    ("0 0 30 2 *", "day of month", "never fires", "30 February"),
    ("0 0 31 4,6,9,11 *", "day of month", "never fires", ""),
    ("H * * * *", "minute", "", "0–59"),
]

STANDARD_REFUSES = [
    ("0 0 ? * *", "day of month", "holds `?`", "write `*`"),
    ("0 0 LW * *", "day of month", "not known", "L (the last day)"),
    ("0 0 1W * *", "day of month", "not known", "L (the last day)"),
    ("0 0 L-3 * *", "day of month", "not known", "L (the last day)"),
    ("0 0 * * 5L", "day of week", "last weekday", "5#1"),
    ("0 0 * * 5#0", "day of week", "1st to 5th", "5#1"),
    ("0 0 * * 5#6", "day of week", "1st to 5th", "5#1"),
    ("0 0 * * #2", "day of week", "", ""),
    ("0 0 * * 9#2", "day of week", "out of range", "0–6"),
    ("0 0 * * monday", "day of week", "name that is not known", "write `mon`"),
    ("0 0 * mars *", "month", "name that is not known", "write `mar`"),
    ("0 0 * foo *", "month", "not known", "jan–dec"),
    ("0 0 * * fri-mon", "day of week", "runs backwards", "write `5-6,0-1`"),
    ("0 mon * * *", "hour", "not a number", "0–23"),
    ("@reboot", "expression", "not known", "run now"),
    ("@fortnightly", "expression", "not known", "@weekly"),
    ("@", "expression", "not known", "@weekly"),
    ("@daily @daily", "expression", "not known", "@daily"),
    ("* * * * * *", "expression", "6 fields", 'every = "30s"'),
    ("every", "expression", "whole number and a unit", "every 30s"),
    ("every 30", "expression", "whole number and a unit", "every 30s"),
    ("every 5 m", "expression", "whole number and a unit", "every 30s"),
    ("every 1.5h", "expression", "whole number and a unit", "every 30s"),
    ("every -5s", "expression", "whole number and a unit", "every 30s"),
    ("every 0s", "expression", "out of range", "every 30s"),
    ("every 367d", "expression", "out of range", ""),
    ("every " + "9" * 240 + "s", "expression", "out of range", ""),
    ("every 5w", "expression", "whole number and a unit", "every 30s"),
    ("0 0 30 2 */2", "day of month", "never fires", ""),
]


def check(refused, field, message, hint):
    assert refused.field == field
    assert message in refused.message
    assert hint in refused.hint
    assert refused.hint
    assert len(refused.message) < 250


@pytest.mark.parametrize(("expression", "field", "message", "hint"), VERCEL_REFUSES + BOTH_REFUSE)
def test_vercel_says_what_is_wrong_and_how_to_write_it(expression, field, message, hint):
    if expression.startswith("H"):
        message, hint = "holds a name", "as a number"
    check(refusal(expression, Dialect.VERCEL), field, message, hint)


@pytest.mark.parametrize(("expression", "field", "message", "hint"), STANDARD_REFUSES + BOTH_REFUSE)
def test_standard_says_what_is_wrong_and_how_to_write_it(expression, field, message, hint):
    check(refusal(expression, Dialect.STANDARD), field, message, hint)


@pytest.mark.parametrize(
    ("standard", "vercel"),
    [
        ("0 9 * * Mon-FRI", "0 9 * * 1-5"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * sun", "0 0 * * 0"),
        ("0 0 * * 0-7", "0 0 * * *"),
        ("0 0 * * sat-sun", "0 0 * * 0,6"),
        ("0 0 * JAN,feb,12 *", "0 0 * 1,2,12 *"),
        ("  0\t0   * * *  ", "0 0 * * *"),
        ("@daily", "0 0 * * *"),
        ("@HOURLY", "0 * * * *"),
        ("@monthly", "0 0 1 * *"),
        ("@annually", "0 0 1 1 *"),
        ("5/15 * * * *", "5,20,35,50 * * * *"),
        ("*/45 * * * *", "0,45 * * * *"),
        ("*/90 * * * *", "0 * * * *"),
        ("05 007 * * *", "5 7 * * *"),
        ("0 5 * * 1,*", "0 5 * * *"),
        ("7,7,1-9/3 * * * *", "1,4,7 * * * *"),
    ],
)
def test_two_ways_to_write_the_same_schedule(standard, vercel):
    start = 1_795_305_600
    first = compile_schedule(standard)
    second = compile_schedule(vercel, dialect=Dialect.VERCEL)
    end = start + 3 * 366 * 86_400
    assert first.count(start, end) == second.count(start, end)
    assert [first.next(start + day * 86_400) for day in range(400)] == [
        second.next(start + day * 86_400) for day in range(400)
    ]


@pytest.mark.parametrize("value", [None, 5, b"0 0 * * *", ["0 0 * * *"], {"a": 1}])
def test_what_is_not_text_is_refused_in_words(value):
    with pytest.raises(ScheduleError, match=type(value).__name__):
        compile_schedule(value)
    with pytest.raises(ScheduleError) as caught:
        compile_schedule("0 0 * * *", timezone=value)
    assert caught.value.field == "timezone"


@pytest.mark.parametrize("field", ["dialect", "dst_gap", "dst_repeat"])
def test_a_policy_that_is_not_known_is_refused(field):
    with pytest.raises(ScheduleError) as caught:
        compile_schedule("0 0 * * *", **{field: "sometimes"})
    assert caught.value.field == field
    assert "known are" in caught.value.hint


def test_a_schedule_that_only_falls_into_the_gap_is_refused_if_gaps_are_skipped():
    # The second Sunday of March, which is when New York's clocks go forward over 02:30.
    expression, zone = "30 2 8-14 3 */7", "America/New_York"
    with pytest.raises(ScheduleError, match="never fires in America/New_York") as caught:
        compile_schedule(expression, timezone=zone, dst_gap=DstGap.SKIP)
    assert "shift" in caught.value.hint
    assert compile_schedule(expression, timezone=zone).next(0) is not None
    assert compile_schedule(expression, dst_gap=DstGap.SKIP).next(0) is not None


@pytest.mark.parametrize("dialect", list(Dialect))
@settings(max_examples=1500, deadline=None)
@given(
    expression=st.text(max_size=300)
    | st.text(alphabet="0123456789*/,-L# \t@monevery?sdW", max_size=300)
    | st.lists(st.text(alphabet="0123456789*/,-L#mon", max_size=8), min_size=4, max_size=6).map(
        " ".join
    ),
    repeat=st.sampled_from(DstRepeat),
)
def test_any_text_is_accepted_or_refused_and_never_more_than_that(dialect, expression, repeat):
    refused = schedule = None
    try:
        schedule = compile_schedule(
            expression, dialect=dialect, timezone="America/New_York", dst_repeat=repeat
        )
    except ScheduleError as error:
        refused = error
    if refused:
        assert refused.message
        assert refused.hint
        assert refused.message.isprintable()
        assert len(refused.message) < 250
    else:
        fire = schedule.next(1_795_305_600)
        assert fire is not None
        assert schedule.previous(fire + 1) == fire
