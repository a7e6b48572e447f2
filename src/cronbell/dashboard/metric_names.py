"""What ``/metrics`` tells: every metric's name, kind and labels, and what it says. Pure.

``docs/reference/metrics.md`` is written from this table, and a sample with other labels is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from cronbell.dashboard.exposition import Family

# Each job has some sixty series: more jobs than this would make a page of many megabytes.
MOST_JOBS = 500
MOST_BACKLOG = 10_000


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: without the endings of a histogram's samples.
        kind: ``counter``, ``gauge`` or ``histogram``.
        help: one sentence.
        labels: names of its labels, in their order; a histogram's ``le`` is not among them.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()


_ALL = (
    Metric("cronbell_build_info", "gauge", "The version that answers; always 1.", ("version",)),
    Metric(
        "cronbell_runs_total",
        "counter",
        "Runs that ended, by status, of all jobs, removed ones too; dry runs are left out.",
        ("status",),
    ),
    Metric("cronbell_retries_total", "counter", "Attempts after the first of a run."),
    Metric("cronbell_items_total", "counter", "Records handled in runs that ended.", ("ok",)),
    Metric(
        "cronbell_run_duration_seconds", "histogram", "From the first request to the run's end."
    ),
    Metric(
        "cronbell_run_lateness_seconds", "histogram", "From a fire's instant to its first request."
    ),
    Metric(
        "cronbell_totals_behind",
        "gauge",
        "1 while more runs have ended than could be counted yet: start a runner.",
    ),
    Metric(
        "cronbell_job_runs_total",
        "counter",
        "Runs of a job that ended, by status.",
        ("job", "status"),
    ),
    Metric("cronbell_job_retries_total", "counter", "Attempts after the first, by job.", ("job",)),
    Metric("cronbell_job_duration_seconds", "histogram", "How long a job's runs took.", ("job",)),
    Metric("cronbell_job_lateness_seconds", "histogram", "How late a job's runs began.", ("job",)),
    Metric("cronbell_jobs", "gauge", "Jobs of the configuration in force."),
    Metric(
        "cronbell_jobs_left_out",
        "gauge",
        f"Jobs without series of their own: only the {MOST_JOBS} oldest have them.",
    ),
    Metric(
        "cronbell_runs_active", "gauge", "Runs that wait (pending) or go on (running).", ("status",)
    ),
    Metric(
        "cronbell_pending_oldest_seconds",
        "gauge",
        "How long the run waits that any runner might have taken first; 0 for none.",
    ),
    Metric("cronbell_runners_alive", "gauge", "Runners seen within the last 15 seconds."),
    Metric(
        "cronbell_runner_last_seen_seconds",
        "gauge",
        "How long ago any runner was seen; absent where none ever was.",
    ),
    Metric(
        "cronbell_scheduling_lag_seconds",
        "gauge",
        "How long the earliest fire had been due without a row, when its runner was last seen.",
    ),
    Metric(
        "cronbell_clock_apart_seconds", "gauge", "A runner's clock and the database's, at most."
    ),
    Metric(
        "cronbell_configuration_fault",
        "gauge",
        "1 while a changed configuration file is at fault and was not taken over.",
    ),
    Metric(
        "cronbell_drain_records",
        "gauge",
        f"A drain's records: pending, in_progress, dead; counted to {MOST_BACKLOG}.",
        ("job", "state"),
    ),
    Metric(
        "cronbell_drain_oldest_seconds",
        "gauge",
        "How long a drain's oldest pending record waits.",
        ("job",),
    ),
    Metric(
        "cronbell_drain_budget_used",
        "gauge",
        "What a drain used today (UTC).",
        ("job", "what"),
    ),
    Metric(
        "cronbell_drain_budget_limit",
        "gauge",
        "What a drain may use in a day.",
        ("job", "what"),
    ),
)
METRICS = {metric.name: metric for metric in _ALL}


def family(name: str) -> Family:
    """Return a metric without samples.

    Raises:
        KeyError: the table does not have it.
    """
    metric = METRICS[name]
    return Family(metric.name, metric.kind, metric.help, metric.labels)
