"""``[alerts]`` of ``cronbell.toml``: who is told, about what, how, and when not.

What is read here travels through the run log (``Configuration.alerts``), so that runners, the web
process and the command line go by the same. A secret is never part of it: only the name of the
variable or file that has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from cronbell.domain import Blackout

MINUTE, HOUR = 60.0, 3_600.0
RECOVERED = "recovered"


class Condition(StrEnum):
    """What an incident is about."""

    FAILED = "failed"  # so many runs in a row
    LATE = "late"  # due, and not begun in time
    MISSED = "missed"  # due, and never run
    TOO_LONG = "too_long"  # still running after far longer than usual
    BACKLOG = "backlog"  # more is pending after each run
    RUNNER_DOWN = "runner_down"  # nobody is there to run anything


class ChannelType(StrEnum):
    """How a message is sent."""

    WEBHOOK = "webhook"
    SLACK = "slack"
    EMAIL = "email"


EVENTS = (*Condition, RECOVERED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a job is worth an alert.

    Attributes:
        enabled: whether it ever is worth one.
        after: failures in a row.
        partial: whether a run that ended ``partial`` is a failure; if not, it is a success.
        late: seconds a run may begin after it was due.
        too_long: seconds a run may go on; unset: twice what nineteen in twenty take, and at least
            a minute more.
        backlog: from so many pending on a backlog that grows is told; unset: never.
        channels: only these are told; unset: every channel that takes this job.
    """

    enabled: bool = True
    after: int = 1
    partial: bool = True
    late: float = 5 * MINUTE
    too_long: float | None = None
    backlog: int | None = None
    channels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """Where messages go.

    Attributes:
        name: as configured.
        type: how they are sent.
        on: the conditions told there, and ``recovered``.
        jobs: patterns of job names (``*`` matches anything); runners are told wherever ``on`` says.
        quiet: windows in which nothing is sent; what happens meanwhile is told afterwards.
        timezone: of the quiet windows, and of the times in messages.
        language: of messages; unset: the service's.
        digest: seconds for which a message waits for others to go with it.
        remind: seconds between reminders of what lasts; "never" for none.
        url: the address of a webhook, or the name of what holds it (``env:NAME``, ``file:PATH``).
        secret: names of what holds a webhook's signing secrets, the current one first.
        smtp: ``host:port`` of a mail server.
        tls: ``starttls``, ``tls`` or ``none``.
        username: at the mail server, where it asks for one.
        password: the name of what holds the password for it.
        sender: the address mail comes from.
        to: the addresses it goes to.
    """

    name: str
    type: ChannelType
    on: tuple[str, ...] = EVENTS
    jobs: tuple[str, ...] = ("*",)
    quiet: tuple[Blackout, ...] = ()
    timezone: str = "UTC"
    language: str = ""
    digest: float = MINUTE
    remind: float | None = 4 * HOUR
    url: str = ""
    secret: tuple[str, ...] = ()
    smtp: str = ""
    tls: str = "starttls"
    username: str = ""
    password: str = ""
    sender: str = ""
    to: tuple[str, ...] = ()

    def takes(self, job: str) -> bool:
        """Say whether the patterns take a job in."""
        return any(fnmatchcase(job, pattern) for pattern in self.jobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """All there is to know about telling.

    Attributes:
        channels: by name; none: nothing is judged at all.
        rule: for jobs that say nothing of their own.
        jobs: what jobs say of their own, by name and field of ``Rule``.
        runner_down: seconds without a runner.
        link: the address of the pages, put before paths in messages; empty for no links.
        hosts: hosts that may be called, as for jobs.
    """

    channels: Mapping[str, Channel] = field(default_factory=lambda: MappingProxyType({}))
    rule: Rule = field(default_factory=Rule)
    jobs: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))
    runner_down: float = MINUTE
    link: str = ""
    hosts: frozenset[str] = frozenset()

    @property
    def told(self) -> frozenset[str]:
        """The conditions that any channel is told of."""
        return frozenset(event for channel in self.channels.values() for event in channel.on)

    def rule_of(self, job: str) -> Rule:
        """Return the rule of a job."""
        own = self.jobs.get(job)
        return replace(self.rule, **own) if own else self.rule

    def channels_for(self, condition: str, job: str | None) -> list[Channel]:
        """Return the channels that are told of a condition.

        Args:
            condition: a ``Condition``.
            job: whose; None where it is no job's.
        """
        told = [channel for channel in self.channels.values() if condition in channel.on]
        if job is None:
            return told
        rule = self.rule_of(job)
        if not rule.enabled:
            return []
        if rule.channels is not None:
            return [channel for channel in told if channel.name in rule.channels]
        return [channel for channel in told if channel.takes(job)]

    def plain(self) -> dict[str, Any]:
        """Return it as JSON holds it; ``from_plain`` reads it back."""
        return {
            "channels": {name: _plain(channel) for name, channel in self.channels.items()},
            "rule": _plain(self.rule),
            "jobs": {name: {k: _simple(v) for k, v in own.items()} for name, own in
                     self.jobs.items()},
            "runner_down": self.runner_down,
            "link": self.link,
            "hosts": sorted(self.hosts),
        }  # fmt: skip

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Alerts:
        """Return what ``plain`` gave; of an empty mapping, alerts that tell nobody."""
        channels = {name: _channel(one) for name, one in plain.get("channels", {}).items()}
        jobs = {name: _frozen(own) for name, own in plain.get("jobs", {}).items()}
        return cls(
            channels=channels,
            rule=Rule(**_frozen(plain.get("rule", {}))),
            jobs=jobs,
            runner_down=plain.get("runner_down", MINUTE),
            link=plain.get("link", ""),
            hosts=frozenset(plain.get("hosts", ())),
        )


NO_ALERTS = Alerts()
RULE_FIELDS = frozenset(each.name for each in fields(Rule))


def unknown_channels(names: Iterable[str], alerts: Alerts) -> list[str]:
    """Return those of the names that no channel has."""
    return [name for name in names if name not in alerts.channels]


def _plain(record: Rule | Channel) -> dict[str, Any]:
    return {name: _simple(value) for name, value in asdict(record).items()}


def _simple(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_simple(each) for each in value]
    if isinstance(value, dict):
        return {name: _simple(each) for name, each in value.items()}
    return str(value) if isinstance(value, StrEnum) else value


def _frozen(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()
    }


def _channel(plain: Mapping[str, Any]) -> Channel:
    values = _frozen(plain)
    values["type"] = ChannelType(values["type"])
    values["quiet"] = tuple(Blackout(**_frozen(window)) for window in plain.get("quiet", ()))
    return Channel(**values)
