"""``python -m tests.faults``: every experiment, a table, and 1 where a promise is broken."""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support import machine, processes, store

store.prepare()

from cronbell.clock import SYSTEM_CLOCK  # noqa: E402
from tests.faults import (  # noqa: E402 - the environment is cleared first
    calls,
    clocks,
    drains,
    faulty,
    kills,
    month,
    outages,
    report,
    runners,
    sabotage,
    syscalls,
    world,
)
from tests.faults.report import Finding  # noqa: E402
from tests.faults.settings import Settings  # noqa: E402

Experiment = Callable[[Settings], Iterator[Finding]]
EXPERIMENTS: dict[str, Experiment] = {
    "kills": kills.run,
    "syscalls": syscalls.run,
    "drains": drains.run,
    "calls": calls.run,
    "runners": runners.run,
    "outages": outages.run,
    "clocks": clocks.run,
    "month": month.run,
    "faulty": faulty.run,
    "sabotage": sabotage.run,
}
SHORT_KILLS, FULL_KILLS = 20, 1000
TESTED = {"drains"}  # the tests do the same with a few kills: not in the short version


def _names(text: str) -> list[str]:
    return text.split(",")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--full", action="store_true", help="the long version")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="repeat a run")
    parser.add_argument("--kills", type=int, help="of each store and delivery")
    parser.add_argument("--only", type=_names, help=f"of {', '.join(EXPERIMENTS)}")
    parser.add_argument("--but", type=_names, default=[], help="leave out some of these")
    parser.add_argument("--write", type=Path, help="put the figures into this document")
    told = parser.parse_args()
    unknown = {*(told.only or ()), *told.but} - EXPERIMENTS.keys()
    if unknown:
        parser.error(f"no experiment {', '.join(sorted(unknown))}; see --help")
    if told.kills is not None and told.kills < 1:
        parser.error("--kills is at least 1")
    return told


def perform(
    chosen: list[str], settings: Settings, keep: Callable[[list[Finding]], None]
) -> list[Finding]:
    """Do the chosen experiments one after the other, each shown and kept as it ends."""
    findings: list[Finding] = []
    for name in chosen:
        begun = SYSTEM_CLOCK.monotonic()
        try:
            for found in EXPERIMENTS[name](settings):
                found.seconds = SYSTEM_CLOCK.monotonic() - begun
                begun = SYSTEM_CLOCK.monotonic()
                findings.append(found)
                print("\n".join(report.lines(found)), flush=True)
                keep(findings)
        except Exception as error:  # noqa: BLE001 - one that breaks must not hide the others
            traceback.print_exc()
            broken = Finding(name, broken=[f"the experiment failed: {type(error).__name__}"])
            findings.append(broken)
            print("\n".join(report.lines(broken)), flush=True)
    return findings


def stray(findings: list[Finding]) -> None:
    """End, by its id, what an experiment left running, and say so."""
    left = processes.strays() - processes.lasting
    for pid in left:
        findings.append(Finding("clean up", broken=[f"left running: {processes.describe(pid)}"]))
        print("\n".join(report.lines(findings[-1])))
        os.kill(pid, 9)


def interrupted(_number: int, _frame: object) -> None:
    """End everything now: threads in the middle of an experiment are not waited for."""
    world.abandon()
    os._exit(130)


def writer(
    told: argparse.Namespace, settings: Settings, facts: dict[str, str]
) -> Callable[[list[Finding]], None]:
    """Return what puts the findings so far into the document: an hour's work is not to be lost."""
    begun = SYSTEM_CLOCK.monotonic()
    version = "full" if settings.full else "short"
    title = f"Seed {settings.seed}, {settings.kills} kills each, {version} version"
    if told.only:
        title += f", only {', '.join(told.only)}"
    if told.but:
        title += f", but {', '.join(told.but)}"

    def keep(findings: list[Finding]) -> None:
        if "server" in world.shared:
            facts.setdefault("PostgreSQL", world.the_server().version())
        if told.write:
            seconds = SYSTEM_CLOCK.monotonic() - begun
            section = report.markdown(findings, title=title, facts=facts, seconds=seconds)
            report.write_into(told.write, section)

    return keep


def main() -> int:
    """Return 0 only if every promise held and, in CI, everything was done."""
    told = arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    with_postgresql = machine.find("postgresql") is not None
    settings = Settings(
        seed=told.seed,
        full=told.full,
        kills=told.kills or (FULL_KILLS if told.full else SHORT_KILLS),
        stores=("sqlite", "postgresql") if with_postgresql else ("sqlite",),
    )
    facts = report.versions()
    begun = SYSTEM_CLOCK.monotonic()
    print(f"== faults, seed {settings.seed}, " + ", ".join(f"{n} {w}" for n, w in facts.items()))
    keep = writer(told, settings, facts)
    try:
        usual = [name for name in EXPERIMENTS if settings.full or name not in TESTED]
        chosen = [name for name in told.only or usual if name not in told.but]
        findings = perform(chosen, settings, keep)
    finally:
        world.clean_up()
    if not with_postgresql:
        words = f"no PostgreSQL here: {machine.INSTALL['postgresql']}"
        findings.append(Finding("everything on PostgreSQL", skipped=words))
        print("\n".join(report.lines(findings[-1])))
    stray(findings)
    keep(findings)
    broken = [found for found in findings if found.broken]
    skipped = [found for found in findings if found.skipped]
    print(
        f"== {len(findings)} findings, {len(broken)} broken, {len(skipped)} not done here,"
        f" {SYSTEM_CLOCK.monotonic() - begun:.0f} s; again with --seed {settings.seed}"
    )
    # Once more at the very end: whoever keeps only the last lines of a log must learn what broke.
    for found in [*broken, *(skipped if machine.in_ci() else [])]:
        print("\n".join(report.lines(found)))
    return int(bool(broken) or (bool(skipped) and machine.in_ci()))


if __name__ == "__main__":
    sys.exit(main())
