"""A real HTTP server on loopback that answers by script and remembers what it was asked.

with ScriptedTarget() as target:
    target.script("/api/cron/report", answers.answer(500), answers.ok(message="done"))
    ...  # call target.url("/api/cron/report") twice
    assert [request.header("X-Cronbell-Attempt") for request in target.requests] == ["1", "2"]
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import struct
import threading
from dataclasses import replace
from types import TracebackType
from typing import BinaryIO, Self

from cronbell.testing.answers import Answer, json_answer
from cronbell.testing.wire import ReceivedRequest, read_request

BACKLOG = 1024
POLL = 0.02  # seconds; how soon a pause notices that both its gate and the closing may end it
_LINGER_NONE = struct.pack("ii", 1, 0)


class ScriptedTarget:
    """The application that a test has Cronbell call.

    Each path has a list of answers: the first call gets the first, and so on; the last one goes
    on for ever. A path without a script gets ``default``.

    Args:
        default: the answer of every path that has no script; 404 with an explanation unless
            given, so that a mistyped path does not pass for a success.
        tls: the server's side of TLS; plain HTTP without it.
        host: the address to listen on; keep it on loopback.
    """

    def __init__(
        self,
        *,
        default: Answer | None = None,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._default = default or json_answer({"error": "no answer is scripted here"}, 404)
        self._tls = tls
        self._scripts: dict[str, list[Answer]] = {}
        self._requests: list[ReceivedRequest] = []
        self._numbers = itertools.count(1)
        self._arrived = threading.Condition()
        self._closing = threading.Event()
        self._connections: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=BACKLOG)
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="target", daemon=True)
        self._acceptor.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def base_url(self) -> str:
        """The target's origin, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    @property
    def requests(self) -> list[ReceivedRequest]:
        """Every request so far, in the order they arrived."""
        with self._arrived:
            return list(self._requests)

    def url(self, path: str) -> str:
        """Return the absolute URL of a path."""
        return self.base_url + path

    def requests_to(self, path: str) -> list[ReceivedRequest]:
        """Return the requests to one path; a query is ignored unless ``path`` has one."""
        return [
            request
            for request in self.requests
            if path in (request.path, request.path.partition("?")[0])
        ]

    def script(self, path: str, *answers: Answer) -> None:
        """Say what a path answers from now on: one answer a call, the last for all further ones.

        Args:
            path: the path as it is sent (percent-encoded); with a query it is for that one only.
            answers: see ``cronbell.testing.answers``.

        Raises:
            ValueError: no answer was given.
        """
        if not answers:
            raise ValueError(f"no answer given for {path}")
        with self._arrived:
            self._scripts[path] = list(answers)

    def wait_for(self, count: int, *, path: str | None = None, timeout: float = 5.0) -> None:
        """Block until ``count`` requests have arrived, in all or for one path.

        Args:
            count: how many, at least.
            path: as for ``requests_to``; None counts every request.
            timeout: real seconds.

        Raises:
            TimeoutError: they did not arrive.
        """

        def arrived() -> int:
            return len(self._requests) if path is None else len(self.requests_to(path))

        with self._arrived:
            if not self._arrived.wait_for(lambda: arrived() >= count, timeout):
                raise TimeoutError(f"{arrived()} of {count} requests after {timeout} s")

    def close(self) -> None:
        """End every answer that still waits, break every connection, stop listening."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        with self._arrived:
            connections, threads = list(self._connections), list(self._threads)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()

    def _accept(self) -> None:
        for number in itertools.count(1):
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            connection = self._secure(plain)
            thread = threading.Thread(target=self._serve, args=(connection, number), daemon=True)
            with self._arrived:
                self._connections.add(connection)
                self._threads.add(thread)
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            # A client that breaks off is what half of the tests are about.
            with contextlib.suppress(OSError), connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._talk(connection, number)
        finally:
            with self._arrived:
                self._connections.discard(connection)
                self._threads.discard(threading.current_thread())

    def _secure(self, plain: socket.socket) -> socket.socket:
        """Wrap an accepted connection in TLS; the handshake is left to its thread."""
        if self._tls is None:
            return plain
        return self._tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)

    def _talk(self, connection: socket.socket, number: int) -> None:
        if isinstance(connection, ssl.SSLSocket):
            connection.do_handshake()
        with connection.makefile("rb") as stream:
            going_on = True
            while going_on and not self._closing.is_set():
                taken = self._take(stream, number)
                if taken is None:
                    return
                going_on = taken(_Connection(connection, self._closing))

    def _take(self, stream: BinaryIO, connection: int) -> Answer | None:
        """Read and record one request and choose its answer."""
        request = read_request(stream)
        if request is None:
            return None
        with self._arrived:
            request = replace(request, number=next(self._numbers), connection=connection)
            self._requests.append(request)
            bare = request.path.partition("?")[0]
            script = self._scripts.get(request.path) or self._scripts.get(bare)
            chosen = self._default if script is None else script[0]
            if script is not None and len(script) > 1:
                del script[0]
            self._arrived.notify_all()
        return chosen


class _Connection:
    """The ``Exchange`` that answers write to."""

    def __init__(self, connection: socket.socket, closing: threading.Event) -> None:
        self._socket = connection
        self._closing = closing

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def pause(self, seconds: float | None) -> bool:
        return not self._closing.wait(seconds)

    def hold(self, gate: threading.Event) -> bool:
        while not gate.wait(POLL):
            if self._closing.is_set():
                return False
        return True

    def wait_for_hangup(self) -> bool:
        try:
            gone = not self._socket.recv(1)
        except OSError:
            gone = True
        return gone and not self._closing.is_set()

    def reset(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self._socket.close()
