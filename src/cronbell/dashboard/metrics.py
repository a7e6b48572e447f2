"""``/metrics`` for Prometheus: what the run log says, whichever process is asked.

Nothing is counted in memory: with several web processes and runners each would know a part only,
and all would forget at a restart. Who may read: whoever may look at everything, by a session or an
API token, as in the API; and whoever sends ``CRONBELL_METRICS_TOKEN`` as a bearer token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from ninja.errors import HttpError

from cronbell import __version__
from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard.access import may_see
from cronbell.dashboard.answers import wrong_method
from cronbell.dashboard.api_access import TokenAccess
from cronbell.dashboard.exposition import CONTENT_TYPE, Family, text_of
from cronbell.dashboard.metric_names import MOST_BACKLOG, MOST_JOBS, family
from cronbell.dashboard.scopes import Scope
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
        return _refuse_bearer(request)
    if may_see(request.user):
        return None
    if request.user.is_authenticated:
        return JsonResponse({"error": _("Only administrators may do this.")}, status=403)
    return _unknown(_("Sign in first, or send CRONBELL_METRICS_TOKEN or an API token."))


def _refuse_bearer(request: HttpRequest) -> HttpResponse | None:
    """Judge a call that shows a token by it alone: a session beside it does not help."""
    given = request.META["HTTP_AUTHORIZATION"].encode("utf-8", "surrogatepass")
    if gate().which([given]) is not None:
        return None
    try:
        token = TokenAccess(Scope.READ)(request)
    except HttpError as error:
        if error.status_code == HTTPStatus.UNAUTHORIZED:
            return _unknown(error.message)
        return JsonResponse({"error": error.message}, status=error.status_code)
    return None if token else _unknown(_("Send the token as `Authorization: Bearer TOKEN`."))


def _unknown(words: str) -> HttpResponse:
    return JsonResponse({"error": words}, status=401, headers={"WWW-Authenticate": "Bearer"})


def families(now: datetime) -> Iterator[Family]:
    """Yield every metric, as of now."""
    build = family("cronbell_build_info")
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
    runs = family("cronbell_runs_total")
    for status in STATUSES:
        runs.add(totals.get(status, Total()).runs, status=status)
    yield runs
    whole = _added_up(totals)
    retries = family("cronbell_retries_total")
    retries.add(whole.retries)
    items = family("cronbell_items_total")
    items.add(whole.items_total - whole.items_failed, ok="true")
    items.add(whole.items_failed, ok="false")
    duration = family("cronbell_run_duration_seconds")
    _add_durations(duration, whole)
    lateness = family("cronbell_run_lateness_seconds")
    _add_latenesses(lateness, whole)
    behind = family("cronbell_totals_behind")
    behind.add(counted.left_out)
    yield from (retries, items, duration, lateness, behind)


def _runs_by_job(counted: Everything, named: Sequence[tuple[int, str]]) -> Iterator[Family]:
    runs = family("cronbell_job_runs_total")
    retries = family("cronbell_job_retries_total")
    duration = family("cronbell_job_duration_seconds")
    lateness = family("cronbell_job_lateness_seconds")
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
    jobs = family("cronbell_jobs")
    jobs.add(seen.jobs)
    left = family("cronbell_jobs_left_out")
    left.add(seen.jobs - len(seen.named))
    active = family("cronbell_runs_active")
    for status, number in seen.active.items():
        active.add(number, status=status)
    waiting = family("cronbell_pending_oldest_seconds")
    waiting.add(_seconds(seen.waiting_since, now))
    yield from (jobs, left, active, waiting)


def _runners(seen: Gauges, now: datetime) -> Iterator[Family]:
    alive = family("cronbell_runners_alive")
    alive.add(len(seen.runners))
    age = family("cronbell_runner_last_seen_seconds")
    if seen.runner_seen_at is not None:
        age.add(_seconds(seen.runner_seen_at, now))
    lag = family("cronbell_scheduling_lag_seconds")
    apart = family("cronbell_clock_apart_seconds")
    if seen.runners:
        lag.add(max(runner.behind for runner in seen.runners) / MICROS)
        apart.add(max(abs(runner.clock_ahead) for runner in seen.runners) / MICROS)
    fault = family("cronbell_configuration_fault")
    fault.add(any(runner.config_fault for runner in seen.runners))
    yield from (alive, age, lag, apart, fault)


def _drains(now: datetime) -> Iterator[Family]:
    records = family("cronbell_drain_records")
    oldest = family("cronbell_drain_oldest_seconds")
    used = family("cronbell_drain_budget_used")
    limit = family("cronbell_drain_budget_limit")
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
