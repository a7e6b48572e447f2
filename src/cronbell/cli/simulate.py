"""``cronbell simulate``: what the files would have fired, and will, against what is live."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cronbell.cli.output import print_json
from cronbell.cli.plan import ConfigOption, TargetOption, read_files
from cronbell.cli.setting_up import DataOption, JsonOption, open_run_log
from cronbell.cli.up import VERCEL_JSON

if TYPE_CHECKING:
    from cronbell.domain import Blackout
    from cronbell.schedule.simulate import JobSimulation, Simulation

DAY = 86_400
EXAMPLES = 3
BUSIEST = 3


def simulate(
    config: ConfigOption = VERCEL_JSON,
    target: TargetOption = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days back and ahead.")] = 30,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show what the files change: fires added, removed, moved, load, overlaps, clock changes."""
    open_run_log(data)
    from cronbell.clock import SYSTEM_CLOCK, to_micros
    from cronbell.runlog.jobs import live_jobs, spec_of
    from cronbell.runlog.queries import typical_durations
    from cronbell.schedule.simulate import simulate as run_simulation

    wanted = read_files(config, target)
    now = int(SYSTEM_CLOCK.now().timestamp())
    start, end = now - days * DAY, now + days * DAY
    live = live_jobs()
    found = run_simulation(
        {name: spec_of(job) for name, job in live.items()},
        wanted.jobs,
        start,
        end,
        durations=typical_durations(),
        paused={
            name: -(-to_micros(job.paused_at) // 1_000_000)
            for name, job in live.items()
            if job.paused_at is not None
        },
    )
    print_json(_as_dict(found, start, end)) if json else _print(found, days)


def _as_dict(found: Simulation, start: int, end: int) -> dict[str, Any]:
    return {
        "from": _iso(start),
        "until": _iso(end),
        "jobs": [
            {
                "name": job.name,
                "before": job.before,
                "after": job.after,
                "added": [_iso(fire) for fire in job.added],
                "removed": [_iso(fire) for fire in job.removed],
                "moved": [{"before": _iso(old), "after": _iso(new)} for old, new in job.moved],
                "overlaps": job.overlaps,
                "skipped": [
                    {
                        "fire": _iso(each.fire),
                        "reason": "paused" if each.window is None else "blackout",
                        "window": None if each.window is None else _window(each.window),
                    }
                    for each in job.skipped
                ],
                "skippedBefore": job.skipped_before,
                "notes": list(job.notes),
            }
            for job in found.jobs
        ],
        "load": [{"hour": _iso(hour), "fires": fires} for hour, fires in found.load.items()],
    }


def _print(found: Simulation, days: int) -> None:
    sys.stdout.write(f"the last {days} days and the next {days}:\n")
    for job in found.jobs:
        sys.stdout.write("\n".join(_lines(job)) + "\n")
    busiest = sorted(found.load.items(), key=lambda entry: (-entry[1], entry[0]))[:BUSIEST]
    for hour, fires in busiest:
        sys.stdout.write(f"busiest hour: {_iso(hour)} with {fires:,} fires\n")


def _lines(job: JobSimulation) -> list[str]:
    lines = [f"{job.name}: {job.before:,} fires → {job.after:,}"]
    for sign, fires in (("+", job.added), ("-", job.removed)):
        if fires:
            shown = ", ".join(_iso(fire) for fire in fires[:EXAMPLES])
            lines.append(f"  {sign} {len(fires):,}: {shown}{' …' if len(fires) > EXAMPLES else ''}")
    if job.moved:
        old, new = job.moved[0]
        lines.append(f"  moved {len(job.moved):,}: {_iso(old)} → {_iso(new)}, …")
    lines += _skipped(job)
    if job.overlaps:
        lines.append(f"  {job.overlaps:,} would come while the run before still goes on")
    return lines + [f"  {note}" for note in job.notes]


def _skipped(job: JobSimulation) -> list[str]:
    lines = []
    paused = [each.fire for each in job.skipped if each.window is None]
    if paused:
        lines.append(f"  {len(paused):,} skipped, the job is paused: from {_iso(paused[0])}")
    windows: dict[Blackout, list[int]] = {}
    for each in job.skipped:
        if each.window is not None:
            windows.setdefault(each.window, []).append(each.fire)
    for window, fires in windows.items():
        shown = ", ".join(map(_iso, fires[:EXAMPLES])) + (" …" if len(fires) > EXAMPLES else "")
        reason = f" ({window.reason})" if window.reason else ""
        lines.append(f"  {len(fires):,} skipped in {_window(window)}{reason}: {shown}")
    if len(job.skipped) != job.skipped_before:
        lines.append(f"  {job.skipped_before:,} of the fires in force are skipped")
    return lines


def _window(window: Blackout) -> str:
    days = ", ".join(window.days)
    zone = f" {window.timezone}" if window.timezone else ""
    return f"{days} {window.start} – {window.end}{zone}".strip()


def _iso(second: int) -> str:
    from cronbell.clock import from_micros, iso

    return iso(from_micros(second * 1_000_000))
