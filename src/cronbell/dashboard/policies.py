"""A job's policies as plain sentences: what becomes of a fire that can't simply run."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from cronbell.dashboard.templatetags.cronbell import timespan
from cronbell.domain import (
    CatchUp,
    Delivery,
    Dialect,
    DstGap,
    DstRepeat,
    JobSpec,
    Overlap,
    RetryPolicy,
)

_OVERLAP = {
    Overlap.SKIP: gettext_lazy("A fire that meets the job still running is skipped."),
    Overlap.QUEUE_ONE: gettext_lazy(
        "A fire that meets the job still running waits; while one waits, others are skipped."
    ),
    Overlap.QUEUE_ALL: gettext_lazy("A fire that meets the job still running waits its turn."),
    Overlap.CANCEL_RUNNING: gettext_lazy(
        "A fire that meets the job still running ends that run and takes its place."
    ),
    Overlap.ALLOW: gettext_lazy("A fire that meets the job still running runs beside it."),
}
_CATCH_UP = {
    CatchUp.LATEST: gettext_lazy(
        "After an outage the latest fire is made up for if it is no older than %(window)s."
    ),
    CatchUp.NONE: gettext_lazy("After an outage no fire is made up for."),
    CatchUp.ALL: gettext_lazy(
        "After an outage every fire no older than %(window)s is made up for."
    ),
}
_DELIVERY = {
    Delivery.AT_LEAST_ONCE: gettext_lazy(
        "Should the runner die with the call in hand, it is sent again with the same key."
    ),
    Delivery.AT_MOST_ONCE: gettext_lazy(
        "Should the runner die with the call in hand, it is not sent again: a person decides."
    ),
}
_GAP = {
    DstGap.DEBIAN: gettext_lazy(
        "Clocks go forward: fixed times in the gap run right after it, others follow real time."
    ),
    DstGap.SHIFT: gettext_lazy("Clocks go forward: fires in the gap run right after it."),
    DstGap.SKIP: gettext_lazy("Clocks go forward: fires in the gap are left out that day."),
}
_REPEAT = {
    DstRepeat.DEBIAN: gettext_lazy(
        "Clocks go back: fixed times run the first time only, others follow real time."
    ),
    DstRepeat.FIRST: gettext_lazy("Clocks go back: fires run the first time only."),
    DstRepeat.BOTH: gettext_lazy("Clocks go back: fires run both times."),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy.

    Attributes:
        name: what it is about, in the viewer's language.
        key: the key in ``cronbell.toml`` that sets it.
        value: as set.
        meaning: what that means.
    """

    name: str
    key: str
    value: str
    meaning: str


def policies_of(spec: JobSpec) -> list[Policy]:
    """Return a job's policies in the order in which a fire meets them."""
    window = {"window": timespan(spec.catch_up_window)}
    found = [
        Policy(_("Overlap"), "overlap", spec.overlap, str(_OVERLAP[spec.overlap])),
        Policy(_("Catch-up"), "catch_up", spec.catch_up, str(_CATCH_UP[spec.catch_up]) % window),
        Policy(_("Delivery"), "delivery", spec.delivery, str(_DELIVERY[spec.delivery])),
        Policy(
            _("Timeout"),
            "timeout",
            timespan(spec.timeout),
            _("One attempt may take so long; then the call is dropped."),
        ),
        Policy(
            _("Deadline"),
            "deadline",
            timespan(spec.deadline or None),
            _("The whole run may take so long, waiting and retries included."),
        ),
        Policy(_("Retry"), "retry", str(spec.retry.max_attempts), _retry(spec.retry)),
    ]
    if spec.jitter:
        meaning = _("Sent up to so much later, always by the same amount.")
        found.append(Policy(_("Jitter"), "jitter", timespan(spec.jitter), meaning))
    if spec.timezone != "UTC" or spec.dialect is not Dialect.VERCEL:
        found += [
            Policy(_("Clocks forward"), "dst_gap", spec.dst_gap, str(_GAP[spec.dst_gap])),
            Policy(_("Clocks back"), "dst_repeat", spec.dst_repeat, str(_REPEAT[spec.dst_repeat])),
        ]
    return found


def _retry(retry: RetryPolicy) -> str:
    if retry.max_attempts <= 1:
        return _("A failed attempt is not tried again.")
    return ngettext(
        "At most %(n)s attempt, the first retry after about %(wait)s; tried again on: %(kinds)s.",
        "At most %(n)s attempts, the first retry after about %(wait)s; tried again on: %(kinds)s.",
        retry.max_attempts,
    ) % {
        "n": retry.max_attempts,
        "wait": timespan(retry.backoff),
        "kinds": ", ".join(retry.retry_on),
    }
