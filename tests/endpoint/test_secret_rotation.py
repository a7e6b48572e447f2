"""Another CRON_SECRET while calls go on: no call is refused, and the old one is shut out after."""

from __future__ import annotations

import asyncio
import stat
import threading

import pytest
from tests.endpoint.support import SECRET, request
from tests.endpoint.test_endpoint_http import shop  # noqa: F401 - the fixture

from cronbell.clock import SYSTEM_CLOCK
from cronbell.config import rotation
from cronbell.config.rotation import FOLDER_VARIABLE, SecretSource, Step
from cronbell.config.secrets import check_secret
from cronbell.dispatch import AttemptCall, Dispatcher, PyreqwestTransport
from cronbell.dispatch.probe import Verdict, probe
from cronbell.domain import JobSpec
from cronbell.endpoint.auth import Gate, LiveGate, gate_of
from cronbell.errors import SecretError
from cronbell.states import Status
from cronbell.testing import ScriptedTarget

CALLS = 1_000
AT_ONCE = 10  # fewer than job threads: on a slow machine the next ones would be put off


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "secrets"
    made.mkdir(mode=0o700)
    write(made / rotation.CURRENT, SECRET)
    return made


def write(path, text):
    path.touch(mode=0o600)
    path.write_text(text + "\n")


def source_of(folder) -> SecretSource:
    return SecretSource({FOLDER_VARIABLE: str(folder)})


def bearer(secret: str) -> list[bytes]:
    return [b"Bearer " + secret.encode()]


def test_each_step_accepts_what_may_be_sent_at_that_moment(folder):
    gate = LiveGate(source_of(folder))
    assert (rotation.step_of(folder), gate.which(bearer(SECRET))) == (Step.IDLE, 0)
    rotation.start(folder)
    new = rotation.next_secret(folder)
    check_secret(new)
    assert stat.S_IMODE((folder / rotation.NEXT).stat().st_mode) == 0o600
    assert rotation.step_of(folder) is Step.STARTED
    assert (gate.which(bearer(SECRET)), gate.which(bearer(new))) == (0, 1)
    rotation.switch(folder)
    assert rotation.step_of(folder) is Step.SWITCHED
    assert rotation.next_secret(folder) == new
    assert (gate.which(bearer(SECRET)), gate.which(bearer(new))) == (1, 0)
    rotation.forget_previous(folder)
    assert rotation.step_of(folder) is Step.IDLE
    assert (gate.which(bearer(SECRET)), gate.which(bearer(new))) == (None, 0)


def test_a_rotation_that_is_given_up_changes_nothing(folder):
    gate = LiveGate(source_of(folder))
    rotation.start(folder)
    new = rotation.next_secret(folder)
    rotation.abort(folder)
    assert (gate.which(bearer(SECRET)), gate.which(bearer(new))) == (0, None)
    assert [path.name for path in folder.iterdir()] == [rotation.CURRENT]


@pytest.mark.parametrize(
    ("done", "asked"),
    [
        ([], rotation.abort),
        ([], rotation.switch),
        ([], rotation.forget_previous),
        ([rotation.start], rotation.start),
        ([rotation.start], rotation.forget_previous),
        ([rotation.start, rotation.switch], rotation.start),
        ([rotation.start, rotation.switch], rotation.abort),
        ([rotation.start, rotation.switch], rotation.switch),
    ],
)
def test_steps_out_of_order_are_refused_and_change_nothing(folder, done, asked):
    for step in done:
        step(folder)
    before = {path.name: path.read_text() for path in folder.iterdir()}
    with pytest.raises(SecretError) as refused:
        asked(folder)
    assert refused.value.hint
    assert {path.name: path.read_text() for path in folder.iterdir()} == before


def test_without_a_file_there_is_nothing_to_rotate(tmp_path):
    with pytest.raises(SecretError, match="is set where Cronbell is started"):
        rotation.start(tmp_path)


@pytest.mark.parametrize("ail", ["gone", "open", "short", "empty"])
def test_a_file_that_ails_stops_a_start_and_changes_nothing_later(folder, ail, caplog):
    running = LiveGate(source_of(folder))
    assert running.which(bearer(SECRET)) == 0
    path = folder / rotation.CURRENT
    if ail == "gone":
        path.unlink()
    elif ail == "open":
        path.chmod(0o644)
    else:
        path.write_text("" if ail == "empty" else "short\n")
    assert running.which(bearer(SECRET)) == 0
    assert "stay in force" in caplog.text or ail == "open"
    with pytest.raises(SecretError) as refused:
        source_of(folder).look()
    assert SECRET not in str(refused.value)
    assert gate_of({FOLDER_VARIABLE: str(folder)}).fault
    assert SECRET not in caplog.text


def test_the_environments_secrets_stay_what_they_were():
    env = {"CRON_SECRET": SECRET, "CRON_SECRET_PREVIOUS": "the-one-before-that-one"}
    gate = gate_of(env)
    assert isinstance(gate, Gate)
    assert gate.which(bearer("the-one-before-that-one")) == 1
    assert SecretSource(env).look().written_at == 0
    assert gate_of({"CRON_SECRET": "short"}).fault


def test_readers_see_both_secrets_at_every_moment_of_a_switch(folder):
    """Read by new and old eyes as fast as can be, while rotations go on."""
    old, stop, failures = [SECRET], threading.Event(), []
    gate = LiveGate(source_of(folder))

    def read():
        while not stop.is_set():
            sent = old[0]
            if gate.which(bearer(sent)) is None and sent == old[0]:
                failures.append(sent)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(30):
        rotation.start(folder)
        new = rotation.next_secret(folder)
        rotation.switch(folder)
        old[0] = new
        rotation.forget_previous(folder)
    stop.set()
    for reader in readers:
        reader.join()
    assert not failures


def a_spec(url: str) -> JobSpec:
    return JobSpec(name="work", path="/api/cron/work", url=url, schedule="* * * * *")


async def call_all(url: str, folder, steps, pause: int) -> list:
    """Make the calls as a runner does; every ``pause`` calls the next step of a rotation."""
    source, transport = source_of(folder), PyreqwestTransport()
    used = source.look()
    dispatcher = Dispatcher(
        transport, secret=used.accepted[0], allowed_hosts=frozenset({"127.0.0.1"})
    )
    outcomes = []
    try:
        for first in range(0, CALLS, AT_ONCE):
            if first and first % pause == 0 and steps:
                steps.pop(0)()
            found = source.look()
            if found.written_at != used.written_at:
                used = found
                dispatcher.use_secret(found.accepted[0])
            outcomes += await asyncio.gather(
                *(
                    dispatcher.call(
                        a_spec(url),
                        AttemptCall(key=f"k{n}", scheduled_at=SYSTEM_CLOCK.now(), attempt=1),
                        timeout=30,
                    )
                    for n in range(first, first + AT_ONCE)
                )
            )
    finally:
        await transport.close()
    return outcomes


def refusals(outcomes) -> int:
    return sum(one.http_status in {401, 500} for one in outcomes)


def test_a_thousand_calls_during_rotations_and_none_is_refused(shop, folder):  # noqa: F811
    """Real HTTP to a server process, three whole rotations meanwhile."""
    shop.start(secrets={FOLDER_VARIABLE: str(folder)})
    url = f"http://127.0.0.1:{shop.port}/api/cron/work"
    turn = [rotation.start, rotation.switch, rotation.forget_previous]
    steps = [lambda step=step: step(folder) for step in turn * 3]
    outcomes = asyncio.run(call_all(url, folder, steps, 100))
    assert not steps
    assert (len(outcomes), refusals(outcomes)) == (CALLS, 0)
    fine = {Status.SUCCESS, Status.SKIPPED}
    assert [(*one[:4], one.body) for one in outcomes if one.status not in fine] == []
    assert Status.SUCCESS in {one.status for one in outcomes}
    assert LiveGate(source_of(folder)).which(bearer(SECRET)) is None


def test_sabotage_without_a_second_secret_calls_are_refused(shop, folder, monkeypatch):  # noqa: F811
    """The file is simply overwritten, as one would by hand: what is under way is shut out."""
    shop.start(secrets={FOLDER_VARIABLE: str(folder)})
    url = f"http://127.0.0.1:{shop.port}/api/cron/work"
    kept = source_of(folder).look()
    monkeypatch.setattr(SecretSource, "look", lambda _self: kept)
    overwrite = [lambda: write(folder / rotation.CURRENT, "quite-another-secret")]
    assert refusals(asyncio.run(call_all(url, folder, overwrite, 500))) > 0


def probed(url: str, secret: str, *hosts: str):
    async def ask():
        transport = PyreqwestTransport()
        try:
            return await probe([a_spec(url)], secret, hosts, transport)
        finally:
            await transport.close()

    (found,) = asyncio.run(ask())
    return found


def test_a_probe_tells_what_is_taken_and_runs_nothing(shop):  # noqa: F811
    shop.start(secrets={"CRON_SECRET": SECRET})
    url = f"http://127.0.0.1:{shop.port}/api/cron/work?token=hidden"
    assert probed(url, SECRET, "127.0.0.1").verdict is Verdict.TAKEN
    refused = probed(url, "another-secret-altogether", "127.0.0.1")
    assert (refused.verdict, refused.detail) == (Verdict.REFUSED, "HTTP 401")
    assert "hidden" not in repr(refused)
    assert probed(url, SECRET, "example.com").verdict is Verdict.UNREACHED
    gone = probed("http://127.0.0.1:1/x", SECRET, "127.0.0.1")
    assert gone.verdict is Verdict.UNREACHED
    assert shop.effects("work") == 0


def test_an_application_that_knows_no_probes_is_not_taken_at_its_word():
    with ScriptedTarget() as target:
        found = probed(target.url("/api/cron/work"), SECRET, "127.0.0.1")
        assert found.verdict is Verdict.UNKNOWN
        assert [one.method for one in target.requests] == ["OPTIONS"]


def test_only_an_options_request_with_the_header_is_a_probe(bench):
    assert bench.call(request(method="OPTIONS")).status == 405
    assert bench.call(request(method="DELETE", x_cronbell_probe="1")).status == 405
    assert bench.call(request(method="OPTIONS", x_cronbell_probe="1")).status == 200
    wrong = request(method="OPTIONS", secret="not-the-secret-at-all", x_cronbell_probe="1")
    assert bench.call(wrong).status == 401
    assert bench.work.runs == 0
    assert bench.call(request(x_cronbell_probe="1")).status == 200
    assert bench.work.runs == 1
