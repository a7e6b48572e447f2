"""The job and the verifier killed at random moments; then: no record lost, stuck, or decided twice.

    python -m tests.ideasgpt.verification.kills --kills 1000 --seed 7 [--store DATABASE_URL]

In each round new records join, one process runs ``verify-records``, another serves the verifier's
API on real HTTP, a third is a model that approves everything it is shown. At a random moment the
job's process is killed, or the verifier's, or both, as when one web process serves the two. What
a dead one held is taken up again when leases have run out; clocks go ahead instead of waiting.
"""

from __future__ import annotations

import json
import logging
import math
import os
import random
import signal
import socket
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.ideasgpt.verification.obeying_model import ObeyingModel, approval
from tests.support import forks
from tests.support.waiting import wait_until

from cronbell.clock import SYSTEM_CLOCK
from cronbell.testing import ShiftedClock

NEW = 6  # records that join before each round
LONGEST_LIFE = 0.6  # seconds from the start of the job to the kill
LEASE_PASSED = 400.0  # seconds by which clocks are ahead once leases are to have run out
BATCH = 100
MODEL_SECONDS = 0.05
AIMED_MODEL_SECONDS = 0.4  # long enough for a kill to meet a question that it waited for
KINDS = {  # what the document and the claim are, and what must come of them
    "approved": (b"Package: sesame-lib", {"package": "sesame-lib"}),
    "needs_review": (b"A shopping list: bread, milk.", {"package": "sesame-lib"}),
    "rejected": (b"Issued 2026-02-30", {"issued": "2026-02-30"}),
}


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it.

    Attributes:
        kills: processes that were killed; those that had ended before do not count.
        records: records there were in all.
        unsettled: records that a dead verifier held, counted once for each round they stayed so.
        asked: questions that the model got; more than approvals where a verifier was killed.
    """

    kills: int
    records: int
    unsettled: int
    asked: int


def main(kills: int, seed: int, store: str = "", *, sabotage: bool = False) -> Report:
    """Kill in so many rounds, let processes work to the end, and look at what is left.

    Needs a process of its own, without threads and open connections: it forks.

    Args:
        kills: rounds; in each at least one process is killed unless it ends before.
        seed: of the moments.
        store: a ``DATABASE_URL``; empty for SQLite files of its own.
        sabotage: have nobody take up what a dead verifier held, which must be found out; so each
            kill waits for the verifier to hold a record, and chance has no part in it.

    Raises:
        AssertionError: a record was lost, is stuck, or was decided twice.
    """
    with tempfile.TemporaryDirectory(prefix="cronbell-verification-kills-") as folder:
        log = Path(folder) / "asked"
        log.touch()
        model, address = _start_model(log, AIMED_MODEL_SECONDS if sabotage else MODEL_SECONDS)
        try:
            _prepare(folder, store, address, sabotage=sabotage)
            aim = log if sabotage else None
            killed, unsettled = _kill(random.Random(seed), kills, Path(folder) / "port", aim)
            records = _look(Path(folder) / "records")
            return Report(killed, records, unsettled, len(log.read_text().splitlines()))
        finally:
            forks.end(model)


def _prepare(folder: str, store: str, model: str, *, sabotage: bool) -> None:
    os.environ |= {
        "CRONBELL_DATA": folder,
        "DJANGO_SETTINGS_MODULE": "ideasgpt.settings",
        "DJANGO_SECRET_KEY": "only-for-tests-" + "x" * 40,
        "SERVICE_TOKEN": "service-token-for-tests-only",
        "OPENAI_API_KEY": "k",
        "OPENAI_BASE_URL": model,
        "VERIFY_BATCH_SIZE": str(BATCH),
    }
    os.environ.pop("DATABASE_URL", None)
    if store:
        os.environ["DATABASE_URL"] = store
    import django
    from django.core.management import call_command

    django.setup()
    logging.disable(logging.INFO)  # one line for each question to the model
    # What the forked processes need is there when they begin, so that they are killed at work.
    for name in ("ideasgpt.urls", "ideasgpt.verification.jobs.verify_records", "openai"):
        import_module(name)
    # As the service does: the run log's by name, first, where one database holds both.
    forks.fork(lambda: call_command("migrate", "runlog", database="runlog", verbosity=0))
    forks.fork(lambda: call_command("migrate", database="default", verbosity=0))
    if sabotage:
        from ideasgpt.verification import standing

        standing.give_back_abandoned = lambda _now: 0


def _kill(chance: random.Random, kills: int, note: Path, aim: Path | None) -> tuple[int, int]:
    killed = unsettled = 0
    late = 0.0
    for _ in range(kills):
        forks.fork(_fill)
        late += LEASE_PASSED * chance.choice((0, 1))
        verifier, url = _start_verifier(note, late)
        job = forks.start(lambda late=late, url=url: _drain(url, late))
        victims = chance.choice(((job,), (verifier,), (job, verifier)))
        if aim is None:
            SYSTEM_CLOCK.sleep(chance.uniform(0, LONGEST_LIFE))
        else:
            victims = (verifier,)
            forks.wait_for_more(aim, what="a question to the model")
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        for pid in victims:
            killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        if job not in victims:  # it meets a dead verifier, and ends by itself
            assert os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]) == 0
        if verifier not in victims:  # it may be in the middle of a record that nobody waits for
            SYSTEM_CLOCK.sleep(chance.uniform(0, LONGEST_LIFE / 4))
            forks.end(verifier)
        forks.fork(lambda: note.write_text(str(_held())))
        unsettled += int(note.read_text())
    # The first gives back, then the batches, and the last closes what another's end cut off.
    for _ in range(2 + math.ceil(kills * NEW / BATCH)):
        late += LEASE_PASSED
        verifier, url = _start_verifier(note, late)
        forks.fork(lambda late=late, url=url: _drain(url, late))
        forks.end(verifier)
    return killed, unsettled


def _look(file: Path) -> int:
    """Hold every record to what must have come of it; return how many there are."""
    forks.fork(lambda: file.write_text(json.dumps(_rows())))
    rows = json.loads(file.read_text())
    for row in rows:
        name = f"record {row['id']} is {row['status']}"
        assert row["status"] == row["wanted"], f"{name}, stuck or lost: {row}"
        assert row["verdicts"] == [[1, row["wanted"]]], f"{name}, its verdicts: {row}"
        assert row["audit"] == [["submitted", row["wanted"]]], f"{name}, its audit: {row}"
        assert (row["held_by"], row["drain"]) == ("", "done"), f"{name}, still held: {row}"
        assert row["file"], f"{name}, its document is gone: {row}"
    return len(rows)


def _rows() -> list[dict[str, Any]]:
    from ideasgpt.verification.models import Record
    from ideasgpt.verification.storage import path_of

    return [
        {
            "id": one.pk,
            "status": one.verification_status,
            "wanted": one.owner.username,
            "held_by": one.held_by,
            "drain": one.drain_state,
            "verdicts": list(one.verdicts.values_list("version", "status")),
            "audit": list(one.audit.values_list("from_status", "to_status")),
            "file": path_of(one.attachments.get().pk).exists(),
        }
        for one in Record.objects.select_related("owner")
    ]


def _fill() -> None:
    from django.contrib.auth.models import User

    from ideasgpt.verification.models import Record
    from ideasgpt.verification.storage import attach

    for number in range(NEW):
        wanted = list(KINDS)[number % len(KINDS)]
        document, fields = KINDS[wanted]
        owner, _ = User.objects.get_or_create(username=wanted)
        attach(Record.objects.create(owner=owner, fields=fields), "proof.txt", [document])


def _held() -> int:
    from ideasgpt.verification.models import Record

    return Record.objects.filter(verification_status="submitted").count()


def _drain(url: str, late: float) -> None:
    os.environ["VERIFY_URL"] = url
    from cronbell.endpoint import JobContext
    from ideasgpt.verification.jobs.verify_records import verify_records

    verify_records(JobContext("verify-records", clock=_ahead(late)))


def _start_verifier(note: Path, late: float) -> tuple[int, str]:
    """Serve the service's own addresses from a process of its own, as soon as this returns."""
    note.unlink(missing_ok=True)

    def serve() -> None:
        from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
        from django.core.wsgi import get_wsgi_application

        from ideasgpt.verification import api

        class Handler(WSGIRequestHandler):
            def log_message(self, *_words: Any) -> None:
                pass

        api.SYSTEM_CLOCK = _ahead(late)
        server = ThreadedWSGIServer(("127.0.0.1", 0), Handler)
        server.set_app(get_wsgi_application())
        draft = note.with_suffix(".draft")
        draft.write_text(str(server.server_port))
        draft.rename(note)
        server.serve_forever()

    pid = forks.start(serve)
    port = wait_until(lambda: note.exists() and note.read_text(), 20, what="the verifier")
    return pid, f"http://127.0.0.1:{port}"


def _start_model(log: Path, seconds: float) -> tuple[int, str]:
    ours, theirs = socket.socketpair()

    def serve() -> None:
        class Counting(list[Any]):
            def append(self, one: Any) -> None:
                with log.open("a") as file:
                    file.write(json.dumps(one) + "\n")

        def slowly(told: Any) -> Any:
            SYSTEM_CLOCK.sleep(seconds)  # so that kills meet verifications that wait for it
            return approval(told)

        with ObeyingModel() as model:
            model.asked = Counting()
            model.answer = slowly
            theirs.sendall(model.url.encode())
            theirs.close()
            signal.pause()

    pid = forks.start(serve)
    theirs.close()
    with ours:
        return pid, ours.recv(100).decode() + "/v1"


def _ahead(late: float) -> ShiftedClock:
    clock = ShiftedClock()
    clock.show(clock.now() + timedelta(seconds=late))
    return clock


if __name__ == "__main__":
    given = forks.arguments(__doc__)
    found = main(given.kills, given.seed, given.store, sabotage=given.sabotage)
    sys.stdout.write(json.dumps(asdict(found)) + "\n")
