"""A model that does what the document tells it, on loopback; the worst witness there can be."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ideasgpt.verification.checks import says


def line_with(value, documents):
    """Return the document and the line that hold a value, as a clever liar would quote them."""
    for document in documents:
        for line in document["text"].replace("\f", "\n").splitlines():
            if value.casefold() in line.casefold() or says(value, line):
                return document["document_id"], line.strip()[:200]
    return documents[0]["document_id"], value  # made up


def approval(told, *, quote=None):
    checks = []
    for field, value in told["claims"].items():
        document, line = line_with(value, told["documents"])
        evidence = {"document_id": document, "quote": quote or line}
        checks.append({"field": field, "status": "match", "evidence": evidence})
    return {
        "checks": checks,
        "reasons": [],
        "injection_suspected": False,
        "verdict": "approved",
    }


class ObeyingModel:
    """Approves whatever it is shown, with the best quotes there are."""

    def __init__(self):
        self.asked = []
        self.fetched = []
        self.answer = approval
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(body)
                said = outer.answer(json.loads(body["messages"][1]["content"]))
                text = said if isinstance(said, str) else json.dumps(said)
                message = {"role": "assistant", "content": text}
                answer = {
                    "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                    "usage": {"prompt_tokens": 100, "completion_tokens": 50},
                }
                self._send(json.dumps(answer).encode())

            def do_GET(self):
                outer.fetched.append(self.path)
                self._send(b"{}")

            def _send(self, data):
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                with contextlib.suppress(ConnectionError):  # who asked was killed
                    self.end_headers()
                    self.wfile.write(data)

            def log_message(self, *_words):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
