"""A local nginx that answers every call at once: the limit a runner is measured against."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cronbell.clock import SYSTEM_CLOCK

ANSWER = '{"success":true,"message":"done"}'
READY_SECONDS = 10
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
  }}
}}
"""


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
def answering_at_once(folder: Path) -> Iterator[str]:
    """Run nginx on loopback; give its base URL; end it by its process."""
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(CONFIGURATION.format(folder=folder, port=port, answer=ANSWER))
    process = subprocess.Popen([find_nginx(), "-c", str(file), "-p", str(folder)])
    try:
        _wait_until_up(port)
        yield f"http://127.0.0.1:{port}"
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
