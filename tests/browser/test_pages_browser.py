"""The pages at work in a real browser: live parts, dialogs, keyboard, no JavaScript."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from tests.browser.demo import DAY, Demo
from tests.browser.test_every_page import sign_in

from cronbell.runlog.models import Job, Run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "runlog"]),
]
ONE_POLL = 12_000  # milliseconds; pages ask every five seconds


@pytest.fixture
def page(browser, demo, live_server):
    context = sign_in(browser, live_server.url, "desktop")
    page = context.new_page()
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def job_page(demo: Demo, name: str) -> str:
    return f"/admin/jobs/{demo.jobs[name].pk}"


def test_home_counts_down_and_takes_up_what_happens_without_moving(page: Page, demo: Demo):
    page.goto("/admin/")
    page.evaluate("window.stillTheSamePage = true")
    timer = page.locator("#overview .countdown").first
    expect(timer).to_have_text(re.compile(r"^\d+:\d\d$"))
    before = timer.inner_text()
    expect(timer).not_to_have_text(before)
    top = page.locator("#next-title").bounding_box()
    expect(page.locator("#overview")).to_contain_text("3 times in a row")
    warm = demo.jobs["warm-cache"]
    demo.run("warm-cache", demo.now).save()
    expect(page.locator("#overview")).not_to_contain_text("3 times in a row", timeout=ONE_POLL)
    assert warm.name in page.locator("#overview .coming").inner_text()
    assert page.locator("#next-title").bounding_box()["x"] == top["x"]
    assert page.evaluate("window.stillTheSamePage")


def test_pausing_and_resuming_by_keyboard_in_a_dialog(page: Page, demo: Demo):
    page.goto(job_page(demo, "clean-data"))
    page.locator("#pause").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(page.locator("#reason")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator("#reason")).to_be_focused()
    page.keyboard.type("the target is being moved")
    page.keyboard.press("Enter")
    expect(page.locator("#notices")).to_contain_text("clean-data is paused.")
    expect(dialog).to_be_hidden()
    expect(page.locator("#job")).to_contain_text("the target is being moved")
    assert Job.objects.get(name="clean-data").paused_by == "administrator"
    page.locator("#resume").click()
    dialog.get_by_role("button", name="Resume").click()
    expect(page.locator("#notices")).to_contain_text("clean-data fires again.")
    expect(page.locator("#pause")).to_be_visible()
    assert Job.objects.get(name="clean-data").paused_at is None


def test_items_are_filtered_in_place_and_the_address_can_be_shared(page: Page, demo: Demo):
    page.goto(f"/admin/runs/{demo.runs['partial'].pk}")
    page.click("#items-failed")
    expect(page.locator("#items tbody tr")).to_have_count(8)
    assert page.url.endswith("?result=failed")
    page.fill("#item-text", "rec-0011")
    page.press("#item-text", "Enter")
    expect(page.locator("#items tbody tr")).to_have_count(1)
    page.reload()
    expect(page.locator("#items tbody tr")).to_have_count(1)
    expect(page.locator("#item-text")).to_have_value("rec-0011")


def test_a_run_is_followed_to_its_end(page: Page, demo: Demo):
    run = demo.runs["running"]
    run.items.create(job=run.job, record_id="rec-good", ok=True)
    run.items.create(job=run.job, record_id="rec-bad", ok=False, error="no answer")
    page.goto(f"/admin/runs/{run.pk}")
    expect(page.locator("#run")).to_contain_text("3 / 12")
    page.click("#items-failed")
    expect(page.locator("#items tbody tr")).to_have_count(1)
    Run.objects.filter(pk=run.pk).update(progress_done=9)
    expect(page.locator("#run")).to_contain_text("9 / 12", timeout=ONE_POLL)
    expect(page.locator("#items tbody tr")).to_have_count(1)  # the choice outlives the update
    Run.objects.filter(pk=run.pk).update(status="success", finished_at=demo.now, details="12 ideas")
    expect(page.locator("#run")).to_contain_text("12 ideas", timeout=ONE_POLL)
    assert page.locator("#run[hx-get]").count() == 0


def test_everything_works_without_javascript(browser, demo, live_server):
    context = sign_in(browser, live_server.url, "desktop", java_script_enabled=False)
    page = context.new_page()
    page.goto("/admin/")
    page.locator("#overview").get_by_role("link", name="warm-cache").first.click()
    expect(page.locator("h1")).to_have_text("warm-cache")
    page.get_by_role("link", name="Pause").click()
    page.get_by_label("Reason").fill("cold on purpose")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#job")).to_contain_text("cold on purpose")
    page.get_by_role("link", name="Run warm-cache now").click()
    expect(page.locator("main")).to_contain_text("This request will be sent")
    page.get_by_role("link", name="Jobs").first.click()
    page.locator("#chip-paused").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.goto(f"/admin/runs/{demo.runs['partial'].pk}")
    page.locator("#page-next").click()
    expect(page.locator("#items tbody tr")).to_have_count(25)
    context.close()


def test_new_pages_by_dialog(page: Page, demo: Demo):
    late = demo.runs["late"]
    page.goto(f"/admin/runs/{late.pk}")
    page.click("#rerun")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Idempotency-Key")
    dialog.get_by_role("button", name="Run again").click()
    page.wait_for_url(re.compile(rf"/admin/runs/(?!{late.pk}$)\d+$"))
    assert Run.objects.filter(origin=late).count() == 1
    page.goto("/admin/records")
    page.click("#drain-1")
    letter = demo.letters[0]
    page.click(f"#retry-{letter.pk}")
    expect(dialog).to_contain_text("/api/admin/records")
    expect(dialog).not_to_contain_text("a-token-nobody-must-see")
    dialog.get_by_role("button", name="Try again").click()
    expect(page.locator("#notices")).to_contain_text("1 record will be tried again")
    expect(page.locator(f"#retry-{letter.pk}")).to_have_count(0)
    page.goto(job_page(demo, "verify-records"))
    page.click("#why")
    page.fill("#why-at", "2020-01-01T00:00")
    page.get_by_role("button", name="Find out").click()
    expect(page.locator(".answer")).to_contain_text("verify-records")
    page.goto(job_page(demo, "update-rankings") + "/backfill")
    page.fill("#since", (demo.now - 3 * DAY).strftime("%Y-%m-%dT%H:%M"))
    page.get_by_role("button", name="Show what it would do").click()
    page.get_by_role("button", name="Start the backfill").click()
    expect(page.locator("#backfills")).to_contain_text("going on")
