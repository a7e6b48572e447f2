"""What every export gives back, and what most of them say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cronbell.config.export.fields import fields_of
from cronbell.config.values import seconds_text
from cronbell.domain import CatchUp, DstGap, DstRepeat, JobSpec, RetryPolicy
from cronbell.schedule.grammar import Interval
from cronbell.schedule.zones import load_zone

_NO_RETRY = RetryPolicy()
_OUR_DAYS = 1_767_225_600  # 2026-01-01T00:00:00Z
_USUAL_WINDOW = JobSpec(name="", path="", schedule="").catch_up_window


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the files written need to name.

    Attributes:
        header_file: a file on the machine with the line ``Authorization: Bearer …``.
        secret: the Kubernetes Secret that has the key ``CRON_SECRET``.
        image: the container image with curl.
        target: the application's address; jobs elsewhere are not the application's.
    """

    header_file: str = "/etc/cronbell/authorization"
    secret: str = "cronbell"  # noqa: S105 - the name of a Secret, not one
    image: str = "curlimages/curl:8.16.0"
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Something of a job that does not come along.

    Attributes:
        job: its name.
        what: the key, or ``job`` where the whole is left out.
        reason: why, and what happens instead.
    """

    job: str
    what: str
    reason: str


@dataclass(slots=True)
class Exported:
    """What was written.

    Attributes:
        files: content by file name.
        losses: what could not be carried over.
    """

    files: dict[str, str] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)

    def lose(self, job: JobSpec, what: str, reason: str) -> None:
        """Note a loss."""
        self.losses.append(Loss(job=job.name, what=what, reason=reason))

    def leave_out(self, job: JobSpec, reason: str) -> None:
        """Note that a job is left out as a whole."""
        self.lose(job, "job", f"left out: {reason}")


def clocks_change(job: JobSpec) -> bool:
    """Say whether the job's zone moves its clocks in our days."""
    zone = load_zone(job.timezone)
    return zone.repeat_from >= 0 or max(zone.starts[:-1]) > _OUR_DAYS


def dst_loss(job: JobSpec, gap: DstGap, repeat: DstRepeat, who: str) -> Iterator[tuple[str, str]]:
    """Say where another scheduler's daylight saving rules differ from a job's.

    Args:
        job: the job.
        gap: what the other one does with times that are left out.
        repeat: what it does with times that come twice.
        who: its name.
    """
    fields = fields_of(job)
    if isinstance(fields, Interval) or not clocks_change(job):
        return
    starred = fields.starred
    if _gap(job.dst_gap, starred=starred) != _gap(gap, starred=starred):
        yield "dst_gap", f"`{job.dst_gap}` becomes {who}'s `{gap}`"
    if _repeat(job.dst_repeat, starred=starred) != _repeat(repeat, starred=starred):
        yield "dst_repeat", f"`{job.dst_repeat}` becomes {who}'s `{repeat}`"


def _gap(rule: DstGap, *, starred: bool) -> DstGap:
    """Return what Debian's rule comes to for one job; the other rules are what they say."""
    if rule != DstGap.DEBIAN:
        return rule
    return DstGap.SKIP if starred else DstGap.SHIFT


def _repeat(rule: DstRepeat, *, starred: bool) -> DstRepeat:
    if rule != DstRepeat.DEBIAN:
        return rule
    return DstRepeat.BOTH if starred else DstRepeat.FIRST


def policy_losses(job: JobSpec, *, window: bool, jitter: bool) -> Iterator[tuple[str, str]]:
    """Say what of a job's policies a plain curl does otherwise.

    Args:
        job: the job.
        window: whether the other scheduler knows how old a fire may be to be made up.
        jitter: whether it spreads fires.
    """
    retry = job.retry
    if retry.max_attempts > 1 and retry.retry_on != _NO_RETRY.retry_on:
        yield "retry.retry_on", "curl chooses what it tries again: timeouts, 408, 429, most 5xx"
    if retry.max_attempts > 1:
        yield "retry.backoff", f"curl waits {retry.backoff:g} s each time, not longer and longer"
    if job.blackout:
        yield "blackout", "fires due in its windows run like all others"
    if job.jitter and not jitter:
        yield "jitter", "fires are not spread"
    if job.catch_up is CatchUp.ALL:
        yield "catch_up", "one run stands for all that were missed"
    if not window and job.catch_up_window != _USUAL_WINDOW:
        yield "catch_up_window", f"{seconds_text(job.catch_up_window)} s mean nothing there"
