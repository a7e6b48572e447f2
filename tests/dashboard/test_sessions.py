"""Session, user and groups are read anew by each request, as Django's own code reads them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends import db as djangos
from django.contrib.sessions.models import Session
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard import access, sessions
from cronbell.dashboard.access import AdminGroupBackend, is_admin, may_see

pytestmark = [pytest.mark.django_db(databases=["default", "runlog"]), pytest.mark.any_store]
URL = "/admin/cron-logs"


def status(client: Client) -> int:
    return client.get(URL).status_code


def test_a_session_holds_what_django_reads_of_it(admin):
    key = admin.session.session_key
    assert isinstance(admin.session, sessions.SessionStore)
    assert sessions.SessionStore(key).load() == djangos.SessionStore(key).load() != {}
    assert sessions.SessionStore().key_salt == djangos.SessionStore().key_salt


def test_an_ended_session_is_ended_at_once(admin):
    assert status(admin) == 200
    Session.objects.all().delete()
    assert status(admin) == 302


def test_a_session_ends_at_its_time(admin):
    now = SYSTEM_CLOCK.now()
    Session.objects.update(expire_date=now + timedelta(minutes=1))
    assert status(admin) == 200
    Session.objects.update(expire_date=now - timedelta(microseconds=1))
    assert status(admin) == 302


@pytest.mark.parametrize("key", ["", "short", "x" * 32, "x" * 5_000, "' OR 1=1 --", "é" * 32])
def test_a_key_that_there_is_not_is_no_session(people, key):
    client = Client()
    client.cookies["sessionid"] = key
    assert status(client) == 302
    store = sessions.SessionStore(key)
    assert (store.get("x"), store.session_key) == (None, None)


def test_what_was_not_signed_by_us_is_not_believed(admin):
    assert status(admin) == 200
    Session.objects.update(session_data="eyJhIjoxfQ:1abcde:" + "x" * 43)
    assert status(admin) == 302


def test_signing_out_in_one_window_signs_out_the_other(admin):
    other = Client()
    other.cookies["sessionid"] = admin.cookies["sessionid"].value
    assert status(other) == 200
    admin.post("/admin/logout")
    assert status(other) == 302


def test_a_changed_password_ends_the_session(people, admin):
    people["administrator"].set_password("another long password")
    people["administrator"].save()
    assert status(admin) == 302
    assert not Session.objects.exists()


def test_sessions_outlive_a_changed_secret_while_the_old_one_is_named(admin, settings):
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "n" * 50
    assert status(admin) == 200
    settings.SECRET_KEY_FALLBACKS = []
    assert status(admin) == 200


def test_sessions_end_with_a_changed_secret(admin, settings):
    settings.SECRET_KEY = "n" * 50
    assert status(admin) == 302


@pytest.mark.parametrize("name", ["administrator", "superuser", "viewer"])
def test_a_role_taken_away_is_gone_with_the_next_page(people, name):
    client = Client()
    client.force_login(people[name])
    assert status(client) == 200
    people[name].groups.clear()
    User.objects.update(is_superuser=False)
    assert status(client) == 403


def test_a_user_that_is_gone_or_inactive_is_signed_out(people, admin, viewer):
    User.objects.filter(username="viewer").update(is_active=False)
    User.objects.filter(username="administrator").delete()
    assert (status(admin), status(viewer)) == (302, 302)


def test_a_user_is_the_one_that_django_reads(people):
    for name, user in people.items():
        if name == "inactive":
            assert AdminGroupBackend().get_user(user.pk) is None
            continue
        known = User.objects.get(pk=user.pk)
        with CaptureQueriesContext(connections["default"]) as asked:
            found = AdminGroupBackend().get_user(user.pk)
            assert found is not None
            columns = [field.attname for field in User._meta.concrete_fields]
            assert [getattr(found, one) for one in columns] == [
                getattr(known, one) for one in columns
            ]
        assert len(asked) == 1
        assert found == known
    assert AdminGroupBackend().get_user(0) is None


def test_groups_of_others_are_not_theirs(people):
    """Asked of the store for each user, and only ours count."""
    people["user"].groups.create(name="OTHERS")
    found = {name: access._asked_groups(user) for name, user in people.items()}
    assert found == {
        "administrator": {"ADMIN"}, "inactive": {"ADMIN"}, "viewer": {"VIEWER"},
        "superuser": set(), "user": set(), "staff": set(),
    }  # fmt: skip
    admins = {name for name, user in people.items() if is_admin(user)}
    assert admins == {"administrator", "superuser"}
    assert may_see(people["viewer"])
    assert not may_see(people["user"])


def test_another_user_model_is_read_as_django_does(people, monkeypatch):
    monkeypatch.setattr(access, "get_user_model", lambda: None)
    user = people["user"]
    assert AdminGroupBackend().get_user(user.pk) == user
