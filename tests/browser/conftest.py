"""A real Chromium on a live server with real SQLite files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.db import connections
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from tests.browser.demo import NAME, PASSWORD, Demo, demo_registry

from cronbell.clock import SYSTEM_CLOCK
from cronbell.domain import JobSpec
from cronbell.endpoint.registry import REGISTRY
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Run, Runner

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """Tell Django that Playwright's loop in this thread is meant, around these tests only."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        return (yield)
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    """Start the system's Chromium once for the tests of a file.

    Not longer: while Playwright's synchronous interface is open an event loop runs in the main
    thread, beside which no other test can start one.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def service(transactional_db, live_server, settings) -> str:
    """Return the address of a service with an administrator, jobs and a hundred runs."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    user = User.objects.create_user(NAME, password=PASSWORD)
    group, _ = Group.objects.get_or_create(name="ADMIN")
    user.groups.add(group)
    now = SYSTEM_CLOCK.now()
    jobs = sync_jobs(
        [
            JobSpec(
                name=name,
                path=f"/api/cron/{name}",
                url=f"http://127.0.0.1:9/api/cron/{name}",
                schedule=schedule,
                deadline=600.0,
            )
            for name, schedule in (("update-rankings", "0 0 * * *"), ("clean-data", "0 3 * * 0"))
        ],
        now,
    )
    runs = []
    for number in range(120):
        at = now - timedelta(minutes=120 - number)
        failed = number % 10 == 0
        runs.append(
            Run(
                job=jobs["clean-data" if number % 3 else "update-rankings"],
                key=f"k{number}",
                kind="schedule",
                status="error" if failed else "success",
                reason="http_status" if failed else "",
                reason_data={"status": 404} if failed else {},
                details="" if failed else f"{number} ideas",
                http_status=404 if failed else 200,
                scheduled_at=at,
                queued_at=at,
                available_at=at,
                started_at=at,
                finished_at=at + timedelta(seconds=2),
                deadline_at=at + timedelta(hours=1),
            )
        )
    Run.objects.bulk_create(runs)
    Runner.objects.create(
        id="r", host="h", pid=1, version="0", started_at=now, seen_at=now + timedelta(hours=1)
    )
    yield live_server.url
    connections.close_all()


@pytest.fixture
def open_page(browser: Browser, service: str) -> Iterator[Callable[..., Page]]:
    """Open pages; the test fails on any console error, blocked resource or script error."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(path: str = "/admin/cron-logs", *, sign_in: bool = True, **options) -> Page:
        options = {"locale": "en-US", "timezone_id": "Asia/Seoul"} | options
        context = browser.new_context(base_url=service, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on(
            "console",
            lambda m: complaints.append(f"{m.text} {m.location}") if m.type == "error" else None,
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        if sign_in:
            page.fill("#id_username", NAME)
            page.fill("#id_password", PASSWORD)
            page.press("#id_password", "Enter")
            page.wait_for_url(f"**{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def shoot() -> Callable[[Page, str], None]:
    """Keep a picture for people to look at, in ``screenshots/``."""

    def shoot(page: Page, name: str) -> None:
        # Playwright's own way to still carets and animations is a style our policy refuses.
        page.screenshot(
            path=ROOT / "screenshots" / f"{name}.png", caret="initial", animations="allow"
        )

    return shoot


@pytest.fixture
def demo(transactional_db, live_server, monkeypatch) -> Iterator[Demo]:
    """Return a service that has been at work for a month, one of whose jobs is a drain."""
    registry = demo_registry()
    monkeypatch.setattr(REGISTRY, "_by_name", registry._by_name)
    monkeypatch.setattr(REGISTRY, "_by_path", registry._by_path)
    yield Demo(SYSTEM_CLOCK.now())
    connections.close_all()


@pytest.fixture
def pictures() -> Callable[[Page, str], None]:
    """Keep a picture of a whole page, in ``screenshots/pages/``."""

    def keep(page: Page, name: str) -> None:
        page.screenshot(
            path=ROOT / "screenshots" / "pages" / f"{name}.png",
            full_page=True,
            caret="initial",
            animations="allow",
        )

    return keep
