"""``make audit`` is never green where it did not ask (C33)."""

from __future__ import annotations

import json
import sys

import pytest
from tests.support import source

sys.path.insert(0, str(source.ROOT / "scripts"))
from audit import FINE, NOT_DONE, VULNERABLE, judge, pins

sys.path.pop(0)

LOCK = (
    "a==1.0 \\\n    --hash=sha256:00\n"
    "B-c[x]==2 ; sys_platform != 'win32' \\\n    --hash=sha256:00 \\\n    --hash=sha256:01\n"
    "only-there==3 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n"
)
GOOD = {"name": "a", "version": "1.0", "vulns": []}
ALSO = {"name": "B_c", "version": "2", "vulns": []}
BAD = {"name": "b-c", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["2.1"]}]}
SKIPPED = {"name": "b-c", "version": "2", "skip_reason": "not found"}
OLDER = {"name": "b-c", "version": "1", "vulns": []}


def report(*dependencies: object) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


def test_every_package_asked_about_and_none_vulnerable_is_fine():
    assert judge(LOCK, report(GOOD, ALSO)) == (FINE, ["2 packages, none vulnerable"])


def test_a_vulnerability_is_named_with_the_version_that_mends_it():
    assert judge(LOCK, report(GOOD, BAD)) == (VULNERABLE, ["b-c 2: CVE-1, mended in 2.1"])


@pytest.mark.parametrize(
    "text",
    [report(GOOD, SKIPPED), report(GOOD, OLDER), report(GOOD), report(), "", "null", "{", "[]"],
)
def test_what_was_not_asked_about_is_no_success(text: str):
    """C33: pip-audit itself ends with 0 where it skipped everything."""
    code, lines = judge(LOCK, text)
    assert code == NOT_DONE
    assert lines


def test_an_empty_lock_file_is_no_success():
    assert judge("", report())[0] == NOT_DONE


def test_our_lock_file_is_read_whole():
    lock = source.text(source.ROOT / "requirements.lock")
    found = pins(lock)
    assert {"django", "pyreqwest", "pypdf"} <= set(found)
    assert len(found) >= sum("==" in line and ";" not in line for line in lock.splitlines())
