"""A runner rolls up what has ended and removes what is old, by itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.engine.conftest import lost_run, run_until

from cronbell.runlog.models import DailyRollup, Run

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


def test_what_is_old_is_rolled_up_and_removed(make_spec, clock, target):
    spec, runs = make_spec(schedule="0 0 1 1 *"), 130
    run = lost_run(spec, clock, status="success", finished_at=clock.now(), lease_expires_at=None)
    Run.objects.all().delete()
    for number in range(runs):
        run.pk, run.key = None, f"k-{number}"
        run.scheduled_at = clock.now() - timedelta(days=200 - number)
        run.started_at = run.finished_at = run.scheduled_at
        run.save(force_insert=True)
    run_until([spec], clock, target, lambda: Run.objects.count() == 100)
    assert sum(DailyRollup.objects.values_list("runs", flat=True)) == runs
    assert sum(DailyRollup.objects.values_list("removed", flat=True)) == runs - 100
