"""Pictures: read by Tesseract under the child's limits, or a reason that says what to install."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from tests.support import machine

from cronbell.clock import SYSTEM_CLOCK
from ideasgpt.verification import ocr
from ideasgpt.verification.models import Standing
from ideasgpt.verification.verifying import verify

pytestmark = pytest.mark.django_db
PICTURE = (Path(__file__).parent / "certificate.png").read_bytes()
KOREAN = {"package": "sesame-lib", "발급": "서울시 종로구"}


@pytest.fixture
def tesseract():
    """Tesseract with both languages, or no test."""
    machine.require("tesseract")
    assert ocr.reader()[1] == "", machine.INSTALL["tesseract"]


@pytest.fixture
def instead(tmp_path, monkeypatch):
    """Put a shell script in Tesseract's place."""

    def put(script):
        folder = tmp_path / "bin"
        folder.mkdir()
        program = folder / "tesseract"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(folder))

    return put


LISTED = 'if [ "$1" = --list-langs ]; then echo eng; echo kor; exit; fi\n'


@pytest.mark.usefixtures("tesseract")
def test_a_picture_in_both_languages_is_read_and_can_prove_a_claim(make, obeying):
    record = make(PICTURE, fields=KOREAN, name="증명.png")
    assert verify(record, SYSTEM_CLOCK).status == Standing.APPROVED
    false = make(PICTURE, fields={"package": "sesame-library"}, name="proof.png")
    assert verify(false, SYSTEM_CLOCK).reasons == ["missing:package"]
    assert len(obeying.asked) == 1


@pytest.mark.usefixtures("tesseract")
@pytest.mark.parametrize("content", [PICTURE[:40] + b"\x00" * 64, PICTURE[: len(PICTURE) // 3]])
def test_a_picture_that_is_broken_is_never_approved(make, obeying, content):
    verdict = verify(make(content, name="proof.png"), SYSTEM_CLOCK)
    assert verdict.status == Standing.NEEDS_REVIEW
    assert obeying.asked == []


def test_without_tesseract_the_reason_names_the_package(make, obeying, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    verdict = verify(make(PICTURE, name="proof.png"), SYSTEM_CLOCK)
    assert verdict.status == Standing.NEEDS_REVIEW
    assert "install_tesseract-ocr:d1" in verdict.reasons


@pytest.mark.parametrize(
    ("script", "package"),
    [("echo eng", "tesseract-ocr-kor"), ("echo kor", "tesseract-ocr"), ("exit 1", "tesseract-ocr")],
)
def test_without_a_language_the_reason_names_its_package(make, instead, script, package):
    instead(script)
    verdict = verify(make(PICTURE, name="proof.png"), SYSTEM_CLOCK)
    assert f"install_{package}:d1" in verdict.reasons


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("exit 3", "broken"),
        ("ulimit -t 0; while :; do :; done", "too_costly"),
        ("exec 3</dev/null", "no_text"),
        ("exec /usr/bin/yes Package: sesame-lib Licence: MIT", "broken"),
    ],
)
def test_a_reader_that_fails_or_runs_wild_is_a_problem(make, obeying, instead, script, problem):
    instead(LISTED + script)
    verdict = verify(make(PICTURE, name="proof.png"), SYSTEM_CLOCK)
    assert f"{problem}:d1" in verdict.reasons
    assert obeying.asked == []


def test_the_reader_has_the_childs_limits_and_no_secret(make, obeying, instead):
    instead(LISTED + "echo memory $(ulimit -v) cpu $(ulimit -t) $OPENAI_API_KEY.")
    assert "OPENAI_API_KEY" in os.environ
    fields = {"memory": "memory 524288 cpu 10 ."}
    assert verify(make(PICTURE, fields=fields, name="p.png"), SYSTEM_CLOCK).status == "approved"
