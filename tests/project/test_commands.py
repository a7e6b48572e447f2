"""The commands that people and CI type: ``make …``, ``.ci/run``, ``scripts/test.py``."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import failures, machine, source

CI = source.ROOT / ".ci" / "run"
MAKEFILE = source.text(source.ROOT / "Makefile")
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


def test_make_help_lists_every_target():
    answer = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=source.ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert {line.split()[1] for line in answer.stdout.splitlines()} == TARGETS


def test_no_target_is_taken_for_a_file():
    phony = re.search(r"^\.PHONY:(.*)$", MAKEFILE, re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == TARGETS


def test_make_bench_runs_every_benchmark():
    listed = re.search(r"^BENCHMARKS := (.*)$", MAKEFILE, re.MULTILINE)
    programs = [
        path.stem
        for path in source.under("benchmarks", suffix=".py")
        if '__name__ == "__main__"' in source.text(path)
    ]
    assert listed
    assert sorted(listed[1].split()) == sorted(programs)


def test_ci_may_be_executed_parses_and_stops_at_the_first_fault():
    assert os.access(CI, os.X_OK)
    subprocess.run(["bash", "-n", CI], check=True, timeout=30)
    assert "set -euo pipefail" in source.text(CI)
    assert "export CI=true" in source.text(CI)


@pytest.mark.parametrize(
    ("failing", "code"), [("--only", 1), ("--but", 1), ("neither", 0)], ids=str
)
def test_ci_does_both_halves_of_the_faults_and_fails_where_either_does(
    tmp_path: Path, failing: str, code: int
):
    make = tmp_path / "make"
    make.write_text(f'#!/bin/bash\necho "$*" >>said\n[[ "$*" != *{failing}* ]]\n')
    make.chmod(0o755)
    faults = source.text(CI).partition("# In two halves")[2]
    answer = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n#{faults}"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        timeout=30,
        check=False,
    )
    assert answer.returncode == code
    one, other = sorted((tmp_path / "said").read_text().splitlines())
    assert one.replace("--but", "--only") == other, "the same names, left out and done"


def test_what_failed_is_told_with_its_name_when_all_is_over(tmp_path: Path):
    (tmp_path / "test_it.py").write_text(
        "def test_good():\n    pass\n\n\ndef test_bad():\n    assert 'left' == 'right'\n"
    )
    told = tmp_path / "told"
    pytest_of_ours = ["-m", "pytest", "-p", "tests.conftest", "-n2", "--rootdir", source.ROOT]
    subprocess.run(
        [sys.executable, *pytest_of_ours, tmp_path / "test_it.py"],
        cwd=source.ROOT,
        env={**os.environ, failures.VARIABLE: str(told)},
        capture_output=True,
        timeout=120,
        check=False,
    )
    text = told.read_text()
    assert "test_bad (call)" in text
    assert "'left' == 'right'" in text
    assert "test_good" not in text


@pytest.mark.parametrize("capability", machine.INSTALL)
def test_ci_installs_what_a_missing_capability_asks_for(capability: str):
    locked = re.search(r"pip install ([\w-]+)", machine.INSTALL[capability])
    if locked:  # by make setup
        lock = source.text(source.ROOT / "requirements.lock")
        assert re.search(rf"^{locked[1]}==", lock, re.MULTILINE)
        return
    package = re.search(r"apt-get install ([\w-]+)", machine.INSTALL[capability])
    assert package
    assert re.search(rf"(?:need \S+ |\(){package[1]}\b", source.text(CI))


def test_make_test_passes_on_what_pytest_says(tmp_path: Path):
    """Sabotage: a failing test must fail the command, with both stores named at the end."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text("def test_fails(): assert False\n")
    options = ["-p", "no:django", "-p", "no:cacheprovider", "-p", "tests.conftest"]
    command = [sys.executable, source.ROOT / "scripts" / "test.py", *options, "-c"]
    answer = subprocess.run(
        [*command, tmp_path / "pytest.ini", f"--rootdir={tmp_path}", tmp_path],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(source.ROOT), "CI": "true"},
        timeout=100,
        check=False,
    )
    assert answer.returncode != 0, answer.stdout
    assert "== sqlite: FAILED" in answer.stdout
    assert "== postgresql: " in answer.stdout


def test_files_of_tests_are_in_memory_only_where_it_has_room(tmp_path: Path, monkeypatch):
    script = runpy.run_path(str(source.ROOT / "scripts" / "test.py"))
    roomy, lend = script["roomy"], script["folder_in_memory"]
    assert roomy(tmp_path, 1)
    assert not roomy(tmp_path, 2**62)
    assert not roomy(tmp_path / "none", 1)
    monkeypatch.setitem(lend.__wrapped__.__globals__, "MEMORY", tmp_path)
    monkeypatch.setitem(lend.__wrapped__.__globals__, "ROOM", 1)
    with lend() as folder:
        assert folder.parent == tmp_path
        (folder / "left").write_text("behind")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setitem(lend.__wrapped__.__globals__, "ROOM", 2**62)
    with lend() as folder:
        assert folder is None
