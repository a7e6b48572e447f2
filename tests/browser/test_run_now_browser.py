"""The dialog that runs a job now with parameters and as a dry run, in every look."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect
from tests.browser.demo import Demo
from tests.browser.test_every_page import LOOKS, sign_in

from cronbell.runlog.models import Job, Run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "runlog"]),
]
UNSEEN = "\u200b"  # what comes along when text is copied from a page
WORDS = {
    "en-US": ("Run generate-ideas now", "cannot be sent"),
    "ko-KR": ("generate-ideas 수동 실행", "보낼 수 없습니다"),
}


def opened(page: Page, name: str) -> Locator:
    """Open the dialog of the job from the log."""
    page.goto("/admin/cron-logs")
    page.get_by_role("link", name=name).first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    return dialog


@pytest.mark.parametrize("look", LOOKS)
def test_the_dialog_is_accessible_and_fits_empty_looked_at_and_wrong(
    browser, demo: Demo, live_server, shoot, look
):
    context = sign_in(browser, live_server.url, look)
    page = context.new_page()
    page.set_default_timeout(10_000)
    name, cannot = WORDS[LOOKS[look]["locale"]]
    dialog = opened(page, name)
    category, topic = dialog.locator("#p-category"), dialog.locator("#p-topic")
    found = []

    def judge(state: str) -> None:
        shoot(page, f"run-now-{state}-{look}")
        found.append(Axe().run(page))
        assert dialog.evaluate("e => e.scrollWidth <= e.clientWidth"), f"{state} is too wide"

    expect(category).to_be_visible()
    judge("parameters")
    category.select_option("food")
    topic.fill("bread & butter")
    dialog.get_by_role("checkbox").check()
    dialog.locator("#look").click()
    expect(dialog).to_contain_text("X-Cronbell-Dry-Run")
    expect(dialog).to_contain_text("?category=food&topic=bread%20%26%20butter")
    expect(dialog.get_by_role("checkbox")).to_be_checked()
    judge("looked-at")
    topic.fill(f"bread{UNSEEN}")
    dialog.locator(".primary").click()
    expect(dialog.locator("#p-topic-wrong")).to_contain_text(cannot)
    judge("wrong")
    assert [one.generate_report() for one in found if one.violations_count] == []
    assert not Run.objects.filter(kind="run_now", actor="administrator").exists()
    context.close()


def test_by_keyboard_alone_from_the_log_to_the_notice(browser, demo: Demo, live_server):
    context = sign_in(browser, live_server.url, "desktop")
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.goto("/admin/cron-logs")
    opener = page.get_by_role("link", name="Run generate-ideas now").first
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    category, topic = dialog.get_by_label("Only this category"), dialog.get_by_label("What the")
    expect(category).to_be_visible()
    to(page, category)
    page.keyboard.press("f")  # as a list of choices is used: by its first letter
    expect(category).to_have_value("food")
    page.keyboard.press("Tab")
    expect(topic).to_be_focused()
    page.keyboard.insert_text(f"bread{UNSEEN}")
    page.keyboard.press("Tab")
    expect(dialog.get_by_label("Dry run")).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    expect(dialog.get_by_role("button", name="Run now")).to_be_focused()
    page.keyboard.press("Enter")
    # Beside the field that is wrong, and there the cursor waits.
    expect(topic).to_have_attribute("aria-invalid", "true")
    expect(topic).to_have_accessible_description(
        re.compile("^The value of the parameter .topic. cannot be sent: write one line")
    )
    expect(topic).to_be_focused()
    expect(category).not_to_have_attribute("aria-invalid", "true")
    expect(category).to_have_value("food")
    page.keyboard.press("Control+A")
    page.keyboard.type("bread")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("#notices")).to_contain_text("generate-ideas is running.")
    expect(opener).to_be_focused()
    run = Run.objects.get(kind="run_now", actor="administrator")
    assert run.parameters == {"category": "food", "topic": "bread"}
    assert run.dry_run
    context.close()


def to(page: Page, place: Locator) -> None:
    """Press Tab until the place has the focus."""
    for _ in range(10):
        if place.evaluate("e => e === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError("no number of tabs leads there")


def test_a_choice_that_is_gone_meanwhile_is_told_beside_its_field(browser, demo: Demo, live_server):
    context = sign_in(browser, live_server.url, "desktop")
    page = context.new_page()
    page.set_default_timeout(10_000)
    dialog = opened(page, "Run generate-ideas now")
    dialog.get_by_label("Only this category").select_option("travel")
    job = demo.jobs["generate-ideas"]
    category, topic = job.spec["parameters"]
    left = [category | {"choices": ["food"]}, topic]
    Job.objects.filter(pk=job.pk).update(spec=job.spec | {"parameters": left})
    dialog.get_by_role("button", name="Run now").click()
    wrong = dialog.locator("#p-category-wrong")
    expect(wrong).to_contain_text("cannot be 'travel': choose from food")
    expect(dialog.get_by_role("alert")).to_have_count(1)
    context.close()
