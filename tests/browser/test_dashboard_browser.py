"""The dashboard as people use it: mouse, keyboard, phone, with JavaScript and without."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from cronbell.runlog.models import Run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "runlog"]),
]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
ONE_POLL = 12_000  # milliseconds; the page asks every five seconds
DESKTOP = {"viewport": {"width": 1440, "height": 900}}
LONG_RANGE = "?since=2026-01-01T00:00:00Z&until=2099-01-01T00:00:00Z"


def finish(status="success", **columns):
    changed = Run.objects.filter(kind="run_now").first()
    values = {"started_at": changed.queued_at, "finished_at": changed.queued_at} | columns
    Run.objects.filter(pk=changed.pk).update(status=status, **values)


def test_sign_in_filter_and_page(open_page, shoot):
    page = open_page(**DESKTOP)
    shoot(page, "logs-desktop")
    expect(page.locator("tbody tr")).to_have_count(50)
    page.click("#page-2")
    expect(page.locator("#page-2")).to_have_attribute("aria-current", "page")
    assert page.url.endswith("?page=2")
    page.click("#chip-error")
    expect(page.locator("tbody tr")).to_have_count(12)
    page.select_option("#filter-job", "update-rankings")
    expect(page.locator("tbody tr")).to_have_count(4)
    assert page.url.endswith("?status=error&job_name=update-rankings")
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(4)
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(12)


def test_a_range_of_time_stays_until_it_is_removed(open_page, shoot):
    page = open_page(f"/admin/cron-logs{LONG_RANGE}", **DESKTOP, timezone_id="Asia/Seoul")
    expect(page.locator("#log-range")).to_contain_text("From 2026-01-01 09:00:00 KST")
    shoot(page, "logs-range")
    page.select_option("#filter-job", "update-rankings")
    expect(page.locator("#chip-all")).to_have_attribute("href", re.compile("job_name=update"))
    assert page.url.count("since=2026-01-01") == page.url.count("until=2099-01-01") == 1
    page.click("#range-remove")
    expect(page.locator("#log-range")).to_have_count(0)
    assert page.url.endswith("?job_name=update-rankings")
    # The form beside the log has forgotten it, too.
    page.select_option("#filter-job", "clean-data")
    expect(page.locator("#chip-all")).to_have_attribute("href", "?job_name=clean-data")
    assert page.url.endswith("?job_name=clean-data")


def test_search_as_you_type_keeps_the_cursor_in_the_box(open_page):
    page = open_page()
    page.locator("#filter-text").press_sequentially("119 ideas")
    expect(page.locator("tbody tr")).to_have_count(1)
    assert page.evaluate("document.activeElement.id") == "filter-text"
    assert page.input_value("#filter-text") == "119 ideas"


def test_run_now_by_the_dialog_shows_its_end_without_reload(open_page, shoot):
    page = open_page(**DESKTOP)
    page.evaluate("window.stillTheSamePage = true")
    page.get_by_role("link", name="Run update-rankings now").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("http://127.0.0.1:9/api/cron/update-rankings")
    expect(dialog).to_contain_text("Idempotency-Key")
    shoot(page, "run-now-dialog")
    dialog.get_by_role("button", name="Run now").dblclick()
    expect(dialog).to_be_hidden()
    expect(page.locator("#notices")).to_contain_text("update-rankings is running.")
    expect(page.locator("tbody tr").first).to_contain_text("pending")
    assert Run.objects.filter(kind="run_now").count() == 1
    finish(details="120 ideas updated")
    expect(page.locator("#notices")).to_contain_text("update-rankings has been run.")
    expect(page.locator("tbody tr").first).to_contain_text("120 ideas updated")
    assert page.evaluate("window.stillTheSamePage")


def test_a_failed_run_is_told_in_the_notice(open_page, shoot):
    page = open_page()
    page.get_by_role("link", name="Run clean-data now").click()
    page.get_by_role("dialog").get_by_role("button", name="Run now").click()
    expect(page.locator("#notices")).to_contain_text("is running")
    finish("error", reason="connect", reason_data={"host": "127.0.0.1:9"})
    expect(page.locator("#notices")).to_contain_text("nobody listens at 127.0.0.1:9")
    shoot(page, "run-failed")


def test_run_now_without_javascript(open_page):
    page = open_page(java_script_enabled=False)
    page.get_by_role("link", name="Run update-rankings now").click()
    expect(page.locator("main")).to_contain_text("This request will be sent")
    page.get_by_role("button", name="Run now").click()
    run = Run.objects.get(kind="run_now")
    assert page.url.endswith(f"/admin/runs/{run.pk}")
    expect(page.locator(".badge").first).to_contain_text("pending")
    page.goto("/admin/cron-logs?status=error")
    expect(page.locator("tbody tr")).to_have_count(12)


def test_the_log_updates_itself_but_not_under_a_reader(open_page):
    page = open_page()
    newest = Run.objects.first()

    def copy(key, details):
        Run.objects.create(
            **{
                field.attname: getattr(newest, field.attname)
                for field in Run._meta.concrete_fields
                if field.attname not in {"id", "key", "kind", "details"}
            },
            key=key,
            kind="call",
            details=details,
        )

    copy("live-1", "came by itself " * 10)
    first = page.locator("tbody tr").first
    expect(first).to_contain_text("came by itself", timeout=ONE_POLL)
    first.locator("summary").hover()
    expect(first.locator("summary")).to_have_attribute("title", "came by itself " * 10)
    first.locator("summary").click()
    copy("live-2", "the second one")
    page.wait_for_timeout(6_000)  # longer than one round of polling
    expect(first).to_contain_text("came by itself")
    first.locator("summary").click()
    expect(first).to_contain_text("the second one", timeout=ONE_POLL)


def test_by_keyboard_alone(open_page):
    page = open_page(sign_in=False)
    page.keyboard.type("administrator")
    page.keyboard.press("Tab")
    page.keyboard.type("correct horse battery")
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/cron-logs")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Run update-rankings now").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("link", name="Run update-rankings now")).to_be_focused()
    page.locator("#page-2").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#page-2")).to_have_attribute("aria-current", "page")
    expect(page.locator("#page-2")).to_be_focused()


def test_language_and_theme(open_page, shoot):
    page = open_page(**DESKTOP)
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="한국어").click()
    expect(page.locator("h1")).to_have_text("CRON 작업 로그")
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    shoot(page, "logs-korean")
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="어둡게").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(17, 21, 27)"
    shoot(page, "logs-dark")


def test_times_are_the_viewers(open_page):
    page = open_page(timezone_id="America/New_York")
    zone = page.locator("tbody tr .zone").first
    assert zone.inner_text() in {"EST", "EDT"}


@pytest.mark.parametrize(
    "path",
    [
        "/admin/cron-logs",
        "/admin/cron-logs?status=missed",
        f"/admin/cron-logs{LONG_RANGE}",
        "/admin/run-now?job_name=clean-data",
    ],
)
def test_nothing_is_wider_than_a_phone(open_page, shoot, path):
    page = open_page(path, **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shoot(page, f"phone{path.count('?')}{path.count('run-now')}{path.count('until')}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing(open_page, scheme, size, shoot):
    axe = Axe()
    page = open_page("/admin/login", sign_in=False, color_scheme=scheme, **size)
    results = [axe.run(page)]
    page.context.close()
    page = open_page(color_scheme=scheme, **size)
    failed = Run.objects.filter(status="error").first()
    page.get_by_role("link", name="Run clean-data now").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    results.append(axe.run(page))
    for path in (
        "/admin/cron-logs",
        "/admin/cron-logs?status=skipped",
        f"/admin/cron-logs{LONG_RANGE}",
        f"/admin/runs/{failed.pk}",
        "/admin/run-now?job_name=clean-data",
    ):
        page.goto(path)
        results.append(axe.run(page))
    shoot(page, f"axe-{scheme}")
    assert [one.generate_report() for one in results if one.violations_count] == []


def test_the_stock_admin_works_under_the_same_policy(open_page, shoot):
    page = open_page(**DESKTOP)
    page.get_by_role("link", name="Data", exact=True).click()
    page.get_by_role("link", name="Runs", exact=True).first.click()
    expect(page.locator("#result_list tbody tr")).to_have_count(50)
    shoot(page, "stock-admin")
    page.locator("#result_list tbody a").first.click()
    expect(page.locator("#content")).to_contain_text("Status")
