"""Every statement of the run log, on the store under test (run again on PostgreSQL)."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import msgspec
import pytest
from django.db import IntegrityError, connections, transaction

from cronbell.clock import to_micros
from cronbell.domain import JobSpec, fire_key
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Attempt, Item, Job, Run
from cronbell.runlog.statements import DIALECT_WORDS, VALUES, batches, statement
from cronbell.runlog.store import (
    FINISH_OWN,
    AttemptRow,
    FinishRow,
    FireRow,
    ItemRow,
    ReleaseRow,
    RunStore,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])

START = datetime(2026, 11, 22, tzinfo=UTC)
NOW = to_micros(START)
SECOND = 1_000_000


def spec(name="update-rankings", **changes) -> JobSpec:
    defaults = {"path": f"/api/cron/{name}", "schedule": "* * * * *", "deadline": 600.0}
    return JobSpec(name=name, **{**defaults, **changes})


def job(name="update-rankings", **changes) -> Job:
    return sync_jobs([spec(name, **changes)], START)[name]


def fire(of: Job, at: int, *, read: int = NOW, status="pending", reason="", **changes) -> FireRow:
    values = {
        "job_id": of.pk,
        "cursor_read": read,
        "cursor_new": at,
        "key": fire_key(of.path, of.schedule, START + timedelta(microseconds=at - NOW)),
        "scheduled_at": at,
        "status": status,
        "reason": reason,
        "deadline_at": at + 600 * SECOND,
        "missed_first_at": None,
        "missed_count": 0,
        "available_at": at,
        "overlap": "skip",
        "ahead": 0,
        "at_most_once": False,
    }
    return FireRow(**{**values, **changes})


def record(store: RunStore, rows, now=NOW) -> set[int]:
    with store.transaction():
        return store.record_fires(rows, now).moved


def claim(store: RunStore, limit=10, now=NOW + 90 * SECOND, lease=15):
    with store.transaction():
        return store.claim(limit, now, now + lease * SECOND)


def finish_row(run, **changes) -> FinishRow:
    values = {
        "id": run.id,
        "term": run.term,
        "status": "success",
        "reason": "",
        "reason_data": "{}",
        "http_status": 200,
        "started_at": NOW + 90 * SECOND,
        "finished_at": NOW + 91 * SECOND,
        "details": "3개 아이디어 랭킹 업데이트 완료",
        "body": '{"success": true}',
        "items_total": 0,
        "items_failed": 0,
    }
    return FinishRow(**{**values, **changes})


def finish(store: RunStore, *rows: FinishRow, items=()) -> set[int]:
    with store.transaction():
        return store.finish(rows, items)


def test_a_fire_becomes_one_pending_run_and_moves_the_cursor(store):
    it = job()
    at = NOW + 60 * SECOND
    assert record(store, [fire(it, at)]) == {it.pk}
    run = Run.objects.get()
    assert (run.status, run.kind, to_micros(run.scheduled_at)) == ("pending", "schedule", at)
    assert run.key == fire_key("/api/cron/update-rankings", "* * * * *", START.replace(minute=1))
    assert to_micros(Job.objects.get().cursor_at) == at


def test_a_second_planner_with_the_same_cursor_adds_nothing(store, other):
    it = job()
    rows = [fire(it, NOW + 60 * SECOND)]
    record(store, rows)
    assert record(other, rows) == set()
    assert Run.objects.count() == 1


def test_planners_in_parallel_make_one_row_per_fire():
    it = job()
    rows = [fire(it, NOW + 60 * SECOND)]
    barrier = threading.Barrier(4)
    moved = []

    def plan(name):
        barrier.wait()
        try:
            moved.append(record(RunStore(name), rows))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=plan, args=(f"r{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, moved)) == [0, 0, 0, 1]
    assert Run.objects.count() == 1


def test_sabotage_without_cursor_and_unique_key_a_fire_would_be_doubled(store, other):
    it = job()
    at = NOW + 60 * SECOND
    record(store, [fire(it, at)])
    with connections["runlog"].cursor() as cursor:
        cursor.execute("UPDATE runlog_run SET status = 'success', finished_at = 1")
    # The cursor guard taken away: the unique keys still hold.
    again = fire(it, at, read=at)
    assert record(other, [again]) == {it.pk}
    assert Run.objects.count() == 1
    # The keys defeated too: now the harm is there, so the assertion above means something.
    with pytest.raises(IntegrityError), transaction.atomic(using="runlog"):
        _insert_copy(it, at)
    _drop_fire_constraint()
    _insert_copy(it, at)
    assert Run.objects.filter(scheduled_at=at).count() == 2


def _insert_copy(it, at):
    Run.objects.create(
        job=it,
        key=f"other-key-{at}",
        kind="schedule",
        status="pending",
        scheduled_at=at,
        queued_at=at,
        available_at=at,
        deadline_at=at,
    )


def _drop_fire_constraint():
    constraint = next(c for c in Run._meta.constraints if c.name == "run_one_per_fire")
    with connections["runlog"].schema_editor() as editor:
        editor.execute(constraint.remove_sql(Run, editor))


@pytest.fixture(autouse=True)
def _constraint_is_back():
    yield
    constraint = next(c for c in Run._meta.constraints if c.name == "run_one_per_fire")
    connection = connections["runlog"]
    with connection.cursor() as cursor:
        names = connection.introspection.get_constraints(cursor, Run._meta.db_table)
    if "run_one_per_fire" not in names:
        Run.objects.all().delete()
        with connection.schema_editor() as editor:
            editor.execute(constraint.create_sql(Run, editor))


def test_a_fire_while_the_job_still_runs_is_a_skipped_row_with_its_reason(store):
    it = job()
    first, second = NOW + 60 * SECOND, NOW + 120 * SECOND
    record(store, [fire(it, first)])
    record(store, [fire(it, second, read=first)], now=second)
    run = Run.objects.get(scheduled_at=second)
    assert (run.status, run.reason) == ("skipped", "overlap")
    assert to_micros(run.finished_at) == second


def test_an_outage_is_one_missed_row_however_long(store):
    it = job()
    last = NOW + 60 * SECOND * 1_000_000
    missed = fire(
        it, last, status="missed", reason="outage", missed_first_at=NOW, missed_count=1_000_000
    )
    record(store, [missed])
    run = Run.objects.get()
    assert (run.status, run.reason, run.missed_count) == ("missed", "outage", 1_000_000)
    assert run.missed_first_at == START


def test_claims_take_the_oldest_first_and_never_the_same_run_twice(store, other):
    jobs = sync_jobs([spec(f"job-{n}") for n in range(5)], START)
    ordered = sorted(jobs.values(), key=lambda each: each.name)
    for n, it in enumerate(ordered):
        record(store, [fire(it, NOW + (60 - n) * SECOND)])
    taken = claim(store, limit=3)
    assert [run.scheduled_at for run in taken] == [NOW + s * SECOND for s in (56, 57, 58)]
    rest = claim(other)
    assert len(rest) == 2
    assert not {run.id for run in taken} & {run.id for run in rest}
    assert {run.term for run in taken + rest} == {1}
    assert claim(store) == []


def test_a_claim_leaves_alone_what_is_not_due_yet(store):
    it = job()
    record(store, [fire(it, NOW + 60 * SECOND)], now=NOW + 60 * SECOND)
    assert claim(store, now=NOW + 59 * SECOND) == []
    assert len(claim(store, now=NOW + 60 * SECOND)) == 1


def test_a_finish_from_the_lease_holder_ends_the_run(store):
    it = job()
    record(store, [fire(it, NOW + 60 * SECOND)])
    (run,) = claim(store)
    items = [
        ItemRow(run.id, "17", ok=True, http_status=200, error="", body={"한": [1, None]}),
        ItemRow(run.id, "18", ok=False, http_status=0, error="refused", body=None),
    ]
    row = finish_row(
        run, status="partial", reason="body_partial", reason_data='{"failed": 1}', items_total=2
    )
    assert finish(store, row, items=items) == {run.id}
    stored = Run.objects.get()
    assert (stored.status, stored.http_status, stored.items_total) == ("partial", 200, 2)
    assert stored.details == "3개 아이디어 랭킹 업데이트 완료"
    assert stored.reason_data == {"failed": 1}
    assert stored.lease_expires_at is None
    assert list(Item.objects.values_list("record_id", "ok", "http_status", "body")) == [
        ("17", True, 200, {"한": [1, None]}),
        ("18", False, 0, None),
    ]
    assert (stored.tokens, stored.micromoney) == (None, None)


def test_what_items_used_is_kept_and_added_up_for_their_run(store):
    it = job()
    record(store, [fire(it, NOW + 60 * SECOND)])
    (run,) = claim(store)
    plain = {"ok": True, "http_status": 200, "error": "", "body": None}
    items = [
        ItemRow(run.id, "17", **plain, attempts=2, microseconds=5, tokens=70, micromoney=9),
        ItemRow(run.id, "18", **plain, tokens=30),
        ItemRow(run.id, "19", **plain),
    ]
    finish(store, finish_row(run), items=items)
    columns = ("job_id", "attempts", "microseconds", "tokens", "micromoney")
    assert list(Item.objects.values_list(*columns)) == [
        (it.pk, 2, 5, 70, 9),
        (it.pk, None, None, 30, None),
        (it.pk, None, None, None, None),
    ]
    stored = Run.objects.get()
    assert (stored.tokens, stored.micromoney) == (100, 9)


@pytest.mark.parametrize("stale", ["owner", "term", "final"])
def test_a_finish_that_is_not_the_lease_holders_changes_nothing(store, other, stale):
    it = job()
    record(store, [fire(it, NOW + 60 * SECOND)])
    (run,) = claim(store)
    if stale == "owner":
        assert finish(other, finish_row(run, status="error")) == set()
    elif stale == "term":
        assert (
            finish(store, finish_row(msgspec.structs.replace(run, term=7), status="error")) == set()
        )
    else:
        finish(store, finish_row(run))
        item = ItemRow(run.id, "17", ok=True, http_status=None, error="", body=None)
        assert finish(store, finish_row(run, status="error"), items=[item]) == set()
    assert Run.objects.get().status in {"running", "success"}
    assert Item.objects.count() == 0


def test_sabotage_without_the_fence_a_stale_finish_would_overwrite(store, other):
    it = job()
    record(store, [fire(it, NOW + 60 * SECOND)])
    (run,) = claim(store)
    connection = connections["runlog"]
    (late,) = batches(connection, [finish_row(run, status="error")], FINISH_OWN)
    fenced = statement("finish", connection.vendor, late.size)
    open_to_all = fenced.replace("AND runlog_run.lease_owner = %s", "AND %s <> ''")
    assert open_to_all != fenced

    with transaction.atomic(using="runlog"), connection.cursor() as cursor:
        cursor.execute(open_to_all, [*late.parameters, other.owner])
    assert Run.objects.get().status == "error"


def test_a_released_run_waits_and_keeps_its_attempt(store):
    it = job()
    record(store, [fire(it, NOW + 60 * SECOND)])
    (run,) = claim(store)
    later = NOW + 200 * SECOND
    attempt = AttemptRow(
        run.id, run.term, 1, NOW, NOW + SECOND, "http_status", {"status": 503}, 503
    )
    with store.transaction():
        assert store.release([ReleaseRow(run.id, run.term, later, 2)], [attempt]) == {run.id}
    assert claim(store, now=later - 1) == []
    (again,) = claim(store, now=later)
    assert (again.attempt, again.term, again.key) == (2, 2, run.key)
    kept = Attempt.objects.get()
    assert (kept.number, kept.reason, kept.reason_data) == (1, "http_status", {"status": 503})


def test_a_release_that_is_not_the_lease_holders_changes_nothing(store, other):
    it = job()
    record(store, [fire(it, NOW + 60 * SECOND)])
    (run,) = claim(store)
    attempt = AttemptRow(run.id, run.term, 1, NOW, NOW, "timeout", {}, 0)
    with other.transaction():
        assert other.release([ReleaseRow(run.id, run.term, NOW, 2)], [attempt]) == set()
    assert Run.objects.get().status == "running"
    assert Attempt.objects.count() == 0


def test_an_expired_lease_gives_the_run_back_with_the_same_key_and_attempt(store, other):
    it = job()
    record(store, [fire(it, NOW + 60 * SECOND)])
    (run,) = claim(store, now=NOW + 60 * SECOND, lease=15)
    with other.transaction():
        assert other.rescue(NOW + 74 * SECOND).runs == 0
    with other.transaction():
        assert other.rescue(NOW + 76 * SECOND).runs == 1
    assert Attempt.objects.get().reason == "runner_lost"
    (again,) = claim(other, now=NOW + 76 * SECOND)
    assert (again.key, again.attempt, again.term) == (run.key, 1, 2)
    assert finish(store, finish_row(run)) == set(), "the runner that came back is fenced off"


def test_a_renewed_lease_is_not_rescued(store, other):
    it = job()
    record(store, [fire(it, NOW + 60 * SECOND)])
    (run,) = claim(store, now=NOW + 60 * SECOND, lease=15)
    with store.transaction():
        assert store.renew({run.id: run.term}, NOW + 100 * SECOND) == {run.id}
    with other.transaction():
        assert other.renew({run.id: run.term}, NOW + 999 * SECOND) == set()
        assert other.rescue(NOW + 90 * SECOND).runs == 0


def test_a_final_run_must_have_ended_and_only_known_statuses_are_stored(store):
    it = job()
    record(store, [fire(it, NOW + 60 * SECOND)])
    for change in ("status = 'success'", "status = 'done'"):
        with (
            pytest.raises(IntegrityError),
            transaction.atomic(using="runlog"),
            connections["runlog"].cursor() as cursor,
        ):
            cursor.execute(f"UPDATE runlog_run SET {change}")  # noqa: S608 - two constants


def test_a_thousand_fires_are_recorded_claimed_and_finished_in_batches(store):
    jobs = sync_jobs([spec(f"job-{n}") for n in range(1000)], START)
    rows = [fire(it, NOW + 60 * SECOND) for it in jobs.values()]
    assert len(record(store, rows)) == 1000
    taken = claim(store, limit=1000)
    assert len(taken) == 1000
    assert len(finish(store, *[finish_row(run) for run in taken])) == 1000
    assert set(Run.objects.values_list("status", flat=True)) == {"success"}


def test_a_jobs_fires_get_ids_in_the_order_they_are_due_whatever_else_is_in_the_batch(store):
    first, second = job("first"), job("second")
    t1, t2, t3 = (NOW + n * 60 * SECOND for n in (1, 2, 3))
    queued = {"overlap": "queue_all", "cursor_new": t3}
    rows = [
        fire(first, t1, **queued),
        fire(first, t3, ahead=1, **queued),
        fire(second, t2, **queued),
        fire(second, t3, ahead=1, **queued),
    ]
    record(store, rows, t3)
    instants = Run.objects.filter(job=second).order_by("id").values_list("scheduled_at", flat=True)
    assert [to_micros(instant) for instant in instants] == [t2, t3]


def common(name: str, vendor: str) -> str:
    """Return a statement without the lines that its file marks as one store's own."""
    file = files("cronbell.runlog").joinpath("sql", f"{name}.sql").read_text("utf-8")
    text = statement(name, vendor)
    for own in re.findall(rf" *-- only on {vendor} {{\n(.*?)\n *-- }}", file, re.DOTALL):
        spelled = VALUES.sub(lambda _, own=own: _places_of(own), own.replace("{members}", MEMBERS))
        assert text.count(spelled) >= 1
        text = text.replace(spelled, "", 1)
    return text


MEMBERS = "jsonb_array_elements(shared.members) AS members (value)"


def _places_of(own: str) -> str:
    columns = own.partition("(")[2].partition(")")[0].count(",") + 1
    return f"({', '.join(['%s'] * columns)})"


@pytest.mark.parametrize("vendor", sorted(DIALECT_WORDS))
@pytest.mark.parametrize(
    "name", ["record_fires", "advance_cursors", "claim", "finish", "request_run"]
)
def test_statements_differ_between_stores_only_in_the_listed_words(vendor, name):
    text = common(name, vendor)
    for word, spelled in DIALECT_WORDS[vendor].items():
        assert word not in text
        text = text.replace(spelled, word) if spelled else text
    other = common(name, "sqlite")
    for word, spelled in DIALECT_WORDS["sqlite"].items():
        other = other.replace(spelled, word) if spelled else other
    for word in ("{skip_locked}", "{by_id}", "{object}", "{json}"):
        text, other = text.replace(word, ""), other.replace(word, "")
    assert text.split() == other.split()


@pytest.mark.parametrize("name", ["claim", "finish", "renew", "rescue", "record_fires"])
def test_sqlite_answers_every_hot_statement_from_an_index(name):
    connection = connections["runlog"]
    if connection.vendor != "sqlite":
        assert connection.vendor == "postgresql"
        return
    text = statement(name, "sqlite")
    with connection.cursor() as cursor:
        cursor.execute(
            "EXPLAIN QUERY PLAN " + text,
            ["[]" if "json_each" in text else 1] + [1] * (text.count("%s") - 1),
        )
        plan = [row[3] for row in cursor.fetchall()]
    assert not [step for step in plan if step.startswith("SCAN runlog_run")], plan
    if name in {"finish", "renew"}:
        assert "SEARCH runlog_run USING INTEGER PRIMARY KEY (rowid=?)" in plan, plan


def test_a_fire_with_room_is_born_running_under_the_recorders_lease(store, other):
    it = job()
    at = NOW + 60 * SECOND
    with store.transaction():
        recorded = store.record_fires([fire(it, at, start=True)], at, at + 15 * SECOND)
    (run,) = recorded.started
    assert recorded.moved == {it.pk}
    assert (run.scheduled_at, run.attempt, run.term) == (at, 1, 1)
    stored = Run.objects.get()
    assert (stored.status, stored.lease_owner) == ("running", store.owner)
    assert to_micros(stored.started_at) == at
    assert claim(other, now=at) == [], "nobody else may send it"
    assert finish(store, finish_row(run)) == {run.id}


def test_a_fire_with_room_is_skipped_all_the_same_while_the_job_still_runs(store):
    it = job()
    first, second = NOW + 60 * SECOND, NOW + 120 * SECOND
    record(store, [fire(it, first, start=True)])
    with store.transaction():
        recorded = store.record_fires([fire(it, second, read=first, start=True)], second, second)
    assert recorded.started == []
    assert Run.objects.get(scheduled_at=second).status == "skipped"


def test_an_end_need_not_wait_for_the_disk_and_the_next_start_does(store):
    it = job()
    record(store, [fire(it, NOW + 60 * SECOND)])
    (run,) = claim(store)
    usual = _care()
    with store.transaction(durable=False):
        care = _care()
        store.finish([finish_row(run)], [])
    assert care in {1, "off"}
    with store.transaction():
        assert _care() == usual
    assert usual in {2, "on", "off"}, "on PostgreSQL what the server is set to"
    assert Run.objects.get().status == "success"


def _care() -> object:
    connection = connections["runlog"]
    question = "PRAGMA synchronous" if connection.vendor == "sqlite" else "SHOW synchronous_commit"
    with connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]
