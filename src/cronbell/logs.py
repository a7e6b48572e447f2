"""Log records ─► lines without secrets: JSON, one event a line, or text for people.

Whatever is logged while a run is worked on carries its job, id and key, the application's own
records too: they are kept in a context variable, which threads and tasks each have their own of.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from cronbell.clock import from_micros, iso
from cronbell.errors import StartError
from cronbell.redaction import Redactor

FORMAT_VARIABLE, CALLS_VARIABLE = "CRONBELL_LOG_FORMAT", "CRONBELL_LOG_CALLS"
LEVEL_VARIABLE = "CRONBELL_LOG_LEVEL"
FORMATS = ("text", "json")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# Which calls the logger ``cronbell.calls`` tells: those that did not end in success are warnings.
CALLS = {"failed": "WARNING", "all": "INFO", "none": "CRITICAL"}
# What an event may say besides its message, in this order.
FIELDS = ("event", "job", "run", "key", "attempt", "status", "reason", "http_status", "seconds")
MOST_CHARACTERS = 20_000
MILLION = 1_000_000
# A line's end in some reader, and what turns the direction of writing around.
_CONTROL = {
    code: f"\\x{code:02x}" for code in (*range(9), 11, 12, *range(14, 32), *range(127, 160))
} | {
    code: f"\\u{code:04x}"
    for code in (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}


# What a record is about: the job's name, the run's number or its caller's id of it, the idempotency
# key. A plain tuple: one with names costs a call two microseconds.
About = tuple[str, int | str, str]
ABOUT = ("job", "run", "key")
_about: ContextVar[About | None] = ContextVar("cronbell_about", default=None)


@contextmanager
def about(job: str, run: int | str, key: str) -> Iterator[None]:
    """Have everything that is logged meanwhile, by this thread or task, say what it is about."""
    token = _about.set((job, run, key))
    try:
        yield
    finally:
        _about.reset(token)


def from_now_on(job: str, run: int | str, key: str) -> None:
    """Likewise until this task says otherwise: what a call may pay for, where ``about`` is dear."""
    _about.set((job, run, key))


class Lines(logging.Formatter):
    """Text for people: time, level, logger, message, then ``name=value``; a traceback indented.

    Every further line of a record is indented, so that none can pass for another record.

    Args:
        redact: takes secrets out.
    """

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self.redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """Return one record."""
        # Each before it is quoted as well: a quoted quote would hide the place a secret stands in.
        fields = {name: self.redact(str(value)) for name, value in fields_of(record).items()}
        words = [f"{name}={_shown(value)}" for name, value in fields.items()]
        text = " ".join([_at(record), record.levelname, record.name, _message(record), *words])
        trace = _trace(record)
        lines = self.redact(f"{text}\n{trace}" if trace else text).splitlines()
        return "\n    ".join(line.translate(_CONTROL) for line in lines)[:MOST_CHARACTERS]


class JsonLines(logging.Formatter):
    """One JSON object a line.

    Args:
        redact: takes secrets out.
    """

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self.redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """Return one record."""
        found: dict[str, Any] = {
            "at": _at(record),
            "level": record.levelname,
            "logger": record.name,
            "message": self._clean(_message(record)),
        }
        found |= {name: self._clean(value) for name, value in fields_of(record).items()}
        if trace := _trace(record):
            found["exception"] = self._clean(trace)
        return json.dumps(found)

    def _clean(self, value: Any) -> Any:
        if isinstance(value, bool | int | float):
            return value
        # Cut after the secrets are out: half a secret would not be known for one.
        return self.redact(str(value))[:MOST_CHARACTERS]


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what an event says besides its message; its own words go before the context's."""
    current = _about.get()
    found: dict[str, Any] = {} if current is None else dict(zip(ABOUT, current, strict=True))
    found |= {name: record.__dict__[name] for name in FIELDS if name in record.__dict__}
    return {name: found[name] for name in FIELDS if name in found}


def formatter() -> logging.Formatter:
    """Return the formatter that the environment asks for.

    Raises:
        StartError: ``CRONBELL_LOG_FORMAT`` is neither ``text`` nor ``json``.
    """
    kind = chosen(FORMAT_VARIABLE, FORMATS, "text")
    redact = Redactor(os.environ)
    return JsonLines(redact) if kind == "json" else Lines(redact)


def configuration() -> dict[str, Any]:
    """Return Django's ``LOGGING``, as the environment asks for it.

    Raises:
        StartError: a variable has a value it cannot have.
    """
    chosen(FORMAT_VARIABLE, FORMATS, "text")
    level = chosen(LEVEL_VARIABLE, LEVELS, "INFO")
    calls = CALLS[chosen(CALLS_VARIABLE, tuple(CALLS), "failed")]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": "cronbell.logs.formatter"}},
        "filters": {"without_trace": {"()": "cronbell.server.strangers.WithoutTrace"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "cronbell.calls": {"level": calls},
            "django.security.DisallowedHost": {"filters": ["without_trace"]},
        },
    }


def chosen(variable: str, values: tuple[str, ...], default: str) -> str:
    """Return a variable's value, whatever its case.

    Raises:
        StartError: it is none of those.
    """
    raw = os.environ.get(variable, "")
    found = next((value for value in values if value.lower() == raw.strip().lower()), None)
    if raw and found is None:
        raise StartError(f"{variable} is {raw!r}", hint=f"set it to one of {', '.join(values)}")
    return found or default


def catch_uncaught() -> None:
    """Log what nobody caught, so that it takes the same way as everything else.

    For processes of our own: it exchanges the interpreter's hooks.
    """
    log = logging.getLogger("cronbell.uncaught")

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        log.critical("the process ends by an error", exc_info=(kind, error, trace))

    def thread_hook(given: threading.ExceptHookArgs) -> None:
        if given.exc_value is not None and not isinstance(given.exc_value, SystemExit):
            log.critical("a thread ended by an error", exc_info=given.exc_value)

    sys.excepthook = hook
    threading.excepthook = thread_hook
    logging.captureWarnings(capture=True)


def _at(record: logging.LogRecord) -> str:
    return iso(from_micros(int(record.created * MILLION)))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - a wrong call to the log must not lose the event
        return f"{record.msg} (its values do not fit: {type(error).__name__})"


def _trace(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    return "".join(traceback.format_exception(record.exc_info[1])).rstrip()


def _shown(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text
