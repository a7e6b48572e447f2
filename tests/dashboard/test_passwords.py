"""Setting a password from outside: who gets in afterwards, and who no longer does."""

from __future__ import annotations

import pytest
from django.test import Client, RequestFactory
from tests.dashboard.conftest import PASSWORD

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard import throttle, tokens
from cronbell.dashboard.addresses import client_address
from cronbell.dashboard.passwords import set_password
from cronbell.dashboard.scopes import Scope
from cronbell.errors import StartError
from cronbell.runlog.models import AuditRow
from cronbell.server import environment, prepare

pytestmark = [
    pytest.mark.django_db(databases=["default", "runlog"]),
    pytest.mark.any_store,
]
NEW = "another correct horse"


def sign_in(password, address="10.0.0.1"):
    client = Client(REMOTE_ADDR=address)
    form = {"username": "administrator", "password": password}
    return client, client.post("/admin/login", form).status_code


def test_a_new_password_signs_its_user_out_everywhere_and_nobody_else(people, admin):
    """C15."""
    other = Client()
    other.force_login(people["superuser"])
    set_password(people["administrator"], NEW, actor="root")
    assert admin.get("/admin/jobs").status_code == 302
    assert other.get("/admin/jobs").status_code == 200
    assert sign_in(PASSWORD)[1] == 200
    assert sign_in(NEW)[1] == 302


def test_it_lets_an_administrator_in_whom_strangers_have_locked_out(people):
    """C16: the lock is lifted for whoever can reach the machine."""
    for number in range(throttle.PER_ACCOUNT):
        request = RequestFactory().get("/", REMOTE_ADDR=f"10.1.{number}.1")
        throttle.begin(throttle.attempt_of(request, "administrator"), SYSTEM_CLOCK.now())
    assert sign_in(PASSWORD, "10.2.0.1")[1] == 429
    set_password(people["administrator"], NEW, actor="root")
    assert sign_in(NEW, "10.2.0.1")[1] == 302


def test_tokens_stay_unless_they_are_to_go(people):
    _, text = tokens.make(people["administrator"], name="ci", scope=Scope.READ)

    def status():
        return Client().get("/api/admin/cron-logs", HTTP_AUTHORIZATION=f"Bearer {text}").status_code

    assert set_password(people["administrator"], NEW, actor="root") == 0
    assert status() == 200
    assert set_password(people["administrator"], PASSWORD, actor="root", revoke_tokens=True) == 1
    assert status() == 401


def test_it_is_recorded_and_the_password_is_not(people):
    set_password(people["administrator"], NEW, actor="root (command line)")
    row = AuditRow.objects.get()
    assert (row.action, row.subject) == ("password", "administrator")
    assert NEW not in str(AuditRow.objects.values_list())


@pytest.mark.parametrize(
    "password", ["", "short", "password1234", "administrator1", "x" * 5000, "a\x00" * 10]
)
def test_a_password_that_breaks_a_rule_is_refused_and_changes_nothing(people, admin, password):
    with pytest.raises(ValueError, match="password"):
        set_password(people["administrator"], password, actor="root")
    assert admin.get("/admin/jobs").status_code == 200
    assert sign_in(PASSWORD)[1] == 302


def test_there_is_no_password_anybody_could_know_beforehand(db):
    """C17: none before the first start; then a random one, given once, and never again."""
    for guess in ("", "admin", "password"):
        answer = Client().post("/admin/login", {"username": "admin", "password": guess})
        assert answer.status_code == 200
    made = prepare._first_administrator()
    assert len(made) >= 16
    assert prepare._first_administrator() is None
    for guess in ("admin", "cronbell"):
        answer = Client().post("/admin/login", {"username": "admin", "password": guess})
        assert answer.status_code == 200
    answer = Client(REMOTE_ADDR="10.9.9.9").post(
        "/admin/login", {"username": "admin", "password": made}
    )
    assert answer.status_code == 302


@pytest.mark.parametrize(
    ("own", "said", "is_"),
    [
        ("203.0.113.5", "1.1.1.1", "203.0.113.5"),  # no proxy of ours: believed is nothing
        ("10.0.0.1", "1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "9.9.9.9, 1.1.1.1", "1.1.1.1"),  # the caller wrote the first
        ("10.0.0.1", "9.9.9.9, 1.1.1.1, 10.0.0.2", "1.1.1.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3", "10.0.0.1"),
        ("::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "1.1.1.1:443", "10.0.0.1"),
        ("", "1.1.1.1", ""),
        ("10.0.0.1", "1.1.1.1," * 5000 + "2.2.2.2", "2.2.2.2"),
    ],
)
def test_a_forwarded_address_is_believed_only_from_our_own_proxies(
    settings, monkeypatch, own, said, is_
):
    """C16."""
    monkeypatch.setenv("CRONBELL_PROXIES", "10.0.0.0/8, fd00::/8")
    settings.CRONBELL_PROXIES = environment.networks("CRONBELL_PROXIES")
    request = RequestFactory().get("/", REMOTE_ADDR=own, HTTP_X_FORWARDED_FOR=said)
    assert client_address(request) == is_


def test_a_wrong_proxy_stops_the_start(monkeypatch):
    monkeypatch.setenv("CRONBELL_PROXIES", "10.0.0.0/8,proxy.example")
    with pytest.raises(StartError, match=r"proxy\.example"):
        environment.networks("CRONBELL_PROXIES")
