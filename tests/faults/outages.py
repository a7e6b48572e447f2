"""The store goes away: restarted, locked, full, read-only; and comes back."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cronbell.clock import SYSTEM_CLOCK
from tests.faults.audit import MICROS, judge, read
from tests.faults.report import Finding
from tests.faults.runners import load
from tests.faults.server import HOW
from tests.faults.settings import Settings
from tests.faults.world import World, pause, the_server, undo, until
from tests.support import machine
from tests.support.processes import Process

NOBODY = 65534
SMALL = "12m"  # a run log of its own fits; the filler takes the rest
FILL = 64 * 1024


def micros() -> int:
    """Return the wall time in microseconds."""
    return SYSTEM_CLOCK.micros()


def recovered(world: World, since: int, found: Finding, runner: Process) -> None:
    """Require that fires due after ``since`` are recorded and sent; note how soon."""
    statement = "SELECT 1 FROM runlog_run WHERE scheduled_at > ? AND status = 'success' LIMIT 1"
    came = until(lambda: _answers(world, statement, since), 30, "a success after the fault")
    found.require("no run succeeded within 30 s after the fault", holds=came)
    found.figures["first success after"] = f"{(micros() - since) / MICROS:.1f} s"
    found.require("the runner did not outlive the fault", holds=runner.running)


def nothing_parked(found: Finding) -> None:
    """Require that a runner which lives through a fault takes none of its runs for a dead one's."""
    for name in ("parked", "sent again"):
        found.promise(name, int(str(found.figures[name])))


def _answers(world: World, statement: str, since: int) -> bool:
    try:
        return bool(world.query(statement, since))
    except Exception:  # noqa: BLE001 - the store may not be back yet
        return False


def restarts(how: str, times: int, rng: random.Random) -> Finding:
    """Restart PostgreSQL in the middle of a load."""
    found = Finding(f"PostgreSQL restarted ({how}) in mid-batch", f"{times} restarts")
    with World("postgresql") as world:
        load(world, rng)
        runner = world.engine()
        world.ready(runner)
        for _ in range(times):
            into = SYSTEM_CLOCK.now().microsecond / 1e6
            pause(2 - into + rng.uniform(0, 0.2))
            the_server().restart(how)
            recovered(world, micros(), found, runner)
        judge(found, world, stuck=world.settle(60))
    return found


def locked(seconds: float) -> Finding:
    """Hold SQLite's write lock from another process."""
    found = Finding(f"SQLite locked by another process for {seconds:g} s", "once")
    with World("sqlite") as world:
        load(world, random.Random(1))
        runner = world.engine()
        world.ready(runner)
        pause(2)
        with contextlib.closing(world.connect()) as other:
            other.execute("BEGIN IMMEDIATE")
            pause(seconds)
            other.execute("ROLLBACK")
        recovered(world, micros(), found, runner)
        ledger = judge(found, world, stuck=world.settle(60))
        nothing_parked(found)
        late = max(row.started_at - row.scheduled_at for row in ledger.rows if row.started_at)
        found.figures["longest wait for a start"] = f"{late / MICROS:.1f} s"
        found.figures["made up for as missed"] = sum(row.missed_count for row in ledger.rows)
    return found


@contextlib.contextmanager
def small_disk() -> Iterator[Path]:
    """Mount a file system of a few megabytes.

    Raises:
        subprocess.CalledProcessError: this user may not.
    """
    folder = Path(tempfile.gettempdir()) / f"cronbell-faults-disk-{os.getpid()}"
    folder.mkdir(mode=0o700)
    try:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL},mode=700", "tmpfs", folder]
        subprocess.run(mount, check=True, capture_output=True)
        undo[folder] = lambda: _unmount(folder)
        try:
            yield folder
        finally:
            _unmount(folder)
            undo.pop(folder, None)
    finally:
        folder.rmdir()


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", folder], check=True, capture_output=True)


def disk_full(seconds: float) -> Finding:
    """Fill the disk under a runner, then make room again."""
    found = Finding("disk full and room again", f"full for {seconds:g} s")
    with contextlib.ExitStack() as stack:
        try:
            disk = stack.enter_context(small_disk())
        except (OSError, subprocess.CalledProcessError) as error:
            found.skipped = f"a small file system can be mounted by root only ({error})"
            return found
        world = stack.enter_context(World("sqlite", folder=disk / "data"))
        load(world, random.Random(1))
        runner = world.engine()
        world.ready(runner)
        pause(2)
        filler = disk / "filler"
        _fill(filler)
        until(lambda: "cannot be written" in runner.output(), 10, "the runner to notice")
        _fill(filler)
        before = len(world.target.requests)
        pause(seconds)
        found.figures["calls while full"] = len(world.target.requests) - before
        filler.unlink()
        found.require(
            "the runner said nothing about it", holds="cannot be written" in runner.output()
        )
        recovered(world, micros(), found, runner)
        judge(found, world, stuck=world.settle(60))
        nothing_parked(found)
    return found


def _fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(FILL))
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(b"x")


def writes_refused(seconds: float) -> Finding:
    """Have every write to the files of a running runner answered as on a read-only file system."""
    found = Finding("file system read-only under a runner", f"for {seconds:g} s")
    strace = machine.find("strace")
    if strace is None:
        found.skipped = machine.INSTALL["strace"]
        return found
    with World("sqlite") as world:
        load(world, random.Random(1))
        runner = world.engine()
        world.ready(runner)
        pause(2)
        words = [
            strace, "-f", "-q", "-o", world.home / "strace", "-p", str(runner.pid),
            "-e", "trace=pwrite64,ftruncate,fallocate",
            "-e", "inject=pwrite64,ftruncate,fallocate:error=EROFS",
        ]  # fmt: skip
        tracer = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        pause(seconds)
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
        refused = (world.home / "strace").read_text().count("EROFS")
        found.figures["writes refused"] = refused
        found.require("no write was refused: the fault did not happen", holds=refused > 0)
        recovered(world, micros(), found, runner)
        judge(found, world, stuck=world.settle(60))
        nothing_parked(found)
    return found


def read_only_files() -> Finding:
    """Start a runner on database files it may not write, then give it the right."""
    found = Finding("database files read-only at a start", "once")
    with World("sqlite") as world:
        load(world, random.Random(1))
        whose = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        if os.geteuid() == 0:
            if shutil.which("setpriv") is None:
                found.skipped = "root may write any file, and there is no setpriv to be another"
                return found
            world.home.chmod(0o755)
            for path in (world.data, *world.data.iterdir(), world.toml):
                os.chown(path, NOBODY, NOBODY)
        else:
            whose = []
        _let_write(world, may=False)
        runner = world.engine(prefix=whose)
        noticed = until(lambda: "cannot be written" in runner.output(), 30, "its complaint")
        found.require("the runner said nothing about it", holds=noticed)
        found.promise("calls meanwhile", len(world.target.requests))
        _let_write(world, may=True)
        recovered(world, micros(), found, runner)
        judge(found, world, stuck=world.settle(60))
        nothing_parked(found)
        found.figures["rows"] = len(read(world).rows)
    return found


def _let_write(world: World, *, may: bool) -> None:
    for path in world.data.iterdir():
        if path.is_file():
            path.chmod(0o600 if may else 0o400)
    world.data.chmod(0o700 if may else 0o500)


def run(settings: Settings) -> Iterator[Finding]:
    """Do each on the store it is about: what befalls a server beside what befalls files."""
    full = settings.full
    with ThreadPoolExecutor(2) as pool:
        on_files = pool.submit(
            lambda: [
                locked(1),
                *([locked(60)] if full else []),
                disk_full(20 if full else 4),
                writes_refused(20 if full else 3),
                read_only_files(),
            ]
        )
        if "postgresql" in settings.stores:
            rng = random.Random(settings.seed)
            for how in HOW:
                yield restarts(how, 20 if full else 2, rng)
        yield from on_files.result()
