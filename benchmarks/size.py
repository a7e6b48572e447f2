"""Ten million runs: what each page and filter takes on the server, beside a log of 10,000.

Fills an empty store with runs (``size_rows``), has them counted as runners do, and asks for pages
through Django's own client: middleware, session, statements, templates, all but the network. On
SQLite and on a PostgreSQL of its own. Times are of the clock on the wall; the processor time that
the answer took (the store's processes included, on Linux) is printed beside them, since other work
on the machine adds to the first only. Both logs are asked by turns, question by question: how fast
a processor works changes within seconds where others share it.

    python -m benchmarks.size [--rows 200000] [--store sqlite|postgresql|both] [--rounds 40]
    python -m benchmarks.size --rows 10000000 --store sqlite --keep FOLDER

With ``--keep`` the logs stay in FOLDER and are taken as they are the next time: making one of ten
million takes half an hour. Only SQLite's are files that can stay.

Exits 1 if a promise is broken: of the promises a page's time and its weight; and for each kind of
filter that the page is the same as one found by reading everything, and totals are a recount.
Answers are compared for as long as ``--comparing`` allows; which were not is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cronbell.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from typing import IO

    from django.http import HttpResponse
    from django.test import Client

    from benchmarks.size_questions import Question

SMALL = 10_000
DEFAULT_ROWS = 200_000
STORES = ("sqlite", "postgresql")
# How many times what the same takes at 10,000 runs; kilobytes of a page.
TIMES, KILOBYTES = 2.0, 60.0
P95 = 0.95
# In so many turns each question is asked of both logs.
TURNS = 4
# Seconds for which answers of a log are compared.
COMPARING = 900.0
WARMING = 1  # templates are compiled, connections made


def main() -> int:
    """Read arguments; make, measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=DEFAULT_ROWS)
    parser.add_argument("--small", type=int, default=SMALL, help="runs of the log beside it")
    parser.add_argument("--store", choices=[*STORES, "both"], default="both")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--keep", type=Path, help="make logs here, or take those made before")
    parser.add_argument(
        "--comparing", type=float, default=COMPARING, help="seconds a log, to find answers again"
    )
    parser.add_argument("--role", choices=["make", "measure"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        return _child(arguments.role, arguments.rows, arguments.rounds, arguments.comparing)
    if arguments.keep and arguments.store != "sqlite":
        parser.error("--keep needs --store sqlite: a PostgreSQL made here goes with its server")
    stores = STORES if arguments.store == "both" else (arguments.store,)
    print(
        f"size: {arguments.rows:,} runs beside {arguments.small:,}, {arguments.rounds} rounds; "
        f"Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{datetime.now(UTC):%Y-%m-%d}"  # noqa: TID251 - the date of the measurement
    )
    sizes = (arguments.small, arguments.rows)
    asked = (arguments.rounds, arguments.comparing)
    kept = [_store(store, sizes, asked, arguments.keep) for store in stores]
    return 0 if all(kept) else 1


def _store(store: str, sizes: Sequence[int], asked: tuple[int, float], keep: Path | None) -> bool:
    with ExitStack() as stack:
        lent = (
            empty_stores(store, len(sizes))
            if keep is None
            else kept_stores([keep / f"{store}-{number}" for number in sizes])
        )
        environments = stack.enter_context(lent)
        pairs = zip(sizes, environments, strict=True)
        made = [made_once(number, environment) for number, environment in pairs]
        found = measured(environments, *asked)
    for each, log in zip(made, found, strict=True):
        print(f"\n{store}: {each['rows']:,} runs made in {each['made']:.0f} s, counted in "
              f"{each['counted']:.0f} s; {log['version']}, load {_load()}")  # fmt: skip
    return report(*found)


@contextmanager
def empty_stores(store: str, number: int) -> Iterator[Sequence[Mapping[str, str]]]:
    """Lend the environments that name so many empty stores of that kind."""
    with ExitStack() as stack:
        environments = []
        for _ in range(number):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="cronbell-size-"))
            environments.append(_environment(folder))
        if store == "postgresql":
            from tests.support import machine, postgres
            from tests.support import store as plans

            programs = machine.require("postgresql")
            settings = {"shared_buffers": "128MB", "max_wal_size": "4GB"}
            server = postgres.Server(programs, plans.plan(), settings=settings)
            stack.enter_context(server)
            for environment in environments:
                environment["DATABASE_URL"] = stack.enter_context(server.database())
        yield environments


@contextmanager
def kept_stores(folders: Sequence[Path]) -> Iterator[Sequence[Mapping[str, str]]]:
    """Lend the environments that name SQLite's files in folders, which stay."""
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    yield [_environment(str(folder)) for folder in folders]


def _environment(folder: str) -> dict[str, str]:
    ours = ("CRONBELL_", "DJANGO_", "DATABASE_URL")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return environment | {"CRONBELL_DATA": folder, "CRONBELL_LOG_LEVEL": "ERROR"}


def made_once(rows: int, environment: Mapping[str, str]) -> dict[str, Any]:
    """Fill a store, unless it was filled before to the end; return what making it took."""
    note = Path(environment["CRONBELL_DATA"]) / "made.json"
    if not note.exists():
        with role("make", environment, rows) as part:
            note.write_text(json.dumps(part.said()), encoding="utf-8")
    found: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))
    return found


class Part:
    """A part of the work that is done in a process of its own, which knows one store."""

    def __init__(self, name: str, tell: IO[str], hear: IO[str]) -> None:
        self._name = name
        self._tell = tell
        self._hear = hear

    def said(self) -> Any:
        """Return what it says next.

        Raises:
            SystemExit: it ended without saying more.
        """
        line = self._hear.readline()
        if not line:
            sys.exit(f"{self._name} failed")
        return json.loads(line)

    def turn(self) -> Any:
        """Let it do its next turn; return what it says of it."""
        self._tell.write("\n")
        self._tell.flush()
        return self.said()


@contextmanager
def role(
    name: str,
    environment: Mapping[str, str],
    rows: int = 0,
    rounds: int = 1,
    comparing: float = COMPARING,
) -> Iterator[Part]:
    """Have a part done by a process of its own, which is ended with what is inside."""
    command = [sys.executable, "-m", "benchmarks.size", "--role", name]
    command += ["--rows", str(rows), "--rounds", str(rounds), "--comparing", str(comparing)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Part(name, cast("IO[str]", process.stdin), cast("IO[str]", process.stdout))
        except BaseException:
            process.kill()
            raise


def measured(
    environments: Sequence[Mapping[str, str]], rounds: int, comparing: float = COMPARING
) -> list[dict[str, Any]]:
    """Ask logs everything by turns; return what was found of each, by question and as a whole."""
    with ExitStack() as stack:
        logs = [
            stack.enter_context(role("measure", environment, 0, rounds, comparing))
            for environment in environments
        ]
        (asked,) = {log.said() for log in logs}
        times = [[[log.turn() for log in logs] for _ in range(TURNS)] for _ in range(asked)]
        found = []
        for number, log in enumerate(logs):
            answers = [log.turn() for _ in range(asked)]
            each = [
                _together([turn[number] for turn in turns]) | answer
                for turns, answer in zip(times, answers, strict=True)
            ]
            found.append(log.turn() | {"found": each})
    return found


def _together(turns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the turns of a question amount to."""
    wall = sorted(time for turn in turns for time in turn["wall"])
    processor = sorted(time for turn in turns for time in turn["processor"])
    return {
        **turns[0]["question"],
        "p95": wall[min(len(wall) - 1, int(P95 * len(wall)))],
        "median": wall[len(wall) // 2],
        "cpu": processor[len(processor) // 2],
    }


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def report(small: Mapping[str, Any], large: Mapping[str, Any]) -> bool:
    """Print a line for each question; return whether every promise is kept."""
    print(f"{'':46}{'p95 ms':>9}{'limit':>7}{'median':>8}{'CPU':>7}{'times':>7}{'KB':>6}")
    kept = True
    for one, other in zip(large["found"], small["found"], strict=True):
        # Of processor time: what else the machine does adds to one log's times and not the other's.
        times = one["cpu"] / other["cpu"]
        # A page of fifty rows is not to be as quick as an empty one: of such a kind the small log
        # has no page to compare with.
        fewer = other["rows"] < one["rows"]
        broken = [
            word
            for word, is_broken in (
                ("slow", one["p95"] > one["limit"]),
                ("growth", one["compared"] and not fewer and times > TIMES),
                ("weight", one["page"] and one["kilobytes"] > KILOBYTES),
                ("answer", one["right"] is False),
            )
            if is_broken
        ]
        kept = kept and not broken
        print(
            f"{one['kind']:46}{one['p95']:9.1f}{one['limit']:7.0f}{one['median']:8.1f}"
            f"{one['cpu']:7.1f}{times:7.2f}{'*' if fewer else ' '}{one['kilobytes']:5.0f}  "
            f"{', '.join(broken)}"
        )
    print("* not judged: the small log's page has fewer rows")
    for name, found in (("small", small["found"]), ("large", large["found"])):
        looked_up = [one for one in found if one.get("comparable")]
        unknown = [one["kind"] for one in looked_up if one["right"] is None]
        print(
            f"{name} log: {len(looked_up) - len(unknown)} of {len(looked_up)} pages of it were "
            f"found again by plain statements; no time was left for: {', '.join(unknown) or 'none'}"
        )
    print(f"totals are a recount: {'yes' if large['recount'] else 'NO'}")
    return kept and bool(large["recount"])


def _child(role: str, rows: int, rounds: int, comparing: float) -> int:
    os.environ["DJANGO_SETTINGS_MODULE"] = "cronbell.server.settings"
    import django

    django.setup()
    for line in [_make(rows)] if role == "make" else _measure(rounds, comparing):
        print(json.dumps(line), flush=True)
    return 0


def _make(rows: int) -> dict[str, Any]:
    from django.core.management import call_command
    from django.db import connections

    from benchmarks.size_rows import make, roll_up
    from cronbell.runlog.router import ALIAS

    call_command("migrate", "runlog", database=ALIAS, verbosity=0)
    call_command("migrate", database="default", verbosity=0)
    connection = connections[ALIAS]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            # Nothing here has to outlive a power cut.
            cursor.execute("PRAGMA synchronous = OFF")
    begun = SYSTEM_CLOCK.monotonic()
    made = make(rows)
    between = SYSTEM_CLOCK.monotonic()
    roll_up()
    counted = SYSTEM_CLOCK.monotonic() - between
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # What autovacuum does by itself within minutes.
            cursor.execute("VACUUM ANALYZE")
        else:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return {"rows": made, "made": between - begun, "counted": counted}


def _measure(rounds: int, comparing: float) -> Iterator[Any]:
    """Yield how many questions there are; then, whenever told to go on, what comes next.

    That is what each turn of each question took, then whether each was answered rightly, then what
    is found of the whole.
    """
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client

    from benchmarks.size_answers import Comparison, comparable, reads_everything
    from benchmarks.size_questions import questions, recount

    settings.ALLOWED_HOSTS = ["testserver"]
    client = Client()
    viewer = User.objects.filter(username="administrator").first()
    # A store that was measured before has the user.
    viewer = viewer or User.objects.create_superuser("administrator", password="x")  # noqa: S106
    client.force_login(viewer)
    asked = questions()
    yield len(asked)
    answers = []
    for question in asked:
        for _ in range(TURNS):
            sys.stdin.readline()
            found, answer = _ask(client, question, -(-rounds // TURNS))
            yield found
        answers.append(answer)
    sys.stdin.readline()
    _as_plain_statements_like_it()
    comparison = Comparison(comparing)
    right: dict[str, bool | None] = {}
    for question, answer in sorted(
        zip(asked, answers, strict=True), key=lambda both: reads_everything(both[0])
    ):
        well = answer.status_code == HTTPStatus.OK
        right[question.kind] = (
            comparison.right(question, answer.content.decode()) if well else False
        )
    for question in asked:
        yield {"right": right[question.kind], "comparable": comparable(question)}
        sys.stdin.readline()
    yield {"recount": recount(), "version": _version()}


def _as_plain_statements_like_it() -> None:
    """Let PostgreSQL read all runs with several processes, as pages do not."""
    from django.db import connections

    from cronbell.runlog.router import ALIAS

    if connections[ALIAS].vendor == "postgresql":
        with connections[ALIAS].cursor() as cursor:
            cursor.execute("RESET max_parallel_workers_per_gather")


def _ask(client: Client, question: Question, rounds: int) -> tuple[dict[str, Any], HttpResponse]:
    for _ in range(WARMING):
        client.get(question.address)
    wall: list[float] = []
    processor: list[float] = []
    for _ in range(rounds):
        begun, used = SYSTEM_CLOCK.monotonic(), _processor()
        answer = client.get(question.address)
        wall.append((SYSTEM_CLOCK.monotonic() - begun) * 1000)
        processor.append((_processor() - used) * 1000)
    of = {
        "kind": question.kind,
        "limit": question.limit,
        "compared": question.compared,
        "kilobytes": len(answer.content) / 1024,
        "rows": _rows(answer),
        "page": not question.path.startswith("/api/"),
    }
    return {"question": of, "wall": wall, "processor": processor}, answer


def _rows(answer: HttpResponse) -> int:
    """Return how many rows an answer shows."""
    if answer.headers["Content-Type"].startswith("application/json"):
        told = json.loads(answer.content)
        return len(told.get("logs", ()))
    return answer.content.count(b'role="row"')


def _processor() -> float:
    """Return the processor time of this process and of those that serve its connections."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime + sum(_nanoseconds(pid) for pid in _backends()) * 1e-9


def _nanoseconds(pid: int) -> int:
    spent = Path(f"/proc/{pid}/schedstat")
    return int(spent.read_text().split()[0]) if spent.exists() else 0


@cache
def _backends() -> list[int]:
    from django.db import connections

    pids = []
    for connection in connections.all():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                pids.append(cursor.fetchone()[0])
    return pids


def _version() -> str:
    from django.db import connections

    from cronbell.runlog.router import ALIAS

    connection = connections[ALIAS]
    if connection.vendor == "sqlite":
        return f"SQLite {sqlite3.sqlite_version}"
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return f"PostgreSQL {cursor.fetchone()[0]}"


if __name__ == "__main__":
    sys.exit(main())
