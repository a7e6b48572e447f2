"""``[retention]`` of ``cronbell.toml``: how long ended runs are kept, by status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from cronbell.config.values import DAY, Reader, seconds, whole
from cronbell.states import Status

FOREVER = "forever"
LONGEST = 3_650 * DAY
NEWEST = "newest"
# What went well is soon of no interest; what failed is looked into, and what was never run asked
# about, much later.
DEFAULTS: Mapping[Status, float] = MappingProxyType(
    {
        Status.SUCCESS: 30 * DAY,
        Status.SKIPPED: 30 * DAY,
        Status.CANCELLED: 30 * DAY,
        Status.PARTIAL: 180 * DAY,
        Status.ERROR: 180 * DAY,
        Status.TIMED_OUT: 180 * DAY,
        Status.UNKNOWN: 180 * DAY,
        Status.MISSED: 365 * DAY,
    }
)
DEFAULT_NEWEST = 100


@dataclass(frozen=True, slots=True)
class Retention:
    """How long ended runs are kept.

    Attributes:
        seconds: since a run's end, by status; None for ever.
        newest: so many of each job's newest runs are kept however old they are.
    """

    seconds: Mapping[Status, float | None] = field(default_factory=lambda: DEFAULTS)
    newest: int = DEFAULT_NEWEST

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Retention:
        """Return what ``[retention]`` says, with the defaults for what it leaves out."""
        given: dict[Status, float | None] = {
            status: None if settings[status] == FOREVER else settings[status]
            for status in DEFAULTS
            if status in settings
        }
        return cls({**DEFAULTS, **given}, settings.get(NEWEST, DEFAULT_NEWEST))

    def plain(self) -> dict[str, float | str]:
        """Return it as JSON and ``cronbell plan`` show it; ``from_settings`` reads it back."""
        ages = {s.value: FOREVER if age is None else age for s, age in self.seconds.items()}
        return {**ages, NEWEST: self.newest}


def _age(value: Any) -> float | str:
    return FOREVER if value == FOREVER else float(_seconds(value))


_seconds = seconds(DAY, LONGEST)
RETENTION_KEYS: dict[str, Reader] = {
    **{status.value: _age for status in DEFAULTS},
    NEWEST: whole(1, 100_000),
}
