"""Both files together: the jobs they define, or every fault of both."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cronbell.addresses import has_secret
from cronbell.config import toml, vercel_json
from cronbell.config.alert_keys import check_hosts
from cronbell.config.alerts import NO_ALERTS, Alerts
from cronbell.config.entries import Entry
from cronbell.config.functions import GRACE, Durations
from cronbell.config.names import job_names
from cronbell.config.retention import Retention
from cronbell.config.source import Place, Source, UnreadableError, key_text, similar
from cronbell.config.urls import UrlError, parse_base, parse_url
from cronbell.config.values import HEARTBEAT_KEYS
from cronbell.domain import Dialect, Fault, JobSpec, RetryPolicy
from cronbell.errors import ConfigError, ScheduleError
from cronbell.schedule import compile_schedule

_ZONE_KEYS = ("timezone", "dst_gap", "dst_repeat")
_OWN_KEYS = ("path", "url", "heartbeat", "grace")
_TARGET_KEYS = ("path", "url")
# How long a watched job may take from its start to its end, unless it says.
_LONGEST_WATCHED = 3600.0
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_BLANK = JobSpec(name="", path="", schedule="")  # for the defaults of its fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A configuration without faults.

    Attributes:
        jobs: in the order of the files.
        target: the application's address, without a slash at its end; empty where none is given.
        allowed_hosts: what may be called, as ``host`` (every port) or ``host:port``; the target's
            is among them.
        concurrency: how many runs go on at once at most.
        retention: how long ended runs are kept.
        alerts: who is told, about what.
        warnings: what loads, but is probably not meant.
    """

    jobs: tuple[JobSpec, ...]
    target: str
    allowed_hosts: frozenset[str]
    concurrency: int
    retention: Retention
    warnings: tuple[Fault, ...]
    alerts: Alerts = NO_ALERTS


def load(
    vercel_json: Path | None, cronbell_toml: Path | None, *, target: str | None = None
) -> Config:
    """Load a configuration.

    Args:
        vercel_json: the job list; None for none.
        cronbell_toml: what it cannot say; None for none.
        target: the application's address; it goes before the one in the file.

    Raises:
        ConfigError: with every fault of both files in ``faults``.
    """
    with _no_cycle_search():
        loading = _Loading.of(vercel_json, cronbell_toml, target)
    errors = loading.errors()
    if errors:
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        place = f"{first.file}:{first.line}" if first.line else first.file
        raise ConfigError(f"{place}: {first.message}{more}", hint=first.hint, faults=errors)
    return Config(
        jobs=tuple(loading.jobs),
        target=loading.target,
        allowed_hosts=loading.allowed_hosts,
        concurrency=loading.settings.concurrency if loading.settings else toml.DEFAULT_CONCURRENCY,
        retention=loading.settings.retention if loading.settings else Retention(),
        warnings=tuple(loading.warnings()),
        alerts=loading.alerts(),
    )


def check_files(
    vercel_json: Path | None,
    cronbell_toml: Path | None,
    *,
    target: str | None = None,
    plan: str = "",
) -> tuple[list[Fault], list[Fault], list[JobSpec]]:
    """Judge a configuration without raising.

    Args:
        vercel_json: as for ``load``.
        cronbell_toml: as for ``load``.
        target: as for ``load``.
        plan: ``hobby`` to be warned of what Vercel would not deploy on that plan.

    Returns:
        Errors, warnings, and the jobs that are good whatever is wrong with others.
    """
    with _no_cycle_search():
        loading = _Loading.of(vercel_json, cronbell_toml, target, plan)
    return loading.errors(), loading.warnings(), loading.jobs


@contextmanager
def _no_cycle_search() -> Iterator[None]:
    """Keep the garbage collector from searching 100,000 new records for cycles again and again.

    Reading makes hundreds of thousands of objects and no cycles; the searches took a fifth of it.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@dataclass(slots=True)
class _Loading:
    """What has been read so far, and what was wrong with it."""

    crons: vercel_json.VercelJson | None = None
    settings: toml.CronbellToml | None = None
    target: str = ""
    allowed_hosts: frozenset[str] = frozenset()
    jobs: list[JobSpec] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @classmethod
    def of(
        cls, crons: Path | None, settings: Path | None, target: str | None, plan: str = ""
    ) -> _Loading:
        loading = cls()
        if crons is not None:
            try:
                loading.crons = vercel_json.read(crons, plan=plan)
            except UnreadableError as error:
                loading.unreadable(crons, error)
        if settings is not None:
            try:
                loading.settings = toml.read(settings)
            except UnreadableError as error:
                loading.unreadable(settings, error)
        loading.find_target(target)
        loading.define_jobs()
        return loading

    def unreadable(self, path: Path, error: UnreadableError) -> None:
        fault = Fault(
            file=str(path), line=error.line, key="", message=error.message, hint=error.hint
        )
        self.faults.append(fault)

    def errors(self) -> list[Fault]:
        return self.faults + [fault for source in self.sources() for fault in source.errors()]

    def warnings(self) -> list[Fault]:
        return [fault for source in self.sources() for fault in source.warnings()]

    def sources(self) -> list[Source]:
        return [part.source for part in (self.crons, self.settings) if part is not None]

    def find_target(self, given: str | None) -> None:
        self.target = self.settings.target if self.settings else ""
        if given is not None:
            try:
                self.target = parse_base(given).text
            except UrlError as error:
                fault = Fault(
                    file="--target",
                    line=0,
                    key="target",
                    message=f"the target {error.message}",
                    hint=error.hint,
                )
                self.faults.append(fault)
        self.allowed_hosts = self.settings.allowed_hosts if self.settings else frozenset()
        if self.target:
            self.allowed_hosts |= {parse_base(self.target).host_and_port}
        if self.settings:
            check_hosts(self.settings.source, self.settings.alerts, self.allowed_hosts)

    def alerts(self) -> Alerts:
        if self.settings is None:
            return NO_ALERTS
        return replace(self.settings.alerts, hosts=self.allowed_hosts)

    def define_jobs(self) -> None:
        entries = self.crons.entries if self.crons else ()
        durations = self.crons.durations if self.crons else Durations()
        names = _names(entries)
        own = dict(self.settings.jobs) if self.settings else {}
        for name, entry in zip(names, entries, strict=True):
            settings = own.pop(name, {})
            self.refuse_own_keys(name, settings, entry)
            if not entry.good:
                continue
            base = {
                "path": entry.path,
                "url": self.target + entry.path if self.target else "",
                "schedule": entry.schedule,
                "dialect": Dialect.VERCEL,
                "source": f"vercel.json {key_text(entry.place)}",
                **entry.implied,
            }
            seconds = durations.of(entry.path) if durations else None
            if seconds is not None and "timeout" not in self.defaults:
                base["timeout"] = seconds + GRACE
            self.define(name, base, settings, entry)
        for name, settings in own.items():
            self.define_own(name, settings, names)
        if len(self.jobs) > vercel_json.MAX_JOBS and self.settings:
            self.settings.source.error(
                ("jobs",),
                f"there are {len(self.jobs)} jobs in all; the limit is {vercel_json.MAX_JOBS}",
                "remove some",
            )

    @property
    def defaults(self) -> Mapping[str, Any]:
        return self.settings.defaults if self.settings else _NOTHING

    def toml_error(self, place: Place, message: str, hint: str) -> None:
        if self.settings is not None:
            self.settings.source.error(place, message, hint)

    def refuse_own_keys(self, name: str, settings: Mapping[str, Any], entry: Entry) -> None:
        for key in _OWN_KEYS:
            if key in settings:
                self.toml_error(
                    ("jobs", name, key),
                    f"`{key}` cannot be set here: vercel.json defines `{name}` "
                    f"({key_text(entry.place)})",
                    "change it there, or give this job another name",
                )

    def define_own(self, name: str, settings: dict[str, Any], names: list[str]) -> None:
        """Define a job that is in ``cronbell.toml`` alone."""
        place: Place = ("jobs", name)
        if settings.get("heartbeat"):
            self.define_heartbeat(name, settings)
            return
        if "grace" in settings and not self.has_fault(place):
            self.toml_error(
                (*place, "grace"),
                "`grace` belongs to a heartbeat, a job that pings",
                "remove it, or write heartbeat = true in place of path or url",
            )
        found = [key for key in _TARGET_KEYS if key in settings]
        if not found:
            # Where vercel.json has faults of its own, the job may be one of those left out.
            if (self.crons is None or self.crons.complete) and not self.has_fault(place):
                hint = similar(name, names) or "give it a path or a url, or remove it"
                self.toml_error(
                    place, f"there is no job `{name}` in vercel.json, and it has no path", hint
                )
            return
        if len(found) > 1:
            self.toml_error((*place, "url"), "a job has a path or a url, not both", "remove one")
            return
        if "schedule" not in settings and "every" not in settings:
            if not self.has_fault(place):
                self.toml_error(
                    place, f"`{name}` has no schedule", 'add schedule = "0 0 * * *" or every = "5m"'
                )
            return
        base = {"schedule": "", "dialect": Dialect.STANDARD, "source": f"cronbell.toml jobs.{name}"}
        if "path" in settings:
            path = settings["path"]
            base |= {"path": path, "url": self.target + path if self.target else ""}
        else:
            url = parse_url(settings["url"])
            base |= {"path": url.target, "url": url.text}
            if not url.is_on(self.allowed_hosts):
                self.toml_error(
                    (*place, "url"),
                    f"the host {url.host_and_port} is not allowed",
                    f'add it at the top of the file: allowed_hosts = ["{url.host_and_port}"]',
                )
                return
        self.define(name, base, settings)

    def define_heartbeat(self, name: str, settings: dict[str, Any]) -> None:
        """Define a job that Cronbell does not call but expects pings from."""
        place: Place = ("jobs", name)
        foreign = [key for key in settings if key not in HEARTBEAT_KEYS]
        for key in foreign:
            self.toml_error(
                (*place, key),
                f"`{key}` has no meaning for a heartbeat: Cronbell does not call that job",
                "remove it, or remove heartbeat",
            )
        if "schedule" not in settings and "every" not in settings:
            if not self.has_fault(place):
                self.toml_error(
                    place,
                    f"`{name}` does not say when its pings are due",
                    'add schedule = "0 0 * * *" or every = "5m"',
                )
            return
        values = {
            "schedule": "",
            "dialect": Dialect.STANDARD,
            **{key: self.defaults[key] for key in _ZONE_KEYS if key in self.defaults},
            "timeout": _LONGEST_WATCHED,
            **settings,
        }
        if foreign or not self.settle_schedule(place, values, settings, None):
            return
        source = f"cronbell.toml jobs.{name}"
        self.jobs.append(
            JobSpec(name=name, path="", source=source, deadline=values["timeout"], **values)
        )

    def has_fault(self, place: Place) -> bool:
        return self.settings is not None and self.settings.source.has_error_within(place)

    def define(
        self,
        name: str,
        base: dict[str, Any],
        settings: Mapping[str, Any],
        entry: Entry | None = None,
    ) -> None:
        """Put a job together.

        What its entry implies, the defaults, what its entry states, its own settings: each goes
        before those named ahead of it. What none of them says is ``JobSpec``'s to say.
        """
        defaults = self.defaults
        values = {**base, **defaults, **(entry.stated if entry else _NOTHING), **settings}
        values["path"], values["url"] = base["path"], base["url"]
        values.pop("retry", None)  # put together from two tables below
        place: Place = ("jobs", name)
        if not self.settle_schedule(place, values, settings, entry):
            return
        policy = _BLANK.retry
        if "retry" in defaults or "retry" in settings:
            policy = RetryPolicy(**{**defaults.get("retry", {}), **settings.get("retry", {})})
        if policy.backoff > policy.max_backoff:
            self.toml_error(
                self.where(place, settings.get("retry", {}), "backoff", ("retry",)),
                f"`backoff` ({policy.backoff:g} s) is longer than `max_backoff` "
                f"({policy.max_backoff:g} s)",
                "raise max_backoff",
            )
            return
        timeout = values.get("timeout", _BLANK.timeout)
        deadline = values.get("deadline") or shortest_deadline(timeout, policy)
        if deadline < timeout:
            self.toml_error(
                self.where(place, settings, "deadline"),
                f"`deadline` ({deadline:g} s) is shorter than `timeout` ({timeout:g} s)",
                "raise the deadline, or remove it to have it computed",
            )
            return
        values["deadline"] = deadline
        if "?" in base["path"] and has_secret(base["path"]):
            self.warn_of_secret(place, settings, entry)
        self.jobs.append(JobSpec(name=name, retry=policy, **values))

    def warn_of_secret(
        self, place: Place, settings: Mapping[str, Any], entry: Entry | None
    ) -> None:
        """Say that a secret in an address is kept and exported as part of it."""
        message = (
            "a secret is in the address: pages and logs mask it, but the run log, its backups, "
            "`cronbell export` and the target's own log have it"
        )
        hint = "have the endpoint ask for CRON_SECRET, which is sent in a header"
        if entry is not None and self.crons is not None:
            self.crons.source.warn((*entry.place, "path"), message, hint)
        elif self.settings is not None:
            key = "path" if "path" in settings else "url"
            self.settings.source.warn((*place, key), message, hint)

    def where(
        self, place: Place, settings: Mapping[str, Any], key: str, within: Place = ()
    ) -> Place:
        """Return where a value comes from: the job, or the defaults for all."""
        return (*(place if key in settings else ("defaults",)), *within, key)

    def settle_schedule(
        self,
        place: Place,
        values: dict[str, Any],
        settings: Mapping[str, Any],
        entry: Entry | None,
    ) -> bool:
        """Choose the schedule that counts and see that it can be compiled."""
        interval = values.pop("every", None)
        key = "schedule" if interval is None else "every"
        if interval is not None:
            if "schedule" in settings:
                self.toml_error((*place, "every"), "a job has a schedule or every", "remove one")
                return False
            for zone_key in _ZONE_KEYS:
                if zone_key in settings:
                    self.toml_error(
                        (*place, zone_key),
                        f"`{zone_key}` has no meaning beside `every`: an interval has no time zone",
                        "remove it, or write a schedule of five fields",
                    )
            values["schedule"] = interval
        if key in settings:
            values["dialect"] = Dialect.STANDARD
        zone = {name: values[name] for name in _ZONE_KEYS if name in values}
        if entry is not None and key not in settings and not zone:
            return True  # compiled when vercel.json was read
        try:
            compile_schedule(values["schedule"], dialect=values["dialect"], **zone)
        except ScheduleError as error:
            message = f"`{key}`: {error.message}"
            if entry is not None and key not in settings and self.crons is not None:
                self.crons.source.error((*entry.place, key), message, error.hint)
            else:
                self.toml_error((*place, key), message, error.hint)
            return False
        return True


def _names(entries: Sequence[Entry]) -> list[str]:
    """Name the entries: what they are called, or else a name made from their path."""
    made = iter(
        job_names(
            [
                (entry.path, " ".join((entry.schedule, *entry.zone)))
                for entry in entries
                if not entry.name
            ],
            taken={entry.name for entry in entries if entry.name},
        )
    )
    return [entry.name or next(made) for entry in entries]


@lru_cache(maxsize=256)
def shortest_deadline(timeout: float, retry: RetryPolicy) -> float:
    """Return the seconds a run needs if everything takes as long as it may.

    All attempts, the longest waits between them, and one attempt more: room to send again after
    a crash.

    Args:
        timeout: seconds one attempt may take.
        retry: the job's policy.
    """
    waits, wait = 0.0, retry.backoff
    for _ in range(retry.max_attempts - 1):
        waits += min(wait, retry.max_backoff)
        wait = min(wait * 2, retry.max_backoff)
    return timeout * (retry.max_attempts + 1) + waits
