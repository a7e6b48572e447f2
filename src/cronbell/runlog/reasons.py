"""One plain sentence for every reason a run can have, in the language that is active.

What is stored is the code and its data (``Run.reason``, ``Run.reason_data``), so that each reader
gets their own language. Data may be missing or of any type: rows outlive the code that wrote them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cronbell.states import Reason

_MAX_VALUE = 300  # characters of one value within a sentence
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _BAD_METHOD = 401, 403, 404, 405
_CONFLICT, _TOO_MANY, _FIRST_SERVER_ERROR, _LAST_SERVER_ERROR = 409, 429, 500, 599
_BAD_GATEWAY, _UNAVAILABLE, _GATEWAY_TIMEOUT = 502, 503, 504
_MEGABYTE = 1_000_000

Data = Mapping[str, Any]


def explain(reason: str, data: Data | None = None) -> str:
    """Say in a sentence why a run has the status it has.

    Args:
        reason: a ``states.Reason``, or empty.
        data: the values the sentence names; those that are missing are said to be unknown.

    Returns:
        The sentence in the active language; empty for an empty reason; the code itself for one
        this version does not know.
    """
    if not reason:
        return ""
    writer = _WRITERS.get(reason)
    return writer(data if isinstance(data, Mapping) else {}) if writer else reason


def explain_status(status: int | None) -> str:
    """Say what an HTTP status of a cron endpoint usually means; empty where it says nothing more.

    Args:
        status: the answer's status; 0 for a network error.
    """
    if status is None:
        return ""
    known: dict[int, str] = {
        _UNAUTHORIZED: _(
            "the endpoint refused the secret: CRON_SECRET differs between Cronbell and the"
            " application"
        ),
        _FORBIDDEN: _("the endpoint refuses this caller; a firewall or bot protection may do that"),
        _NOT_FOUND: _("there is no such path on the target; check the job's path and the target"),
        _BAD_METHOD: _("the endpoint does not take this method; set the job's method"),
        _CONFLICT: _("the endpoint is busy with another run of this job"),
        _TOO_MANY: _("the endpoint asks for fewer calls"),
        _BAD_GATEWAY: _("a proxy in front of the endpoint got no answer from it"),
        _UNAVAILABLE: _("the endpoint is overloaded or being deployed"),
        _GATEWAY_TIMEOUT: _(
            "a proxy in front of the endpoint gave up waiting; its limit is shorter than the job"
        ),
    }
    if status in known:
        return known[status]
    if _FIRST_SERVER_ERROR <= status <= _LAST_SERVER_ERROR:
        return _("the endpoint failed; its own log says why")
    return ""


def _value(data: Data, key: str) -> str:
    value = data.get(key)
    if value is None or value == "":
        return _("unknown")
    text = str(value)
    return text if len(text) <= _MAX_VALUE else text[:_MAX_VALUE] + "…"


def _whole(data: Data, key: str) -> int | None:
    try:
        return int(data[key])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _seconds(data: Data, key: str) -> str:
    """Write a length of time as ``1 second``, ``2.5 seconds`` or ``unknown``."""
    try:
        number = float(data[key])
        text = f"{number:g}" if abs(number) < _MEGABYTE else str(int(number))
    except (KeyError, TypeError, ValueError, OverflowError):
        return _("an unknown time")
    return ngettext("%(n)s second", "%(n)s seconds", 1 if number == 1 else 2) % {"n": text}


def _http_status(data: Data) -> str:
    status = _whole(data, "status")
    said = _("the endpoint answered %(status)s") % {"status": _value(data, "status")}
    meaning = explain_status(status)
    return f"{said}: {meaning}" if meaning else said


def _redirected(data: Data) -> str:
    location = _value(data, "location")
    if "login" in location.lower() or "sign" in location.lower():
        return _(
            "redirected to %(location)s: the endpoint is behind a login; a cron call does not"
            " follow redirects"
        ) % {"location": location}
    return _(
        "redirected to %(location)s: a cron call does not follow redirects; use the final address"
        " (a trailing slash, https or www may be what differs)"
    ) % {"location": location}


def _body_error(data: Data) -> str:
    return _("the endpoint reported an error: %(message)s") % {"message": _value(data, "message")}


def _body_partial(data: Data) -> str:
    failed, total = _whole(data, "failed"), _whole(data, "total")
    if failed is not None and total:
        said = _("%(failed)s of %(total)s items failed") % {"failed": failed, "total": total}
    else:
        said = _("the endpoint did only part of the work")
    message = data.get("message")
    return f"{said}: {_value(data, 'message')}" if message else said


def _timeout(data: Data) -> str:
    return _(
        "no complete answer within %(time)s; the endpoint may still be at work. Raise the job's"
        " timeout or do less per run"
    ) % {"time": _seconds(data, "seconds")}


def _deadline(data: Data) -> str:
    return _("the run as a whole took longer than its deadline of %(time)s") % {
        "time": _seconds(data, "seconds")
    }


def _connect(data: Data) -> str:
    return _("nobody listens at %(host)s: is the application running, and is the target right?") % {
        "host": _value(data, "host")
    }


def _dns(data: Data) -> str:
    return _("the name %(host)s could not be resolved") % {"host": _value(data, "host")}


def _tls(data: Data) -> str:
    return _("no secure connection to %(host)s: %(error)s") % {
        "host": _value(data, "host"),
        "error": _value(data, "error"),
    }


def _reset(_data: Data) -> str:
    return _(
        "the connection broke before the answer was complete; the endpoint may have crashed or"
        " been restarted"
    )


def _protocol(data: Data) -> str:
    return _("what came back is not HTTP: %(error)s") % {"error": _value(data, "error")}


def _body_too_large(data: Data) -> str:
    return _("the answer is larger than %(limit)s bytes; let the endpoint report less") % {
        "limit": _value(data, "limit")
    }


def _host_not_allowed(data: Data) -> str:
    return _(
        "%(host)s is not among the allowed hosts; nothing was sent, so that the secret goes to no"
        " other host. Add it to allowed_hosts if it is meant"
    ) % {"host": _value(data, "host")}


def _address_not_allowed(data: Data) -> str:
    return _(
        "%(host)s leads to %(address)s, where no application is called; nothing was sent. If it"
        " is meant, write the address itself in place of the name"
    ) % {"host": _value(data, "host"), "address": _value(data, "address")}


def _bad_request(data: Data) -> str:
    return _("the request could not be built: %(error)s") % {"error": _value(data, "error")}


def _runner_lost(data: Data) -> str:
    if data.get("at_most_once"):
        return _(
            "the runner stopped while the call was out, and this job is called at most once: look"
            " whether the work was done, and run it again if not"
        )
    return _("the runner stopped while it was waiting for the answer")


def _process_lost(_data: Data) -> str:
    return _("the endpoint's process stopped while the job was going on")


def _still_working(data: Data) -> str:
    return _("the endpoint is still at work on this very run; asked again after %(time)s") % {
        "time": _seconds(data, "after")
    }


def _asked_to_wait(data: Data) -> str:
    return _("the endpoint answered %(status)s and asked to be left alone for %(time)s") % {
        "status": _value(data, "status"),
        "time": _seconds(data, "after"),
    }


def _overlap(data: Data) -> str:
    if data.get("run"):
        return _("not run: run %(run)s of this job was still going on") % {
            "run": _value(data, "run")
        }
    return _("not run: the job's previous run was still going on")


def _replaced(_data: Data) -> str:
    return _(
        "cancelled: the job came due again and its overlap is cancel_running; the endpoint may"
        " still be at work"
    )


def _paused(data: Data) -> str:
    if data.get("by"):
        return _("not run: %(by)s had paused the job: %(reason)s") % {
            "by": _value(data, "by"),
            "reason": _value(data, "reason"),
        }
    return _("not run: the job was paused: %(reason)s") % {"reason": _value(data, "reason")}


def _blackout(data: Data) -> str:
    said = _("not run: due in the blackout window %(window)s") % {"window": window_text(data)}
    return f"{said}: {_value(data, 'reason')}" if data.get("reason") else said


def window_text(data: Data) -> str:
    """Name a blackout window: its days, times and zone."""
    weekdays = {
        "mon": _("Monday"), "tue": _("Tuesday"), "wed": _("Wednesday"), "thu": _("Thursday"),
        "fri": _("Friday"), "sat": _("Saturday"), "sun": _("Sunday"),
    }  # fmt: skip
    days = data.get("days")
    named = [weekdays.get(str(day), str(day)) for day in days] if isinstance(days, list) else []
    span = f"{_value(data, 'from')} – {_value(data, 'to')} ({_value(data, 'timezone')})"
    return f"{', '.join(named[:7])} {span}" if named else span


def _cancelled(data: Data) -> str:
    if data.get("sent"):
        return _("cancelled by %(by)s; the endpoint may still be at work") % {
            "by": _value(data, "by")
        }
    return _("cancelled by %(by)s while it was waiting") % {"by": _value(data, "by")}


def _outage(_data: Data) -> str:
    return _("no runner was up when this was due, and it is not caught up")


def _job_removed(_data: Data) -> str:
    return _("the job left the configuration before the run began")


def _exception(data: Data) -> str:
    return _("the job raised an error: %(error)s") % {"error": _value(data, "error")}


def _late(data: Data) -> str:
    return _("the ping came %(time)s after it was due, within the grace") % {
        "time": _seconds(data, "seconds")
    }


def _no_ping(_data: Data) -> str:
    return _(
        "no ping came within the grace: the job did not run, did not get to its end, or could not"
        " reach Cronbell"
    )


def _unwatched(_data: Data) -> str:
    return _(
        "no ping was received, and no runner was up to wait for it: the job may have run while"
        " Cronbell could not be reached"
    )


def _reported_failure(data: Data) -> str:
    if _whole(data, "exit_status") is not None:
        return _("the job reported exit status %(status)s") % {
            "status": _value(data, "exit_status")
        }
    return _("the job reported that it failed")


def _no_end(data: Data) -> str:
    return _("the job said that it began, and not within %(time)s that it ended") % {
        "time": _seconds(data, "seconds")
    }


_WRITERS: dict[str, Callable[[Data], str]] = {
    Reason.HTTP_STATUS: _http_status,
    Reason.REDIRECTED: _redirected,
    Reason.BODY_ERROR: _body_error,
    Reason.BODY_PARTIAL: _body_partial,
    Reason.TIMEOUT: _timeout,
    Reason.DEADLINE: _deadline,
    Reason.CONNECT: _connect,
    Reason.DNS: _dns,
    Reason.TLS: _tls,
    Reason.RESET: _reset,
    Reason.PROTOCOL: _protocol,
    Reason.BODY_TOO_LARGE: _body_too_large,
    Reason.HOST_NOT_ALLOWED: _host_not_allowed,
    Reason.ADDRESS_NOT_ALLOWED: _address_not_allowed,
    Reason.BAD_REQUEST: _bad_request,
    Reason.RUNNER_LOST: _runner_lost,
    Reason.PROCESS_LOST: _process_lost,
    Reason.STILL_WORKING: _still_working,
    Reason.ASKED_TO_WAIT: _asked_to_wait,
    Reason.OVERLAP: _overlap,
    Reason.REPLACED: _replaced,
    Reason.PAUSED: _paused,
    Reason.BLACKOUT: _blackout,
    Reason.CANCELLED: _cancelled,
    Reason.OUTAGE: _outage,
    Reason.JOB_REMOVED: _job_removed,
    Reason.EXCEPTION: _exception,
    Reason.LATE: _late,
    Reason.NO_PING: _no_ping,
    Reason.UNWATCHED: _unwatched,
    Reason.REPORTED_FAILURE: _reported_failure,
    Reason.NO_END: _no_end,
}
