"""Caps per run and per day: what a call may use is reserved before it, corrected after it.

So a cap holds exactly, however many calls and runs are at work, for what is known beforehand:
items, calls, and what ``most`` says one call can use at most. Without it tokens, seconds and money
are known only afterwards; then no call begins once the cap is reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from decimal import ROUND_CEILING, Decimal

from django.db.models import F

from cronbell.clock import Clock
from cronbell.drain.models import DrainDay
from cronbell.errors import ConfigError

MILLION = 1_000_000

# Our words for what is counted, and the columns of ``DrainDay``.
COLUMNS = {
    "items": "items",
    "calls": "calls",
    "tokens": "tokens",
    "seconds": "microseconds",
    "money": "micromoney",
}
FINE = frozenset({"seconds", "money"})  # counted in millionths

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What handling records took.

    Attributes:
        items: records.
        calls: requests sent for them, to a model say.
        tokens: of a model.
        seconds: from sending to having the answer, all calls added up.
        money: in whatever currency the caps are in.
    """

    items: int = 1
    calls: int = 1
    tokens: int = 0
    seconds: float = 0.0
    money: Decimal = Decimal(0)

    def counts(self) -> dict[str, int]:
        """Return whole numbers by word; seconds and money in millionths, rounded up."""
        return {name: _whole(name, getattr(self, name)) for name in COLUMNS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Limits; None is no limit. See ``Usage`` for what is counted.

    Raises:
        ConfigError: one is negative.
    """

    items: int | None = None
    calls: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    money: Decimal | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not value >= 0:
                raise ConfigError(
                    f"the cap on {field.name} is {value}",
                    hint="write 0 or more, or leave it out for no cap",
                )

    def counts(self) -> dict[str, int]:
        """Return the caps there are, as ``Usage.counts`` counts."""
        return {
            name: _whole(name, getattr(self, name))
            for name in COLUMNS
            if getattr(self, name) is not None
        }


@dataclass(frozen=True, slots=True)
class Reached:
    """A cap that allows no further call.

    Attributes:
        per: ``run`` or ``day``.
        what: ``items``, ``calls``, ``tokens``, ``seconds`` or ``money``.
    """

    per: str
    what: str


@dataclass(frozen=True, slots=True)
class Reserved:
    """What was set aside for one call.

    Attributes:
        day: whose counters hold it.
        counts: how much of each.
    """

    day: date
    counts: Counts


Correction = tuple[Reserved, Counts]  # what was set aside for a call, and what it used


class Budget:
    """The caps of one run.

    Args:
        drain: the drain's name: its runs share the day's counters.
        run: caps of this run.
        day: caps of each day (UTC).
        most: the most that one call can use.
        using: the database alias of the counters.
        clock: says which day it is.
    """

    def __init__(
        self, drain: str, *, run: Caps, day: Caps, most: Usage, using: str, clock: Clock
    ) -> None:
        self._drain = drain
        self._run, self._day = run.counts(), day.counts()
        self._most = most.counts()
        self._using = using
        self._clock = clock
        self._known: set[date] = set()
        self._unwritten: dict[date, dict[str, int]] = {}
        self.used = dict.fromkeys(COLUMNS, 0)

    def reserve(self) -> Reserved | Reached:
        """Set aside what the next call may use; belongs into the transaction of its intent.

        Follow it with ``book`` once that transaction has committed.
        """
        for name, cap in self._run.items():
            if self.used[name] + self._needs(name) > cap:
                return Reached("run", name)
        today = self._clock.now().date()
        if not self._day:
            return Reserved(today, self._most)
        self._ensure(today)
        fits = {f"{COLUMNS[name]}__lte": cap - self._needs(name) for name, cap in self._day.items()}
        rows = DrainDay.objects.using(self._using).filter(drain=self._drain, day=today)
        if not rows.filter(**fits).update(**_added(self._most)):
            return Reached("day", self._full(today))
        return Reserved(today, self._most)

    def book(self, reserved: Reserved) -> None:
        """Count a reservation towards this run."""
        for name, count in reserved.counts.items():
            self.used[name] += count

    def unbook(self, reserved: Reserved) -> None:
        """Take ``book`` back: the transaction did not commit."""
        for name, count in reserved.counts.items():
            self.used[name] -= count

    def store(self, corrections: Sequence[Correction]) -> None:
        """Replace reservations by what the calls really used, in the day's row.

        Belongs into the transaction that settles their records; ``take_in`` follows its commit.
        """
        if not self._day:
            return
        changes: dict[date, dict[str, int]] = {}
        for reserved, used in corrections:
            day = changes.setdefault(reserved.day, dict.fromkeys(COLUMNS, 0))
            for name, count in used.items():
                day[name] += count - reserved.counts[name]
        for each, change in changes.items():
            if any(change.values()):
                self._add(each, change)

    def take_in(self, corrections: Sequence[Correction]) -> None:
        """Replace reservations by what the calls really used, as far as this run counts."""
        for reserved, used in corrections:
            for name, count in used.items():
                self.used[name] += count - reserved.counts[name]
            if not self._day:
                day = self._unwritten.setdefault(reserved.day, dict.fromkeys(COLUMNS, 0))
                for name, count in used.items():
                    day[name] += count

    def correct(self, reserved: Reserved, used: Usage) -> None:
        """Do both for one call, outside any transaction of the caller's."""
        correction = (reserved, used.counts())
        self.store([correction])
        self.take_in([correction])

    def write(self) -> None:
        """Store what was used on days without caps: only then is it not stored at once."""
        while self._unwritten:
            day, counts = self._unwritten.popitem()
            self._ensure(day)
            self._add(day, counts)

    def _add(self, day: date, counts: Counts) -> None:
        rows = DrainDay.objects.using(self._using)
        rows.filter(drain=self._drain, day=day).update(**_added(counts))

    def _needs(self, name: str) -> int:
        # Where it is not known how much a call will use, there must at least be some left.
        return max(self._most[name], 1)

    def _ensure(self, day: date) -> None:
        if day not in self._known:
            made = DrainDay(drain=self._drain, day=day)
            DrainDay.objects.using(self._using).bulk_create([made], ignore_conflicts=True)
            self._known.add(day)

    def _full(self, day: date) -> str:
        row = DrainDay.objects.using(self._using).get(drain=self._drain, day=day)
        full = (
            name
            for name, cap in self._day.items()
            if getattr(row, COLUMNS[name]) + self._needs(name) > cap
        )
        # Another run may have given some back between the two statements.
        return next(full, next(iter(self._day)))


def _added(counts: Counts) -> dict[str, object]:
    return {COLUMNS[name]: F(COLUMNS[name]) + count for name, count in counts.items() if count}


def _whole(name: str, value: float | Decimal) -> int:
    if name not in FINE or not value:
        return int(value)
    return int((Decimal(str(value)) * MILLION).to_integral_value(ROUND_CEILING))
