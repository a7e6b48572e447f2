"""What a hostile text, id, number or address does on every page and in every answer: nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.dashboard.conftest import START, spec
from tests.dashboard.test_admin_access import API, BY_TOKEN, PAGES

from cronbell.dashboard import tokens
from cronbell.dashboard.scopes import Scope
from cronbell.runlog import audit
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Item, LogLine, Run
from cronbell.runlog.pausing import pause
from cronbell.server.middleware import HEADERS

pytestmark = [
    pytest.mark.django_db(databases=["default", "runlog"]),
    pytest.mark.any_store,
]
OURS = [page for page in PAGES if not page.startswith("/admin/data/")]

PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "</pre></code><iframe srcdoc='<script>alert(1)</script>'>",
    '<a href="javascript:alert(1)">x</a>',
    "{{ request }}{% debug %}",
    "<!--<script>-->",
    "</title><base href=//evil.example>",
    "\u001b[31mred\u001b[0m\u202e",
    "<style>@import'//evil.example'</style>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<form action=//evil.example><button>x",
]  # fmt: skip
NOT_OURS = {"iframe", "object", "embed", "base", "style", "math", "mtext", "foreignobject"}
ADDRESSED = {"href", "src", "action", "formaction", "xlink:href", "hx-get", "hx-post"}


class Looker(HTMLParser):
    """Finds what could run or lead away in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag in NOT_OURS or (tag == "script" and not (values.get("src") or "").startswith("/")):
            self.found.append(f"<{tag}>")
        if tag == "meta" and "http-equiv" in values and not values.get("content", "").isdigit():
            self.found.append(f"<meta {values}>")
        for name, value in attrs:
            if name.startswith("on") or name in {"style", "srcdoc"}:
                self.found.append(f"{tag} {name}")
            if name in ADDRESSED and re.match(r"\s*(//|[a-z]+:)", value or "", re.IGNORECASE):
                self.found.append(f"{tag} {name}={value}")


def hostile(text: str) -> list[str]:
    looker = Looker()
    looker.feed(text)
    return looker.found


def test_the_looker_finds_what_it_is_to_find():
    """Sabotage: unescaped, the payloads are found."""
    harmless = {"javascript:alert(1)", "' onmouseover='alert(1)", PAYLOADS[7], PAYLOADS[8],
                PAYLOADS[10], PAYLOADS[13]}  # fmt: skip
    assert {one for one in PAYLOADS if not hostile(f"<p>{one}</p>")} == harmless
    assert hostile('<a href="javascript:alert(1)">') == ["a href=javascript:alert(1)"]
    assert hostile("<p title='x' onmouseover='alert(1)'>") == ["p onmouseover"]


def filled_with(payload: str, make_run, people) -> list[str]:
    """Put a text wherever one can be; return the addresses that show it."""
    name = re.sub(r"[^ -~]", "", payload)[:200]
    jobs = sync_jobs([spec(name, path=f"/api/{payload}", schedule="0 0 * * *")], START)
    run = make_run(
        status="error", details=payload, body=payload, actor=payload[:150],
        reason="network", reason_data={"error": payload}, items_total=1, items_failed=1,
    )  # fmt: skip
    Run.objects.filter(pk=run.pk).update(job=jobs[name])
    Item.objects.create(run=run, job=jobs[name], record_id=payload, ok=False, error=payload,
                        body={"x": payload})  # fmt: skip
    LogLine.objects.create(run=run, at=START, message=payload)
    pause(name, reason=payload, actor=payload)
    audit.record(audit.Action.PAUSE, payload[:32], payload, {"reason": payload}, by=payload)
    if payload.isprintable():
        tokens.make(people["administrator"], name=payload[:100], scope=Scope.READ)
    return [
        "/admin/", "/admin/jobs", "/admin/cron-logs", f"/admin/jobs/{jobs[name].pk}",
        f"/admin/runs/{run.pk}", "/admin/audit", "/admin/tokens", "/admin/settings",
        f"/admin/jobs/{jobs[name].pk}/pause", f"/admin/runs/{run.pk}/rerun",
        f"/admin/jobs/{jobs[name].pk}/backfill",
    ]  # fmt: skip


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_hostile_text_is_shown_and_never_runs(payload, admin, make_run, people):
    """C18, C19: in job names, paths, answers, errors, items, log lines, reasons, people's words."""
    for page in filled_with(payload, make_run, people):
        answer = admin.get(page)
        assert answer.status_code == 200, page
        assert hostile(answer.content.decode()) == [], page


@pytest.mark.parametrize("payload", PAYLOADS[:8])
def test_a_hostile_text_in_the_query_is_shown_and_never_runs(payload, admin, jobs):
    """C18: what a link brings along."""
    for page in OURS:
        names = ("text", "job_name", "job", "record", "page", "status", "actor", "subject",
                 "cursor", "since", "timezone", "at", "next", "state", "result")  # fmt: skip
        answer = admin.get(page, dict.fromkeys(names, payload))
        assert answer.status_code < 500
        if answer.headers["Content-Type"].startswith("text/html"):
            assert hostile(answer.content.decode()) == [], page


def test_no_address_serves_an_answer_as_a_page(admin, make_run):
    """C19: a stored body leaves only escaped, or within JSON that may not be taken for a page."""
    run = make_run(body="<html><script>alert(1)</script></html>", id=1)
    for route in [*OURS, *(one for one in API if one != BY_TOKEN)]:
        answer = admin.get(route)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        kind = answer.headers.get("Content-Type", "")
        assert kind.startswith(("text/html", "application/json")) or not answer.content
        if kind.startswith("text/html"):
            assert b"<script>alert" not in answer.content
    assert b"&lt;script&gt;alert(1)" in admin.get(f"/admin/runs/{run.pk}").content


ID_ROUTES = [route for route in [*OURS, *API] if "/1" in route and route != BY_TOKEN]


@pytest.mark.parametrize("who", ["user", "staff", None])
def test_what_is_there_and_what_is_not_look_alike_to_whoever_may_see_neither(who, people, make_run):
    """C25: an id tells nothing to somebody without rights; there is nobody with half of them."""
    make_run(id=1, details="only for administrators")
    client = Client()
    if who:
        client.force_login(people[who])
    for route in ID_ROUTES:
        there = client.get(route)
        gone = client.get(route.replace("/1", "/987654321"))
        assert there.status_code == gone.status_code in {302, 401, 403}
        assert b"only for administrators" not in there.content
        if there.status_code != 302:
            assert strip(there.content) == strip(gone.content)


def strip(content: bytes) -> bytes:
    return re.sub(rb"/(987654321|1)\b|csrfmiddlewaretoken\" value=\"\w+", b"", content)


NUMBERS = ["-1", "abc", "1e400", "1" * 400, str(2**63), "1;--", "\x00", "１", "1000000000"]
LISTS = ["/admin/cron-logs", "/admin/jobs", "/admin/runs/1", "/admin/audit", "/admin/records",
         "/api/admin/cron-logs", "/api/admin/audit",
         "/api/admin/drains/verify-records/dead-letters",
         "/api/admin/records/clean-data/1", "/api/admin/reviews"]  # fmt: skip


@pytest.mark.parametrize("route", LISTS)
def test_no_number_breaks_a_list_or_makes_it_long(route, admin, make_run):
    """C26."""
    make_run(id=1)
    for name in ("limit" if route.startswith("/api/") else "page", "cursor"):
        for value in NUMBERS:
            answer = admin.get(route, {name: value})
            assert answer.status_code in {200, 400, 404}, (name, value)
            if answer.status_code == 200 and "json" in answer.headers["Content-Type"]:
                assert len(next(iter(answer.json().values()))) <= 200


SQL = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["'", '"', "--", ";", "' OR 1=1 --", "%", "_", "\\", "') UNION SELECT 1 --",
                     "$$", "0x27", "/*", "%%s", "%s", "{0}", "|| pg_sleep(5) ||"]),
)  # fmt: skip


def test_no_text_reaches_a_statement_as_more_than_a_value(admin, make_run):
    """C27: no server error, nothing lost, and nothing found that does not have the text."""
    make_run(details="plain")
    calm = [HealthCheck.function_scoped_fixture]

    @settings(max_examples=25, deadline=None, suppress_health_check=calm)
    @given(text=SQL)
    def try_one(text: str) -> None:
        for route, name in (
            ("/api/admin/cron-logs", "text"), ("/api/admin/cron-logs", "job_name"),
            ("/api/admin/audit", "actor"), ("/api/admin/audit", "subject"),
        ):  # fmt: skip
            answer = admin.get(route, {name: text})
            assert answer.status_code in {200, 400}
            wanted = text.strip().casefold()
            if answer.status_code == 200 and wanted and wanted not in "#1update-rankings plain":
                assert next(iter(answer.json().values())) == []

    try_one()
    assert Run.objects.count() == 1


@pytest.mark.parametrize("signed_in", [True, False])
def test_every_route_of_the_table_carries_the_headers(signed_in, admin, make_run):
    """C37: also where it refuses, redirects or finds nothing."""
    make_run(id=1)
    client = admin if signed_in else nobody()
    for route in [*PAGES, *API]:
        answer = client.get(route)
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, route
        assert answer.headers["Cache-Control"] == "no-store", route
        # Over plain HTTP it means nothing.
        assert "Strict-Transport-Security" not in answer.headers


_nobody: list[Client] = []


def nobody() -> Client:
    if not _nobody:
        _nobody.append(Client(raise_request_exception=False))
    return _nobody[0]


def test_over_https_the_browser_is_told_to_stay_there(settings, people):
    """C37."""
    settings.SECURE_HSTS_SECONDS = 31_536_000
    answer = Client().get("/admin/login", secure=True)
    assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]
    assert "Strict-Transport-Security" not in Client().get("/admin/login").headers


@pytest.mark.parametrize(
    "address",
    ["/docs", "/openapi.json", "/debug", "/metrics", "/api/docs", "/api/admin/docs", "/.env",
     "/admin/data/doc/", "/api/admin/openapi.json", "/api/records/openapi.json", "/server-status",
     "/__debug__/", "/static/", "/static/../settings.py", "/.git/config"],
)  # fmt: skip
def test_what_tells_of_the_inside_is_not_there_or_guarded(address, db):
    """C38."""
    answer = nobody().get(address)
    assert answer.status_code in {302, 401, 404}
    text = answer.content.decode()
    assert "Traceback" not in text
    assert "Django" not in text
    assert not re.search(r"\b\d+\.\d+\.\d+\b", re.sub(r"Cronbell \d+\.\d+\.\d+", "", text))
