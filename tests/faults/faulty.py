"""Twenty-five and more targets at fault beside healthy jobs, in one runner.

Each faulty run must end with the right explanation, the runner's memory must stay flat, and the
healthy jobs must not notice.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from cronbell.testing import ScriptedTarget, answers
from cronbell.testing.answers import Answer
from tests.faults.audit import MICROS, fires, read
from tests.faults.ports import free_port
from tests.faults.report import Finding
from tests.faults.settings import Settings
from tests.faults.world import ROOT, World, job, pause, until
from tests.support.processes import Process

CERTIFICATES = ROOT / "tests" / "dispatch" / "certificates"
HEALTHY = 20
TIMEOUT, DEADLINE = 2.0, 6.0  # seconds
SHORT, LONG = 12.0, 180.0  # seconds
MOST_GROWTH = 64 * 1024  # KiB between the first round of faults and the last
MOST_LATENESS = 0.25  # seconds at the 99th percentile; asserted in the full version only
OK_HEAD = b"HTTP/1.1 200 OK\r\n"
GZIPPED = b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"x" * 9999)[:-12]
TWO_LENGTHS = b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"
BAD_CHUNK = b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"
LONG_AGO = format_datetime(datetime(2001, 1, 1, tzinfo=UTC), usegmt=True)
FAR = format_datetime(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=36_500), usegmt=True)


@dataclass(frozen=True, slots=True)
class Fault:
    """A target at fault and how its run must end."""

    answer: Answer
    status: str
    reason: str


def faults() -> dict[str, Fault]:
    """Return the faults of plain HTTP by name."""
    broken, late = ("error", "reset"), ("timed_out", "timeout")
    strange, good = ("error", "protocol"), ("success", "")
    # No JSON, so there is no verdict that the part beyond the limit could have held.
    big = ("success", "")
    wait = ("error", "asked_to_wait")
    waits = ("error timed_out", "asked_to_wait deadline")  # whichever comes first
    gone = ("error", "redirected")
    bomb = answers.gzip_bomb(512 * 1024 * 1024)
    told = {
        "hang": (answers.hang(), late),
        "a byte a second": (answers.drip(OK_HEAD + b"X: " + b"x" * 99, interval=1), late),
        "a byte a second of body": (
            answers.drip(OK_HEAD + b"Content-Length: 99\r\n\r\n" + b"x" * 99, interval=0.05), late,
        ),
        "half a body, then silence": (
            answers.raw([OK_HEAD + b"Content-Length: 9\r\n\r\nhalf"], then="hang"), late,
        ),
        "reset before the answer": (answers.reset("before"), broken),
        "reset in the answer": (answers.reset("mid"), broken),
        "closed without a word": (answers.raw([]), broken),
        "endless body": (answers.endless(), big),
        "2 GB": (answers.huge(2 * 1024**3), big),
        "gzip bomb of 512 MB": (bomb, big),
        "gzip cut short": (
            answers.raw([OK_HEAD + GZIPPED]),
            broken,
        ),
        "no gzip at all": (
            answers.answer(200, b"plain", headers=[("Content-Encoding", "gzip")]), strange,
        ),
        "redirect to itself": (answers.redirect("/loop"), gone),
        "redirect to another host": (answers.redirect("http://other.example/login"), gone),
        "bad UTF-8": (answers.bad_utf8(), good),
        "length too long": (answers.wrong_length(), broken),
        "two lengths": (
            answers.raw([OK_HEAD + TWO_LENGTHS]), strange,
        ),
        "bad chunk": (answers.raw([OK_HEAD + BAD_CHUNK]), strange),
        "no HTTP": (answers.not_http(), strange),
        "a header of 1 MB": (answers.huge_header(), strange),
        "500": (answers.answer(500, b"boom"), ("error", "http_status")),
        "200 that says no": (
            answers.json_answer({"success": False, "error": "no"}), ("error", "body_error"),
        ),
        "503 without Retry-After": (answers.answer(503, b""), ("error", "http_status")),
        "503, Retry-After 1": (answers.retry_after("1"), waits),
        "429, Retry-After 1": (answers.retry_after("1", 429), waits),
        "503, Retry-After a date gone by": (answers.retry_after(LONG_AGO), waits),
        "503, Retry-After a date in 100 years": (answers.retry_after(FAR), wait),
        "429, Retry-After 1e12": (answers.retry_after("1000000000000", 429), wait),
        "503, Retry-After -1": (answers.retry_after("-1"), ("error", "http_status")),
        "503, Retry-After in words": (answers.retry_after("soon"), ("error", "http_status")),
    }  # fmt: skip
    return {name: Fault(answer, *end) for name, (answer, end) in told.items()}


def tls(name: str) -> ssl.SSLContext:
    """Return the server's side of one of the tests' certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{name}.pem")
    return context


@contextlib.contextmanager
def stalling() -> Iterator[int]:
    """Accept connections and never say a word: a handshake that stalls."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        yield int(listener.getsockname()[1])


@contextlib.contextmanager
def silent_resolver(folder: Path) -> Iterator[list[str] | None]:
    """Give a command prefix under which names are asked of a server that never answers.

    None where this user may not: it takes a mount of one's own.
    """
    config = folder / "resolv.conf"
    config.write_text("nameserver 127.0.0.97\noptions timeout:30 attempts:1\n")
    script = f'mount --bind {config} /etc/resolv.conf && exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", script, "sh"]
    possible = os.geteuid() == 0 and shutil.which("unshare") is not None
    if (
        not possible
        or subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode
    ):
        yield None
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.97", 53))
        yield prefix


def resident(pid: int) -> int:
    """Return a process's resident memory in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS: is this Linux?")


@dataclass
class Expectations:
    """How each faulty job's runs must end, and the jobs' tables."""

    ends: dict[str, tuple[str, str, str]]
    text: str = ""

    def add(self, name: str, address: str, status: str, reason: str) -> None:
        """Plan one faulty job."""
        slug = f"faulty-{len(self.ends)}"
        self.ends[slug] = (name, status, reason)
        self.text += job(
            slug, address, every="4s", timeout=f"{TIMEOUT:g}s", deadline=f"{DEADLINE:g}s",
            overlap="allow",
        )  # fmt: skip


def plan(world: World, stack: contextlib.ExitStack, *, deaf: bool) -> Expectations:
    """Script every fault and give each its job."""
    planned = Expectations({})
    for number, (name, fault) in enumerate(faults().items()):
        path = f"/faulty/{number}"
        world.target.script(path, fault.answer)
        planned.add(name, path, fault.status, fault.reason)
    for name in ("good", "expired", "elsewhere"):
        secure = stack.enter_context(ScriptedTarget(default=answers.ok(), tls=tls(name)))
        words = {"good": "of nobody known", "elsewhere": "of another host"}.get(name, name)
        planned.add(f"TLS certificate {words}", secure.url("/x"), "error", "tls")
    port = stack.enter_context(stalling())
    planned.add("TLS handshake stalls", f"https://127.0.0.1:{port}/x", "timed_out", "timeout")
    planned.add("nobody listens", f"http://127.0.0.1:{free_port()}/x", "error", "connect")
    if deaf:
        planned.add("DNS never answers", "http://late.example/x", "timed_out", "timeout")
    else:
        planned.add("DNS: no such name", "http://nowhere.invalid/x", "error", "dns")
    return planned


def beside(seconds: float, *, full: bool) -> Iterator[Finding]:
    """Run everything together, the names asked of a silent server; then that one name refused."""
    with contextlib.ExitStack() as stack:
        world = stack.enter_context(World("sqlite"))
        prefix = stack.enter_context(silent_resolver(world.home))
        planned = plan(world, stack, deaf=prefix is not None)
        yield _together(world, planned, prefix or [], seconds, full=full)
    if prefix is not None:
        yield no_such_name()


def _together(
    world: World, planned: Expectations, prefix: list[str], seconds: float, *, full: bool
) -> Finding:
    count = len(planned.ends)
    found = Finding(f"{count} faulty targets beside {HEALTHY} healthy jobs", f"{seconds:g} s")
    healthy = ""
    for number in range(HEALTHY):
        world.target.script(f"/healthy/{number}", answers.ok())
        healthy += job(
            f"healthy-{number}", f"/healthy/{number}", every="1s", timeout="20s", overlap="allow"
        )
    world.allowed += ["late.example", "nowhere.invalid"]
    world.jobs(planned.text + healthy)
    runner = world.engine(prefix=prefix)
    world.ready(runner)
    sizes = _watch_memory(runner, seconds)
    found.promise("stuck", world.settle(DEADLINE + 20))
    _judge_faulty(found, world, planned)
    _judge_healthy(found, world, full=full)
    growth = max(sizes) - sizes[0]
    found.figures["runner's memory"] = f"{sizes[0] // 1024} → at most {max(sizes) // 1024} MiB"
    found.require(f"the runner grew by {growth // 1024} MiB", holds=growth < MOST_GROWTH)
    return found


def _watch_memory(runner: Process, seconds: float) -> list[int]:
    """Look at a runner's memory ten times a second, from before the first fault on."""
    sizes = [resident(runner.pid)]
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            sizes.append(resident(runner.pid))

    watcher = threading.Thread(target=look)
    watcher.start()
    pause(seconds)
    over.set()
    watcher.join()
    return sizes


def _judge_faulty(found: Finding, world: World, planned: Expectations) -> None:
    seen: dict[str, set[tuple[str, str]]] = {}
    rows = read(world).rows
    for row in rows:
        seen.setdefault(row.job, set()).add((row.status, row.reason))
    wrong = 0
    for slug, (name, status, reason) in planned.ends.items():
        ends = seen.get(slug, set())
        right = set(zip(status.split(), reason.split() or [""], strict=True))
        if not ends or not ends <= right:
            wrong += 1
            found.broken.append(f"{name}: ended {sorted(ends)}, not {sorted(right)}")
    found.figures["faulty runs"] = sum(row.job in planned.ends for row in rows)
    found.figures["wrongly explained faults"] = wrong


def _judge_healthy(found: Finding, world: World, *, full: bool) -> None:
    rows = [row for row in read(world).rows if row.job.startswith("healthy")]
    missing, double = fires(rows)
    found.promise("healthy fires without a row", missing)
    found.promise("healthy fires with two", double)
    ends = Counter(f"{row.status} {row.reason}".strip() for row in rows)
    found.promise("healthy runs not a success", len(rows) - ends["success"])
    if len(ends) > 1:
        found.figures["how they ended"] = ", ".join(f"{n} × {end}" for end, n in ends.items())
    late = sorted((row.started_at - row.scheduled_at) / MICROS for row in rows if row.started_at)
    p99 = late[int(0.99 * (len(late) - 1))]
    found.figures["healthy runs"] = len(rows)
    found.figures["their lateness p50/p99/max"] = (
        f"{1000 * late[len(late) // 2]:.0f}/{1000 * p99:.0f}/{1000 * late[-1]:.0f} ms"
    )
    if full:
        found.require(f"p99 lateness {1000 * p99:.0f} ms", holds=p99 < MOST_LATENESS)


def no_such_name() -> Finding:
    """Call a name that does not exist."""
    found = Finding("a target whose name does not exist", "1 run")
    with World("sqlite") as world:
        world.allowed.append("nowhere.invalid")
        world.jobs(job("nowhere", "http://nowhere.invalid/x", every="2s", timeout="15s"))
        world.ready(world.engine())
        ended = "SELECT status, reason FROM runlog_run WHERE finished_at IS NOT NULL"
        until(lambda: world.query(ended), 30, "its end")
        found.require("not error, dns", holds=set(world.query(ended)) >= {("error", "dns")})
    return found


def run(settings: Settings) -> Iterator[Finding]:
    """Do it."""
    yield from beside(LONG if settings.full else SHORT, full=settings.full)
