"""Draining processes killed at random moments; then: nothing lost, stuck, or done twice.

    python -m tests.drain.kills --kills 1000 --seed 7 [--store DATABASE_URL]

The processes are forked, so that a thousand kills take minutes. They post letters to an API that
has its effect once per idempotency key, and that refuses every seventh letter for good; its log
of effects outlives them all. Runs take turns at settling with and without an effect of the
application's own, and at claiming with leases still standing or long run out.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.support import forks

from cronbell.clock import SYSTEM_CLOCK

NEW = 12  # letters that join before each process starts
LONGEST_LIFE = 0.25  # seconds from the fork to the kill
LEASE_PASSED = 100.0  # seconds by which the clock is ahead once leases are to have run out
CALL_SECONDS = 0.004
AIMED_CALL_SECONDS = 0.2  # long enough for a kill to meet a call that it waited for
REFUSED = 7


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it.

    Attributes:
        kills: processes that were killed at work; the others had ended.
        letters: letters there were in all.
        asked: requests the API got.
        effects: effects it had.
    """

    kills: int
    letters: int
    asked: int
    effects: int


def main(kills: int, seed: int, store: str = "", *, sabotage: bool = False) -> Report:
    """Kill so many processes, let one work to the end, and look at what is left.

    Needs a process of its own, without threads and open connections: it forks.

    Args:
        kills: how many.
        seed: of the moments.
        store: a ``DATABASE_URL``; empty for an SQLite file of its own.
        sabotage: give each try a key of its own, which must be found out; so each kill waits for
            a letter to be on its way, and chance has no part in it.

    Raises:
        AssertionError: a letter was lost, is stuck, or had two effects.
    """
    with tempfile.TemporaryDirectory(prefix="cronbell-kills-") as folder:
        os.environ |= {
            "CRONBELL_DATA": folder,
            "DJANGO_SETTINGS_MODULE": "tests.drain.backlog.settings",
        }
        os.environ.pop("DATABASE_URL", None)
        if store:
            os.environ["DATABASE_URL"] = store
        import django
        from django.core.management import call_command

        django.setup()
        # What the forked processes need is there when they begin, so that they are killed at work.
        import_module("cronbell.drain.drain")
        import_module("cronbell.testing")
        forks.fork(lambda: call_command("migrate", run_syncdb=True, verbosity=0))
        if sabotage:
            from cronbell.drain import claim as claims

            claims.idempotency_key = _key_of_a_try
        log = Path(folder) / "effects"
        api, port = _start_api(log, AIMED_CALL_SECONDS if sabotage else CALL_SECONDS)
        try:
            killed = _kill(random.Random(seed), kills, port, log if sabotage else None)
            return _look(killed, log)
        finally:
            forks.end(api)


def _kill(chance: random.Random, kills: int, port: int, aim: Path | None) -> int:
    killed = late = 0
    for _ in range(kills):
        forks.fork(_fill)
        late += LEASE_PASSED * chance.choice((0, 1))
        applied = chance.random() < 0.5
        pid = forks.start(lambda late=late, applied=applied: _drain(port, late, applied=applied))
        if aim is None:
            SYSTEM_CLOCK.sleep(chance.uniform(0, LONGEST_LIFE))
        else:
            forks.wait_for_more(aim, what="a letter on its way")
        os.kill(pid, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    # Three strikes and a last run, each when everything is due again.
    for again in range(1, 5):
        forks.fork(lambda again=again: _drain(port, late + again * LEASE_PASSED, applied=False))
    return killed


def _look(killed: int, log: Path) -> Report:
    forks.fork(lambda: _show(log.with_name("letters")))
    letters = json.loads(log.with_name("letters").read_text())
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    asked: dict[str, set[str]] = {}
    for line in lines:
        asked.setdefault(line["record"], set()).add(line["key"])
    effects = Counter(line["record"] for line in lines if line["effect"])
    for pk, state, owner, text in letters["letters"]:
        wanted = ("dead", 0) if pk % REFUSED == 0 else ("done", 1)
        found = (state, effects[str(pk)])
        assert found == wanted, f"letter {pk}: state and effects are {found}, not {wanted}"
        assert owner == "", f"letter {pk} is still held by {owner}"
        assert text in {"", "x"}, f"letter {pk}: the application's effect happened {len(text)}×"
    several = [record for record, keys in asked.items() if len(keys) > 1]
    assert not several, f"letters that were sent with several keys: {several}"
    handled = sum(state == "done" for _, state, *_ in letters["letters"])
    # What was reserved for a call that a kill cut off stays reserved: a cap errs towards less.
    assert letters["items"] >= handled, f"{letters['items']} counted, {handled} handled"
    return Report(killed, len(letters["letters"]), len(lines), effects.total())


def _fill() -> None:
    from tests.drain.backlog.models import Letter

    Letter.objects.bulk_create(Letter() for _ in range(NEW))


def _drain(port: int, late: float, *, applied: bool) -> None:
    from django.db.models import Value
    from django.db.models.functions import Concat
    from tests.drain.backlog.models import Letter

    from cronbell.drain.budget import Caps
    from cronbell.drain.drain import Drain
    from cronbell.drain.settings import BatchSize
    from cronbell.drain.target import HttpTarget, Reply
    from cronbell.endpoint import JobContext
    from cronbell.testing import ShiftedClock

    def settle(letter: Any, _reply: Reply) -> None:
        Letter.objects.filter(pk=letter.pk).update(text=Concat("text", Value("x")))

    clock = ShiftedClock()
    clock.show(clock.now() + timedelta(seconds=late))
    Drain(
        name="post",
        qualifying=lambda: Letter.objects.filter(stamped=True),
        call=HttpTarget(f"http://127.0.0.1:{port}/"),
        batch=BatchSize(10),
        batches=None,
        concurrency=4,
        settle=settle if applied else None,
        per_day=Caps(items=10**9),
    ).run(JobContext("post", clock=clock))


def _show(file: Path) -> None:
    from django.db.models import Sum
    from tests.drain.backlog.models import Letter

    from cronbell.drain.models import DrainDay

    rows = Letter.objects.order_by("pk").values_list("pk", "drain_state", "drain_owner", "text")
    items = DrainDay.objects.aggregate(items=Sum("items"))["items"]
    file.write_text(json.dumps({"letters": list(rows), "items": items}))


def _key_of_a_try(record: Any) -> str:
    return f"{record.pk}-{record.drain_term}"


class _Api(asyncio.Protocol):
    """Has its effect once per key, answers a little later, and logs what it was asked."""

    def __init__(self, log: Path, done: set[str], seconds: float) -> None:
        self.seconds = seconds
        self.log = log.open("a", buffering=1)
        self.done = done
        self.read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        del error
        self.log.close()

    def data_received(self, data: bytes) -> None:
        self.read += data
        head, _, body = self.read.partition(b"\r\n\r\n")
        lines = dict(
            line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if ": " in line
        )
        headers = {name.lower(): value for name, value in lines.items()}
        if len(body) < int(headers.get("content-length", 1)):
            return
        self.read = b""
        record, key = json.loads(body)["recordId"], headers["idempotency-key"]
        refused = record % REFUSED == 0
        effect = not refused and key not in self.done
        if effect:
            self.done.add(key)
        self.log.write(json.dumps({"record": str(record), "key": key, "effect": effect}) + "\n")
        status = b"422 No" if refused else b"200 OK"
        answer = b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{}"
        asyncio.get_running_loop().call_later(self.seconds, self._answer, answer)

    def _answer(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)


def _start_api(log: Path, seconds: float) -> tuple[int, int]:
    log.touch()
    read, write = os.pipe()
    done: set[str] = set()

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Api(log, done, seconds), "127.0.0.1", 0)
        os.write(write, str(server.sockets[0].getsockname()[1]).encode())
        await server.serve_forever()

    pid = forks.start(lambda: asyncio.run(serve()))
    os.close(write)
    with os.fdopen(read) as told:
        # One write of a few bytes: they come in one piece. The API keeps its end open.
        return pid, int(os.read(told.fileno(), 10))


if __name__ == "__main__":
    given = forks.arguments(__doc__)
    found = main(given.kills, given.seed, given.store, sabotage=given.sabotage)
    sys.stdout.write(json.dumps(asdict(found)) + "\n")
