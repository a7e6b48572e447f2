"""What a configuration would have fired and will fire, against the one in force; pure.

The fires are those the planner computes: the same compiled schedules between two instants.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cronbell.domain import Blackout, JobSpec
from cronbell.schedule.blackout import blackouts_of
from cronbell.schedule.cron import schedule_of
from cronbell.schedule.explain import dst_notes

DAY = 86_400
HOUR = 3600
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class SkippedFire:
    """A fire of the other configuration that is not going to run.

    Attributes:
        fire: the instant.
        window: the blackout window it is in; None where the job is paused.
    """

    fire: int
    window: Blackout | None


@dataclass(frozen=True, slots=True)
class JobSimulation:
    """One job's fires in the window.

    Attributes:
        name: the job.
        before: how many fires the configuration in force has.
        after: how many the other one has.
        added: fires only the other one has and that stand for none that is gone.
        removed: fires only the one in force has.
        moved: (before, after): a fire that comes at another instant, within a day.
        overlaps: fires that would come while the job's run before still goes on, judged by the
            recorded durations; None where none are recorded. Skipped ones are left out.
        skipped: which of the fires after are not run, since the job is paused or a blackout
            window is open.
        skipped_before: how many of those before are not.
        notes: what changes of the clocks do to it.
    """

    name: str
    before: int
    after: int
    added: tuple[int, ...]
    removed: tuple[int, ...]
    moved: tuple[tuple[int, int], ...]
    overlaps: int | None
    skipped: tuple[SkippedFire, ...]
    skipped_before: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Simulation:
    """All jobs' fires in the window.

    Attributes:
        jobs: by name; those of either configuration.
        load: fires that run after the change by hour, epoch second of the hour's start; only
            hours that have any.
    """

    jobs: tuple[JobSimulation, ...]
    load: Mapping[int, int]


def fires_of(spec: JobSpec | None, start: int, end: int) -> Iterator[int]:
    """Yield a job's fires with ``start < fire <= end``; none for a disabled or absent one."""
    if spec is None or not spec.enabled:
        return iter(())
    return schedule_of(spec).fires(start, end)


def skipped_fires(spec: JobSpec, fires: Sequence[int], paused: int | None) -> list[SkippedFire]:
    """Return which fires are not run, as the planner and the run log decide it.

    Args:
        spec: the job.
        fires: its fires.
        paused: since when it is paused, epoch seconds; None if it is not.
    """
    blackouts = blackouts_of(spec)
    found = []
    for fire in fires:
        if paused is not None and fire >= paused:
            found.append(SkippedFire(fire, None))
        elif blackouts is not None and (window := blackouts.covering(fire)) is not None:
            found.append(SkippedFire(fire, window))
    return found


def simulate(
    live: Mapping[str, JobSpec],
    wanted: Sequence[JobSpec],
    start: int,
    end: int,
    *,
    durations: Mapping[str, float],
    paused: Mapping[str, int] | None = None,
    language: str = "en",
) -> Simulation:
    """Compare the fires of two configurations.

    Args:
        live: the configuration in force.
        wanted: the other one.
        start: epoch seconds; fires after it.
        end: epoch seconds; fires up to it.
        durations: how long each job's runs take, in seconds, where that is known.
        paused: the jobs that are paused, and since when (epoch seconds).
        language: of the notes.
    """
    specs = {spec.name: spec for spec in wanted}
    load: Counter[int] = Counter()
    jobs = []
    for name in sorted(live.keys() | specs.keys()):
        job, fires = _job(
            name,
            live.get(name),
            specs.get(name),
            (start, end),
            duration=durations.get(name),
            paused=(paused or {}).get(name),
            language=language,
        )
        jobs.append(job)
        load.update(Counter(fire // HOUR * HOUR for fire in fires))
    return Simulation(tuple(jobs), dict(sorted(load.items())))


def _job(
    name: str,
    live: JobSpec | None,
    wanted: JobSpec | None,
    window: tuple[int, int],
    *,
    duration: float | None,
    paused: int | None,
    language: str,
) -> tuple[JobSimulation, list[int]]:
    before, after = (list(fires_of(spec, *window)) for spec in (live, wanted))
    kept = set(before) & set(after)
    moved, removed, added = _pair(
        [fire for fire in before if fire not in kept], [fire for fire in after if fire not in kept]
    )
    skipped_before = [] if live is None else skipped_fires(live, before, paused)
    skipped = [] if wanted is None else skipped_fires(wanted, after, paused)
    gone = {each.fire for each in skipped}
    run = [fire for fire in after if fire not in gone]
    notes: list[str] = []
    if wanted is not None and wanted.enabled:
        notes = dst_notes(schedule_of(wanted), *window, language)
    found = JobSimulation(
        name=name,
        before=len(before),
        after=len(after),
        added=tuple(added),
        removed=tuple(removed),
        moved=tuple(moved),
        overlaps=None if duration is None else overlaps(run, duration),
        skipped=tuple(skipped),
        skipped_before=len(skipped_before),
        notes=tuple(notes),
    )
    return found, run


def overlaps(fires: Sequence[int], duration: float) -> int:
    """Count the fires that come while the run before still goes on, and so would be skipped.

    Args:
        fires: ascending, epoch seconds.
        duration: seconds a run takes.
    """
    skipped = 0
    busy_until = float("-inf")
    for fire in fires:
        if fire < busy_until:
            skipped += 1
        else:
            busy_until = fire + duration
    return skipped


def _pair(gone: list[int], come: list[int]) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Take a fire that is gone and one that has come within a day of it for one that was moved."""
    moved, removed, added = [], [], []
    at = 0
    for fire in gone:
        while at < len(come) and come[at] < fire - DAY:
            added.append(come[at])
            at += 1
        if at < len(come) and abs(come[at] - fire) <= DAY:
            moved.append((fire, come[at]))
            at += 1
        else:
            removed.append(fire)
    return moved, removed, added + come[at:]
