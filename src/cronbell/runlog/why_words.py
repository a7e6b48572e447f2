"""The answers of ``runlog.why`` in sentences, in the active language, and as plain values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from cronbell.clock import from_micros, iso, to_micros
from cronbell.domain import JobSpec
from cronbell.errors import ScheduleError
from cronbell.runlog.models import Run
from cronbell.runlog.reasons import explain, window_text
from cronbell.runlog.shape import details_text, log_row
from cronbell.runlog.why import MICROS, Answer, Finding, Moment
from cronbell.schedule.blackout import blackouts_of, window_data
from cronbell.schedule.explain import explain as in_words
from cronbell.schedule.moments import local_text
from cronbell.states import Kind

_Writer = Callable[[Finding, Moment, str], str]


def sentences(moment: Moment, timezone: str) -> list[str]:
    """Say what became of a job at a minute: one sentence for each fire, and what goes with them.

    Args:
        moment: the answer.
        timezone: local times are written in it.
    """
    said = [finding_text(finding, moment, timezone) for finding in moment.findings]
    said += context_texts(moment, timezone)
    return said + [by_hand_text(run, timezone) for run in moment.by_hand]


def finding_text(finding: Finding, moment: Moment, timezone: str) -> str:
    """Say what became of one fire."""
    return _WRITERS[finding.code](finding, moment, timezone)


def as_dict(answer: Answer) -> dict[str, Any]:
    """Return an answer as API and command line give it; instants are ISO 8601 in UTC."""
    return {
        "job": answer.job.name,
        "timezone": answer.timezone,
        "moments": [_moment(moment, answer.timezone) for moment in answer.moments],
    }


def _moment(moment: Moment, timezone: str) -> dict[str, Any]:
    return {
        "from": _iso(moment.start),
        "until": _iso(moment.end),
        "local": local_text(moment.start, timezone),
        "verdict": moment.findings[0].code,
        "findings": [
            {
                "code": finding.code,
                "at": _iso(finding.at),
                "sentence": finding_text(finding, moment, timezone),
                "run": None if finding.run is None else log_row(finding.run),
                "data": finding.data,
            }
            for finding in moment.findings
        ],
        "definition": definition(moment),
        "previousFire": _iso(moment.previous),
        "nextFire": _iso(moment.following),
        "byHand": [log_row(run) for run in moment.by_hand],
        "sentences": sentences(moment, timezone),
    }


def definition(moment: Moment) -> dict[str, Any] | None:
    """Return the job as it was defined then, as API and pages show it."""
    segment = moment.segment
    if segment.version is None or segment.spec is None:
        return None
    return {
        "name": segment.spec.name,
        "schedule": segment.spec.schedule,
        "timezone": segment.spec.timezone,
        "words": _words(segment.spec),
        "enabled": segment.spec.enabled,
        "since": iso(segment.version.at),
        "until": iso(segment.follower.at) if segment.follower else None,
        "appliedBy": segment.version.applied_by,
    }


def _iso(second: int | None) -> str | None:
    return None if second is None else iso(from_micros(second * MICROS))


def _words(spec: JobSpec) -> str:
    try:
        return in_words(spec, language=get_language() or "en")
    except ScheduleError:
        return spec.schedule


def _at(finding: Finding, timezone: str) -> str:
    return local_text(finding.at or 0, timezone)


def _time(second: int | None, timezone: str) -> str:
    return _("unknown") if second is None else local_text(second, timezone)


def _late(finding: Finding) -> str:
    late = finding.data.get("lateSeconds", 0.0)
    shown = f"{late:.1f}" if late < 10 else f"{late:,.0f}"  # noqa: PLR2004 - tenths of small numbers
    return ngettext("%(n)s second", "%(n)s seconds", 1 if shown == "1.0" else 2) % {"n": shown}


def _ran(finding: Finding, _moment: Moment, timezone: str) -> str:
    run = _run(finding)
    if finding.code == "ran_late":
        text = _(
            "The fire of %(at)s ran late: run %(run)s began %(late)s after it was due and ended as"
            " %(status)s"
        )
    else:
        text = _(
            "The fire of %(at)s ran: run %(run)s began %(late)s after it was due and ended as"
            " %(status)s"
        )
    text %= {
        "at": _at(finding, timezone),
        "run": run.pk,
        "late": _late(finding),
        "status": run.get_status_display(),
    }
    why = details_text(run)
    return f"{text}: {why}" if why else f"{text}."


def _running(finding: Finding, _moment: Moment, timezone: str) -> str:
    return _(
        "The fire of %(at)s is running: run %(run)s began %(late)s after it was due and goes on."
    ) % {"at": _at(finding, timezone), "run": _run(finding).pk, "late": _late(finding)}


def _pending(finding: Finding, _moment: Moment, timezone: str) -> str:
    run = _run(finding)
    values = {"at": _at(finding, timezone), "run": run.pk}
    if finding.code == "waiting":
        text = _(
            "The fire of %(at)s waits as run %(run)s: the job's run before it has not ended, and"
            " its overlap says to queue."
        )
    elif finding.data.get("again"):
        values["again"] = local_text(to_micros(run.available_at) // MICROS, timezone)
        text = _("The fire of %(at)s is run %(run)s, which is to be sent at %(again)s.")
    elif finding.data.get("runner"):
        text = _("The fire of %(at)s is run %(run)s, which waits for a runner that has room.")
    else:
        text = _("The fire of %(at)s is run %(run)s, which waits: no runner is up.")
    return text % values


def _not_started(finding: Finding, _moment: Moment, timezone: str) -> str:
    run = _run(finding)
    text = _("The fire of %(at)s was run %(run)s, which ended as %(status)s before it began") % {
        "at": _at(finding, timezone),
        "run": run.pk,
        "status": run.get_status_display(),
    }
    why = explain(run.reason, run.reason_data)
    return f"{text}: {why}" if why else f"{text}."


def _skipped(finding: Finding, _moment: Moment, timezone: str) -> str:
    run = _run(finding)
    return _("The fire of %(at)s has the row %(run)s: %(why)s") % {
        "at": _at(finding, timezone),
        "run": run.pk,
        "why": explain(run.reason, finding.data),
    }


def _missed(finding: Finding, moment: Moment, timezone: str) -> str:
    run = _run(finding)
    first = to_micros(run.missed_first_at or run.scheduled_at) // MICROS
    text = ngettext(
        "No runner was up: row %(run)s stands for %(n)s fire, due from %(first)s to %(last)s, that"
        " was not made up for.",
        "No runner was up: row %(run)s stands for %(n)s fires, due from %(first)s to %(last)s, that"
        " were not made up for.",
        run.missed_count,
    ) % {
        "run": run.pk,
        "n": f"{run.missed_count:,}",
        "first": local_text(first, timezone),
        "last": _at(finding, timezone),
    }
    spec = moment.segment.spec
    blackouts = blackouts_of(spec) if spec is not None else None
    window = blackouts.covering(moment.start) if blackouts is not None else None
    if spec is None or window is None:
        return text
    also = _("The blackout window %(window)s was open as well.") % {
        "window": window_text(window_data(window, spec.timezone))
    }
    return f"{text} {also}"


def _future(finding: Finding, _moment: Moment, timezone: str) -> str:
    values = {"at": _at(finding, timezone)}
    if finding.code == "future_paused":
        values |= {"by": str(finding.data["by"]), "reason": str(finding.data["reason"])}
        text = _(
            "A fire is due at %(at)s and will be skipped unless the job is resumed before: paused"
            " by %(by)s: %(reason)s"
        )
    elif finding.code == "future_blackout":
        values["window"] = window_text(finding.data)
        text = _(
            "A fire is due at %(at)s and will be skipped: it is in the blackout window %(window)s."
        )
    else:
        text = _("A fire is due at %(at)s, which is still to come.")
    return text % values


def _not_recorded(finding: Finding, _moment: Moment, timezone: str) -> str:
    values = {"at": _at(finding, timezone)}
    if finding.data.get("runner"):
        return _("The fire of %(at)s has just come due and is about to be recorded.") % values
    values["seen"] = _time(finding.data.get("seen"), timezone)
    return (
        _(
            "The fire of %(at)s has no row yet: no runner is up; one was last seen at %(seen)s. The"
            " next to start makes up for it or records it as missed, as catch_up says."
        )
        % values
    )


def _no_row(finding: Finding, _moment: Moment, timezone: str) -> str:
    parts = [_("A fire was due at %(at)s and has no row.") % {"at": _at(finding, timezone)}]
    if "removed" in finding.data:
        parts.append(
            ngettext(
                "%(n)s run of that day (UTC) was removed by retention; its roll-up is kept.",
                "%(n)s runs of that day (UTC) were removed by retention; their roll-up is kept.",
                finding.data["removed"],
            )
            % {"n": finding.data["removed"]}
        )
    if "changed" in finding.data:
        parts.append(
            _(
                "The definition was changed at %(time)s, and nothing was recorded in between: no"
                " fire in the past is made up for a changed schedule."
            )
            % {"time": local_text(finding.data["changed"], timezone)}
        )
    if finding.data.get("oldest"):
        parts.append(
            _("The oldest row kept of this job is of %(time)s: older ones may have been removed.")
            % {"time": local_text(finding.data["oldest"], timezone)}
        )
    if len(parts) == 1:
        parts.append(
            _(
                "The log does not say why: the row may have been removed, or the runner's clock was"
                " set over that moment."
            )
        )
    return " ".join(parts)


def _none_due(finding: Finding, _moment: Moment, timezone: str) -> str:
    data = finding.data
    if finding.code == "not_defined":
        if data.get("until") is None:
            return _("The log does not know how this job was defined then.")
        return _("The configuration had no such job yet: it came at %(time)s.") % {
            "time": local_text(data["until"], timezone)
        }
    values = {"since": local_text(data["since"], timezone)}
    if data.get("until") is not None:
        values["until"] = local_text(data["until"], timezone)
    if finding.code == "removed":
        text = _("The configuration had no such job: it had left it at %(since)s.")
        if "until" in values:
            text = _(
                "The configuration had no such job: it had left it at %(since)s and came back at"
                " %(until)s."
            )
    else:
        text = _("The job was switched off (enabled = false) since %(since)s.")
        if "until" in values:
            text = _("The job was switched off (enabled = false) from %(since)s to %(until)s.")
    return text % values


def _not_due(_finding: Finding, moment: Moment, timezone: str) -> str:
    spec = moment.segment.spec
    return _("No fire of this job is due at %(at)s: its schedule is “%(words)s” (%(zone)s).") % {
        "at": local_text(moment.start, timezone),
        "words": "" if spec is None else _words(spec),
        "zone": "" if spec is None else spec.timezone,
    }


def context_texts(moment: Moment, timezone: str) -> list[str]:
    """Say what the fires around a minute are, and whether the definition is another now."""
    said = []
    coming = {"future", "future_paused", "future_blackout", "not_due"}
    if moment.findings[0].code in coming and (moment.previous or moment.following):
        none = _("none under this definition")
        said.append(
            _("The fire before is of %(before)s, the one after of %(after)s.")
            % {
                "before": none if moment.previous is None else _time(moment.previous, timezone),
                "after": none if moment.following is None else _time(moment.following, timezone),
            }
        )
    follower, spec = moment.segment.follower, moment.segment.spec
    if follower is not None and follower.spec is not None and spec is not None:
        before, after = (spec.schedule, spec.timezone), (
            follower.spec["schedule"], follower.spec["timezone"],
        )  # fmt: skip
        if before != after:
            said.append(
                _("Its schedule then was %(before)s; since %(time)s it is %(after)s.")
                % {
                    "before": " ".join(before),
                    "after": " ".join(after),
                    "time": local_text(to_micros(follower.at) // MICROS, timezone),
                }
            )
    return said


def by_hand_text(run: Run, timezone: str) -> str:
    """Say what a run near the minute was that no schedule asked for."""
    at = local_text(to_micros(run.scheduled_at) // MICROS, timezone)
    values = {"run": run.pk, "at": at, "by": run.actor, "status": run.get_status_display()}
    if run.kind == Kind.CALL.value:
        return _("Near it, run %(run)s of %(at)s, a direct call of the endpoint: %(status)s.") % (
            values
        )
    return _("Near it, run %(run)s of %(at)s, asked for by %(by)s: %(status)s.") % values


def _run(finding: Finding) -> Run:
    if finding.run is None:
        raise ValueError(f"a finding {finding.code!r} without its row")
    return finding.run


_WRITERS: dict[str, _Writer] = {
    "ran": _ran,
    "ran_late": _ran,
    "running": _running,
    "pending": _pending,
    "waiting": _pending,
    "not_started": _not_started,
    "skipped": _skipped,
    "missed": _missed,
    "future": _future,
    "future_paused": _future,
    "future_blackout": _future,
    "not_recorded": _not_recorded,
    "no_row": _no_row,
    "not_due": _not_due,
    "disabled": _none_due,
    "not_defined": _none_due,
    "removed": _none_due,
}
