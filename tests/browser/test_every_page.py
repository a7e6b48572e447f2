"""Every page, looked at: accessible, no wider than the screen, kept as pictures for people.

Without a wish, in two looks that between them have every language, width and colour scheme.
``make screenshots`` asks for all looks and keeps the pictures in ``screenshots/pages/``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext
from tests.browser.demo import NAME, PASSWORD, addresses

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "runlog"]),
]
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
LOOKS = {
    "desktop": {"viewport": DESKTOP, "locale": "en-US"},
    "phone": {"viewport": PHONE, "locale": "en-US", "has_touch": True, "is_mobile": True},
    "dark": {"viewport": DESKTOP, "locale": "en-US", "color_scheme": "dark"},
    "korean": {"viewport": DESKTOP, "locale": "ko-KR"},
    "korean-phone": {
        "viewport": PHONE, "locale": "ko-KR", "color_scheme": "dark", "is_mobile": True,
    },
}  # fmt: skip


def sign_in(browser: Browser, server: str, look: str, **options) -> BrowserContext:
    options = {"base_url": server, "timezone_id": "Asia/Seoul", **LOOKS[look], **options}
    context = browser.new_context(**options)
    page = context.new_page()
    page.goto("/admin/")
    page.fill("#id_username", NAME)
    page.fill("#id_password", PASSWORD)
    page.press("#id_password", "Enter")
    page.wait_for_url("**/admin/")
    page.close()
    return context


ALL_LOOKS = os.environ.get("SCREENSHOTS") == "1"


# In parts, so that processes side by side share the longest test there is.
PARTS = 2


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("look", LOOKS if ALL_LOOKS else ("desktop", "korean-phone"))
def test_every_page_is_accessible_fits_and_breaks_no_policy(
    browser, demo, live_server, pictures, look, part
):
    pages = list(addresses(demo).items())[part::PARTS]
    assert list(complaints(browser, live_server.url, look, pages, pictures)) == []


def complaints(
    browser, server: str, look: str, pages: list[tuple[str, str]], pictures
) -> Iterator[str]:
    context = sign_in(browser, server, look)
    said: list[str] = []
    axe = Axe()
    page = context.new_page()
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    for name, address in pages:
        page.goto(address)
        if ALL_LOOKS:
            pictures(page, f"{name}-{look}")
        found = axe.run(page)
        if found.violations_count:
            yield f"{name}: {found.generate_report()}"
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            yield f"{name} is wider than the screen"
        yield from (f"{name}: {words}" for words in said)
        said.clear()
    context.close()
