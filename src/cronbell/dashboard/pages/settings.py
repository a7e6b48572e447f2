"""``/admin/settings``: versions, the configuration in force, what the runners are doing."""

from __future__ import annotations

import platform
import sqlite3
from typing import Any

import django
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from cronbell import __version__
from cronbell.alerts.listing import standing
from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard.access import administrators_only
from cronbell.dashboard.pages.live import live_part, wants_part
from cronbell.runlog import listings
from cronbell.runlog.jobs import live_alerts, live_configuration
from cronbell.runlog.router import ALIAS
from cronbell.schedule import tzdata_version


@require_safe
@administrators_only
def settings_page(request: HttpRequest) -> HttpResponse:
    """Show what is in force; the runners' part keeps itself current."""
    now = SYSTEM_CLOCK.now()
    context: dict[str, Any] = {
        "nav": "settings",
        "page_title": _("Settings"),
        "now": now,
        "runners": listings.runners(now),
        "at_work": listings.at_work(now),
    }
    if wants_part(request, "runners"):
        return live_part(request, "cronbell/parts/runners.html", context)
    context |= {
        "configuration": live_configuration(),
        "alerts": standing(live_alerts(), now),
        "jobs": listings.job_tallies(),
        "versions": _versions(),
        "stores": _stores(),
    }
    return render(request, "cronbell/settings.html", context)


def _versions() -> list[tuple[str, str]]:
    return [
        ("Cronbell", __version__),
        ("Python", platform.python_version()),
        ("Django", django.get_version()),
        (_("Time zone rules (tzdata)"), tzdata_version()),
    ]


def _stores() -> list[tuple[str, str]]:
    named = {ALIAS: _("Run log"), "default": _("Application")}
    return [(words, _store(alias)) for alias, words in named.items()]


def _store(alias: str) -> str:
    # The name alone: an address may hold a password.
    connection = connections[alias]
    if connection.vendor == "sqlite":
        return f"SQLite {sqlite3.sqlite_version} · {connection.settings_dict['NAME']}"
    return f"PostgreSQL · {connection.settings_dict['NAME']}"
