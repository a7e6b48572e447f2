"""``/admin/settings``: versions, the configuration in force, what the runners are doing."""

from __future__ import annotations

import os
import platform
import sqlite3
from typing import Any

import django
from django.conf import settings as django_settings
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from cronbell import __version__, logs, tracing
from cronbell.alerts.listing import standing
from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard.access import viewers_too
from cronbell.dashboard.pages.live import live_part, wants_part
from cronbell.runlog import listings
from cronbell.runlog.jobs import live_alerts, live_configuration
from cronbell.runlog.router import ALIAS
from cronbell.schedule import tzdata_version


@require_safe
@viewers_too
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
        "watching": _watching(),
    }
    return render(request, "cronbell/settings.html", context)


def _versions() -> list[tuple[str, str]]:
    return [
        ("Cronbell", __version__),
        ("Python", platform.python_version()),
        ("Django", django.get_version()),
        (_("Time zone rules (tzdata)"), tzdata_version()),
    ]


def _watching() -> list[tuple[str, str]]:
    """Say how this process can be watched; of the token only that there is one."""
    token = bool(django_settings.CRONBELL_METRICS_TOKEN)
    traces = os.environ.get(tracing.VARIABLE, "").strip().lower() in tracing.ON
    return [
        (
            _("Metrics"),
            _("/metrics: with the token, or signed in")
            if token
            else _("/metrics: signed in only, CRONBELL_METRICS_TOKEN is not set"),
        ),
        (_("Log format"), logs.chosen(logs.FORMAT_VARIABLE, logs.FORMATS, "text")),
        (_("Calls in the log"), logs.chosen(logs.CALLS_VARIABLE, tuple(logs.CALLS), "failed")),
        (_("Traces"), _("on") if traces else _("off")),
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
