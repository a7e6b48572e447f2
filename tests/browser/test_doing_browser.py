"""What people do on the pages: cancel, review, backfill, with every kind of browser and network.

One service for each test of several steps: starting one takes longer than what is done with it.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect
from tests.browser.demo import DAY, Demo
from tests.browser.test_every_page import sign_in

from cronbell.runlog.models import Backfill, Job, Run
from ideasgpt.verification.models import Record

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "runlog"]),
]
POLL = (
    "for (const one of document.querySelectorAll('[data-live]')) htmx.trigger(one, 'cronbell-poll')"
)


def opened(context: BrowserContext) -> Page:
    page = context.new_page()
    page.set_default_timeout(10_000)
    return page


def cancelling(page: Page, demo: Demo) -> None:
    """A run is cancelled, after being asked."""
    dialog = page.get_by_role("dialog")
    run = demo.runs["running"]
    page.goto(f"/admin/runs/{run.pk}")
    page.click("#cancel")
    expect(dialog).to_contain_text("may still be at work")
    dialog.get_by_role("link", name="Back").click()
    expect(dialog).to_be_hidden()
    page.click("#cancel")
    dialog.get_by_role("button", name="Cancel this run").click()
    expect(page.locator("#run")).to_contain_text("administrator has cancelled this run")
    assert Run.objects.get(pk=run.pk).cancelled_by == "administrator"


def reviewing(page: Page, demo: Demo) -> None:
    """A review overrides the verifier, by keyboard alone."""
    record = demo.records["doubt"]
    page.goto("/admin/reviews")
    page.locator(f"#review-{record.pk}").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".document mark.claim").first).to_have_text("Moonlight Bakery")
    note = page.locator("#note")
    note.focus()
    tabs_and_enter(page)  # without a note the browser itself objects
    expect(note).to_be_focused()
    page.keyboard.type("the annex explains the weight")
    tabs_and_enter(page)
    expect(page.locator("#standing")).to_contain_text("approved")
    expect(page.locator("main")).to_contain_text("the annex explains the weight")
    assert Record.objects.get(pk=record.pk).verification_status == "approved"
    page.click("#following")
    expect(page.locator("h1")).to_have_text(f"Record {demo.records['orders'].pk}")
    page.goto("/admin/reviews?show=decided")
    expect(page.locator("tbody tr").first).to_contain_text("administrator")


def tabs_and_enter(page: Page) -> None:
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")


def backfilling(page: Page, demo: Demo) -> None:
    """A backfill is previewed, started and cancelled in dialogs."""
    dialog = page.get_by_role("dialog")
    page.goto(f"/admin/jobs/{demo.jobs['update-rankings'].pk}/backfill")
    page.fill("#since", (demo.now - 3 * DAY).strftime("%Y-%m-%dT%H:%M"))
    page.get_by_role("button", name="Show what it would do").click()
    expect(dialog).to_contain_text("3 fires would be run")
    expect(dialog).to_contain_text("Idempotency-Key")
    assert not Backfill.objects.exists()
    dialog.get_by_role("button", name="Start the backfill").click()
    expect(page.locator("#backfills")).to_contain_text("going on")
    made = Backfill.objects.get()
    page.click(f"#cancel-{made.pk}")
    expect(dialog).to_contain_text("What is done stays done.")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.click(f"#cancel-{made.pk}")
    dialog.get_by_role("button", name="Cancel the backfill").click()
    expect(page.locator("#backfills")).to_contain_text("cancelled")


def running_dry(page: Page, demo: Demo) -> None:
    """A dry run is offered where the job declares one; a double click makes one run."""
    dialog = page.get_by_role("dialog")
    page.goto("/admin/run-now?job_name=warm-cache")
    expect(page.get_by_label("Dry run")).to_have_count(0)
    page.goto("/admin/cron-logs")
    page.get_by_role("link", name="Run clean-data now").click()
    dialog.get_by_label("Dry run").check()
    dialog.get_by_role("button", name="Run now").dblclick()
    expect(page.locator("#notices")).to_contain_text("clean-data is running.")
    assert Run.objects.get(kind="run_now", job=demo.jobs["clean-data"]).dry_run


def switching(page: Page, demo: Demo) -> None:
    """Language and theme are switched on a page of the application, too."""
    del demo
    page.goto("/admin/reviews")
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="한국어").click()
    expect(page.locator("h1")).to_have_text("검토")
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="어둡게").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.url.endswith("/admin/reviews")


def test_mouse_and_keyboard(browser, demo: Demo, live_server, subtests):
    context = sign_in(browser, live_server.url, "desktop")
    page = opened(context)
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for doing in (cancelling, reviewing, backfilling, running_dry, switching):
        with subtests.test(doing.__doc__):
            doing(page, demo)
    assert complaints == []
    context.close()


def reading_slowly(page: Page, demo: Demo) -> None:
    held: list[Route] = []
    page.route("**/text", lambda route: held.append(route))  # noqa: PLW0108 - Playwright looks at it
    page.goto(f"/admin/reviews/{demo.records['orders'].pk}")
    expect(page.locator("#texts .skeleton")).to_be_visible()
    held.pop().continue_()
    expect(page.locator(".document mark.unseen")).to_have_text("U+200B")


def test_a_slow_network_and_none(browser, demo: Demo, live_server, subtests):
    context = sign_in(browser, live_server.url, "desktop")
    page = opened(context)
    dialog = page.get_by_role("dialog")
    held: list[Route] = []

    def hold(route: Route) -> None:  # Playwright looks at a handler's signature
        held.append(route)

    page.goto(f"/admin/jobs/{demo.jobs['clean-data'].pk}")
    page.route("**/pause", hold)
    with subtests.test("a slow answer shows its outline at once, and takes its place"):
        page.click("#pause")
        expect(dialog.locator(".skeleton")).to_be_visible()
        held.pop().continue_()
        expect(dialog.locator("#reason")).to_be_focused()
        expect(dialog.locator(".skeleton")).to_have_count(0)
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
    with subtests.test("who closes the outline is not shown the answer"):
        page.click("#pause")
        expect(dialog.locator(".skeleton")).to_be_visible()
        with page.expect_event("requestfailed"):
            page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        held.clear()
    with subtests.test("an answer that never comes is said, and the page stays as it was"):
        page.click("#pause")
        expect(dialog.locator(".skeleton")).to_be_visible()
        held.pop().abort()
        expect(page.locator("#lost")).to_contain_text("The server does not answer")
        expect(dialog).to_be_hidden()
        expect(page.locator("h1")).to_have_text("clean-data")
    with subtests.test("the words go when the server answers again"):
        page.evaluate(POLL)
        expect(page.locator("#lost")).to_have_count(0)
    with subtests.test("an error of the server is said, too"):
        page.unroute("**/pause")
        page.route("**/pause", lambda route: route.fulfill(status=500, body="broken"))
        page.click("#pause")
        expect(page.locator("#lost")).to_contain_text("The server could not do that.")
        expect(dialog).to_be_hidden()
    with subtests.test("the text of documents has its outline while it is read"):
        reading_slowly(page, demo)
    context.close()


def test_without_javascript_and_on_a_phone(browser, demo: Demo, live_server, subtests):
    context = sign_in(browser, live_server.url, "desktop", java_script_enabled=False)
    page = opened(context)
    with subtests.test("without JavaScript: cancel"):
        page.goto(f"/admin/runs/{demo.runs['running'].pk}")
        page.click("#cancel")
        page.get_by_role("button", name="Cancel this run").click()
        expect(page.locator("#run")).to_contain_text("administrator has cancelled this run")
    with subtests.test("without JavaScript: review"):
        page.goto(f"/admin/reviews/{demo.records['orders'].pk}")
        page.get_by_role("link", name="Show the text").click()
        expect(page.locator(".document mark.unseen")).to_have_text("U+200B")
        page.get_by_label("Note").fill("it gives orders")
        page.get_by_role("button", name="Reject").click()
        expect(page.locator("#standing")).to_contain_text("rejected")
    with subtests.test("without JavaScript: backfill"):
        page.goto(f"/admin/jobs/{demo.jobs['update-rankings'].pk}/backfill")
        page.fill("#since", (demo.now - 3 * DAY).strftime("%Y-%m-%dT%H:%M"))
        page.get_by_role("button", name="Show what it would do").click()
        expect(page.locator("#preview")).to_contain_text("Idempotency-Key")
        page.get_by_role("button", name="Start the backfill").click()
        page.get_by_role("link", name=re.compile("Pause backfill")).click()
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#backfills")).to_contain_text("paused")
    context.close()
    context = sign_in(browser, live_server.url, "phone")
    page = opened(context)
    dialog = page.get_by_role("dialog")
    with subtests.test("on a phone: dialogs fit and can be worked with"):
        page.goto(f"/admin/jobs/{demo.jobs['clean-data'].pk}")
        page.locator("#pause").tap()
        page.fill("#reason", "moving house")
        box = dialog.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        dialog.get_by_role("button", name="Pause").tap()
        expect(page.locator("#job")).to_contain_text("moving house")
        assert Job.objects.get(name="clean-data").paused_by == "administrator"
    with subtests.test("on a phone: where one is stands in sight"):
        page.goto("/admin/reviews")
        here = page.locator(".main-nav [aria-current]").bounding_box()
        assert 0 <= here["x"] <= 390 - here["width"]
    context.close()
