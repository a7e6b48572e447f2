"""``/admin/why``: why did a job not run at a moment? A form, and below it the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from cronbell.clock import SYSTEM_CLOCK, from_micros
from cronbell.dashboard.access import viewers_too
from cronbell.dashboard.preferences import named_zone, viewer_zone
from cronbell.errors import ScheduleError, UnknownJobError
from cronbell.runlog import queries
from cronbell.runlog.models import Run
from cronbell.runlog.why import MICROS, Answer, Finding, Moment, why
from cronbell.runlog.why_words import by_hand_text, context_texts, definition, finding_text
from cronbell.schedule.moments import LeptOverError, MomentError, local_text
from cronbell.states import Status

JOB_CHOICES = 100
LONGEST = 64  # characters of a moment or a zone
TONES = {
    "ran": "good",
    "ran_late": "warn",
    "running": "info",
    "pending": "info",
    "waiting": "info",
    "future": "info",
    "missed": "warn",
    "not_recorded": "bad",
    "no_row": "bad",
}
ICONS = {"good": "check", "warn": "half", "info": "clock", "bad": "cross", "quiet": "gap"}
_FAILED = frozenset({Status.ERROR.value, Status.TIMED_OUT.value})


@dataclass(frozen=True, slots=True)
class Said:
    """One sentence of an answer.

    Attributes:
        text: the sentence.
        run: the run it speaks of.
        met: the number of another run it speaks of.
        tone: the colour of its mark.
        icon: the shape of its mark.
    """

    text: str
    run: Run | None = None
    met: int | None = None
    tone: str = "quiet"
    icon: str = "gap"


@dataclass(frozen=True, slots=True)
class Shown:
    """The answer for one minute, in sentences.

    Attributes:
        at: when the minute begins.
        local: the same as the zone's clock shows it.
        findings: what became of each fire.
        more: what goes with them.
        by_hand: runs near it that no schedule asked for.
        definition: the job as it was defined then; None where it was not.
        previous: the fire before.
        following: the fire after.
    """

    at: datetime
    local: str
    findings: Sequence[Said]
    more: Sequence[str]
    by_hand: Sequence[Said]
    definition: dict[str, Any] | None
    previous: datetime | None
    following: datetime | None


@require_safe
@viewers_too
def why_page(request: HttpRequest) -> HttpResponse:
    """Ask for a job and a minute; where both are given, say what became of it."""
    given = {name: request.GET.get(name, "").strip() for name in ("job", "at", "timezone")}
    answer, problems = _asked(given)
    zone = answer.timezone if answer else given["timezone"]
    names, more = queries.job_names(JOB_CHOICES)
    choices = [name for _pk, name in names]
    if given["job"] and given["job"] not in choices:
        choices.append(given["job"])
    context = {
        "nav": "jobs",
        "page_title": _("Why did it not run?"),
        "given": given,
        "at_value": _typed(given["at"], answer),
        "job_choices": choices,
        "too_many_jobs": more,
        "zones": _zones(request, zone),
        "zone": zone,
        "problems": problems,
        "answer": answer,
        "moments": [_shown(moment, answer.timezone) for moment in answer.moments] if answer else [],
    }
    return render(request, "cronbell/why.html", context, status=400 if problems else 200)


def _asked(given: dict[str, str]) -> tuple[Answer | None, dict[str, str]]:
    """Answer what was asked; else say what is wrong with it, by field."""
    if not given["job"] or not given["at"]:
        # Half a question is no mistake: a link may have filled in the job alone.
        return None, {}
    problem = {}
    try:
        if any(len(given[name]) > LONGEST for name in ("at", "timezone")):
            raise MomentError("too long")  # noqa: TRY301 - one way out for all that is wrong
        now = SYSTEM_CLOCK.now()
        return why(given["job"], given["at"], now, timezone=given["timezone"]), {}
    except UnknownJobError:
        problem["job"] = _("There is no such job.")
    except LeptOverError as error:
        words = _("That time never was: the clocks leapt over it and showed %(instead)s instead.")
        problem["at"] = words % {"instead": error.instead}
    except MomentError:
        problem["at"] = _("must be a date or time such as 2026-11-22T09:00:00Z")
    except ScheduleError:
        problem["timezone"] = _("must be a time zone such as Asia/Seoul")
    return None, problem


def _typed(at: str, answer: Answer | None) -> str:
    """Return the minute as the form's field has it: as the chosen zone's clock shows it."""
    if answer is None:
        return at
    zone = named_zone(answer.timezone)
    return f"{from_micros(answer.moments[0].start * MICROS).astimezone(zone):%Y-%m-%dT%H:%M}"


def _zones(request: HttpRequest, chosen: str) -> list[str]:
    """Return the zones the form offers: the viewer's, UTC, and the one that was asked for."""
    mine = viewer_zone(request)
    names = [str(mine) if mine else "", "UTC", chosen]
    return sorted({name for name in names if name}, key=names.index)


def _shown(moment: Moment, timezone: str) -> Shown:
    return Shown(
        at=from_micros(moment.start * MICROS),
        local=local_text(moment.start, timezone),
        findings=[_said(finding, moment, timezone) for finding in moment.findings],
        more=context_texts(moment, timezone),
        by_hand=[Said(by_hand_text(run, timezone), run) for run in moment.by_hand],
        definition=definition(moment),
        previous=_instant(moment.previous),
        following=_instant(moment.following),
    )


def _said(finding: Finding, moment: Moment, timezone: str) -> Said:
    tone = TONES.get(finding.code, "quiet")
    if finding.run is not None and finding.run.status in _FAILED:
        tone = "bad"
    text = finding_text(finding, moment, timezone)
    return Said(text, finding.run, finding.data.get("run"), tone, ICONS[tone])


def _instant(second: int | None) -> datetime | None:
    return None if second is None else from_micros(second * MICROS)
