"""The statuses of a run and the moves between them; nobody else names a status.

``PENDING`` and ``RUNNING`` are active; all others are final and a final row never changes.
A move is accepted only if ``may_move`` says so, and in SQL only ``WHERE status = 'running'`` and
the lease is the caller's: a stale runner's finish changes nothing.
"""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """The statuses of SPEC section 3, as stored, shown and sent."""

    PENDING = "pending"  # recorded, waiting for a runner or for the moment to ask again
    RUNNING = "running"  # a runner (or the endpoint itself) holds its lease
    SUCCESS = "success"  # the job ended as it should
    PARTIAL = "partial"  # the job ended, some of its items failed
    ERROR = "error"  # the last attempt failed; the reason says how
    TIMED_OUT = "timed_out"  # no answer within the timeout, or no end before the deadline
    CANCELLED = "cancelled"  # ended by a person, or by the fire after it
    SKIPPED = "skipped"  # due, but deliberately not run; the row says why
    MISSED = "missed"  # due while no runner was up, and outside catch-up
    UNKNOWN = "unknown"  # sent, and nobody can tell what became of it


class Kind(StrEnum):
    """What made the run."""

    SCHEDULE = "schedule"  # a fire of the job's schedule
    RUN_NOW = "run_now"  # a person, by page, API or command line
    RERUN = "rerun"  # a person, who asked for an earlier run once more
    BACKFILL = "backfill"  # a person, who asked for the fires of a range
    CALL = "call"  # somebody called the endpoint directly (curl, Vercel without a known job)


class Reason(StrEnum):
    """Why a run has the status it has, where the status alone does not say.

    The texts are in ``cronbell.runlog.reasons``, in English and Korean; what is stored is this
    code and its data.
    """

    OVERLAP = "overlap"  # skipped: the job's previous run was still going on
    REPLACED = "replaced"  # cancelled: the next fire took its place (overlap = cancel_running)
    CANCELLED = "cancelled"  # a person ended it
    PAUSED = "paused"  # skipped: the job was paused
    BLACKOUT = "blackout"  # skipped: due within a blackout window
    OUTAGE = "outage"  # missed: no runner was up
    HTTP_STATUS = "http_status"  # 4xx or 5xx
    REDIRECTED = "redirected"
    BODY_ERROR = "body_error"  # 2xx, but the body says success: false or status: error
    BODY_PARTIAL = "body_partial"
    TIMEOUT = "timeout"  # no complete answer within the job's timeout
    DEADLINE = "deadline"  # the run as a whole took too long
    CONNECT = "connect"  # nobody listens there
    DNS = "dns"
    TLS = "tls"
    RESET = "reset"  # the connection broke before the answer was complete
    PROTOCOL = "protocol"  # what came back is not HTTP
    BODY_TOO_LARGE = "body_too_large"
    HOST_NOT_ALLOWED = "host_not_allowed"
    ADDRESS_NOT_ALLOWED = "address_not_allowed"  # the host is allowed, where its name leads is not
    BAD_REQUEST = "bad_request"  # the request could not be built (URL, header)
    RUNNER_LOST = "runner_lost"  # the runner died with the run in hand
    PROCESS_LOST = "process_lost"  # the endpoint's own process died with the run in hand
    STILL_WORKING = "still_working"  # 409: the endpoint is at work on this very run
    ASKED_TO_WAIT = "asked_to_wait"  # 429 or 503 with Retry-After
    JOB_REMOVED = "job_removed"  # the job left the configuration before the run started
    EXCEPTION = "exception"  # the job itself raised
    LATE = "late"  # a heartbeat that came after its time, within the grace
    NO_PING = "no_ping"  # missed: no heartbeat came within the grace
    UNWATCHED = "unwatched"  # missed: no heartbeat came, and no runner was up to wait for it
    REPORTED_FAILURE = "reported_failure"  # the watched job pinged /fail or an exit status
    NO_END = "no_end"  # timed out: the watched job said it began, and never that it ended


ACTIVE = frozenset({Status.PENDING, Status.RUNNING})
FINAL = frozenset(Status) - ACTIVE

# From → to. A row is born pending, running (an endpoint that records its own call), skipped or
# missed; running goes back to pending for a retry, after a crash, or when asked to wait.
MOVES: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset(
        {Status.RUNNING, Status.CANCELLED, Status.SKIPPED, Status.ERROR, Status.TIMED_OUT}
    ),
    Status.RUNNING: FINAL - {Status.MISSED} | {Status.PENDING},
}


def may_move(before: Status, after: Status) -> bool:
    """Say whether a run may go from ``before`` to ``after``; a final run may go nowhere."""
    return after in MOVES.get(before, frozenset())


def is_final(status: Status) -> bool:
    """Say whether a run with this status is over."""
    return status in FINAL
