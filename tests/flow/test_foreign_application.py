"""The crons of an application that has nothing to do with this repository."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap

import pytest
from tests.flow.conftest import SECRET
from tests.support.waiting import wait_until

NODE_APP = """
const http = require("http"), fs = require("fs");
http.createServer((request, response) => {
  fs.appendFileSync(process.argv[3], JSON.stringify(
    {url: request.url, method: request.method, headers: request.headers, at: Date.now()}) + "\\n");
  if (request.headers.authorization !== `Bearer ${process.env.CRON_SECRET}`) {
    response.writeHead(401); response.end(); return;
  }
  if (request.url.startsWith("/api/cron/moved")) {
    response.writeHead(307, {location: "/login"}); response.end(); return;
  }
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({success: true, message: "처리 완료"}));
}).listen(Number(process.argv[2]), "127.0.0.1", () => console.log("listening"));
"""
PYTHON_APP = """
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        seen = {"url": self.path, "method": "GET", "at": time.time() * 1000,
                "headers": {name.lower(): value for name, value in self.headers.items()}}
        with open(sys.argv[2], "a") as log:
            log.write(json.dumps(seen) + "\\n")
        if self.headers["Authorization"] != f"Bearer {os.environ['CRON_SECRET']}":
            return self.answer(401, b"")
        if self.path.startswith("/api/cron/moved"):
            return self.answer(307, b"", location="/login")
        body = json.dumps({"success": True, "message": "처리 완료"}).encode()
        return self.answer(200, body)
    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), App)
print("listening", flush=True)
server.serve_forever()
"""
VERCEL_JSON = json.dumps(
    {
        "crons": [
            {"path": "/api/cron/nightly", "schedule": "* * * * *"},
            {"path": "/api/cron/moved", "schedule": "* * * * *"},
        ]
    }
)


@pytest.fixture
def application(process, tmp_path):
    """An application of its own: in JavaScript where there is Node, else in Python."""
    log = tmp_path / "seen.jsonl"
    port = _free_port()
    env = {"CRON_SECRET": SECRET}
    node = shutil.which("node")
    if node is not None:
        (tmp_path / "app.js").write_text(NODE_APP)
        running = process(node, tmp_path / "app.js", str(port), str(log), env=env)
    else:
        (tmp_path / "app.py").write_text(textwrap.dedent(PYTHON_APP))
        running = process(sys.executable, tmp_path / "app.py", str(port), str(log), env=env)
    running.wait_for("listening")
    return f"http://127.0.0.1:{port}", log


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_fires_come_at_the_minute_and_the_log_says_what_happened(up, application):
    target, log = application
    service = up("--target", target, files={"vercel.json": VERCEL_JSON})

    def ended():
        return service.query(
            "runlog.sqlite3",
            "SELECT job.name, run.status, run.reason, run.details, run.scheduled_at,"
            " run.started_at, run.key FROM runlog_run run"
            " JOIN runlog_job job ON job.id = run.job_id"
            " WHERE run.finished_at IS NOT NULL ORDER BY job.name",
        )

    wait_until(lambda: len(ended()) >= 2, 75, what="both jobs' first fires")
    moved, nightly = ended()[:2]
    assert nightly[:4] == ("nightly", "success", "", "처리 완료")
    assert moved[:3] == ("moved", "error", "redirected")
    assert "/login" in moved[3]
    assert nightly[4] % 60_000_000 == 0, "due at a full minute"
    assert nightly[5] - nightly[4] < 2_000_000, "started within two seconds of it"

    seen = [json.loads(line) for line in log.read_text().splitlines()]
    call = next(one for one in seen if one["url"] == "/api/cron/nightly")
    assert call["method"] == "GET"
    assert call["headers"]["user-agent"] == "vercel-cron/1.0"
    assert call["headers"]["authorization"] == f"Bearer {SECRET}"
    assert call["headers"]["x-vercel-cron-schedule"] == "* * * * *"
    assert call["headers"]["idempotency-key"] == nightly[6]
    assert not [one for one in seen if one["url"] == "/login"], "redirects are not followed"
