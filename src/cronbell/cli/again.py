"""``cronbell rerun``, ``replay``, ``backfill``, ``backfills``: runs asked for after the fact."""

from __future__ import annotations

import getpass
import secrets
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cronbell.cli.output import print_json, print_table
from cronbell.cli.setting_up import DataOption, JsonOption, open_run_log
from cronbell.domain import Overlap
from cronbell.errors import CronbellError
from cronbell.states import Status

if TYPE_CHECKING:
    from cronbell.runlog.again import Found

SHOWN = 20
ALLOWED = (Overlap.QUEUE_ALL, Overlap.ALLOW, Overlap.SKIP)

SinceOption = Annotated[
    str | None, typer.Option("--since", help="From here on; 2026-11-22T09:00Z, UTC if no offset.")
]
UntilOption = Annotated[str | None, typer.Option("--until", help="Up to here; like --since.")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask first.")]
OverlapOption = Annotated[
    str | None, typer.Option("--overlap", help="queue_all (one after the other), allow or skip.")
]


class RangeError(CronbellError):
    """An option of these commands that cannot be read, or a question nobody can answer."""

    code = "range"


def rerun(
    run: Annotated[
        int, typer.Argument(metavar="RUN", help="The run's number; see `cronbell runs`.")
    ],
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Do a run once more, with a key of its own: the endpoint works again."""
    open_run_log(data)
    from cronbell.runlog.again import rerun as run_again
    from cronbell.runlog.shape import log_row

    new = run_again(run, nonce=secrets.token_hex(16), actor=_actor())
    if json:
        print_json(log_row(new))
        return
    sys.stdout.write(f"run {new.pk} of {new.job.name} does run {run} again, under a new key\n")


def replay(
    job: Annotated[str, typer.Argument(metavar="[JOB]", help="The job's name.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All jobs.")] = False,
    status: Annotated[
        str, typer.Option("--status", help="Statuses, separated by commas.")
    ] = "error,timed_out",
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option("--limit", help="The oldest so many; 1,000 at most.")] = 100,
    overlap: OverlapOption = None,
    at_most_once: Annotated[
        bool,
        typer.Option(
            "--include-at-most-once", help="Runs too whose request may be sent only once."
        ),
    ] = False,
    dry_run: DryOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Do runs again that ended badly, each once, one after the other."""
    if bool(job) == everything:
        raise RangeError("say which runs", hint="name a job, or say --all")
    open_run_log(data)
    from cronbell.runlog.again import Chosen, find
    from cronbell.runlog.again import replay as do_again

    found = find(
        Chosen(
            job_name=job,
            statuses=_statuses(status),
            since=_instant("--since", since),
            until=_instant("--until", until),
            limit=limit,
            at_most_once=at_most_once,
        )
    )
    ids = [run.pk for run in found.runs]
    facts: dict[str, Any] = {
        "runs": ids,
        "more": found.more,
        "leftOut": found.left_out,
        "replayed": 0,
    }
    if not json:
        _show(found)
    if ids and not dry_run:
        _confirm(f"Do {len(ids)} runs again?", yes=yes)
        wanted = None if overlap is None else _overlap(overlap)
        nonce = secrets.token_hex(16)
        facts["replayed"] = do_again(found.runs, nonce=nonce, actor=_actor(), overlap=wanted)
        if not json:
            sys.stdout.write(f"{facts['replayed']} runs are queued\n")
    if json:
        print_json(facts)


def backfill(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's name; see `cronbell jobs`.")],
    since: Annotated[str, typer.Option("--since", help="The first instant, UTC if no offset.")],
    until: UntilOption = None,
    overlap: OverlapOption = None,
    missed_only: Annotated[
        bool, typer.Option("--missed-only", help="Only fires that were missed.")
    ] = False,
    dry_run: DryOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Run a job for every fire of its schedule in a range of the past."""
    open_run_log(data)
    from cronbell.clock import SYSTEM_CLOCK, from_micros, iso
    from cronbell.runlog import backfilling

    wanted = backfilling.Range(
        job_name=job,
        since=_instant("--since", since) or SYSTEM_CLOCK.now(),
        until=_instant("--until", until) or SYSTEM_CLOCK.now(),
        overlap=Overlap.QUEUE_ALL if overlap is None else _overlap(overlap),
        missed_only=missed_only,
    )
    found = backfilling.preview(wanted)
    first, last = (
        None if at is None else iso(from_micros(at * 1_000_000)) for at in (found.first, found.last)
    )
    if not json:
        span = f", {first} to {last}" if first else ""
        sys.stdout.write(f"{found.fires} fires of {job}{span}\n")
    if dry_run:
        if json:
            print_json({"jobName": job, "fires": found.fires, "first": first, "last": last})
        return
    if found.fires:
        _confirm(f"Run {job} {found.fires} times?", yes=yes)
    made = backfilling.start(wanted, nonce=secrets.token_hex(16), actor=_actor())
    if json:
        print_json(backfilling.shape(made))
        return
    sys.stdout.write(
        f"backfill {made.pk} goes on; `cronbell backfills` shows how far,"
        f" `cronbell cancel --backfill {made.pk}` ends it\n"
    )


def backfills(
    pause: Annotated[
        int | None, typer.Option("--pause", metavar="ID", help="Record no more runs of this one.")
    ] = None,
    resume: Annotated[
        int | None, typer.Option("--resume", metavar="ID", help="Go on with this one.")
    ] = None,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """List the newest backfills and how far they are; pause or resume one."""
    open_run_log(data)
    from cronbell.runlog import backfilling
    from cronbell.runlog.models import Backfill

    if pause is not None:
        backfilling.pause(pause)
    if resume is not None:
        backfilling.resume(resume)
    newest = Backfill.objects.select_related("job").order_by("-id")[:SHOWN]
    facts = [backfilling.shape(one) for one in newest]
    if json:
        print_json({"backfills": facts})
        return
    names = ["id", "jobName", "since", "until", "fires", "state", "runs", "actor"]
    print_table(names, [[str(fact[name]) for name in names] for fact in facts])


def _statuses(words: str) -> tuple[Status, ...]:
    try:
        return tuple(Status(word.strip()) for word in words.split(","))
    except ValueError as error:
        raise RangeError(f"--status: {error}", hint=f"use some of {', '.join(Status)}") from None


def _show(found: Found) -> None:
    for run in found.runs[:SHOWN]:
        sys.stdout.write(f"{run.pk}  {run.job.name}  {run.scheduled_at:%F %TZ}  {run.status}\n")
    more = " (there are more; see --limit)" if found.more else ""
    sys.stdout.write(f"{len(found.runs)} runs to do again{more}\n")
    if found.left_out:
        sys.stdout.write(
            f"{found.left_out} left out: called at most once, and perhaps called"
            " (--include-at-most-once)\n"
        )


def _actor() -> str:
    return f"{getpass.getuser()} (command line)"


def _overlap(word: str) -> Overlap:
    try:
        if (found := Overlap(word)) in ALLOWED:
            return found
    except ValueError:
        pass
    raise RangeError(f"--overlap: {word!r} cannot be chosen", hint=f"use {', '.join(ALLOWED)}")


def _instant(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RangeError(
            f"{option}: {text!r} is not a date or time", hint="write it as 2026-11-22T09:00:00Z"
        ) from None


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise RangeError("nobody can be asked here", hint="say --yes, or look with --dry-run")
    typer.confirm(question, abort=True)
