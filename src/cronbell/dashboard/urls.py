"""The addresses under ``/admin/``; the stock admin is routed first (DESIGN, "Who may")."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from cronbell.dashboard import preferences, sign_in
from cronbell.dashboard.pages import (
    alerts,
    audit,
    backfills,
    home,
    job,
    jobs,
    logs,
    ping_url,
    records,
    run,
    run_actions,
    run_now,
    settings,
    tokens,
    why,
)

_pages = [
    path("", home.home, name="home"),
    path("login", sign_in.SignIn.as_view(), name="sign-in"),
    path("logout", sign_in.sign_out, name="sign-out"),
    path("language", preferences.set_language, name="language"),
    path("theme", preferences.set_theme, name="theme"),
    path("cron-logs", logs.cron_logs, name="logs"),
    path("jobs", jobs.jobs_page, name="jobs"),
    path("jobs/<int:job_id>", job.job_page, name="job"),
    path("jobs/<int:job_id>/pause", job.pause_job, name="pause"),
    path("jobs/<int:job_id>/resume", job.resume_job, name="resume"),
    path("jobs/<int:job_id>/backfill", backfills.backfill_page, name="backfill"),
    path("backfills/<int:backfill_id>/<word>", backfills.change_backfill, name="change-backfill"),
    path("settings", settings.settings_page, name="settings"),
    path("audit", audit.audit_page, name="audit"),
    path("tokens", tokens.tokens_page, name="tokens"),
    path("tokens/<int:token_id>/revoke", tokens.revoke_token, name="revoke-token"),
    path("alerts", alerts.alerts_page, name="alerts"),
    path("why", why.why_page, name="why"),
    path("records", records.records_page, name="records"),
    path("records/<job>", records.drain_page, name="drain"),
    path("record", records.record_page, name="record"),
    path("records/<job>/retry", records.retry_page, name="retry"),
    path("run-now", run_now.run_now, name="run-now"),
    path("ping-url", ping_url.ping_url, name="ping-url"),
    path("runs/<int:run_id>", run.run_page, name="run"),
    path("runs/<int:run_id>/notice", run.run_notice, name="run-notice"),
    path("runs/<int:run_id>/cancel", run_actions.cancel_run, name="cancel-run"),
    path("runs/<int:run_id>/rerun", run_actions.rerun, name="rerun"),
]

dashboard_urls: list[URLPattern | URLResolver] = [
    path("admin/data/", admin.site.urls),
    # Slashes are not appended by redirect (a cron call would be lost), so this one is written out.
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", include((_pages, "cronbell"))),
]
