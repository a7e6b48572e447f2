"""From incidents to messages: one for a storm, once, held back, repeated, kept until it is sent."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections, transaction
from tests.alerts.conftest import (
    MINUTE,
    NOON,
    alerts_with,
    open_now,
    payload,
    run_of,
    sent,
    spec,
    webhook,
)

from cronbell.alerts import incidents, outbox
from cronbell.clock import to_micros
from cronbell.config.alerts import Condition
from cronbell.domain import Blackout
from cronbell.runlog.alert_tables import Delivery, Incident, Notice
from cronbell.runlog.router import ALIAS

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
HOUR = timedelta(hours=1)


def atomic(act, *given):
    with transaction.atomic(using=ALIAS):
        return act(*given)


def test_a_thousand_failures_make_one_message(jobs, watched):
    made = jobs(*(spec(f"job-{n:04}") for n in range(1000)))
    watch = watched(alerts_with(webhook(digest=60.0, on=("failed",))))
    with transaction.atomic(using=ALIAS):
        for job in made.values():
            run_of(job, "error")
    assert watch.told() == []
    (message,) = watch.look(MINUTE)
    assert message.subject == "Cronbell: 1000 alerts"
    assert "1000 new alerts" in message.text
    assert "and 980 more" in message.text
    assert len(message.text) < 8_000
    assert len(payload(message)["data"]["alerts"]) == 20
    sent(message, watch.clock)
    assert watch.told(MINUTE) == []
    assert Notice.objects.filter(done=True).count() == 1000


def test_failures_that_go_on_for_a_while_make_one_message_a_window(jobs, watched):
    made = list(jobs(*(spec(f"job-{n}") for n in range(30))).values())
    watch = watched(alerts_with(webhook(digest=300.0, on=("failed",))))
    told = []
    for job in made:
        run_of(job, "error")
        told += watch.told(MINUTE)
    assert 1 <= len(told) <= 6


def test_what_failed_and_recovered_within_a_digest_is_told_as_both(jobs, watched):
    job = jobs("one")["one"]
    watch = watched(alerts_with(webhook(digest=60.0)))
    run_of(job, "error")
    watch.look()
    run_of(job, "success")
    (message,) = watch.look(MINUTE)
    assert message.subject == "Cronbell: one recovered (failed)"
    (alert,) = payload(message)["data"]["alerts"]
    assert (alert["state"], alert["condition"], alert["jobName"]) == ("recovered", "failed", "one")


def test_a_message_has_the_language_and_the_times_of_its_channel(jobs, watched):
    job = jobs("one")["one"]
    channel = webhook(timezone="Asia/Seoul", language="ko", on=("missed",))
    run_of(job, "missed", NOON)
    (message,) = watched(alerts_with(channel)).look()
    assert "마지막 예정 시각은 2026-11-22 21:00+09:00입니다" in message.text
    assert message.subject == "Cronbell: one: 놓침"


def test_a_channel_hears_only_of_what_it_asks_for(jobs, watched):
    job = jobs("one")["one"]
    channels = [
        webhook(on=("failed",)),
        webhook(name="all"),
        webhook(name="missed", on=("missed",)),
    ]
    watch = watched(alerts_with(*channels))
    run_of(job, "error")
    first = watch.look()
    for one in first:
        sent(one, watch.clock)
    run_of(job, "success")
    assert sorted(one.channel for one in first) == ["all", "ops"]
    assert [one.channel for one in watch.look()] == ["all"]


def test_reminders_come_while_it_lasts_and_not_while_the_job_is_paused(jobs, watched):
    job = jobs("one")["one"]
    watch = watched(alerts_with(webhook(remind=3600.0, on=("failed",))))
    run_of(job, "error")
    assert len(watch.told()) == 1
    assert watch.told(50 * MINUTE) == []
    (message,) = watch.told(10 * MINUTE)
    assert "1 alert lasts" in message
    assert "for 1 hour" in message
    assert watch.told(10 * MINUTE) == []
    job.paused_at = watch.clock.now()
    job.save()
    assert watch.told(2 * HOUR) == []
    job.paused_at = None
    job.save()
    assert len(watch.told()) == 1
    run_of(job, "success")
    watch.told()
    assert watch.told(5 * HOUR) == []


def test_quiet_hours_hold_back_and_then_tell_in_one_message(jobs, watched, clock):
    made = jobs("one", "two")
    night = Blackout(start="22:00", end="06:00", timezone="Europe/Berlin")
    watch = watched(alerts_with(webhook(quiet=(night,), remind=1800.0, on=("failed",))))
    clock.set_wall(datetime(2026, 11, 22, 21, 30, tzinfo=UTC))  # 22:30 there
    run_of(made["one"], "error")
    assert watch.told() == []
    run_of(made["two"], "error")
    assert watch.told(7 * HOUR) == []  # 05:30
    (message,) = watch.told(MINUTE * 30)
    assert "2 new alerts" in message


@pytest.mark.parametrize(
    ("evening", "before", "after"),
    [
        # The clocks go back at 03:00 on 2026-10-25: the night has an hour more.
        ((2026, 10, 24), datetime(2026, 10, 25, 4, 59), datetime(2026, 10, 25, 5, 0)),  # noqa: DTZ001 - made aware below
        # They go forward at 02:00 on 2026-03-29: it has an hour less.
        ((2026, 3, 28), datetime(2026, 3, 29, 3, 59), datetime(2026, 3, 29, 4, 0)),  # noqa: DTZ001
    ],
)
def test_quiet_hours_end_by_the_wall_clock_in_a_night_that_changes_it(
    jobs, watched, clock, evening, before, after
):
    job = jobs("one")["one"]
    night = Blackout(start="22:00", end="06:00", timezone="Europe/Berlin")
    watch = watched(alerts_with(webhook(quiet=(night,), on=("failed",))))
    clock.set_wall(datetime(*evening, 21, 30, tzinfo=UTC))
    run_of(job, "error")
    assert watch.told() == []
    clock.set_wall(before.replace(tzinfo=UTC))
    assert watch.told() == []
    clock.set_wall(after.replace(tzinfo=UTC))
    assert len(watch.told()) == 1


def test_while_a_message_cannot_be_sent_all_else_waits_for_the_next(jobs, watched):
    made = jobs(*(f"job-{n}" for n in range(5)))
    watch = watched(alerts_with(webhook()))
    messages = []
    for job in made.values():
        run_of(job, "error")
        messages += watch.look(MINUTE)
    assert len(messages) == 1
    sent(messages[0], watch.clock)
    (message,) = watch.told()
    assert "4 new alerts" in message


def test_a_message_is_tried_again_ever_later_and_given_up_at_last(jobs, watched, clock):
    watch = watched(alerts_with(webhook(on=("failed",))))
    run_of(jobs("one")["one"], "error")
    (message,) = watch.look()
    waits = []
    refused = outbox.Result(sent=False, http_status=503, reason="http_status")
    while Delivery.objects.filter(finished_at__isnull=True).exists():
        at = clock.now()
        (claimed,) = atomic(outbox.claim, "me", at, to_micros(at))
        assert atomic(outbox.settle, claimed, refused, at)
        row = Delivery.objects.get(pk=message.pk)
        waits.append((row.available_at - at).total_seconds())
        assert atomic(outbox.claim, "me", at, to_micros(at)) == []
        clock.set_wall(row.available_at)
    assert waits[:4] == [10, 20, 40, 80]
    assert max(waits) == 3600
    assert (len(waits), row.sent, row.http_status) == (outbox.MOST_ATTEMPTS, False, 503)


def test_the_other_side_may_ask_to_wait_and_may_say_that_it_is_gone(jobs, watched, clock):
    watch = watched(alerts_with(webhook(on=("failed",))))
    run_of(jobs("one")["one"], "error")
    (message,) = watch.look()
    at = clock.now()
    (claimed,) = atomic(outbox.claim, "me", at, to_micros(at))
    atomic(outbox.settle, claimed, outbox.Result(sent=False, http_status=429, wait=600.0), at)
    assert Delivery.objects.get(pk=message.pk).available_at == at + timedelta(minutes=10)
    clock.advance(600)
    (claimed,) = atomic(outbox.claim, "me", clock.now(), clock.micros())
    atomic(outbox.settle, claimed, outbox.Result(sent=False, http_status=410), clock.now())
    assert Delivery.objects.get(pk=message.pk).finished_at == clock.now()


def test_one_who_was_taken_for_dead_settles_nothing(jobs, watched, clock):
    """Fencing: the lease ran out, another sends the same message, and the first comes back."""
    watch = watched(alerts_with(webhook(on=("failed",))))
    run_of(jobs("one")["one"], "error")
    watch.look()
    (stale,) = atomic(outbox.claim, "first", clock.now(), clock.micros())
    assert atomic(outbox.claim, "second", clock.now(), clock.micros()) == []
    clock.advance(outbox.LEASE_SECONDS + 1)
    (mine,) = atomic(outbox.claim, "second", clock.now(), clock.micros())
    assert mine.key == stale.key
    failed = outbox.Result(sent=False, http_status=500)
    assert not atomic(outbox.settle, stale, failed, clock.now())
    assert atomic(outbox.settle, mine, outbox.Result(sent=True, http_status=200), clock.now())
    row = Delivery.objects.get()
    assert (row.sent, row.attempts, row.http_status) == (True, 2, 200)


def in_threads(*acts) -> None:
    """Run each in a thread and a connection of its own, all at once."""
    barrier = threading.Barrier(len(acts))
    errors = []

    def run(act):
        try:
            barrier.wait(10)
            act()
        except Exception as error:  # noqa: BLE001 - said by the test
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not errors


def test_four_who_look_at_once_tell_once(jobs, watched):
    made = jobs(*(f"job-{n}" for n in range(20)))
    alerts = alerts_with(webhook())
    for job in made.values():
        run_of(job, "error")
    in_threads(*[watched(alerts).look for _ in range(4)])
    watched(alerts).look()
    assert Incident.objects.count() == 20
    # The one message, or that and the next, which waits until it is sent: none twice.
    assert Delivery.objects.count() == 1
    told = Notice.objects.filter(kind="opened").values_list("incident_id", flat=True)
    assert len(told) == len(set(told)) == 20


def test_four_who_send_at_once_get_it_once(jobs, watched, clock):
    run_of(jobs("one")["one"], "error")
    watched(alerts_with(webhook())).look()
    taken = []
    now, micros = clock.now(), clock.micros()
    in_threads(
        *[
            lambda n=n: taken.extend(atomic(outbox.claim, f"owner-{n}", now, micros))
            for n in range(4)
        ]
    )
    assert len(taken) == 1


def drop(constraint: str, model) -> None:
    (found,) = [one for one in model._meta.constraints if one.name == constraint]
    with connections[ALIAS].schema_editor() as editor:
        editor.remove_constraint(model, found)


@pytest.fixture
def without_unique_incidents():
    """Take the unique key of open incidents away, and put it back."""
    (found,) = [one for one in Incident._meta.constraints if one.name == "incident_once"]
    drop("incident_once", Incident)
    yield
    Incident.objects.all().delete()
    with connections[ALIAS].schema_editor() as editor:
        editor.add_constraint(Incident, found)


@pytest.fixture
def told_of_two_failures(jobs, watched):
    """Have one job fail twice; give what was told."""

    def fail():
        watch = watched(alerts_with(webhook(on=("failed",))))
        job = jobs("one")["one"]
        told = []
        for _ in range(2):
            run_of(job, "error")
            told += watch.told(MINUTE)
        return told

    return fail


@pytest.mark.usefixtures("without_unique_incidents")
def test_sabotage_without_the_unique_key_the_same_is_told_twice(told_of_two_failures):
    assert len(told_of_two_failures()) == 2
    assert open_now() == ["failed one", "failed one"]


def test_with_it_the_same_is_told_once(told_of_two_failures):
    assert len(told_of_two_failures()) == 1


def test_what_is_long_over_is_removed_and_what_lasts_stays(jobs, watched, clock):
    made = jobs("one", "two")
    watch = watched(alerts_with(webhook()))
    for job in made.values():
        run_of(job, "error")
    watch.told()
    run_of(made["one"], "success")
    watch.told(MINUTE)
    assert Delivery.objects.count() == 2
    clock.set_wall(NOON + timedelta(days=91))
    assert atomic(outbox.prune, clock.now()) is False
    assert open_now() == ["failed two"]
    assert Incident.objects.count() == 1
    assert Delivery.objects.count() == 0
    assert Notice.objects.filter(done=False).count() == 0  # told already, and not told again


def test_an_incident_opens_and_closes_and_opens_anew(jobs):
    job = jobs("one")["one"]
    key = incidents.key_of(Condition.FAILED, job.pk)
    for _ in range(2):
        incidents.open_incident(Condition.FAILED, NOON, job=job.pk)
        incidents.open_incident(Condition.FAILED, NOON, job=job.pk)
        assert incidents.close([key], NOON) == 1
        assert incidents.close([key], NOON) == 0
    assert Incident.objects.count() == 2
