"""``[retention]``: what it may hold, and what is said where it may not."""

from __future__ import annotations

import pytest

from cronbell.config.loader import check_files, load
from cronbell.config.retention import DEFAULTS, Retention
from cronbell.states import FINAL, Status

DAY = 86_400


def written(tmp_path, text):
    path = tmp_path / "cronbell.toml"
    path.write_text(text)
    return path


def test_without_a_word_the_defaults_hold(tmp_path):
    assert load(None, written(tmp_path, "")).retention == Retention()
    assert set(DEFAULTS) == FINAL


def test_what_is_given_takes_the_default_s_place(tmp_path):
    text = '[retention]\nsuccess = "7d"\nmissed = "forever"\nerror = 172800\nnewest = 5\n'
    found = load(None, written(tmp_path, text)).retention
    assert found.newest == 5
    given = {Status.SUCCESS: 7 * DAY, Status.MISSED: None, Status.ERROR: 2 * DAY}
    assert found.seconds == {**DEFAULTS, **given}
    assert Retention.from_settings(found.plain()) == found


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('success = "1h"', "out of range"),
        ('success = "never"', "not a duration"),
        ("newest = 0", "out of range"),
        ('running = "1d"', "not known"),
        ('sucess = "1d"', "not known"),
        ("error = true", "must be a duration"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(tmp_path, line, said):
    errors, _, _ = check_files(None, written(tmp_path, f"[retention]\n{line}\n"))
    assert [(fault.line, said in fault.message) for fault in errors] == [(2, True)]
    assert errors[0].hint
