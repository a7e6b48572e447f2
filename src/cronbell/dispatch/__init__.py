"""A run becomes an HTTP request, and what came back becomes an ``Outcome``.

``JobSpec`` and ``AttemptCall`` in; ``domain.Outcome`` out. Nothing here reads or writes the run
log, decides about retries, or knows Django: a failure is a value that the engine judges.

    request.py     job and attempt ─► Request      (pure)
    egress.py      address ─► whether it may be called
    transport.py   Request ─► Response or Failure  (the only file that knows the HTTP client)
    body.py        bytes ─► text and members       (pure)
    outcome.py     Response or Failure ─► Outcome  (pure)
    retry.py       failures so far ─► seconds to the next try
    dispatcher.py  the walk through them
"""

from cronbell.dispatch.dispatcher import Dispatcher, Found
from cronbell.dispatch.egress import Reach
from cronbell.dispatch.request import AttemptCall, BadRequestError, Request, build_request
from cronbell.dispatch.retry import retry_delay
from cronbell.dispatch.transport import Failure, PyreqwestTransport, Response, Transport

__all__ = [
    "AttemptCall",
    "BadRequestError",
    "Dispatcher",
    "Failure",
    "Found",
    "PyreqwestTransport",
    "Reach",
    "Request",
    "Response",
    "Transport",
    "build_request",
    "retry_delay",
]
