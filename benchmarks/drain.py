"""What a drain costs beside the calls it makes: time, CPU, memory.

10,000 records against an API that takes 50 ms, 20 at a time, cannot take less than 25 s. The API is
a process of its own; what is measured is the draining process, on a database of its own, with the
HTTP client, the claims and the settlements that a real one has. CPU is this process's alone, so it
stays comparable on a machine that does other work; the time does not. So the same client is also
measured by itself, as many threads making as many calls with no store behind them: what it takes
longer than the ideal is the machine's and HTTP's, and what the drain takes beyond that its own.

    python -m benchmarks.drain [--records 10000] [--concurrency 20]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import resource
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cronbell.clock import SYSTEM_CLOCK

ROOT = Path(__file__).resolve().parents[1]
CALL_SECONDS = 0.05
TOKEN = "only-for-this-benchmark"  # noqa: S105
LIMIT_TIME, LIMIT_CPU_MS, LIMIT_MEMORY = 1.1, 1.0, 1.25
BODY = b'{"success": true, "verdict": "approved", "score": 0.98}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
    + str(len(BODY)).encode()
    + b"\r\n\r\n"
    + BODY
)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run of a drain took.

    Attributes:
        seconds: from beginning to end.
        cpu: seconds of this process's processor time.
        memory: peak of the resident memory so far, in MB.
    """

    seconds: float
    cpu: float
    memory: float


def main() -> int:
    """Measure and print; exit 1 where a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=20)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve())
        return 0
    with tempfile.TemporaryDirectory(prefix="cronbell-drain-") as directory:
        os.environ["CRONBELL_DATA"] = directory
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.drain.backlog.settings"
        os.environ.pop("DATABASE_URL", None)
        sys.path.insert(0, str(ROOT))
        return measure(arguments.records, arguments.concurrency)


def measure(records: int, concurrency: int) -> int:
    """Drain a fifth of the records to warm up and to compare memory with, then all of them."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)
    command = [sys.executable, "-m", "benchmarks.drain", "--serve"]
    server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout is not None  # noqa: S101 - a pipe was asked for
    try:
        port = int(server.stdout.readline())
        few = drained(records // 5, concurrency, port)
        bare = called(records, concurrency, port)
        many = drained(records, concurrency, port)
    finally:
        server.communicate()  # closes its input, which ends it
    ideal = records * CALL_SECONDS / concurrency
    cpu = many.cpu / records * 1000
    print(
        f"drain: {records:,} records, {concurrency} at a time, calls of {CALL_SECONDS * 1000:.0f} "
        f"ms; Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )
    found = [
        ("time as a share of the ideal", many.seconds / ideal, LIMIT_TIME),
        ("time as a share of the bare client's", many.seconds / bare.seconds, LIMIT_TIME),
        ("CPU per record, ms", cpu, LIMIT_CPU_MS),
        (f"memory at {records:,} against {records // 5:,}", many.memory / few.memory, LIMIT_MEMORY),
    ]
    print(
        f"{many.seconds:.2f} s, ideal {ideal:.2f} s, the bare client {bare.seconds:.2f} s with "
        f"{bare.cpu / records * 1000:.2f} ms CPU a call; peak memory {many.memory:.0f} MB"
    )
    for name, value, limit in found:
        print(f"{name:38}{value:8.3f}  limit {limit}")
    return 0 if all(value <= limit for _, value, limit in found) else 1


def called(records: int, concurrency: int, port: int) -> Measured:
    """Make as many calls with the drain's client, and do nothing else.

    Raises:
        SystemExit: not every call was answered well.
    """
    from tests.drain.backlog.models import Letter

    from cronbell.drain.claim import Hold, idempotency_key
    from cronbell.drain.target import HttpTarget, Verdict

    target = HttpTarget(f"http://127.0.0.1:{port}/", token=TOKEN)
    letter = Letter(pk=1)
    left = deque([Hold(letter, "nobody", 1, 1, idempotency_key(letter))] * records)
    verdicts: deque[Verdict] = deque()

    def work() -> None:
        while left:
            try:
                hold = left.popleft()
            except IndexError:  # another was faster
                return
            verdicts.append(target(hold, 30.0).verdict)

    threads = [threading.Thread(target=work) for _ in range(concurrency)]
    measure = measuring()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    measured = measure()
    if list(verdicts) != [Verdict.DONE] * records:
        raise SystemExit("the bare client was not answered well each time")
    return measured


def measuring() -> Callable[[], Measured]:
    """Begin to measure this process; what is returned ends it."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = SYSTEM_CLOCK.monotonic()

    def end() -> Measured:
        seconds = SYSTEM_CLOCK.monotonic() - started
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Measured(seconds, cpu, after.ru_maxrss / 1024)

    return end


def drained(records: int, concurrency: int, port: int) -> Measured:
    """Fill the backlog and empty it again.

    Raises:
        SystemExit: not every record was handled well.
    """
    from tests.drain.backlog.models import Letter

    from cronbell.drain.drain import Drain
    from cronbell.drain.settings import LARGEST_BATCH, BatchSize
    from cronbell.drain.target import HttpTarget
    from cronbell.endpoint import JobContext

    Letter.objects.bulk_create((Letter(text=str(n)) for n in range(records)), batch_size=1000)
    posting = Drain(
        name="post",
        qualifying=lambda: Letter.objects.filter(stamped=True),
        call=HttpTarget(f"http://127.0.0.1:{port}/", token=TOKEN),
        batch=BatchSize(LARGEST_BATCH),
        batches=None,
        concurrency=concurrency,
    )
    context = JobContext("post", max_duration=3600)
    measure = measuring()
    result = posting.run(context)
    measured = measure()
    if result.data["processed"] != records or result.partial:
        raise SystemExit(f"not every record was handled: {result.message}")
    return measured


class Api(asyncio.Protocol):
    """Answers each request after ``CALL_SECONDS``; reads no more of it than its end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP is
        self.transport = transport
        self.read = b""

    def data_received(self, data: bytes) -> None:
        """Answer where the request is complete; a client sends the next only after the answer."""
        self.read += data
        head, blank, body = self.read.partition(b"\r\n\r\n")
        if not blank:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(body) >= int(length or 0):
            self.read = b""
            asyncio.get_running_loop().call_later(CALL_SECONDS, self.transport.write, ANSWER)


async def serve() -> None:
    """Print the port, and answer until the input is closed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Api, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    sys.exit(main())
