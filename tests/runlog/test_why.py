"""Why did it not run? Every answer, from rows that the planner and the statements wrote."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import translation
from tests.runlog.conftest import row
from tests.runlog.test_store import START, spec

from cronbell.clock import from_micros, to_micros
from cronbell.domain import Blackout, Dialect, JobSpec, Overlap
from cronbell.engine.planner import Planner
from cronbell.errors import UnknownJobError
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Job, JobVersion, Run, Runner
from cronbell.runlog.pausing import pause, resume
from cronbell.runlog.requests import request_run
from cronbell.runlog.statements import statement
from cronbell.runlog.store import FinishRow, RunStore
from cronbell.runlog.why import Answer, why
from cronbell.runlog.why_words import as_dict, sentences
from cronbell.schedule.moments import MomentError
from cronbell.testing.shifted import ShiftedClock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])

NAME = "update-rankings"
SECOND = 1_000_000
MINUTE = 60 * SECOND


def minute(number: float) -> datetime:
    return START + timedelta(minutes=number)


def put(*specs: JobSpec, at: float = 0) -> Planner:
    """Bring jobs into force and return the planner a runner would have."""
    jobs = sync_jobs(specs, minute(at), applied_by="alice")
    planner = Planner()
    planner.load([(jobs[one.name].pk, one, to_micros(jobs[one.name].cursor_at)) for one in specs])
    return planner


def step(planner: Planner, at: float, *, room: int = 0) -> None:
    """Record what is due at a minute; started under a lease where there is room."""
    now = to_micros(minute(at))
    rows = planner.plan(now, 10, room)
    store = RunStore("runner-a")
    with store.transaction():
        recorded = store.record_fires(rows, now, now + MINUTE)
    planner.planned(row for row in rows if row.job_id in recorded.moved)


def finish(run: Run, seconds: float = 1, status: str = "success", **changes) -> None:
    row = FinishRow(
        run.pk, run.lease_term, to_micros(run.started_at),
        to_micros(run.started_at) + int(seconds * SECOND),
        status, "", "{}", 200, "3 ideas", "", 0, 0,
    )  # fmt: skip
    store = RunStore("runner-a")
    with store.transaction():
        assert store.finish([row._replace(**changes)], [])


def asked(at: float | str, *, now: float = 60, job: str = NAME, timezone: str = "") -> Answer:
    time = at if isinstance(at, str) else minute(at).isoformat()
    return why(job, time, minute(now), timezone=timezone)


def only(answer: Answer) -> tuple[str, str]:
    """Return the one finding's code, and all that is said."""
    (moment,) = answer.moments
    (finding,) = moment.findings
    return finding.code, "\n".join(sentences(moment, answer.timezone))


def test_it_ran():
    planner = put(spec())
    step(planner, 1, room=1)
    finish(Run.objects.get())
    pk = Run.objects.get().pk
    code, said = only(asked(1))
    assert code == "ran"
    assert said.startswith(f"The fire of 2026-11-22 00:01+00:00 ran: run {pk} began 0.0 seconds")
    assert said.endswith("after it was due and ended as success: 3 ideas")


def test_it_ran_late_and_jitter_is_no_lateness():
    planner = put(spec(schedule="*/10 * * * *"))
    step(planner, 10.5)
    run = Run.objects.get()
    store = RunStore("runner-a")
    with store.transaction():
        store.claim(1, to_micros(minute(12)), to_micros(minute(13)))
    run.refresh_from_db()
    finish(run)
    code, said = only(asked(10))
    assert code == "ran_late"
    assert "began 120 seconds after it was due" in said
    Job.objects.update(spec={**Job.objects.get().spec, "jitter": 300.0})
    assert only(asked(10))[0] == "ran"


def test_it_is_running_and_it_waits():
    planner = put(spec(overlap=Overlap.QUEUE_ALL))
    step(planner, 1, room=1)
    step(planner, 2)
    assert only(asked(1, now=3))[0] == "running"
    code, said = only(asked(2, now=3))
    assert code == "waiting"
    assert "its overlap says to queue" in said


def test_it_waits_for_a_runner():
    step(put(spec()), 1)
    assert "waits: no runner is up" in only(asked(1, now=2))[1]
    Runner.objects.create(
        id="r", host="h", pid=1, version="0", started_at=minute(0), seen_at=minute(2)
    )
    assert "waits for a runner that has room" in only(asked(1, now=2))[1]
    Run.objects.update(available_at=minute(9))
    assert "is to be sent at 2026-11-22 00:09+00:00" in only(asked(1, now=2))[1]


def test_it_was_skipped_since_a_run_went_on_and_which():
    planner = put(spec())
    step(planner, 1, room=1)
    met = Run.objects.get()
    step(planner, 2)
    step(planner, 3)
    finish(met, seconds=200)
    for at in (2, 3):
        code, said = only(asked(at))
        assert code == "skipped"
        assert f"not run: run {met.pk} of this job was still going on" in said


def test_it_was_skipped_since_somebody_had_paused_it():
    planner = put(spec())
    clock = ShiftedClock()
    clock.show(minute(0.5))
    pause(NAME, reason="moving house", actor="bob", clock=clock)
    step(planner, 1)
    resume(NAME)
    code, said = only(asked(1))
    assert code == "skipped"
    assert "not run: bob had paused the job: moving house" in said


def test_it_was_skipped_in_a_blackout_window():
    window = Blackout(start="00:00", end="00:30", reason="backups")
    step(put(spec(blackout=(window,))), 1)
    code, said = only(asked(1))
    assert code == "skipped"
    assert said.endswith("due in the blackout window 00:00 – 00:30 (UTC): backups")


def test_it_is_part_of_an_outage():
    step(put(spec()), 600.5)
    row = Run.objects.get(status="missed")
    for at in (1, 300, row.missed_count):
        code, said = only(asked(at, now=700))
        assert code == "missed"
        assert f"row {row.pk} stands for {row.missed_count} fires" in said
        assert "due from 2026-11-22 00:01+00:00 to 2026-11-22 09:5" in said
    assert only(asked(600, now=700))[0] == "pending"


def test_an_outage_says_that_a_window_was_open_too():
    step(put(spec(blackout=(Blackout(start="00:10", end="00:20"),))), 600.5)
    assert "was open as well" in only(asked(15, now=700))[1]
    assert "was open as well" not in only(asked(25, now=700))[1]


def test_nothing_is_due_then():
    put(spec(schedule="0 9 * * *", timezone="Asia/Seoul"))
    code, said = only(asked("2026-11-23T10:00", now=60))
    assert code == "not_due"
    assert "its schedule is “At 09:00 every day” (Asia/Seoul)" in said
    assert "2026-11-23 09:00+09:00, the one after of 2026-11-24 09:00+09:00" in said


def test_it_was_not_defined_yet_and_the_fires_before_are_not_claimed():
    put(spec(), at=10)
    code, said = only(asked(5))
    assert code == "not_defined"
    assert "it came at 2026-11-22 00:10+00:00" in said
    assert asked(11, now=10).moments[0].previous is None


def test_it_was_switched_off_for_a_while():
    put(spec())
    put(spec(enabled=False), at=10)
    put(spec(), at=20)
    code, said = only(asked(15))
    assert code == "disabled"
    assert "from 2026-11-22 00:10+00:00 to 2026-11-22 00:20+00:00" in said


def test_it_had_left_the_configuration_and_came_back():
    put(spec())
    put(spec("other"), at=10)
    assert "had left it at 2026-11-22 00:10+00:00." in only(asked(15))[1]
    put(spec(), spec("other"), at=20)
    code, said = only(asked(15))
    assert code == "removed"
    assert "came back at 2026-11-22 00:20+00:00" in said


def test_its_schedule_was_another_then():
    put(spec(schedule="0 * * * *"))
    put(spec(schedule="*/5 * * * *"), at=10)
    code, said = only(asked(5))
    assert code == "not_due", "today's schedule would have fired"
    assert "Its schedule then was 0 * * * * UTC; since 2026-11-22 00:10+00:00 it is */5" in said


def test_a_change_before_anything_was_recorded_is_named_as_the_cause():
    put(spec())
    put(spec(schedule="*/2 * * * *"), at=5.5)
    code, said = only(asked(3))
    assert code == "no_row"
    assert "The definition was changed at 2026-11-22 00:05:30+00:00" in said


def test_a_renamed_job_answers_to_the_name_it_had():
    put(spec("clean", path="/a/clean"))
    put(spec("a-clean", path="/a/clean"), spec("b-clean", path="/b/clean"), at=10)
    assert asked(5, job="clean").job.name == "a-clean"
    names = JobVersion.objects.values_list("name", flat=True)
    assert sorted(names) == ["a-clean", "b-clean", "clean"]


def test_an_unknown_job_is_led_to_the_one_that_is_meant():
    put(spec())
    with pytest.raises(UnknownJobError) as caught:
        asked(1, job="update-ranking")
    assert caught.value.hint == f"did you mean `{NAME}`?"
    for odd in ("", "x\0", "\ud800", "y" * 700):
        with pytest.raises(UnknownJobError):
            asked(1, job=odd)


def test_the_future_is_told_with_pause_and_windows():
    put(spec(blackout=(Blackout(start="02:00", end="03:00", reason="backups"),)))
    assert only(asked(90, now=0))[0] == "future"
    code, said = only(asked(125, now=0))
    assert code == "future_blackout"
    assert "blackout window 02:00 – 03:00 (UTC)" in said
    pause(NAME, reason="moving house", actor="bob")
    code, said = only(asked(90, now=0))
    assert code == "future_paused"
    assert "paused by bob: moving house" in said


def test_a_run_by_hand_near_it_is_named_and_one_far_off_is_not():
    put(spec(schedule="0 9 * * *"))
    clock = ShiftedClock()
    clock.show(minute(30))
    run = request_run(NAME, nonce="n", actor="bob", clock=clock)
    for at in (30, 26, 34):
        assert f"Near it, run {run} of 2026-11-22 00:30" in only(asked(at))[1]
    assert "Near it" not in only(asked(36))[1]


def test_a_fire_nobody_has_recorded_is_said_with_when_a_runner_was_last_seen():
    put(spec())
    code, said = only(asked(3, now=10))
    assert (code, "was last seen at unknown" in said) == ("not_recorded", True)
    Runner.objects.create(
        id="r", host="h", pid=1, version="0", started_at=minute(0), seen_at=minute(2)
    )
    assert "was last seen at 2026-11-22 00:02+00:00" in only(asked(3, now=10))[1]
    assert "about to be recorded" in only(asked(2, now=2.1))[1]


def test_a_row_that_is_gone_is_said_to_be_gone():
    planner = put(spec())
    for at in (1, 2, 3):
        step(planner, at, room=1)
        finish(Run.objects.order_by("id").last())
    Run.objects.filter(scheduled_at=minute(1)).delete()
    code, said = only(asked(1))
    assert code == "no_row"
    assert "The oldest row kept of this job is of 2026-11-22 00:02+00:00" in said
    Run.objects.filter(scheduled_at=minute(3)).delete()
    code, said = only(asked(3))
    assert (code, "The log does not say why" in said) == ("no_row", True)


def test_a_run_that_ended_before_it_began():
    step(put(spec()), 1)
    Run.objects.update(
        status="cancelled", reason="cancelled", reason_data={"by": "bob"}, finished_at=minute(2)
    )
    code, said = only(asked(1))
    assert code == "not_started"
    assert "ended as cancelled before it began: cancelled by bob while it was waiting" in said


def test_each_fire_of_a_minute_is_answered_for():
    planner = put(spec(schedule="every 20s", dialect=Dialect.STANDARD, overlap=Overlap.ALLOW))
    for twenty in range(1, 6):
        step(planner, twenty / 3, room=1)
    (moment,) = asked(1).moments
    assert [finding.code for finding in moment.findings] == ["running"] * 3
    assert [finding.at % 60 for finding in moment.findings] == [0, 20, 40]


def test_an_hour_that_comes_twice_is_answered_for_twice():
    put(spec(schedule="30 1 * * *", timezone="America/New_York"))
    answer = asked("2027-11-07T01:30", now=0)
    first, second = answer.moments
    assert second.start - first.start == 3600
    assert [moment.findings[0].code for moment in answer.moments] == ["future", "not_due"]
    assert "01:30-04:00" in sentences(first, answer.timezone)[0]


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ("2027-03-14T02:30", "there is no 02:30 on 2027-03-14"),
        ("2026-11-22", "names a day"),
        ("soon", "is no moment"),
        ("25:00", "is no moment"),
        ("0001-01-01T00:00", "is out of range"),
        ("9999-12-31T23:59Z", "is out of range"),
        ("", "is no moment"),
    ],
)
def test_a_time_that_is_none_is_refused_with_a_hint(time, said):
    put(spec(timezone="America/New_York"))
    with pytest.raises(MomentError, match=said) as caught:
        asked(time)
    assert caught.value.hint


def test_the_time_of_day_is_todays_in_the_jobs_zone_or_the_one_asked_for():
    put(spec(timezone="Asia/Seoul"))
    (moment,) = asked("09:30", now=60).moments
    assert from_micros(moment.start * SECOND) == minute(30)
    (moment,) = asked("09:30", now=60, timezone="UTC").moments
    assert from_micros(moment.start * SECOND) == minute(570)
    (moment,) = asked("2026-11-22T09:30:45+09:00", timezone="UTC").moments
    assert from_micros(moment.start * SECOND) == minute(30)


def test_plain_values_and_korean():
    step(put(spec()), 600.5)
    with translation.override("ko"):
        (moment,) = as_dict(asked(5, now=700))["moments"]
    assert moment["verdict"] == "missed"
    assert "가" <= moment["sentences"][0][0] <= "힣"
    assert moment["definition"]["words"] == "1분마다"
    assert moment["findings"][0]["run"]["status"] == "missed"
    assert moment["definition"]["appliedBy"] == "alice"


def test_a_configuration_that_changes_nothing_adds_no_version():
    put(spec(), spec("other"))
    put(spec(), spec("other"), at=5)
    assert JobVersion.objects.count() == 2
    put(spec(timeout=5.0), at=6)
    assert [version.spec is None for version in JobVersion.objects.order_by("id")][2:] in (
        [False, True],
        [True, False],
    )


@pytest.mark.parametrize(
    ("name", "index"), [("rows_from", "run_one_per_fire"), ("rows_by_hand", "run_by_hand")]
)
def test_the_answer_is_found_by_an_index_however_long_the_log_is(jobs, name, index):
    """Of a log that has rows: for an empty table a planner may take any index, or none."""
    connection = connections["runlog"]
    text = statement(name, connection.vendor)
    explain = "EXPLAIN QUERY PLAN " if connection.vendor == "sqlite" else "EXPLAIN "
    with transaction.atomic(using="runlog"), connection.cursor() as cursor:
        Run.objects.bulk_create(
            row(job, number, due=minute(number), kind="schedule" if number % 20 else "run_now")
            for job in jobs
            for number in range(600)
        )
        cursor.execute("ANALYZE runlog_run")
        instants = [to_micros(minute(500)), to_micros(minute(520))][: text.count("%s") - 2]
        cursor.execute(explain + text, [jobs[0].pk, *instants, 10])
        plan = str(cursor.fetchall())
        # Other tests' plans are not to be made by what was learned here.
        transaction.set_rollback(True, using="runlog")
    assert index in plan, plan


def test_an_answer_costs_a_few_statements():
    planner = put(spec())
    step(planner, 1, room=1)
    for at in range(2, 40):
        step(planner, at)
    with CaptureQueriesContext(connections["runlog"]) as caught:
        sentences(asked(20).moments[0], "UTC")
    assert len(caught) <= 12
