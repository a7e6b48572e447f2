"""A job's name comes from its path, is unique, and does not depend on positions."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cronbell.config.names import LONGEST_NAME, is_name, job_names

DAILY = "0 0 * * *"


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/api/cron/update-rankings"], ["update-rankings"]),
        (["/api/cron/update-rankings/"], ["update-rankings"]),
        (["/a/x", "/b/x"], ["a-x", "b-x"]),
        (["/a/x", "/b/x", "/c/y"], ["a-x", "b-x", "y"]),
        (["/"], ["root"]),
        (["/api/cron?job=a"], ["cron"]),
        (["/api/cron?job=a", "/api/cron?job=b"], ["api-cron-job-a", "api-cron-job-b"]),
        (["/api/cron", "/api/cron?job=b"], ["api-cron", "api-cron-job-b"]),
        (["/a/x", "/b/x", "/c/a-x"], ["a-x", "b-x", "c-a-x"]),
        (["/api/run.php"], ["run.php"]),
        (["/작업/정리"], ["정리"]),
        (["/api/[slug]"], ["slug"]),
        (["/a b/c%20d"], ["c-20d"]),
        (["/__x"], ["x"]),
    ],
)
def test_names_are_the_shortest_that_are_unique(paths, names):
    assert job_names([(path, DAILY) for path in paths]) == names


def test_targets_that_differ_only_in_what_a_name_cannot_hold_get_a_hash():
    first, second = job_names([("/a/b!", DAILY), ("/a/b?", DAILY)])
    assert first.startswith("a-b-")
    assert second.startswith("a-b-")
    assert first != second
    assert len(first) == len("a-b-") + 6


def test_several_schedules_of_one_path_get_the_schedules_hash():
    entries = [("/a/x", DAILY), ("/a/x", "0 12 * * *"), ("/a/y", DAILY)]
    first, second, third = job_names(entries)
    assert first.startswith("x-")
    assert second.startswith("x-")
    assert len(first) == len("x-") + 6
    assert third == "y"
    # The second schedule alone made the first longer; without it there is no hash.
    assert job_names(entries[:1]) == ["x"]
    assert job_names([entries[1], entries[0]]) == [second, first]


PATHS = st.text(alphabet="/ab-?=&!.한#", min_size=1, max_size=12).map(lambda text: "/" + text)


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.tuples(PATHS, st.sampled_from([DAILY, "0 1 * * *", "0 2 * * *"])),
        unique=True,
        max_size=30,
    ),
    st.randoms(use_true_random=False),
)
def test_names_are_unique_valid_and_the_same_in_any_order(entries, chance):
    names = job_names(entries)
    assert len(set(names)) == len(names)
    assert all(is_name(name) for name in names)
    shuffled = list(entries)
    chance.shuffle(shuffled)
    assert dict(zip(shuffled, job_names(shuffled), strict=True)) == dict(
        zip(entries, names, strict=True)
    )


def test_long_paths_give_names_of_bounded_length():
    entries = [(f"/{'x' * 300}/{'y' * 200}{index}", DAILY) for index in range(50)]
    entries += [(f"/{'x' * 500}", f"{index} 0 * * *") for index in range(50)]
    names = job_names(entries)
    assert len(set(names)) == 100
    assert max(map(len, names)) <= LONGEST_NAME


def test_a_hundred_thousand_schedules_of_one_path_stay_apart():
    # Six hexadecimal digits collide here by the hundred.
    names = job_names([("/a", f"schedule {index}") for index in range(100_000)])
    assert len(set(names)) == 100_000


@pytest.mark.parametrize(
    "name", ["", "-a", ".a", "_a", "a b", "a/b", "a\n", "é" * 121, "a:b", "a,b"]
)
def test_what_is_no_name(name):
    assert not is_name(name)


def test_order_is_irrelevant_for_a_thousand_paths():
    chance = random.Random(5)
    entries = [
        (f"/{index % 7}/{index % 11}/job-{index % 13}?i={index}", DAILY) for index in range(1000)
    ]
    expected = dict(zip(entries, job_names(entries), strict=True))
    chance.shuffle(entries)
    assert dict(zip(entries, job_names(entries), strict=True)) == expected
