"""Where no runner is alive, the web process or a command tells so; where one is, they don't."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.alerts.conftest import MINUTE, NOON, SECRET, VARIABLE, alerts_with, alive, webhook

from cronbell.runlog.alert_tables import Delivery, Incident
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Configuration
from cronbell.testing import answers

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


@pytest.fixture(autouse=True)
def _in_force(monkeypatch, target):
    monkeypatch.setenv(VARIABLE, SECRET)
    target.script("/hook", answers.answer(204))
    sync_jobs([], NOON)
    alerts = alerts_with(webhook(target))
    Configuration.objects.update(alerts=alerts.plain())


def test_a_dead_runner_is_told_of_by_who_is_left_and_once(stand_in, clock, target):
    alive(NOON)
    assert not stand_in.look_if_needed()
    clock.advance(30)
    assert stand_in.look_if_needed()  # nobody is there, but not for a minute yet
    assert target.requests == []
    clock.advance(45)
    assert stand_in.look_if_needed()
    assert stand_in.look_if_needed()
    (request,) = target.requests
    assert b"no runner is alive" in request.body
    alive(clock.now())
    assert not stand_in.look_if_needed()
    assert len(target.requests) == 1


def test_without_channels_it_does_nothing(stand_in, clock):
    Configuration.objects.update(alerts={})
    alive(NOON - MINUTE)
    clock.advance(3600)
    assert not stand_in.look_if_needed()
    assert Incident.objects.count() == 0


def test_a_test_message_says_at_once_what_became_of_it(stand_in, target):
    alerts = alerts_with(webhook(target))
    target.script("/hook", answers.answer(403), answers.answer(200))
    refused = stand_in.test(alerts, alerts.channels["ops"])
    assert (refused.sent, refused.http_status) == (False, 403)
    assert refused.finished_at is not None  # it is not tried again by itself
    assert stand_in.test(alerts, alerts.channels["ops"]).sent
    assert b"cronbell.test" in target.requests[1].body
    assert Delivery.objects.filter(test=True).count() == 2


def test_a_message_a_dead_runner_left_is_sent_by_the_stand_in(stand_in, clock, target):
    alive(NOON)
    clock.advance(90)
    target.script("/hook", answers.answer(500), answers.answer(204))
    stand_in.look_if_needed()
    assert Delivery.objects.get().attempts == 1
    clock.advance(timedelta(seconds=11).total_seconds())
    stand_in.look_if_needed()
    message = Delivery.objects.get()
    assert (message.sent, message.attempts) == (True, 2)
    assert len(target.requests) == 2
