from __future__ import annotations

import os
import uuid
from datetime import timedelta

import pytest

from cronbell.clock import SYSTEM_CLOCK
from cronbell.endpoint import JobContext
from ideasgpt.verification import sweep as sweeping
from ideasgpt.verification.jobs.verify_records import verify_records
from ideasgpt.verification.models import Attachment
from ideasgpt.verification.storage import folder
from ideasgpt.verification.sweep import sweep

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])
LATER = timedelta(days=1, minutes=1)


@pytest.fixture
def now():
    return SYSTEM_CLOCK.now()


def orphan(name=""):
    path = folder() / (name or uuid.uuid4().hex)
    path.write_bytes(b"x")
    return path


def names():
    return {path.name for path in folder().iterdir()}


def test_what_no_record_knows_is_removed_after_a_day_and_nothing_else(make, now):
    record, left, strange = make(), orphan(), orphan("read-me")
    known = record.attachments.get().pk.hex
    assert sweep(now) == 0
    assert left.exists()
    assert sweep(now + LATER) == 1
    assert names() == {known, strange.name}


def test_the_job_sweeps_and_a_dry_run_does_not(make, now, monkeypatch):
    monkeypatch.setenv("VERIFY_URL", "http://127.0.0.1:1")
    left = orphan()
    yesterday = (now - LATER).timestamp()
    os.utime(left, (yesterday, yesterday))
    verify_records(JobContext("verify-records", dry_run=True))
    assert left.exists()
    verify_records(JobContext("verify-records"))
    assert not left.exists()


def test_one_sweep_looks_at_so_many_and_several_at_all(now, monkeypatch):
    monkeypatch.setattr(sweeping, "MOST_LOOKED_AT", 3)
    for digit in "0123456789abcdef":
        orphan(digit * 32)
    begins = ["f" * 32, "2" * 32, "5" * 32, "8" * 32, "b" * 32, "e" * 32]
    assert [sweep(now + LATER, start=one) for one in begins] == [3, 3, 3, 3, 3, 1]
    assert names() == set()


def test_with_the_wrong_database_nothing_is_removed(make, now, caplog):
    for _ in range(21):
        make()
    Attachment.objects.all().delete()
    assert sweep(now + LATER) == 0
    assert len(names()) == 21
    assert "DATABASE_URL" in caplog.text


def test_a_file_that_cannot_be_removed_is_said_and_fails_nothing(now, caplog):
    (folder() / uuid.uuid4().hex).mkdir()
    assert sweep(now + LATER) == 0
    assert "could not be removed" in caplog.text


def test_sabotage_without_the_day_a_file_of_an_upload_that_goes_on_is_lost(now, monkeypatch):
    going_on = orphan()
    assert sweep(now + timedelta(seconds=1)) == 0
    assert going_on.exists()
    monkeypatch.setattr(sweeping, "YOUNG", timedelta(0))
    assert sweep(now + timedelta(seconds=1)) == 1
