"""Both adapters under a real server, byte by byte: who gets in, what comes back, who dies."""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.endpoint.support import PREVIOUS, SECRET, raw
from tests.endpoint.test_endpoint_auth import LET_IN, REFUSED
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(sys.executable)
GRANIAN = [PYTHON, "-m", "granian", "--host", "127.0.0.1", "--no-ws", "--workers", "1"]
BEARER = b"Authorization: Bearer " + SECRET.encode()
SECRETS = {"CRON_SECRET": SECRET, "CRON_SECRET_PREVIOUS": PREVIOUS}
# The sources beside these tests, whatever is installed.
SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "tests.endpoint.shop.settings",
    "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
}


class Shop:
    """The Django application of ``tests.endpoint.shop`` in a server process of its own."""

    def __init__(self, process, port, folder):
        self.process = process
        self.port = port
        self.hold = folder / "hold"
        self.server = None

    def migrate(self):
        """Make the tables."""
        done = self.process(
            PYTHON, "-m", "django", "migrate", "--run-syncdb", "-v0", env=SETTINGS, cwd=ROOT
        )
        assert done.wait(60) == 0, done.output()

    def start(self, *, secrets=SECRETS, lease=30.0, threads=24):
        """Serve, and wait until it answers."""
        env = {**SETTINGS, **secrets, "SHOP_LEASE": str(lease), "SHOP_HOLD": str(self.hold)}
        self.server = self.process(
            *GRANIAN, "--interface", "wsgi", "--port", str(self.port),
            "--blocking-threads", str(threads), "tests.endpoint.shop.wsgi:application",
            env={name: value for name, value in env.items() if value is not None}, cwd=ROOT,
        )  # fmt: skip
        wait_until(lambda: raw(self.port, target=b"/nothing")[0] == 404, 30, what="the server")

    def kill(self):
        """End the worker, which runs the jobs, and its parent, as a crash would: at once."""
        children = Path(f"/proc/{self.server.pid}/task").glob("*/children")
        workers = [int(pid) for one in children for pid in one.read_text().split()]
        self.server.kill()
        for pid in workers:
            end(pid)

    def ring(self, job, *headers, **more):
        return raw(self.port, BEARER, *headers, target=f"/api/cron/{job}".encode(), **more)

    def effects(self, job):
        """Count the effects, from a process of its own: what was committed."""
        script = (
            "import django; django.setup();"
            "from tests.endpoint.shop.models import Effect;"
            f"print('effects', Effect.objects.filter(job={job!r}).count())"
        )
        asked = self.process(PYTHON, "-c", script, env=SETTINGS, cwd=ROOT)
        assert asked.wait(60) == 0, asked.output()
        return int(asked.output().split()[-1])


def end(pid):
    """Kill one process and wait until it is gone."""
    import os
    import signal

    from tests.support.processes import alive

    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    wait_until(lambda: not alive(pid), what=f"pid {pid} to be gone")


@pytest.fixture
def shop(process, free_port, tmp_path):
    (tmp_path / "data").mkdir()
    shop = Shop(process, free_port, tmp_path)
    shop.migrate()
    return shop


def test_django_lets_in_exactly_who_may_and_never_answers_500(shop):
    shop.start()

    for headers in LET_IN:
        assert raw(shop.port, *(b"Authorization: " + one for one in headers))[0] == 200
    assert_refused(shop.port)
    assert raw(shop.port, b"Authorization: Bearer " + PREVIOUS.encode())[0] == 200
    assert shop.effects("work") == len(LET_IN) + 1


def assert_refused(port):
    for headers in REFUSED:
        if any(one != one.strip(b" \t\r\n") and SECRET.encode() in one for one in headers):
            continue  # HTTP itself strips blanks around a field's value
        answer = raw(port, *(b"Authorization: " + one for one in headers))
        # 400 and 431 are the server's own, for what is no HTTP field or too large.
        assert answer[0] in {400, 401, 431}, headers
        if answer[0] == 401:
            assert json.loads(answer[2]) == {"error": "Unauthorized"}


def test_django_without_a_secret_is_500_for_every_header(shop):
    shop.start(secrets={"CRON_SECRET": ""})

    for headers in [*LET_IN, [], [b"Bearer undefined"], [b"Bearer "]]:
        status, _, body = raw(shop.port, *(b"Authorization: " + one for one in headers))
        assert (status, list(json.loads(body))) == (500, ["error"])
    assert shop.effects("work") == 0


def test_django_routes_answer_themselves_and_never_redirect(shop):
    shop.start()
    found = {
        (target, method): raw(shop.port, BEARER, target=target, method=method)[0]
        for target, method in [
            (b"/api/cron/work", b"GET"),
            (b"/api/cron/work", b"POST"),
            (b"/api/cron/work?team=a", b"GET"),
            (b"/api/cron/work", b"HEAD"),
            (b"/api/cron/work", b"OPTIONS"),
            (b"/api/cron/work", b"PUT"),
            (b"/api/cron/work/", b"GET"),
            (b"//api/cron/work", b"GET"),
            (b"/api/cron/WORK", b"GET"),
            (b"/api/cron/", b"GET"),
        ]
    }

    assert list(found.values()) == [200, 200, 200, 405, 405, 405, 404, 404, 404, 404]
    tricks = [b"X-HTTP-Method-Override: GET", b"X-Forwarded-Host: evil", b"X-Original-URL: /"]
    for trick in tricks:
        assert raw(shop.port, trick)[0] == 401
        assert raw(shop.port, trick, target=b"/api/cron/%77ork")[0] == 401
        assert raw(shop.port, trick, method=b"PUT")[0] == 405


def test_django_answers_json_that_nothing_caches_and_replays_it(shop):
    shop.start()

    first = shop.ring("work", b"Idempotency-Key: k")
    second = shop.ring("work", b"Idempotency-Key: k")

    assert first[1]["content-type"] == "application/json"
    assert first[1]["cache-control"] == "no-store"
    assert "idempotency-replayed" not in first[1]
    assert second[1]["idempotency-replayed"] == "true"
    assert second[2] == first[2]
    assert json.loads(first[2])["runId"] == "k"
    assert shop.effects("work") == 1


def test_twenty_parallel_calls_of_one_key_over_http_have_one_effect(shop):
    shop.start()
    together = threading.Barrier(20)

    def one(_number):
        together.wait(10)
        return shop.ring("work", b"Idempotency-Key: k")

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(one, range(20)))

    # Replays, where the run was over before the call came; else "still running".
    assert [one for one in answers if one[0] not in {200, 409}] == []
    assert sum("idempotency-replayed" not in headers for status, headers, _ in answers
               if status == 200) == 1  # fmt: skip
    assert shop.effects("work") == 1


def crash_and_call_again(shop, job):
    """Kill the server between the job's effect and its end; call again until it runs."""
    shop.start(lease=1)
    shop.hold.touch()
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(shop.ring, job, b"Idempotency-Key: k", b"X-Cronbell-Attempt: 1")
        shop.server.wait_for(f"effect of {job}")
        shop.kill()
        with pytest.raises((OSError, ValueError, IndexError)):
            lost.result(10)
    shop.hold.unlink()
    shop.start(lease=1)
    final = wait_until(
        lambda: answered(shop.ring(job, b"Idempotency-Key: k", b"X-Cronbell-Attempt: 1")),
        20,
        what="the lease of the dead process to run out",
    )
    assert final[0] == 200
    assert "idempotency-replayed" not in final[1], "it ran again"


def answered(answer):
    status, headers, body = answer
    if status == 409:
        assert json.loads(body)["running"] is True
        assert headers["retry-after"]
        return None
    return answer


@pytest.mark.faults
def test_killed_between_effect_and_receipt_an_atomic_job_has_its_effect_once(shop):
    crash_and_call_again(shop, "pay")

    assert shop.effects("pay") == 1


@pytest.mark.faults
def test_killed_between_effect_and_receipt_a_job_that_is_not_atomic_has_it_twice(shop):
    """Sabotage of the test above: the same job without ``atomic``."""
    crash_and_call_again(shop, "pay-unguarded")

    assert shop.effects("pay-unguarded") == 2


@pytest.fixture(params=["endpoints", "mounted"])
def asgi(process, free_port, tmp_path, request):
    server = process(
        *GRANIAN, "--interface", "asgi", "--port", str(free_port),
        f"tests.endpoint.asgi_app:{request.param}",
        env={"PYTHONPATH": str(ROOT), "RECEIPTS": str(tmp_path / "receipts.sqlite3"), **SECRETS},
        cwd=ROOT,
    )  # fmt: skip
    wait_until(lambda: raw(free_port, target=b"/nothing")[0] == 404, 30, what=f"{server}")
    return free_port


def test_asgi_lets_in_exactly_who_may_and_never_answers_500(asgi):
    for headers in LET_IN:
        assert raw(asgi, *(b"Authorization: " + one for one in headers))[0] == 200
    assert_refused(asgi)


def test_asgi_rings_replays_and_refuses_like_django(asgi):
    first = raw(asgi, BEARER, b"Idempotency-Key: k", target=b"/api/cron/work?a=1")
    second = raw(asgi, BEARER, b"Idempotency-Key: k", method=b"POST")

    assert first[0] == second[0] == 200
    assert json.loads(first[2])["runId"] == "k"
    assert first[1]["cache-control"] == "no-store"
    assert (second[1]["idempotency-replayed"], second[2]) == ("true", first[2])
    assert raw(asgi, BEARER, b"Idempotency-Key: two words")[0] == 400
    assert raw(asgi, BEARER, method=b"DELETE")[1]["allow"] == "GET, POST"
    assert raw(asgi, BEARER, target=b"/api/cron/none")[0] == 404


def test_asgi_twenty_parallel_calls_of_one_key_have_one_run(asgi):
    together = threading.Barrier(20)

    def one(_number):
        together.wait(10)
        return raw(asgi, BEARER, b"Idempotency-Key: k")

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(one, range(20)))

    assert {status for status, _, _ in answers} <= {200, 409}
    ran = [one for one in answers if one[0] == 200 and "idempotency-replayed" not in one[1]]
    assert len(ran) == 1
