"""Every page printed: black on white, nothing to click, no table cut."""

from __future__ import annotations

import io

import pypdf
import pytest
from tests.browser.demo import addresses
from tests.browser.test_every_page import sign_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "runlog"]),
]
A4_WITHIN_MARGINS = {"width": 688, "height": 1000}
# What of a page must not be, as its script can see it.
FAULTS = """() => {
  const CLICKED = ".main-nav a, button, .button, input, select, .pages, .chips";
  const paper = getComputedStyle(document.body).backgroundColor;
  const seen = (one) => one.checkVisibility() && one.getBoundingClientRect().width > 1;
  const said = [];
  for (const one of document.querySelectorAll(CLICKED))
    if (seen(one)) said.push(`to be clicked: ${one.outerHTML.slice(0, 120)}`);
  for (const one of document.querySelectorAll("th, td"))
    if (one.checkVisibility() && one.scrollWidth > one.clientWidth + 1)
      said.push(`cut: ${one.textContent.trim().slice(0, 80)}`);
  for (const one of document.querySelectorAll("main table"))
    if (one.tHead && seen(one) && getComputedStyle(one.tHead).display !== "table-header-group")
      said.push("a table without its headings");
  if (document.documentElement.scrollWidth > innerWidth) said.push("wider than the sheet");
  if (paper !== "rgb(255, 255, 255)") said.push("not white");
  return said;
}"""


def test_every_page_is_whole_on_paper_and_has_nothing_to_click(browser, demo, live_server):
    context = sign_in(browser, live_server.url, "dark", viewport=A4_WITHIN_MARGINS)
    page = context.new_page()
    page.emulate_media(media="print")
    said = {}
    for name, address in addresses(demo).items():
        page.goto(address)
        if found := page.evaluate(FAULTS):
            said[name] = found
    context.close()
    assert said == {}


def printed(page) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(page.pdf(format="A4")))


def test_a_printed_table_is_whole_and_what_is_folded_is_open(browser, demo, live_server):
    context = sign_in(browser, live_server.url, "dark")
    page = context.new_page()
    page.goto("/admin/cron-logs")
    rows = page.locator("td.c-id").all_inner_texts()
    assert len(rows) == 50
    sheets = [one.extract_text() for one in printed(page).pages]
    words = " ".join(sheets).split()
    assert not set(rows) - set(words)
    tables = [sheet for sheet in sheets if set(rows) & set(sheet.split())]
    assert len(tables) > 1
    assert all("Execution time" in sheet for sheet in tables)  # each sheet has the headings
    assert "Settings" not in words  # the navigation is gone
    page.goto(f"/admin/jobs/{demo.jobs['verify-records'].pk}")
    assert page.locator(".numbers[open]").count() == 0
    words = " ".join(" ".join(one.extract_text() for one in printed(page).pages).split())
    assert "Lateness: half within" in words
    context.close()
