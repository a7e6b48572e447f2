"""The API of drains: how they stand, dead letters, retry, one record over all its runs."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.db import connections
from tests.drain.backlog.models import Letter

from cronbell.clock import SYSTEM_CLOCK, iso
from cronbell.drain.drain import Drain
from cronbell.drain.models import DrainDay, Stage, TargetPause
from cronbell.drain.target import Reply
from cronbell.endpoint.registry import REGISTRY, Registry, cron_job
from cronbell.runlog.models import Item

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])
DRAINS = "/api/admin/drains"
POST = f"{DRAINS}/update-rankings"


@pytest.fixture(autouse=True)
def _drain(monkeypatch):
    """Have the endpoint of one of the configured jobs drain letters."""
    registry = Registry()
    posting = Drain(
        name="post", qualifying=Letter.objects.all, call=lambda _hold, _seconds: Reply()
    )
    cron_job("update-rankings", max_duration=1, registry=registry)(posting.run)
    monkeypatch.setattr(REGISTRY, "_by_name", registry._by_name)
    monkeypatch.setattr(REGISTRY, "_by_path", registry._by_path)


@pytest.fixture
def handled(make_run):
    """Make a run that handled a record; further values go to its item."""

    def make(record_id, *, job="update-rankings", **values):
        run = make_run(job)
        fields = {"ok": True, "http_status": 200, **values}
        return Item.objects.create(run=run, job=run.job, record_id=str(record_id), **fields)

    return make


def letter(state=Stage.PENDING, **values):
    return Letter.objects.create(drain_state=state.value, **values)


def retry(client, body):
    return client.post(f"{POST}/retry", json.dumps(body), content_type="application/json")


def test_drains_and_their_backlogs(admin):
    now = SYSTEM_CLOCK.now()
    old = now - timedelta(hours=2)
    for entered in (old, now):
        letter(drain_entered_at=entered)
    letter(Stage.DONE, drain_settled_at=now, drain_entered_at=old)
    letter(Stage.DEAD, drain_settled_at=now, drain_entered_at=old)
    DrainDay.objects.create(
        drain="post", day=now.date(), items=3, calls=4, tokens=5, microseconds=1_500_000,
        micromoney=2_500_000,
    )  # fmt: skip
    TargetPause.objects.create(target="post", until=now + timedelta(hours=1))
    row = {
        "jobName": "update-rankings",
        "pending": 2,
        "inProgress": 0,
        "dead": 1,
        "oldest": iso(old),
        "inflow": 1,
        "outflow": 2,
        "secondsToEmpty": 7200.0,
        "batchSize": 20,
        "pausedUntil": iso(now + timedelta(hours=1)),
        "today": {"items": 3, "calls": 4, "tokens": 5, "seconds": 1.5, "cost": "2.5"},
    }
    assert admin.get(DRAINS).json() == {"drains": [row]}
    assert admin.get(POST).json() == row
    assert admin.get(f"{DRAINS}/clean-data").status_code == 404


def test_dead_letters_page_by_page(admin):
    now = SYSTEM_CLOCK.now()
    made = [
        letter(Stage.DEAD, drain_available_at=now + timedelta(seconds=second), drain_error="no")
        for second in range(3)
    ]
    letter()
    first = admin.get(f"{POST}/dead-letters", {"limit": 2}).json()
    second = admin.get(f"{POST}/dead-letters", {"limit": 2, "cursor": first["cursor"]}).json()
    ids = [row["recordId"] for row in (*first["records"], *second["records"])]
    assert ids == [str(one.pk) for one in reversed(made)]
    assert (first["records"][0]["error"], second["cursor"]) == ("no", None)
    assert "cursor" in admin.get(f"{POST}/dead-letters", {"cursor": "made up"}).json()["error"]
    assert admin.get(f"{POST}/dead-letters", {"limit": 201}).status_code == 400


def test_the_failed_records_of_a_run_are_tried_again_alone(admin, handled):
    failed, done = letter(Stage.DEAD), letter(Stage.DONE)
    item = handled(failed.pk, ok=False, http_status=500)
    for pk, ok in ((done.pk, False), (done.pk, True), ("gone", False)):
        Item.objects.create(run=item.run, job=item.job, record_id=str(pk), ok=ok)
    other = handled(1, job="clean-data", ok=False)
    assert retry(admin, {"runId": item.run_id}).json() == {"retried": 1}
    assert list(Letter.objects.order_by("pk").values_list("drain_state", flat=True)) == [
        Stage.PENDING,
        Stage.DONE,
    ]
    assert retry(admin, {"runId": other.run_id}).status_code == 404
    assert retry(admin, {"runId": 10**17}).status_code == 404


def test_records_are_tried_again_by_id_or_all_that_are_dead(admin):
    made = [letter(Stage.DEAD) for _ in range(3)]
    assert retry(admin, {"recordIds": [str(made[0].pk), "x"]}).json() == {"retried": 1}
    assert retry(admin, {"allDead": True}).json() == {"retried": 2}
    assert retry(admin, {"allDead": True}).json() == {"retried": 0}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"recordIds": ["1"], "allDead": True},
        {"recordIds": []},
        {"recordIds": "1"},
        {"recordIds": [1]},
        {"recordIds": ["1"] * 1001},
        {"recordIds": ["1" * 256]},
        {"runId": "x"},
        {"runId": 0},
        {"allDead": "yes"},
        {"allDead": True, "everything": 1},
        [],
        None,
    ],
)
def test_a_retry_that_does_not_say_what_changes_nothing(admin, body):
    letter(Stage.DEAD)
    answer = retry(admin, body)
    assert (answer.status_code, "error" in answer.json()) == (400, True)
    assert Letter.objects.get().drain_state == Stage.DEAD


def test_one_record_over_all_its_runs(admin, handled):
    it = letter(drain_term=3, drain_failures=1, drain_error="HTTP 500")
    items = [
        handled(it.pk, ok=False, http_status=500, body={"n": number}, tokens=number)
        for number in range(3)
    ]
    handled(it.pk, job="clean-data")
    handled(it.pk + 1)
    url = f"/api/admin/records/update-rankings/{it.pk}"
    first = admin.get(url, {"limit": 2}).json()
    second = admin.get(url, {"limit": 2, "cursor": first["cursor"]}).json()
    assert [row["id"] for row in (*first["items"], *second["items"])] == [
        one.pk for one in reversed(items)
    ]
    assert second["cursor"] is None
    row = first["items"][0]
    assert (row["httpStatus"], row["body"], row["tokens"]) == (500, {"n": 2}, 2)
    record = first["record"]
    assert (record["state"], record["attempts"], record["failures"]) == ("pending", 3, 1)
    assert (record["error"], record["heldUntil"]) == ("HTTP 500", None)


@pytest.mark.parametrize("name", ["a/b c", "a\nb", "a\n"])
def test_a_record_of_another_application_has_its_history_too(admin, handled, name):
    item = handled(name, job="clean-data")
    found = admin.get(f"/api/admin/records/clean-data/{quote(name)}").json()
    assert (found["record"], [row["runId"] for row in found["items"]]) == (None, [item.run_id])
    for unknown in (
        "clean-data/x",
        "clean-data/%00",
        "clean-data/%0A",
        "no-such-job/1",
        "update-rankings/7",
    ):
        answer = admin.get(f"/api/admin/records/{unknown}")
        assert (answer.status_code, list(answer.json())) == (404, ["error"]), unknown


def test_a_history_walks_an_index_and_reads_nothing_else(make_run):
    run = make_run()
    items = Item.objects.filter(job__in=[run.job_id], record_id="7", id__lt=9).order_by("-id")[:51]
    plan = items.explain()
    if connections["runlog"].vendor == "sqlite":
        assert "USING INDEX item_by_record (job_id=? AND record_id=? AND id<?)" in plan
        assert "TEMP B-TREE" not in plan


def test_drains_are_read_with_get_and_retried_with_post(admin):
    assert admin.post(DRAINS).headers["Allow"] == "GET"
    assert admin.delete(POST).status_code == 405
    assert admin.put(f"{POST}/dead-letters").status_code == 405
    assert admin.patch("/api/admin/records/update-rankings/1").headers["Allow"] == "GET"
    assert admin.get(f"{POST}/retry").headers["Allow"] == "POST"
