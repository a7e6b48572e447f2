"""``/metrics`` for Prometheus: what the run log says, whichever process is asked.

Nothing is counted in memory: with several web processes and runners each would know a part only,
and all would forget at a restart. Who may read: an administrator's session, or whoever sends
``CRONBELL_METRICS_TOKEN`` as a bearer token; without that variable the session alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from cronbell import __version__
from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard.access import is_admin
from cronbell.dashboard.answers import wrong_method
from cronbell.dashboard.exposition import CONTENT_TYPE, Family, text_of
from cronbell.drain import ledger
from cronbell.drain.budget import COLUMNS, FINE
from cronbell.drain.drain import Drain
from cronbell.drain.registry import drains
from cronbell.endpoint.auth import Gate
from cronbell.runlog.gauges import Gauges, gauges
from cronbell.runlog.histogram import BOUNDS
from cronbell.runlog.totals import ALL_JOBS, Everything, Total, totals_of
from cronbell.states import FINAL

MICROS = 1_000_000
METHODS = ("GET", "HEAD")
# Each job has some sixty series: more jobs than this would make a page of many megabytes.
MOST_JOBS = 500
MOST_BACKLOG = 10_000
# One bound in eight of the roll-ups', from a millisecond up: four times the one before.
PROMETHEUS_BOUNDS = tuple(enumerate(BOUNDS))[::8]
STATUSES = sorted(status.value for status in FINAL)


@csrf_exempt
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer a scrape."""
    refusal = _refuse(request)
    if refusal is not None:
        return refusal
    if request.method not in METHODS:
        return wrong_method(*METHODS)
    page = text_of(list(families(SYSTEM_CLOCK.now())))
    return HttpResponse(page, content_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})


def gate() -> Gate:
    """Return the token that is accepted, if one is configured."""
    token: str = settings.CRONBELL_METRICS_TOKEN
    return Gate.of(token) if token else Gate()


def _refuse(request: HttpRequest) -> HttpResponse | None:
    if "HTTP_AUTHORIZATION" in request.META:
        given = request.META["HTTP_AUTHORIZATION"].encode("utf-8", "surrogatepass")
        if gate().which([given]) is not None:
            return None
    elif is_admin(request.user):
        return None
    elif request.user.is_authenticated:
        return JsonResponse({"error": _("Only administrators may do this.")}, status=403)
    words = _("Sign in first, or send CRONBELL_METRICS_TOKEN as a bearer token.")
    return JsonResponse({"error": words}, status=401, headers={"WWW-Authenticate": "Bearer"})


def families(now: datetime) -> Iterator[Family]:
    """Yield every metric, as of now."""
    build = Family("cronbell_build_info", "gauge", "The version that answers; always 1.")
    build.add(1, version=__version__)
    yield build
    seen = gauges(now, MOST_JOBS)
    counted = totals_of([number for number, _name in seen.named])
    yield from _all_runs(counted)
    yield from _runs_by_job(counted, seen.named)
    yield from _at_work(seen, now)
    yield from _runners(seen, now)
    yield from _drains(now)


def _all_runs(counted: Everything) -> Iterator[Family]:
    totals = _of(counted, ALL_JOBS)
    runs = Family(
        "cronbell_runs_total",
        "counter",
        "Runs that ended, by status, of all jobs, removed ones too; dry runs are left out.",
    )
    for status in STATUSES:
        runs.add(totals.get(status, Total()).runs, status=status)
    yield runs
    whole = _added_up(totals)
    retries = Family("cronbell_retries_total", "counter", "Attempts after the first of a run.")
    retries.add(whole.retries)
    items = Family("cronbell_items_total", "counter", "Records handled in runs that ended.")
    items.add(whole.items_total - whole.items_failed, ok="true")
    items.add(whole.items_failed, ok="false")
    duration = Family(
        "cronbell_run_duration_seconds", "histogram", "From the first request to the run's end."
    )
    _add_durations(duration, whole)
    lateness = Family(
        "cronbell_run_lateness_seconds", "histogram", "From a fire's instant to its first request."
    )
    _add_latenesses(lateness, whole)
    behind = Family(
        "cronbell_totals_behind",
        "gauge",
        "1 while more runs have ended than could be counted yet: start a runner.",
    )
    behind.add(counted.left_out)
    yield from (retries, items, duration, lateness, behind)


def _runs_by_job(counted: Everything, named: Sequence[tuple[int, str]]) -> Iterator[Family]:
    runs = Family("cronbell_job_runs_total", "counter", "Runs of a job that ended, by status.")
    retries = Family("cronbell_job_retries_total", "counter", "Attempts after the first, by job.")
    duration = Family("cronbell_job_duration_seconds", "histogram", "How long a job's runs took.")
    lateness = Family("cronbell_job_lateness_seconds", "histogram", "How late a job's runs began.")
    for number, name in named:
        totals = _of(counted, number)
        for status in STATUSES:
            runs.add(totals.get(status, Total()).runs, job=name, status=status)
        whole = _added_up(totals)
        retries.add(whole.retries, job=name)
        _add_durations(duration, whole, job=name)
        _add_latenesses(lateness, whole, job=name)
    yield from (runs, retries, duration, lateness)


def _at_work(seen: Gauges, now: datetime) -> Iterator[Family]:
    jobs = Family("cronbell_jobs", "gauge", "Jobs of the configuration in force.")
    jobs.add(seen.jobs)
    left = Family(
        "cronbell_jobs_left_out",
        "gauge",
        f"Jobs without series of their own: only the {MOST_JOBS} oldest have them.",
    )
    left.add(seen.jobs - len(seen.named))
    active = Family("cronbell_runs_active", "gauge", "Runs that wait (pending) or go on (running).")
    for status, number in seen.active.items():
        active.add(number, status=status)
    waiting = Family(
        "cronbell_pending_oldest_seconds",
        "gauge",
        "How long the run waits that any runner might have taken first; 0 for none.",
    )
    waiting.add(_seconds(seen.waiting_since, now))
    yield from (jobs, left, active, waiting)


def _runners(seen: Gauges, now: datetime) -> Iterator[Family]:
    alive = Family("cronbell_runners_alive", "gauge", "Runners seen within the last 15 seconds.")
    alive.add(len(seen.runners))
    age = Family(
        "cronbell_runner_last_seen_seconds",
        "gauge",
        "How long ago any runner was seen; absent where none ever was.",
    )
    if seen.runner_seen_at is not None:
        age.add(_seconds(seen.runner_seen_at, now))
    lag = Family(
        "cronbell_scheduling_lag_seconds",
        "gauge",
        "How long the earliest fire had been due without a row, when its runner was last seen.",
    )
    apart = Family(
        "cronbell_clock_apart_seconds", "gauge", "A runner's clock and the database's, at most."
    )
    if seen.runners:
        lag.add(max(runner.behind for runner in seen.runners) / MICROS)
        apart.add(max(abs(runner.clock_ahead) for runner in seen.runners) / MICROS)
    fault = Family(
        "cronbell_configuration_fault",
        "gauge",
        "1 while a changed configuration file is at fault and was not taken over.",
    )
    fault.add(any(runner.config_fault for runner in seen.runners))
    yield from (alive, age, lag, apart, fault)


def _drains(now: datetime) -> Iterator[Family]:
    records = Family(
        "cronbell_drain_records",
        "gauge",
        f"A drain's records: pending, in_progress, dead; counted to {MOST_BACKLOG}.",
    )
    oldest = Family(
        "cronbell_drain_oldest_seconds", "gauge", "How long a drain's oldest pending record waits."
    )
    used = Family("cronbell_drain_budget_used", "gauge", "What a drain used today (UTC).")
    limit = Family("cronbell_drain_budget_limit", "gauge", "What a drain may use in a day.")
    for name, (_job, drain) in drains().items():
        standing = ledger.standing(drain, now=now, most=MOST_BACKLOG)
        backlog = standing.backlog
        for state in ("pending", "in_progress", "dead"):
            records.add(min(getattr(backlog, state), MOST_BACKLOG), job=name, state=state)
        oldest.add(_seconds(backlog.oldest, now), job=name)
        _add_budget(used, limit, name, drain, standing.used)
    yield from (records, oldest, used, limit)


def _add_budget(
    used: Family, limit: Family, name: str, drain: Drain, counts: dict[str, int]
) -> None:
    caps = drain.per_day.counts()
    for what in COLUMNS:
        unit = MICROS if what in FINE else 1
        used.add(counts[what] / unit, job=name, what=what)
        if what in caps:
            limit.add(caps[what] / unit, job=name, what=what)


def _of(counted: Everything, job: int) -> dict[str, Total]:
    return {
        status: counted.totals[job, status]
        for status in STATUSES
        if (job, status) in counted.totals
    }


def _added_up(totals: dict[str, Total]) -> Total:
    whole = Total()
    for total in totals.values():
        whole.add(total)
    return whole


def _add_durations(family: Family, total: Total, **labels: str) -> None:
    family.add_histogram(
        _buckets(total.durations), total.timed, total.duration_sum / MICROS, **labels
    )


def _add_latenesses(family: Family, total: Total, **labels: str) -> None:
    family.add_histogram(
        _buckets(total.latenesses), total.awaited, total.lateness_sum / MICROS, **labels
    )


def _buckets(counts: dict[int, int]) -> list[tuple[str, int]]:
    """Return how many are not above each bound, exactly: the bounds are the roll-ups' own."""
    return [
        (
            repr(bound / MICROS),
            sum(count for number, count in counts.items() if number <= place),
        )
        for place, bound in PROMETHEUS_BOUNDS
    ]


def _seconds(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


metrics_urls: list[URLPattern] = [path("metrics", metrics, name="metrics")]
