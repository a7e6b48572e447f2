"""A drain over a real store and a real HTTP target: what it sends, settles, reports, leaves."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from tests.drain.backlog.models import Letter

from cronbell.drain import claim as claims
from cronbell.drain.budget import Usage
from cronbell.drain.drain import LOST
from cronbell.drain.models import DrainDay, Stage, TargetPause
from cronbell.drain.settings import BatchSize
from cronbell.drain.target import HttpTarget, Reply
from cronbell.endpoint import JobContext
from cronbell.endpoint.registry import cron_job
from cronbell.testing import answers

pytestmark = pytest.mark.django_db(transaction=True, databases=["default"])

PATH = "/letters"


def failing(number, answer):
    """Answer every letter but one with success."""
    return [answers.ok()] * number + [answer, answers.ok()]


def stages():
    return list(Letter.objects.order_by("pk").values_list("drain_state", flat=True))


def test_each_record_is_sent_once_with_its_key_and_reported(drain, run, target, letters):
    made = letters(3)
    answer = run(drain())
    assert (answer["success"], answer["processed"], "status" in answer) == (True, 3, False)
    assert answer["results"] == [
        {
            "recordId": str(one.pk),
            "ok": True,
            "status": 200,
            "body": {"success": True},
            "attempts": 1,
            "seconds": 0.0,
        }
        for one in made
    ]
    assert [json.loads(one.body) for one in target.requests] == [
        {"recordId": one.pk} for one in made
    ]
    first = target.requests[0]
    assert first.header("Authorization") == "Bearer let-me-in"
    assert first.header("Idempotency-Key") == claims.idempotency_key(made[0])
    assert stages() == [Stage.DONE] * 3
    assert run(drain())["processed"] == 0
    assert len(target.requests) == 3


def test_nothing_to_do_is_a_success_that_says_so(drain, run):
    answer = run(drain())
    assert (answer["success"], answer["processed"]) == (True, 0)
    assert answer["message"] == "Nothing to do: no record is waiting."
    assert "results" not in answer
    assert "status" not in answer


def test_a_failed_record_does_not_keep_the_others_and_makes_the_run_partial(
    drain, run, target, letters
):
    letters(3)
    target.script(PATH, *failing(1, answers.json_answer({"why": "no"}, 500)))
    answer = run(drain())
    assert (answer["status"], answer["processed"], answer["failed"]) == ("partial", 3, 1)
    assert answer["results"][1] | {"recordId": ""} == {
        "recordId": "",
        "ok": False,
        "status": 500,
        "body": {"why": "no"},
        "attempts": 1,
        "seconds": 0.0,
    }
    assert stages() == [Stage.DONE, Stage.PENDING, Stage.DONE]


def test_an_item_says_what_it_took(drain, run, letters, clock):
    letters(1)

    def call(_hold, _seconds):
        clock.sleep(1.25)
        return Reply(usage=Usage(tokens=70, money=Decimal("0.0000015")))

    (item,) = run(drain(call=call))["results"]
    used = {"attempts": 1, "seconds": 1.25, "tokens": 70, "cost": "0.000002"}
    assert {name: item[name] for name in used} == used


def test_a_network_error_is_status_0_with_an_error_and_no_body(drain, run, target, letters):
    letters(1)
    target.script(PATH, answers.reset())
    (item,) = run(drain())["results"]
    assert (item["ok"], item["status"], "body" in item) == (False, 0, False)
    assert item["error"]


def test_an_answer_that_is_not_json_has_a_null_body(drain, run, target, letters):
    letters(1)
    target.script(PATH, answers.answer(200, "<p>fine</p>"))
    (item,) = run(drain())["results"]
    assert (item["ok"], item["body"]) == (True, None)


def test_a_poison_record_is_set_aside_after_three_failures_while_others_go_on(
    drain, run, target, letters, clock
):
    (poison,) = letters(1)
    target.script(PATH, answers.answer(500))
    for time in range(1, 5):
        letters(1)
        calls = len(target.requests)
        answer = run(drain(call=only_for(poison, target)))
        assert answer["processed"] == (2 if time <= 3 else 1)
        assert len(target.requests) - calls == (1 if time <= 3 else 0)
        clock.advance(61)
    assert stages() == [Stage.DEAD] + [Stage.DONE] * 4
    poison.refresh_from_db()
    assert (poison.drain_failures, poison.drain_error) == (3, "HTTP 500")
    assert poison.drain_settled_at is not None


def only_for(poison, target):
    """Send only one letter over the wire; the others are fine without."""
    http = HttpTarget(target.url(PATH))
    return lambda hold, left: http(hold, left) if hold.record.pk == poison.pk else Reply()


@pytest.mark.parametrize(
    "answer",
    [
        answers.reset(),
        answers.retry_after("5"),
        answers.retry_after("5", 429),
        answers.answer(429),
        answers.answer(502),
        answers.answer(504),
        answers.retry_after("5", 409),
    ],
)
def test_what_is_not_the_records_fault_never_sets_it_aside(
    answer, drain, run, target, letters, clock
):
    letters(1)
    target.script(PATH, *[answer] * 5, answers.ok())
    for _ in range(5):
        assert run(drain())["failed"] == 1
        clock.advance(3600)
    assert run(drain())["processed"] == 1
    assert stages() == [Stage.DONE]
    assert {one.header("Idempotency-Key") for one in target.requests} == {
        claims.idempotency_key(Letter.objects.get())
    }


def test_a_failed_record_waits_behind_those_not_tried_yet(drain, run, target, letters, clock):
    letters(5)
    target.script(PATH, answers.answer(502), answers.answer(502), answers.ok())
    assert run(drain(batch=BatchSize(2)))["failed"] == 2
    assert run(drain(batch=BatchSize(2)))["processed"] == 2
    assert stages() == [Stage.PENDING] * 2 + [Stage.DONE] * 2 + [Stage.PENDING]


def test_who_is_not_let_in_stops_and_leaves_the_rest(drain, run, target, letters):
    letters(5)
    target.script(PATH, answers.json_answer({"error": "Unauthorized"}, 401))
    answer = run(drain())
    assert answer["stopped"] == {"reason": "shut_out", "status": 401}
    assert (answer["processed"], len(target.requests)) == (1, 1)
    assert set(Letter.objects.values_list("drain_owner", "drain_failures")) == {("", 0)}


def test_a_call_that_raises_fails_its_record_only(drain, run, letters):
    made = letters(2)

    def call(hold, _seconds):
        if hold.record.pk == made[0].pk:
            raise SystemExit("out")
        return Reply(body={"n": 1})

    first, second = run(drain(call=call))["results"]
    assert (first["ok"], first["error"]) == (False, "SystemExit: out")
    assert (second["ok"], second["status"], second["body"]) == (True, None, {"n": 1})


def test_an_effect_is_settled_with_its_record_or_not_at_all(drain, run, letters):
    made = letters(2)

    def settle(letter, _reply):
        letter.posted = True
        letter.save()
        if letter.pk == made[1].pk:
            raise ValueError("no room")

    answer = run(drain(settle=settle))
    assert answer["results"][1]["error"] == "ValueError: no room"
    assert list(Letter.objects.order_by("pk").values_list("posted", "drain_state")) == [
        (True, Stage.DONE),
        (False, Stage.PENDING),
    ]
    assert Letter.objects.get(pk=made[1].pk).drain_failures == 1


def test_a_record_changed_while_it_is_handled_is_handled_again(drain, run, letters, clock):
    (letter,) = letters(1)
    keys = []

    def call(hold, _seconds):
        keys.append(hold.key)
        if len(keys) == 1:
            claims.mark_changed(Letter.objects.filter(pk=letter.pk), now=clock.now())
        return Reply()

    assert run(drain(call=call))["results"][0]["error"] == LOST
    assert run(drain(call=call))["results"][0]["ok"]
    assert len(set(keys)) == 2


def test_an_answer_that_json_cannot_say_costs_nobody_the_answer(drain, run, letters):
    letters(1)
    (item,) = run(drain(call=lambda *_: Reply(body={"n": object()})))["results"]
    assert (item["ok"], item["body"]) == (True, None)


# Ends


def test_the_deadline_ends_it_between_two_records_and_nothing_stays_held(
    drain, run, letters, clock
):
    letters(5)

    def call(_hold, seconds):
        assert seconds <= 30
        clock.advance(25)
        return Reply()

    answer = run(drain(call=call), 60)
    assert (answer["status"], answer["stopped"]) == ("partial", {"reason": "deadline"})
    assert stages() == [Stage.DONE] * 3 + [Stage.PENDING] * 2
    assert set(Letter.objects.values_list("drain_owner", flat=True)) == {""}
    assert run(drain(call=lambda *_: Reply()))["processed"] == 2


def test_it_ends_when_told(drain, run, letters, clock):
    letters(3)
    context = JobContext("post", clock=clock)

    def call(*_):
        context.stop()
        return Reply()

    assert run(drain(call=call), context=context)["stopped"] == {"reason": "told"}
    assert stages() == [Stage.DONE] + [Stage.PENDING] * 2


def test_several_batches_until_nothing_is_due(drain, run, letters, target):
    letters(25)
    assert run(drain(batch=BatchSize(10), batches=2))["processed"] == 20
    target.script(PATH, answers.answer(502))
    answer = run(drain(batch=BatchSize(2), batches=None))
    assert (answer["processed"], answer["failed"]) == (5, 5)


def test_a_dry_run_names_the_records_and_writes_and_sends_nothing(
    drain, run, target, letters, clock
):
    made = letters(3)
    letters(2, stamped=False)
    before = list(Letter.objects.order_by("pk").values())
    context = JobContext("post", clock=clock, dry_run=True)
    answer = run(drain(batch=BatchSize(2)), context=context)
    assert answer["wouldProcess"] == [str(one.pk) for one in made[:2]]
    assert (answer["processed"], answer["pending"]) == (0, 3)
    assert list(Letter.objects.order_by("pk").values()) == before
    assert not DrainDay.objects.exists()
    assert not TargetPause.objects.exists()
    assert not target.requests


def test_progress_is_told(drain, run, letters, clock):
    letters(2)
    told = []
    context = JobContext("post", clock=clock, on_progress=lambda *both: told.append(both))
    run(drain(), context=context)
    assert told == [(1, 2), (2, 2)]


def test_a_drain_is_a_jobs_whole_body(drain, letters, clock):
    from cronbell.endpoint.registry import Registry

    registry = Registry()
    letters(1)
    posting = drain()
    cron_job("post", max_duration=60, dry_run=True, registry=registry)(posting.run)
    job = registry.by_name("post")
    assert job is not None
    assert job.function(JobContext("post", clock=clock)).data["processed"] == 1
