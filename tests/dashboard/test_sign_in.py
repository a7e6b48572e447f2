"""Signing in and out, and how often it may be tried."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connections
from django.test import Client, RequestFactory
from tests.dashboard.conftest import PASSWORD

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard import throttle
from cronbell.dashboard.models import SignInFailure
from cronbell.testing import FakeClock

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])
URL = "/admin/login"


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = FakeClock(SYSTEM_CLOCK.now())
    monkeypatch.setattr("cronbell.dashboard.sign_in.SYSTEM_CLOCK", clock)
    return clock


def sign_in(client, name="administrator", password=PASSWORD, address="10.0.0.1", **fields):
    form = {"username": name, "password": password} | fields
    return client.post(URL, form, REMOTE_ADDR=address)


def test_signing_in_leads_home_and_changes_the_sessions_id(people):
    """C15."""
    client = Client()
    client.get(URL)
    client.session["x"] = 1
    before = client.cookies.get("sessionid")
    answer = sign_in(client)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")
    cookie = answer.cookies["sessionid"]
    assert before is None or cookie.value != before.value
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


@pytest.mark.parametrize(
    ("target", "leads_to"),
    [
        ("/admin/cron-logs?status=error", "/admin/cron-logs?status=error"),
        ("/admin/data/", "/admin/data/"),
        ("//evil.example", "/admin/"),
        ("https://evil.example/x", "/admin/"),
        ("/\\evil.example", "/admin/"),
        ("javascript:alert(1)", "/admin/"),
        ("", "/admin/"),
    ],
)
def test_it_leads_back_to_local_addresses_only(people, target, leads_to):
    """C39."""
    assert sign_in(Client(), next=target).headers["Location"] == leads_to


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("administrator", "wrong"),
        ("nobody-here", PASSWORD),
        ("inactive", PASSWORD),
        ("", ""),
        ("administrator", ""),
        ("\x00", "\x00"),
        ("x" * 10_000, "y" * 10_000),
        ("관리자", "비밀"),
        ("' OR 1=1 --", "x"),
    ],
)
def test_a_wrong_name_or_password_is_refused_and_does_not_say_which(people, name, password):
    answer = sign_in(Client(), name, password)
    assert answer.status_code == 200
    assert "sessionid" not in answer.cookies
    if name in {"nobody-here", "inactive"} or password == "wrong":
        assert b"Please enter a correct username and password." in answer.content


def test_signing_out_ends_the_session_on_the_server_and_only_by_post(people):
    """C15, C14."""
    client = Client()
    sign_in(client)
    key = client.cookies["sessionid"].value
    assert client.get("/admin/logout").status_code == 405
    assert Session.objects.filter(session_key=key).exists()
    assert client.post("/admin/logout").headers["Location"] == URL
    assert not Session.objects.filter(session_key=key).exists()
    client.cookies["sessionid"] = key
    assert client.get("/admin/cron-logs").status_code == 302


def test_a_changed_password_ends_other_sessions(people):
    """C15."""
    client = Client()
    sign_in(client)
    people["administrator"].set_password("another long password")
    people["administrator"].save()
    assert client.get("/admin/cron-logs").status_code == 302


def test_forms_from_elsewhere_are_refused(people):
    """C14."""
    client = Client(enforce_csrf_checks=True)
    assert sign_in(client).status_code == 403
    assert client.post("/admin/logout").status_code == 403


def test_after_five_failures_even_the_right_password_has_to_wait(people, clock):
    for _ in range(throttle.PER_ACCOUNT_AND_SOURCE):
        assert sign_in(Client(), password="wrong").status_code == 200
    answer = sign_in(Client())
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) == 15 * 60 + 1
    assert b"Too many attempts. Try again in 16 minutes." in answer.content
    clock.advance(15 * 60 + 1)
    assert sign_in(Client()).status_code == 302


def test_without_the_throttle_the_sixth_attempt_would_get_in(people, monkeypatch):
    """Sabotage: nothing else stands in the way."""
    for _ in range(throttle.PER_ACCOUNT_AND_SOURCE):
        sign_in(Client(), password="wrong")
    monkeypatch.setattr("cronbell.dashboard.throttle.seconds_to_wait", lambda *_: 0)
    assert sign_in(Client()).status_code == 302


def test_a_forwarded_address_does_not_help_the_guesser(people):
    """C16."""
    for number in range(throttle.PER_ACCOUNT_AND_SOURCE):
        client = Client(headers={"X-Forwarded-For": f"1.2.3.{number}"})
        sign_in(client, password="wrong")
    assert sign_in(Client(headers={"X-Forwarded-For": "9.9.9.9"})).status_code == 429


def test_one_password_tried_at_many_names_is_stopped(people):
    """C16."""
    for number in range(throttle.PER_SOURCE):
        sign_in(Client(), f"name-{number}", "password1")
    assert sign_in(Client()).status_code == 429
    assert sign_in(Client(), address="10.0.0.2").status_code == 302


def test_many_addresses_are_stopped_but_cannot_lock_the_administrators_browser_out(people):
    """C16."""
    known = Client()
    sign_in(known)
    known.post("/admin/logout")
    stranger = Client()
    for number in range(throttle.PER_ACCOUNT):
        sign_in(stranger, password="wrong", address=f"10.1.{number}.1")
    assert sign_in(Client(), address="10.2.0.1").status_code == 429
    assert sign_in(known, address="10.1.1.1").status_code == 302


def test_a_known_browser_is_bound_by_its_own_limit(people):
    known = Client()
    sign_in(known)
    known.post("/admin/logout")
    for _ in range(throttle.PER_ACCOUNT_AND_SOURCE):
        sign_in(known, password="wrong")
    assert sign_in(known).status_code == 429


@pytest.mark.parametrize("cookie", ["", "x", "a:b:c", "\x00", "W10:1:x"])
def test_a_forged_device_is_no_known_one(people, cookie):
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1")
    request.COOKIES[throttle.DEVICE_COOKIE] = cookie
    assert not throttle.attempt_of(request, "administrator").known


def test_a_device_of_one_account_is_unknown_to_another(people):
    client = Client()
    sign_in(client, "user")
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1")
    request.COOKIES[throttle.DEVICE_COOKIE] = client.cookies[throttle.DEVICE_COOKIE].value
    assert throttle.attempt_of(request, "USER ").known
    assert not throttle.attempt_of(request, "administrator").known


def test_what_was_typed_is_not_kept_and_old_failures_are_forgotten(people, clock):
    sign_in(Client(), "my-password-in-the-wrong-box", "x")
    assert "my-password" not in str(SignInFailure.objects.values_list())
    clock.advance(timedelta(minutes=16).total_seconds())
    sign_in(Client(), password="wrong")
    assert SignInFailure.objects.count() == 1


def test_somebody_who_is_signed_in_is_led_on(people):
    client = Client()
    sign_in(client)
    assert client.get(URL).headers["Location"] == "/admin/"


def test_a_user_who_is_no_administrator_is_told_so_after_signing_in(people):
    answer = Client().post(URL, {"username": "user", "password": PASSWORD}, follow=True)
    assert answer.status_code == 403
    assert b"who is not an administrator" in answer.content


def test_a_thousand_attempts_are_stopped_after_a_few(people, monkeypatch):
    """C16: from many forged addresses; what is stopped is answered without hashing anything."""
    hashed = []
    monkeypatch.setattr(MD5PasswordHasher, "encode", counted(MD5PasswordHasher.encode, hashed))
    client = Client()
    codes = []
    for number in range(30):
        client.cookies.clear()
        form = {"username": "administrator", "password": f"guess-{number}"}
        codes.append(client.post(URL, form, HTTP_X_FORWARDED_FOR=forged(number)).status_code)
    assert codes == [200] * throttle.PER_ACCOUNT_AND_SOURCE + [429] * (30 - len(hashed))
    assert len(hashed) == throttle.PER_ACCOUNT_AND_SOURCE
    for number in range(30, 1_000):
        request = RequestFactory().post(URL, HTTP_X_FORWARDED_FOR=forged(number))
        assert throttle.begin(throttle.attempt_of(request, "administrator"), SYSTEM_CLOCK.now())


def forged(number):
    return f"1.{number // 256}.{number % 256}.1"


def counted(real, calls):
    def encode(self, password, salt):
        calls.append(1)
        return real(self, password, salt)

    return encode


@pytest.mark.parametrize("name", ["administrator", "nobody-here", "inactive"])
def test_a_wrong_password_costs_one_hash_whoever_it_is_for(people, monkeypatch, name):
    """C16: the time it takes does not say which names there are."""
    hashed = []
    monkeypatch.setattr(MD5PasswordHasher, "encode", counted(MD5PasswordHasher.encode, hashed))
    sign_in(Client(), name, "wrong")
    assert len(hashed) == 1


def test_half_a_form_is_no_attempt(people):
    for _ in range(throttle.PER_ACCOUNT_AND_SOURCE + 1):
        assert sign_in(Client(), password="").status_code == 200
    assert not SignInFailure.objects.exists()


def test_a_good_sign_in_takes_back_what_was_counted(people):
    sign_in(Client(), password="wrong")
    sign_in(Client())
    assert not SignInFailure.objects.exists()


@pytest.mark.django_db(databases=["default", "runlog"], transaction=True)
def test_attempts_made_at_the_same_moment_are_counted_one_by_one(people, clock):
    """C16: each of twenty attempts sees those before it, however close together they are."""
    attempt = throttle.Attempt("a" * 64, "10.0.0.1", known=False)
    barrier, waits = threading.Barrier(10), []

    def try_twice():
        barrier.wait(30)
        waits.extend(throttle.begin(attempt, clock.now()) for _ in range(2))
        connections.close_all()

    threads = [threading.Thread(target=try_twice) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(waits), waits.count(0)) == (20, throttle.PER_ACCOUNT_AND_SOURCE)


def test_a_session_is_of_no_use_after_its_users_rights_are_gone(people):
    """C15: what a session may do is asked anew each time; an inactive user's is over."""
    client = Client()
    sign_in(client)
    people["administrator"].is_active = False
    people["administrator"].save()
    assert client.get("/admin/cron-logs").status_code == 302


def test_a_session_made_before_signing_in_is_not_taken_over(people):
    """C15: fixation: whoever planted the id has nothing from it."""
    planted = SessionStore()
    planted["x"] = 1
    planted.create()
    client = Client()
    client.cookies["sessionid"] = planted.session_key
    sign_in(client)
    assert client.cookies["sessionid"].value != planted.session_key
    stranger = Client()
    stranger.cookies["sessionid"] = planted.session_key
    assert stranger.get("/admin/cron-logs").status_code == 302


def test_behind_https_no_cookie_travels_without_it(people, settings):
    """C15."""
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    answer = Client().post(URL, {"username": "administrator", "password": PASSWORD}, secure=True)
    assert answer.status_code == 302
    assert all(cookie["secure"] for cookie in answer.cookies.values())
    assert answer.cookies[throttle.DEVICE_COOKIE]["httponly"]
