"""Sentences for schedules, and notes about daylight saving, in English and Korean."""

from __future__ import annotations

import random
import re
import unicodedata
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronbell.domain import Dialect, DstGap, DstRepeat, JobSpec
from cronbell.errors import ScheduleError
from cronbell.schedule import compile_schedule
from cronbell.schedule.explain import dst_notes, explain

DAY = 86_400
# expression, English, Korean: read by people before they were kept
SENTENCES = [
    line.split("\t")
    for line in (Path(__file__).parent / "sentences.tsv").read_text(encoding="utf-8").splitlines()
]
LIMITS = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(("expression", "english", "korean"), SENTENCES)
def test_the_sentence_is_this_one(expression, english, korean):
    assert explain(expression) == english
    assert explain(expression, language="ko") == korean


def test_the_table_is_large_and_its_sentences_differ_where_the_schedules_do():
    assert len(SENTENCES) >= 60
    for column in (1, 2):
        meanings = defaultdict(set)
        for row in SENTENCES:
            schedule = compile_schedule(row[0])
            start = at("2026-11-22")
            fires = tuple(schedule.next(start + hour * 4567) for hour in range(4000))
            meanings[row[column]].add(fires)
        assert all(len(fires) == 1 for fires in meanings.values())


def test_a_job_and_a_compiled_schedule_and_an_expression_are_explained_alike():
    spec = JobSpec(name="clean", path="/clean", schedule="0 3 * * 0", timezone="Asia/Seoul")
    assert explain(spec) == explain("0 3 * * 0") == explain(compile_schedule("0 3 * * sun"))
    vercel = explain("0 0 * * 1", dialect=Dialect.VERCEL, language="ko")
    assert vercel == "매주 월요일 00:00"
    with pytest.raises(ScheduleError):
        explain("0 0 * * mon", dialect=Dialect.VERCEL)


@pytest.mark.parametrize(
    ("language", "expected"),
    [("ko", "매일"), ("ko-kr", "매일"), ("KO", "매일"), ("en-us", "At"), ("fr", "At"), ("", "At")],
)
def test_a_language_may_name_its_country_and_what_is_not_known_gets_english(language, expected):
    assert explain("0 0 * * *", language=language).startswith(expected)


@pytest.mark.parametrize(
    "same",
    [
        ("0 9 * * mon-fri", "0 9 * * 1,2,3,4,5", "00 9 * * 1-5"),
        ("@daily", "0 0 * * *", "0 0 */1 * *", "0 0 1-31 * 1"),
        ("0 0 * * 7", "0 0 * * sun", "@weekly"),
        ("*/5 * * * *", "0-59/5 * * * *", "every 5m", "every 300s"),
        ("0 0 * * 5", "0 0 * * 5,5#2"),
    ],
)
def test_ways_to_write_one_schedule_have_one_sentence(same):
    assert len({explain(expression) for expression in same}) == 1


@st.composite
def fields(draw, low, high):
    start = draw(st.integers(low, high))
    end, step = draw(st.integers(start, high)), draw(st.integers(1, high))
    forms = [
        "*",
        f"{start}",
        f"{start}-{end}",
        f"*/{step}",
        f"{start}-{end}/{step}",
        f"{low},{end}",
    ]
    return draw(st.sampled_from(forms))


@st.composite
def expressions(draw):
    parts = [draw(fields(low, high)) for low, high in LIMITS]
    parts[2] += draw(st.sampled_from(["", ",L"])) if parts[2] != "*" else ""
    parts[4] = draw(st.sampled_from([parts[4], "1#1", "mon#5,0#2", "2,fri#3"]))
    return " ".join(parts)


INTERVALS = st.builds("every {}{}".format, st.integers(1, 366), st.sampled_from("smhd"))
# A sentence is clean text: no gap where a word is missing, no bracket left open.
UNCLEAN = re.compile(r"  | [,.:]|^[ ,]|[ ,]$|None|\(\)|Row")


@given(expressions() | INTERVALS)
def test_every_accepted_expression_has_a_clean_sentence_in_both_languages(expression):
    try:
        schedule = compile_schedule(expression)
    except ScheduleError:
        return
    english, korean = explain(schedule), explain(schedule, language="ko")
    for text in (english, korean):
        assert text.isprintable()
        assert not UNCLEAN.search(text), text
        assert len(text) < 600
    assert english.isascii()
    assert english[0].isupper()
    assert any(unicodedata.name(letter).startswith("HANGUL") for letter in korean) or re.fullmatch(
        r"[\d:, UTC]+", korean
    )


def random_expression(chance: random.Random) -> str:
    """Return an expression from so small a choice that different ones come out close."""
    minute = chance.choice(["0", "5", "0,30", "*/30", "*/5", "0-4", "*", "*/7", "1-59/2", "0,1,2"])
    hour = chance.choice(["*", "0", "9-17", "*/2", "1-23/2", "9,17", "0-5,22", "0,1,2,3", "9-17/2"])
    day = chance.choice(["*", "1", "1,15", "*/2", "1-7", "L", "1,L", "*/2,L", "1-31", "13-31/3"])
    month = chance.choice(["*", "1", "1,7", "6-8", "*/3", "1-12", "2"])
    weekday = chance.choice(
        ["*", "5", "1-5", "0,6", "*/2", "5#2", "5,1#1", "1#1,1#3", "0-6", "6,0"]
    )
    return f"{minute} {hour} {day} {month} {weekday}"


@pytest.mark.parametrize("language", ["en", "ko"])
def test_schedules_with_one_sentence_match_the_same_days_and_times(language):
    chance, meanings = random.Random(2026), defaultdict(set)
    for expression in {random_expression(chance) for _ in range(6000)}:
        schedule = compile_schedule(expression)
        meaning = (schedule.times, tuple(map(schedule._days._mask, range(14))))
        meanings[explain(schedule, language=language)].add(meaning)
    assert len(meanings) > 2000
    ambiguous = [sentence for sentence, what in meanings.items() if len(what) > 1]
    assert not ambiguous


YEAR = (at("2026-11-22"), at("2027-11-22"))
NOTES = [
    # (expression, zone, policy, English, Korean)
    ("30 2 * * *", "America/New_York", {},
     "in America/New_York 02:30 does not exist on 2027-03-14: runs at 03:00",
     "America/New_York의 2027-03-14에는 02:30 시각이 없습니다: 03:00에 실행합니다"),
    ("30 2 * * *", "America/New_York", {"dst_gap": DstGap.SKIP},
     "in America/New_York 02:30 does not exist on 2027-03-14 and is left out",
     "America/New_York의 2027-03-14에는 02:30 시각이 없습니다: 실행하지 않습니다"),
    ("30 1 * * *", "America/New_York", {},
     "in America/New_York 01:30 comes twice on 2027-11-07: runs the first time only",
     "America/New_York의 2027-11-07에는 01:30 시각이 두 번 있습니다: 첫 번째에만 실행합니다"),
    ("30 1 * * *", "America/New_York", {"dst_repeat": DstRepeat.BOTH},
     "in America/New_York 01:30 comes twice on 2027-11-07: runs both times",
     "America/New_York의 2027-11-07에는 01:30 시각이 두 번 있습니다: 두 번 다 실행합니다"),
    ("10,20 2 * * *", "Europe/Berlin", {},
     "in Europe/Berlin 02:10 and 02:20 do not exist on 2027-03-28: runs once at 03:00",
     "Europe/Berlin의 2027-03-28에는 02:10, 02:20 시각이 없습니다: 03:00에 한 번 실행합니다"),
    ("*/5 2 * 3 *", "Europe/Berlin", {},
     "in Europe/Berlin 02:00 to 02:55 (12 times) do not exist on 2027-03-28 and are left out",
     "Europe/Berlin의 2027-03-28에는 02:00~02:55(12개) 시각이 없습니다: 실행하지 않습니다"),
    ("15 2 * * *", "Australia/Lord_Howe", {},
     "in Australia/Lord_Howe 02:15 does not exist on 2027-10-03: runs at 02:30",
     "Australia/Lord_Howe의 2027-10-03에는 02:15 시각이 없습니다: 02:30에 실행합니다"),
    ("*/30 * * * *", "America/New_York", {"dst_gap": DstGap.SKIP, "dst_repeat": DstRepeat.FIRST},
     "in America/New_York 01:00 and 01:30 come twice on 2027-11-07: runs the first time only",
     ("America/New_York의 2027-11-07에는 01:00, 01:30 시각이 각각 두 번 있습니다: "
      "첫 번째에만 실행합니다")),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "zone", "policy", "english", "korean"), NOTES)
def test_a_change_of_the_clocks_is_noted(expression, zone, policy, english, korean):
    schedule = compile_schedule(expression, timezone=zone, **policy)
    assert english in dst_notes(schedule, *YEAR)
    assert korean in dst_notes(schedule, *YEAR, "ko")


@pytest.mark.parametrize(
    ("expression", "zone"),
    [
        ("* * * * *", "America/New_York"),  # follows real time through it all
        ("0 * * * *", "Europe/Berlin"),
        ("0 12 * * *", "America/New_York"),  # far from where clocks change
        ("30 2 * * 1", "America/New_York"),  # never on a Sunday
        ("30 2 * * *", "Asia/Seoul"),  # no clock changes
        ("30 2 * * *", "UTC"),
        ("every 30s", "America/New_York"),
    ],
)
def test_where_nothing_odd_happens_nothing_is_noted(expression, zone):
    assert dst_notes(compile_schedule(expression, timezone=zone), *YEAR) == []


def test_notes_are_those_of_the_time_asked_about():
    schedule = compile_schedule("30 2 * * *", timezone="America/New_York")
    change = at("2027-03-14T07:00")
    assert len(dst_notes(schedule, change - 1, change)) == 1
    assert dst_notes(schedule, change, change + DAY) == []
    assert dst_notes(schedule, change - DAY, change - 1) == []
    assert dst_notes(schedule, change, change - DAY) == []
    assert len(dst_notes(schedule, change - 1, at("2037-03-01"))) == 10


def test_notes_reach_as_far_as_time_does():
    schedule = compile_schedule("30 2 * * *", timezone="America/New_York")
    assert [note[-32:] for note in dst_notes(schedule, at("9999-01-01"), 10**40)] == [
        "exist on 9999-03-14: runs at 03:00"[-32:]
    ]
    assert dst_notes(schedule, -(10**40), at("1900-01-01")) == []
    assert len(dst_notes(schedule, at("2800-01-01"), at("2900-01-01"))) == 100


def test_a_time_made_up_for_on_another_day_is_noted_with_its_day():
    schedule = compile_schedule("0 12 * * *", timezone="Pacific/Apia", dst_gap=DstGap.SHIFT)
    notes = dst_notes(schedule, at("2011-12-01"), at("2012-01-15"))
    expected = "12:00 does not exist on 2011-12-30: runs at 2011-12-31 00:00"
    assert notes == [f"in Pacific/Apia {expected}"]


@pytest.mark.parametrize("gap", DstGap)
@pytest.mark.parametrize("repeat", DstRepeat)
@pytest.mark.parametrize(
    "expression", ["30 2 * * *", "*/20 1-3 * * *", "20 * * * *", "0 1-4 * * *"]
)
def test_what_a_change_is_said_to_do_is_what_the_fires_show(expression, gap, repeat):
    schedule = compile_schedule(
        expression, timezone="America/New_York", dst_gap=gap, dst_repeat=repeat
    )
    changes = list(schedule.clock_changes(at("2024-01-01"), at("2028-01-01")))
    assert changes
    for change in changes:
        around = set(schedule.fires(change.instant - DAY, change.instant + DAY))
        named = schedule.times
        ordinary = (change.instant + change.after) % DAY in named
        if change.left_out:
            assert (change.instant in around) == (change.made_up or ordinary)
        for local in change.repeated:
            assert local - change.before in around
            assert (local - change.after in around) == change.twice
