"""Local targets: an nginx that answers every call at once, and one that takes its time.

Both count what they are called, so that a benchmark need not believe the run log.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.request import urlopen

from cronbell.clock import SYSTEM_CLOCK

ANSWER = '{"success":true,"message":"done"}'
READY_SECONDS = 10
STATUS = "/requests-so-far"
CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000; client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096; default_type application/json;
    location / {{ return 200 '{answer}'; }}
    location = {status} {{ stub_status; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Target:
    """A server that is called.

    Attributes:
        url: its base.
        calls: says how many calls it has had.
    """

    url: str
    calls: Callable[[], int]


def free_port() -> int:
    """Return a loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_nginx() -> str:
    """Return nginx's path; end the benchmark with a plain sentence where there is none."""
    found = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if found is None:
        sys.exit("this benchmark needs nginx (Debian: apt-get install nginx-light)")
    return found


@contextmanager
def answering_at_once(folder: Path) -> Iterator[Target]:
    """Run nginx on loopback; end it by its process."""
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(
        CONFIGURATION.format(folder=folder, port=port, answer=ANSWER, status=STATUS), "ascii"
    )
    url = f"http://127.0.0.1:{port}"
    looks = count(1)

    def calls() -> int:
        with urlopen(f"{url}{STATUS}", timeout=READY_SECONDS) as answer:  # noqa: S310 - ours
            words = answer.read().decode().split()
        # Three numbers follow: connections accepted, connections handled, requests.
        return int(words[words.index("requests") + 3]) - next(looks)

    process = subprocess.Popen([find_nginx(), "-c", str(file), "-p", str(folder)])
    try:
        _wait_until_up(port)
        yield Target(url, calls)
    finally:
        process.terminate()
        process.wait(10)


def _wait_until_up(port: int) -> None:
    give_up = SYSTEM_CLOCK.monotonic() + READY_SECONDS
    while SYSTEM_CLOCK.monotonic() < give_up:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        SYSTEM_CLOCK.sleep(0.02)
    sys.exit("nginx did not come up")


@contextmanager
def answering_after(seconds: float) -> Iterator[Target]:
    """Answer every call so much later, however many there are at once.

    It runs on a thread of its own in a process that does nothing else, so that what it takes is
    not taken from whoever is measured.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="slow-target", daemon=True)
    thread.start()
    called: list[None] = []
    listening = asyncio.run_coroutine_threadsafe(_listen(seconds, called), loop)
    server = listening.result(READY_SECONDS)
    try:
        yield Target(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", called.__len__)
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(READY_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(READY_SECONDS)
        loop.close()


async def _listen(seconds: float, called: list[None]) -> asyncio.Server:
    body = ANSWER.encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    answer = f"{head}\r\n".encode() + body

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await reader.readuntil(b"\r\n\r\n"):
                    called.append(None)
                    await SYSTEM_CLOCK.wait(seconds)
                    writer.write(answer)
        finally:  # also when it is cancelled: the loop ends with no connection left open
            writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)


async def _end(server: asyncio.Server) -> None:
    server.close()
    ours = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in ours:
        task.cancel()
    await asyncio.gather(*ours, return_exceptions=True)
