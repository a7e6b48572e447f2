"""Function ─► job: what ``@cron_job`` declares, checked while the module is imported."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from cronbell.endpoint.context import JobContext, JobResult
from cronbell.errors import CronbellError

JobFunction = Callable[[JobContext], JobResult | Mapping[str, Any] | None]
Function = TypeVar("Function", bound=JobFunction)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+/?")
MAX_PATH = 512  # Vercel's own limit for a path in `crons`
PREFIX = "/api/cron/"


class JobDefinitionError(CronbellError):
    """A ``@cron_job`` that cannot work: bad name, path or limit, or one that is taken."""

    code = "job-definition"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One published job.

    Attributes:
        name: unique in its registry.
        path: the path it is published at, without query.
        function: what does the work.
        max_duration: seconds after which it is told to stop.
        failure_message: what ``error`` says when it fails; may be a lazy translation; empty for
            the library's own words.
        atomic: whether it runs in one transaction with its receipt.
        dry_run: whether it can show what it would do without doing it.
        parameters: names it reads from the query.
    """

    name: str
    path: str
    function: JobFunction
    max_duration: float
    failure_message: object = ""
    atomic: bool = False
    dry_run: bool = False
    parameters: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """Return ``module.function``, for messages."""
        return f"{self.function.__module__}.{self.function.__qualname__}"


class Registry:
    """The jobs of one application, by name and by path."""

    def __init__(self) -> None:
        self._by_name: dict[str, Job] = {}
        self._by_path: dict[str, Job] = {}

    def __iter__(self) -> Iterator[Job]:
        return iter(tuple(self._by_name.values()))

    def __len__(self) -> int:
        return len(self._by_name)

    def add(self, job: Job) -> None:
        """Publish a job.

        Raises:
            JobDefinitionError: its name or path is bad or taken, its ``max_duration`` is not a
                positive number of seconds, or its function cannot be called with a context.
        """
        _check(job)
        for taken, key in ((self._by_name, job.name), (self._by_path, job.path)):
            if other := taken.get(key):
                raise JobDefinitionError(
                    f"{job.where}: {key!r} is already published by {other.where}",
                    hint="give one of them another name, or another path with path=",
                )
        self._by_name[job.name] = self._by_path[job.path] = job

    def by_name(self, name: str) -> Job | None:
        """Return the job with this name, if there is one."""
        return self._by_name.get(name)

    def by_path(self, path: str) -> Job | None:
        """Return the job published at exactly this path, if there is one."""
        return self._by_path.get(path)


REGISTRY = Registry()


def cron_job(
    name: str,
    *,
    max_duration: float,
    failure_message: object = "",
    atomic: bool = False,
    dry_run: bool = False,
    parameters: Iterable[str] = (),
    path: str | None = None,
    registry: Registry = REGISTRY,
) -> Callable[[Function], Function]:
    """Publish a function as a job at ``GET`` and ``POST /api/cron/<name>``.

    Args:
        name: letters, digits, ``.``, ``_`` and ``-``, at most 100; unique.
        max_duration: seconds the job may take; past it, ``context.should_stop`` is true and the
            run is ``timed_out``.
        failure_message: what the answer's ``error`` says when the job fails; a lazy translation
            is read at that moment.
        atomic: run the job inside one transaction of the application's database and commit its
            receipt with it, so that its effect happens once even if the process is killed.
        dry_run: the job honours ``context.dry_run``; without it such a call is refused.
        parameters: names of the query's parameters that ``context.parameters`` is to have; what
            else the query says is not looked at.
        path: another path than the default.
        registry: where it is published; the process-wide one unless given.

    Returns:
        A decorator that returns the function unchanged.

    Raises:
        JobDefinitionError: see ``Registry.add``.
    """

    def publish(function: Function) -> Function:
        registry.add(
            Job(
                name=name,
                path=f"{PREFIX}{name}" if path is None else path,
                function=function,
                max_duration=max_duration,
                failure_message=failure_message,
                atomic=atomic,
                dry_run=dry_run,
                parameters=tuple(parameters),
            )
        )
        return function

    return publish


def _check(job: Job) -> None:
    if not callable(job.function) or not hasattr(job.function, "__qualname__"):
        raise JobDefinitionError(
            f"@cron_job({job.name!r}) decorates {job.function!r}, which is not a function"
        )
    if not isinstance(job.name, str) or not NAME.fullmatch(job.name):
        raise JobDefinitionError(
            f"{job.where}: the job name {job.name!r} cannot be used",
            hint="use letters, digits, '.', '_' and '-', at most 100, such as 'update-rankings'",
        )
    if len(job.path) > MAX_PATH or not PATH.fullmatch(job.path):
        raise JobDefinitionError(
            f"{job.where}: the path {job.path[:MAX_PATH]!r} cannot be used",
            hint="write a plain path such as '/api/cron/update-rankings', without query",
        )
    _check_duration(job)
    _check_function(job)


def _check_duration(job: Job) -> None:
    seconds = job.max_duration
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not math.isfinite(seconds) or seconds <= 0:
        raise JobDefinitionError(
            f"{job.where}: max_duration is {seconds!r}",
            hint="write a positive number of seconds, such as max_duration=300",
        )


def _check_function(job: Job) -> None:
    lazy = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    if any(is_lazy(job.function) for is_lazy in lazy):
        raise JobDefinitionError(
            f"{job.where} is a coroutine or generator function; a job runs in a thread of its own",
            hint="write a plain function; call asyncio.run() in it if it needs a loop",
        )
    try:
        inspect.signature(job.function).bind(object())
    except TypeError as error:
        raise JobDefinitionError(
            f"{job.where} cannot be called with one argument: {error}",
            hint=f"write def {job.function.__name__}(context): …",
        ) from error
