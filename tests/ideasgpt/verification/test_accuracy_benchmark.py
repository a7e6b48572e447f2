from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILE = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: {name}

Files: *
Copyright: somebody
License: {licence}

Files: debian/*
Copyright: somebody else
License: {part}

License: {licence}
 Do what it says.
"""
SHELF = (("apple", "MIT", "GPL-2+"), ("birch", "Zlib", "MPL-2.0"), ("cedar", "ISC", "BSL-1.0"))


@pytest.fixture
def run(tmp_path):
    for name, licence, part in SHELF:
        for package in (name, f"{name}-dev"):  # the second is a copy
            (tmp_path / "doc" / package).mkdir(parents=True)
            text = FILE.format(name=name, licence=licence, part=part)
            (tmp_path / "doc" / package / "copyright").write_text(text)
    (tmp_path / "doc" / "other").mkdir()
    (tmp_path / "doc" / "other" / "copyright").write_text("Free for all.")

    def start(**variables):
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        return subprocess.run(
            [sys.executable, "-m", "benchmarks.accuracy", "--folder", tmp_path / "doc"],
            capture_output=True,
            text=True,
            timeout=60,
            env={**environment, "CRONBELL_DATA": str(tmp_path / "data"), **variables},
            cwd=ROOT,
            check=False,
        )

    return start


def rows(output):
    """Return the first table: N, approved, rejected, held back, passed on, for each kind."""
    found = re.findall(
        r"^([a-z ]+?) +(\d+) +(\S+) % +(\S+) % +(\S+) % +(\S+) %$", output, re.MULTILINE
    )
    return {name: tuple(map(float, numbers)) for name, *numbers in found[:5]}


def test_without_a_model_nothing_is_approved_and_the_rules_are_measured(run):
    done = run()
    assert done.returncode == 0, done.stderr
    assert "3 different machine-readable files of 7" in done.stdout
    assert rows(done.stdout) == {
        "licence of another package": (3, 0, 0, 100, 0),
        "package of another file": (3, 0, 0, 100, 0),
        "licence of a part only": (3, 0, 0, 0, 100),
        "all false claims": (9, 0, 0, 66.7, 33.3),
        "true claims": (3, 0, 0, 0, 100),
    }


def test_a_model_that_approves_everything_is_found_out(run, obeying):
    done = run(OPENAI_API_KEY="k", OPENAI_BASE_URL=f"{obeying.url}/v1")
    assert done.returncode == 1, done.stderr
    assert "3 of 9 false claims approved" in done.stdout
    assert "6 calls, 900 tokens" in done.stdout
    assert rows(done.stdout)["true claims"] == (3, 100, 0, 0, 0)


def test_a_model_that_cannot_be_asked_is_no_result(run, free_port):
    done = run(OPENAI_API_KEY="k", OPENAI_BASE_URL=f"http://127.0.0.1:{free_port}/v1")
    assert done.returncode == 2
    assert "NOT MEASURED: the model could not be asked" in done.stdout
