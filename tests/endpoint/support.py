"""What the endpoint's tests share: requests, an endpoint on a real store, raw HTTP."""

from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from tests.support.waiting import wait_until

from cronbell.clock import SYSTEM_CLOCK
from cronbell.endpoint.answer import Answer
from cronbell.endpoint.auth import Gate
from cronbell.endpoint.call import Endpoint, Limits
from cronbell.endpoint.identify import Request
from cronbell.endpoint.receipt import ReceiptStore
from cronbell.endpoint.recorder import Call, RunRef
from cronbell.endpoint.registry import Registry, cron_job
from cronbell.endpoint.sqlite_store import SqliteReceipts
from cronbell.testing import FakeClock

SECRET = "The-Secret-of-these-Tests"
PREVIOUS = "the-secret-before-that-one"
WAIT = 10.0  # real seconds after which a test gives up on a thread


def request(
    path: str = "/api/cron/work",
    *,
    method: str = "GET",
    secret: str | None = SECRET,
    query: str = "",
    **headers: str,
) -> Request:
    """Build a request; ``idempotency_key="k"`` becomes the header ``idempotency-key: k``."""
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    if secret is not None:
        sent.append((b"authorization", f"Bearer {secret}".encode()))
    return Request(method, path, path + (f"?{query}" if query else ""), tuple(sent))


def keyed(key: str, attempt: int | None = None, path: str = "/api/cron/work") -> Request:
    """Build a call with a key and, if given, an attempt."""
    more = {} if attempt is None else {"x_cronbell_attempt": str(attempt)}
    return request(path, idempotency_key=key, **more)


def body(answer: Answer) -> dict[str, Any]:
    """Return the answer's JSON."""
    parsed = json.loads(answer.body)
    assert isinstance(parsed, dict)
    return parsed


class Work:
    """A job whose runs the test holds and lets go."""

    def __init__(self) -> None:
        self.started = threading.Semaphore(0)
        self.go = threading.Event()
        self.go.set()
        self.contexts: list[Any] = []
        self.result: Any = None
        self.error: BaseException | None = None
        self._lock = threading.Lock()

    def __call__(self, context: Any) -> Any:
        with self._lock:
            self.contexts.append(context)
        self.started.release()
        assert self.go.wait(WAIT), "the test never let the job go"
        if self.error is not None:
            raise self.error
        return self.result(context) if callable(self.result) else self.result

    @property
    def runs(self) -> int:
        """How often the job was run: its effect."""
        return len(self.contexts)

    def wait_started(self) -> None:
        """Wait until one more run has begun."""
        assert self.started.acquire(timeout=WAIT), "the job did not start"


class Notebook:
    """A run log that remembers what it was told; made broken, it raises at every word."""

    def __init__(self, *, owned: bool = True, broken: bool = False) -> None:
        self.owned = owned
        self.broken = broken
        self.cancelled = False
        self.told: list[tuple[str, Any]] = []
        self._lock = threading.Lock()

    def _note(self, what: str, value: Any) -> None:
        with self._lock:
            self.told.append((what, value))
        if self.broken:
            raise RuntimeError("the run log is broken")

    def of(self, what: str) -> list[Any]:
        """Return everything told under one name."""
        with self._lock:
            return [value for name, value in self.told if name == what]

    def open(self, call: Call) -> RunRef:
        self._note("open", call)
        return RunRef(1, self.owned)

    def renew(self, ref: RunRef) -> None:
        self._note("renew", ref)

    def stop_wanted(self, ref: RunRef) -> bool:  # noqa: ARG002
        if self.broken:
            raise RuntimeError("the run log is broken")
        return self.cancelled

    def progress(self, ref: RunRef, done: int, total: int | None) -> None:  # noqa: ARG002
        self._note("progress", (done, total))

    def log(self, ref: RunRef, message: str) -> None:  # noqa: ARG002
        self._note("log", message)

    def close(self, ref: RunRef, outcome: Any) -> None:  # noqa: ARG002
        self._note("close", outcome)


class Bench:
    """An endpoint with one job ``work`` on a receipt store of its own and a clock that stands."""

    def __init__(
        self,
        folder: Path,
        *,
        store: ReceiptStore | None = None,
        recorder: Any = None,
        limits: Limits | None = None,
        clock: Any = None,
        **job: Any,
    ) -> None:
        self.clock = clock or FakeClock()
        # The store waits for its file's lock in real time whatever the job's clock says.
        self.store = store or SqliteReceipts(folder / "receipts.sqlite3", clock=SYSTEM_CLOCK)
        self.work = Work()
        self.registry = Registry()
        self.recorder = recorder
        self.limits = limits
        self.add("work", self.work, **job)
        self.endpoint = self.process()

    def add(self, name: str, work: Work, **job: Any) -> None:
        """Publish one more job."""

        def function(context: Any) -> Any:
            return work(context)

        cron_job(name, **{"max_duration": 300, "registry": self.registry, **job})(function)

    def process(self) -> Endpoint:
        """Return the endpoint as a further process would have it: same store, own memory."""
        return Endpoint(
            store=self.store,
            gate=Gate.of(SECRET, PREVIOUS),
            registry=self.registry,
            recorder=self.recorder,
            clock=self.clock,
            limits=self.limits,
        )

    def call(self, sent: Request, endpoint: Endpoint | None = None) -> Answer:
        """Call and wait for the answer; the job must be free to go."""
        begun = self.begin(sent, endpoint)
        return begun if isinstance(begun, Answer) else begun.result(WAIT)

    def begin(self, sent: Request, endpoint: Endpoint | None = None) -> Answer | Future[Answer]:
        """Call without waiting for the job."""
        endpoint = endpoint or self.endpoint
        admitted = endpoint.admit(sent)
        return admitted if isinstance(admitted, Answer) else endpoint.begin(admitted)

    def hold(self, sent: Request, endpoint: Endpoint | None = None) -> Future[Answer]:
        """Call, and return once the job is at work and waits for ``work.go``."""
        self.work.go.clear()
        begun = self.begin(sent, endpoint)
        assert not isinstance(begun, Answer), begun
        self.work.wait_started()
        return begun

    def release(self, endpoint: Endpoint | None = None) -> None:
        """Let the job go and wait until its run is over."""
        self.work.go.set()
        keeper = (endpoint or self.endpoint).keeper
        wait_until(lambda: not keeper.live(), what="the run to be over")


def raw(port: int, *lines: bytes, target: bytes = b"/api/cron/work", method: bytes = b"GET"):
    """Send one HTTP/1.1 request byte by byte as given; return status, headers and body."""
    head = [method + b" " + target + b" HTTP/1.1", b"Host: 127.0.0.1", b"Connection: close"]
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT) as connection:
        connection.sendall(b"\r\n".join([*head, *lines, b"", b""]))
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    top, _, rest = received.partition(b"\r\n\r\n")
    status_line, *fields = top.split(b"\r\n")
    headers = {
        name.strip().lower().decode(): value.strip().decode()
        for name, _, value in (field.partition(b":") for field in fields)
    }
    return int(status_line.split()[1]), headers, rest
