"""What the herd's processes do: two loops of calls, a runner, the look at what was recorded."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import deque
from http import HTTPStatus
from pathlib import Path

from pyreqwest.client import ClientBuilder

from cronbell.clock import SYSTEM_CLOCK, SystemClock, from_micros, to_micros
from cronbell.testing.shifted import ShiftedClock

SECRET = "only-for-this-benchmark"  # noqa: S105
MICROS = 1_000_000
# The jobs are read in just after this minute and due at the next one, which the runners' clocks
# are moved to as soon as all are ready.
READ_IN = 1_795_305_660 * MICROS  # 2026-11-22T00:01:00Z
DUE = READ_IN + 60 * MICROS
READY = "ready"
COUNTERS = "ended"
WIDTH = 8


def percentile(values: list[float], share: float) -> float:
    """Return the value below which ``share`` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def bare_loop(target: str, jobs: int, concurrency: int) -> dict[str, float]:
    """Make as many calls with the client alone, from as many workers."""
    client = ClientBuilder().runtime_multithreaded(enable=False).http1_only().no_proxy().build()
    clock = SystemClock()
    urls = deque(f"{target}/api/cron/job-{n:05}" for n in range(jobs))
    lateness: list[float] = []

    async def work() -> None:
        while urls:
            url = urls.popleft()
            lateness.append((clock.micros() - begun) / 1000)
            response = await client.get(url).bearer_auth(SECRET).build().send()
            await response.bytes()

    begun = clock.micros()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    seconds = (clock.micros() - begun) / MICROS
    await client.close()
    return {
        "seconds": seconds,
        "p50_ms": percentile(lateness, 0.50),
        "p99_ms": percentile(lateness, 0.99),
    }


async def calls_alone(target: str, jobs: int, concurrency: int, folder: Path) -> dict[str, float]:
    """Make the calls that a runner makes, put together before as it does, and nothing else.

    What a call of ours costs more than one of the bare loop: seven headers, a limit of time, an
    answer that is read up to a limit.
    """
    from cronbell.config.loader import load
    from cronbell.dispatch import AttemptCall, PyreqwestTransport, Response, build_request
    from cronbell.dispatch.egress import Reach

    config = load(_vercel_json(folder, jobs, 0), None, target=target)
    transport = PyreqwestTransport()
    waiting = deque(
        transport.ahead(
            build_request(spec, AttemptCall(spec.name, from_micros(DUE), 1), secret=SECRET),
            timeout=spec.timeout,
            reach=Reach.DIRECT,
        )
        for spec in config.jobs
    )

    async def work() -> None:
        while waiting:
            send = waiting.popleft()
            answer = None if send is None else await send()
            if not isinstance(answer, Response) or answer.status != HTTPStatus.OK:
                sys.exit(f"a call came to {answer}")

    begun = SYSTEM_CLOCK.micros()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    seconds = (SYSTEM_CLOCK.micros() - begun) / MICROS
    await transport.close()
    return {"seconds": seconds}


class Ended:
    """How many runs all runners have ended: a number for each in a file, which costs no lock."""

    def __init__(self, folder: Path, number: int) -> None:
        self._file = os.open(folder / COUNTERS, os.O_RDWR | os.O_CREAT)
        self._place = number * WIDTH

    def tell(self, ended: int) -> int:
        """Put this runner's number down; return the sum of all."""
        os.pwrite(self._file, ended.to_bytes(WIDTH, "little"), self._place)
        size = os.fstat(self._file).st_size
        found = os.pread(self._file, size, 0)
        return sum(
            int.from_bytes(found[place : place + WIDTH], "little")
            for place in range(0, size, WIDTH)
        )


async def engine(
    target: str, jobs: int, concurrency: int, folder: Path, number: int, *, without: str = ""
) -> dict[str, float]:
    """Let a whole runner do it, or its share; say when everything was recorded.

    It says that it is ready and is told, in microseconds of the machine's clock, when the jobs
    are to be due.
    """
    import django

    django.setup()
    _leave_out(without)
    from cronbell.config.loader import load
    from cronbell.dispatch import Dispatcher, PyreqwestTransport
    from cronbell.engine.loop import Runner, RunnerSettings
    from cronbell.engine.memory import set_aside

    config = load(_vercel_json(folder, jobs, number), None, target=target)
    transport = PyreqwestTransport()
    clock = ShiftedClock()
    clock.show(from_micros(READ_IN + MICROS))
    runner = Runner(
        config.jobs,
        Dispatcher(transport, secret=SECRET, allowed_hosts=config.allowed_hosts),
        clock=clock,
        settings=RunnerSettings(concurrency=concurrency),
        loaded=set_aside,  # as the engine's own process does
    )
    stop = asyncio.Event()
    task = asyncio.create_task(runner.run(stop))
    await runner.ready.wait()
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    due = int(await asyncio.to_thread(sys.stdin.readline))
    clock.show(from_micros(DUE - (due - SYSTEM_CLOCK.micros())))
    ended = Ended(folder, number)
    while ended.tell(runner.pool._ended) < jobs:  # noqa: SLF001 - looks, does not touch
        await clock.wait(0.005)
    await runner.settler.drain()
    recorded = SYSTEM_CLOCK.micros()
    stop.set()
    await task
    await transport.close()
    return {"recorded": recorded, "ended": runner.pool._ended}  # noqa: SLF001 - likewise


def _leave_out(what: str) -> None:
    """Take the writing of ends out of the engine, or deciding on them too (``herd_bounds``)."""
    from cronbell.engine import settle
    from cronbell.engine.executors import embedded
    from cronbell.runlog.store import Claimed

    async def unwritten(settler: settle.Settler, batch: settle._Batch) -> None:
        del batch
        await settler.clock.wait(0)

    def undecided(run: Claimed, *_about: object, **_more: object) -> settle.Finish:
        return settle.Finish(run, [])

    if what in {"ends", "decisions"}:
        settle.Settler._commit = unwritten  # noqa: SLF001
    if what == "decisions":
        embedded.decide = undecided


def _vercel_json(folder: Path, jobs: int, number: int) -> Path:
    file = folder / f"vercel-{number}.json"
    crons = [{"path": f"/api/cron/job-{n:05}", "schedule": "* * * * *"} for n in range(jobs)]
    file.write_text(json.dumps({"crons": crons}))
    return file


async def look(jobs: int) -> dict[str, float]:
    """Read from the run log what happened; end the benchmark unless each fire ran once."""
    import django

    django.setup()
    return await asyncio.to_thread(_look, jobs)


def _look(jobs: int) -> dict[str, float]:
    from cronbell.runlog.models import Run

    once = Run.objects.filter(status="success", scheduled_at=DUE, attempt=1)
    lateness = [(to_micros(started) - DUE) / 1000 for (started,) in once.values_list("started_at")]
    called = once.values("job").distinct().count()
    rows = Run.objects.count()
    if not len(lateness) == called == rows == jobs:
        sys.exit(f"{jobs} jobs were due; {len(lateness)} runs of {called} jobs, {rows} rows")
    return {"p50_ms": percentile(lateness, 0.50), "p99_ms": percentile(lateness, 0.99)}
