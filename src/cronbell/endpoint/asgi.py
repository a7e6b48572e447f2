"""The ASGI adapter: a plain ASGI application, to be mounted in Starlette, FastAPI or alone.

Example:
    >>> app = Starlette()
    >>> app.mount("/api/cron", CronEndpoints(SqliteReceipts("receipts.sqlite3")))
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cronbell.clock import SYSTEM_CLOCK, Clock
from cronbell.endpoint.answer import Answer
from cronbell.endpoint.auth import Gate, LiveGate, gate_of
from cronbell.endpoint.call import Endpoint, Limits
from cronbell.endpoint.identify import Request
from cronbell.endpoint.receipt import ReceiptStore
from cronbell.endpoint.recorder import RunRecorder
from cronbell.endpoint.registry import REGISTRY, Registry
from cronbell.tracing import Tracing

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CLAIM_THREADS = 4  # claims take milliseconds; the jobs have threads of their own


class CronEndpoints:
    """The cron endpoints of one process, as an ASGI application.

    Args:
        store: where receipts are kept.
        registry: the jobs.
        recorder: the run log; none unless given.
        gate: whom to let in; ``CRON_SECRET`` and ``CRON_SECRET_PREVIOUS`` of the environment
            unless given.
        clock: where the time comes from.
        limits: threads, lease, grace.
        tracing: spans each job; ``cronbell.tracing.configured`` makes one of the environment.
    """

    def __init__(
        self,
        store: ReceiptStore,
        *,
        registry: Registry = REGISTRY,
        recorder: RunRecorder | None = None,
        gate: Gate | LiveGate | None = None,
        clock: Clock = SYSTEM_CLOCK,
        limits: Limits | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self.endpoint = Endpoint(
            store=store,
            gate=gate or gate_of(os.environ),
            registry=registry,
            recorder=recorder,
            clock=clock,
            limits=limits,
            tracing=tracing,
        )
        self._claims = ThreadPoolExecutor(CLAIM_THREADS, "cronbell-claim")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            await _send(send, await self._call(self._request(scope)))
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def _call(self, request: Request) -> Answer:
        admitted = self.endpoint.admit(request)
        if isinstance(admitted, Answer):
            return admitted
        loop = asyncio.get_running_loop()
        begun = await loop.run_in_executor(self._claims, self.endpoint.begin, admitted)
        return begun if isinstance(begun, Answer) else await asyncio.wrap_future(begun)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                self.endpoint.stop()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    def _request(self, scope: Message) -> Request:
        jobs = self.endpoint.registry
        paths = list(_paths(scope))
        query = scope.get("query_string", b"").decode("latin-1")
        return Request(
            method=scope["method"],
            path=next((path for path in paths if jobs.by_path(path)), paths[0]),
            target=paths[-1] + ("?" + query if query else ""),
            headers=tuple((bytes(k).lower(), bytes(v)) for k, v in scope["headers"]),
        )


def _paths(scope: Message) -> Iterator[str]:
    """Yield the paths a job may be published at, the one the caller wrote last.

    Under a mount some frameworks leave the path whole and some cut the prefix off.
    """
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if root and path.startswith(f"{root}/"):
        yield path.removeprefix(root)
    elif root:
        yield path
        path = root + path
    yield path


async def _send(send: Send, answer: Answer) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(answer.body)).encode()),
        (b"cache-control", b"no-store"),
        *((name.lower().encode(), value.encode()) for name, value in answer.headers),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
