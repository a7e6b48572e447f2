"""``make test``: the whole suite on SQLite, then what depends on the store on PostgreSQL.

Each suite runs in several processes side by side, since most tests wait for one. Arguments go to
pytest, and a later one wins: ``make test ARGS="tests/schedule -x"``, ``ARGS="-n0 --pdb"``.
Where this machine has no PostgreSQL the closing lines say so; under ``CI=true`` that is a failure.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.support import failures, machine, store  # noqa: E402

NOTHING_SELECTED = 5  # pytest's exit code
INTERRUPTED = 2  # likewise
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of an unused name is made in it
ROOM = 4 * 2**30  # bytes; containers often have 64 MB there
GRACE_SECONDS = 20.0  # for pytest to take down what its tests started


def processes() -> int:
    """Return how many to run tests in: one more than there are processors, as some always wait."""
    return min((os.cpu_count() or 1) + 1, 8)


def roomy(folder: Path, needed: int) -> bool:
    """Say whether a folder is there, can be written and has so many bytes free."""
    try:
        return os.access(folder, os.W_OK | os.X_OK) and shutil.disk_usage(folder).free >= needed
    except OSError:
        return False


@contextlib.contextmanager
def folder_in_memory() -> Iterator[Path | None]:
    """Lend a folder for the tests' files, None where memory has no room for them.

    Their databases commit thousands of times, each commit waits for the disk, and nothing here has
    to survive the machine.
    """
    if not roomy(MEMORY, ROOM):
        yield None
        return
    # A short name: paths of sockets must not be long.
    folder = Path(tempfile.mkdtemp(prefix="cb", dir=MEMORY))
    folder.chmod(0o711)  # PostgreSQL runs as somebody else
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(name: str, *options: str) -> tuple[str, int]:
    """Run pytest on one store; return how it went, with what failed in it, and as an exit code."""
    print(f"\n== tests on {name}", flush=True)
    # Whoever is done takes tests from whoever has most left: some take a minute, most no time.
    side_by_side = [f"--numprocesses={processes()}", "--dist=worksteal"]
    with folder_in_memory() as folder, tempfile.NamedTemporaryFile(prefix="cb-failures-") as told:
        place = [] if folder is None else [f"--basetemp={folder / 't'}"]
        environment = {} if folder is None else {"TMPDIR": str(folder)}
        pytest = subprocess.Popen(
            [sys.executable, "-m", "pytest", *side_by_side, *place, *options, *sys.argv[1:]],
            cwd=ROOT,
            env={
                **os.environ,
                **environment,
                store.STORE_VARIABLE: name,
                failures.VARIABLE: told.name,
            },
        )
        try:
            code = pytest.wait()
        except KeyboardInterrupt:
            end(pytest)
            raise
        failed = Path(told.name).read_text(encoding="utf-8")
    if code == NOTHING_SELECTED and options:
        return f"{name}: nothing selected depends on the store", 0
    word = "passed" if code == 0 else f"FAILED (pytest exit code {code})\n{failed}"
    return f"{name}: {word}", code


def end(pytest: subprocess.Popen[bytes]) -> None:
    """Wait for a pytest that is interrupted to clean up; ask again, and at last kill it.

    A terminal interrupts pytest too, and one more interruption would cut its cleaning short: so it
    is first given its time, and only then asked in case that it never heard.
    """
    for ask in (lambda: None, lambda: pytest.send_signal(signal.SIGINT), pytest.kill):
        ask()
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            pytest.wait(GRACE_SECONDS)
            return


def main() -> int:
    """Return 0 only if everything that ran passed and, in CI, everything ran."""
    try:
        results = [run("sqlite")]
        if machine.find("postgresql"):
            results.append(run("postgresql", "--store-dependent"))
        else:
            words = f"postgresql: NOT TESTED HERE ({machine.INSTALL['postgresql']})"
            results.append((words, int(machine.in_ci())))
    except KeyboardInterrupt:
        print("\n== interrupted")
        return INTERRUPTED
    print(f"\n== Python {sys.version.split()[0]}")
    for words, _code in results:
        print(f"== {words}")
    return max(code for _words, code in results)


if __name__ == "__main__":
    raise SystemExit(main())
