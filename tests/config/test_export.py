"""Jobs in other schedulers' words: the same fires, the same calls, and what is lost is said."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from datetime import UTC, datetime
from itertools import islice

import pytest
from tests.support import machine, manifests

from cronbell.config.crontab import read_crontab
from cronbell.config.export import EXPORTS, Options
from cronbell.config.export.fields import plain_text
from cronbell.config.export.systemd import calendars, unit_word
from cronbell.config.loader import check_files, load
from cronbell.domain import Dialect, DstGap, DstRepeat, JobSpec, Overlap, RetryPolicy
from cronbell.schedule import compile_schedule

TARGET = "https://app.example"
START = int(datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC).timestamp())


def job(schedule="0 3 * * 0", path="/api/cron/clean", **changes):
    values = {"name": "clean", "dialect": Dialect.STANDARD, "url": TARGET + path, "deadline": 600}
    return JobSpec(**{**values, "path": path, "schedule": schedule, **changes})


def export(to, *jobs):
    return EXPORTS[to](jobs, Options(target=TARGET))


def fires(spec, count=40, start=START):
    schedule = compile_schedule(
        spec.schedule, dialect=spec.dialect, timezone=spec.timezone,
        dst_gap=spec.dst_gap, dst_repeat=spec.dst_repeat,
    )  # fmt: skip
    return list(islice(schedule.fires(start, start + 40 * 366 * 86_400), count))


EXPRESSIONS = [
    "* * * * *", "*/7 * * * *", "5-59/6 */5 * * *", "0 3 * * 0", "0 3 * * 7", "0 9 * * mon-fri",
    "30 2 1,15 * *", "0 0 13 * 5", "0 0 1-31 * 1", "0 0 13 * 0-6", "0 0 */2 * 5", "0 0 * * */2",
    "15 4 31 jan,mar-jul/2 *", "@hourly", "@daily", "@weekly", "@monthly", "@yearly",
    "0 12 * * fri-sun", "0 0 29 2 *", "1,2,3,5 0,23 1-5,20 6 *",
]  # fmt: skip
SPECIAL = ["0 0 L * *", "0 0 L,13 * 5", "0 0 * * 5#2", "0 0 * 2,3 1#1,3#5", "0 6 L * 0#1"]
INTERVALS = ["every 1s", "every 30s", "every 1m", "every 15m", "every 1h", "every 6h", "every 1d"]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_plain_words_fire_at_the_same_instants(expression):
    spec = job(expression)
    text = plain_text(spec)
    if text is None:  # both day fields must match: only Debian's star says that
        assert expression == "0 0 */2 * 5"
        return
    assert re.fullmatch(r"[0-9*,/ -]+", text)
    assert fires(job(text)) == fires(spec)


def elapses(calendar, count=40, start=START):
    environment = {"TZ": "UTC", "SYSTEMD_COLORS": "0", "PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    base = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    command = ["systemd-analyze", "calendar", f"--base-time={base}", f"--iterations={count}"]
    text = subprocess.run(
        [*command, calendar], capture_output=True, text=True, check=True, timeout=60,
        env=environment,
    ).stdout  # fmt: skip
    found = re.findall(
        r"(?:elapse|Iter\. #\d+|\(in UTC\)): \w{3} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", text
    )
    return {int(datetime.fromisoformat(f"{each}+00:00").timestamp()) for each in found}


@pytest.fixture(scope="module")
def systemd():
    """Return the program whose reading of calendars and units decides."""
    return machine.require("systemd")


@pytest.mark.usefixtures("systemd")
@pytest.mark.parametrize("expression", [*EXPRESSIONS, *SPECIAL, *INTERVALS])
def test_systemd_reads_the_calendar_as_the_same_instants(expression):
    spec = job(expression)
    lines = calendars(spec)
    assert lines
    union = sorted(set().union(*(elapses(line) for line in lines)))[:40]
    common = min(len(union), len(fires(spec)))
    assert union[:common] == fires(spec)[:common]
    assert common >= 5


@pytest.mark.usefixtures("systemd")
@pytest.mark.parametrize("expression", ["30 2 * * *", "30 1 * * *", "*/30 * * * *"])
def test_systemd_s_own_daylight_saving_is_the_one_said(expression):
    spec = job(
        expression, timezone="America/New_York", dst_gap=DstGap.SKIP, dst_repeat=DstRepeat.FIRST
    )
    (line,) = calendars(spec)
    for day, count in (
        (datetime(2027, 3, 13, tzinfo=UTC), 200),
        (datetime(2027, 11, 6, tzinfo=UTC), 200),
    ):
        start = int(day.timestamp())
        seen = sorted(elapses(line, count, start))
        assert len(seen) == count
        assert seen == fires(spec, count, start)


def test_what_no_calendar_says_is_left_out():
    for expression in ("every 7s", "every 90m", "0 0 */2 * 5#2"):
        exported = export("systemd", job(expression))
        assert exported.files == {}
        assert [loss.what for loss in exported.losses] == ["job"]


@pytest.mark.usefixtures("systemd")
def test_systemd_accepts_the_units(tmp_path):
    spec = job(path='/a?b=%20"$HOME"\\x', jitter=90.0, retry=RetryPolicy(max_attempts=3))
    exported = export("systemd", spec)
    for name, text in exported.files.items():
        (tmp_path / name).write_text(text.replace("/usr/bin/curl", "/bin/true"))
    answer = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, tmp_path.iterdir())],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    about_ours = [line for line in answer.stderr.splitlines() if "cronbell-" in line]
    assert about_ours == []
    timer = exported.files["cronbell-clean.timer"]
    assert "RandomizedDelaySec=90\nFixedRandomDelay=true" in timer


def test_a_unit_s_words_are_quoted():
    assert unit_word("plain-1.5@x") == "plain-1.5@x"
    assert unit_word("a b") == '"a b"'
    assert unit_word('%d $X "\\') == '"%%d $$X \\"\\\\"'
    assert unit_word("@%d/x", specifiers=True) == "@%d/x"


CRONTAB = """CRON_TZ=UTC
# job: clean
0 3 * * sun curl https://app.example/api/cron/clean
# job: other
@hourly curl -m 12.5 -X POST --retry 2 --retry-delay 4 'https://app.example/x?a=1&b=\\%20'
CRON_TZ=Asia/Seoul
0 0 */2 * 5 curl -I http://other.example:81/y
"""


def test_crontab_to_jobs_to_crontab_changes_nothing():
    first = read_crontab(CRONTAB)
    assert first.left_out == first.notes == []
    text = export("crontab", *first.jobs).files["crontab"]
    again = read_crontab(text)
    assert again.left_out == again.notes == []
    for key in JobSpec.__slots__:
        if key != "source":
            assert [getattr(j, key) for j in again.jobs] == [getattr(j, key) for j in first.jobs]
    assert export("crontab", *again.jobs).files["crontab"] == text


VERCEL = {
    "crons": [
        {"path": "/api/cron/clean", "schedule": "0 3 * * 0"},
        {"path": "/api/cron/x?a=1", "schedule": "*/5 * * * *"},
        {"path": "/api/cron/x?a=1", "schedule": "0 12 * * *"},
    ],
    "schedules": [
        {"name": "seoul", "path": "/s", "schedule": "30 2 * * 1-5", "requestMethod": "POST",
         "timezone": "Asia/Seoul", "jitter": 7},
        {"name": "plain", "path": "/p", "schedule": "0 0 1 * *", "requestMethod": "GET"},
    ],
}  # fmt: skip


def test_vercel_to_jobs_to_vercel_changes_nothing(tmp_path):
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_text(json.dumps(VERCEL))
    jobs = load(first, None, target=TARGET).jobs
    exported = export("vercel", *jobs)
    assert exported.losses == []
    second.write_text(exported.files["vercel.json"])
    written = json.loads(second.read_text())
    assert {key: written[key] for key in VERCEL} == VERCEL
    assert load(second, None, target=TARGET).jobs == jobs


def test_what_vercel_cannot_do_is_said_entry_by_entry():
    exported = export(
        "vercel",
        job(name="nth", schedule="0 0 * * 5#2"),
        job(name="last", schedule="0 0 L * *"),
        job(name="often", schedule="every 30s"),
        job(name="either", schedule="0 0 13 * 5"),
        job(name="head", method="HEAD"),
        job(name="off", enabled=False),
        job(name="elsewhere", url="https://other.example/api/cron/clean"),
        job(name="retried", retry=RetryPolicy(max_attempts=3)),
        job(name="shifted", timezone="America/New_York", schedule="30 2 * * *"),
        job(name="quarter", schedule="every 15m", jitter=95.0),
        job(name="named", schedule="@weekly"),
    )
    lost = {}
    for loss in exported.losses:
        lost.setdefault(loss.job, set()).add(loss.what)
    left_out = {"nth", "last", "often", "either", "head", "off", "elsewhere"}
    assert {name for name, what in lost.items() if "job" in what} == left_out
    assert "retry" in lost["retried"]
    assert lost["shifted"] == {"dst_gap"}
    assert lost["quarter"] == {"jitter"}
    written = json.loads(exported.files["vercel.json"])
    assert [entry["schedule"] for entry in written["crons"]] == ["0 3 * * 0", "0 0 * * 0"]
    assert [entry["schedule"] for entry in written["schedules"]] == ["30 2 * * *", "*/15 * * * *"]


def test_what_is_exported_to_vercel_is_what_vercel_accepts(tmp_path):
    jobs = [job(text, name=f"n{n}", path=f"/p/{n}") for n, text in enumerate(EXPRESSIONS)]
    exported = export("vercel", *jobs)
    path = tmp_path / "vercel.json"
    path.write_text(exported.files["vercel.json"])
    errors, _, loaded = check_files(path, None)
    assert errors == []
    given = {spec.path: spec for spec in jobs}
    assert len(loaded) >= len(EXPRESSIONS) - 3
    assert all(fires(spec) == fires(given[spec.path]) for spec in loaded)


def test_kubernetes_takes_the_cron_jobs_as_they_are_meant():
    odd = '/a?b="yes": # {x} $(CRON_SECRET) 한 \\'
    exported = export(
        "kubernetes",
        job(path=odd, name="Odd_job.한국🔔", timezone="Asia/Seoul", catch_up_window=7200.5),
        job("0 9 * * mon-fri", name="off", enabled=False, retry=RetryPolicy(max_attempts=2)),
    )
    first, second = manifests.documents(exported.files["cronjobs.yaml"])
    assert [*manifests.misfits(first, manifests.CRON_JOB)] == []
    assert [*manifests.misfits(second, manifests.CRON_JOB)] == []
    spec = first["spec"]
    assert re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,50}[a-z0-9])?", first["metadata"]["name"])
    assert first["metadata"]["annotations"]["cronbell/job"] == "Odd_job.한국🔔"
    assert (spec["schedule"], spec["timeZone"]) == ("0 3 * * 0", "Asia/Seoul")
    assert (spec["concurrencyPolicy"], spec["startingDeadlineSeconds"]) == ("Forbid", 7201)
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"][-1] == (TARGET + odd).replace("$", "$$")
    assert "Authorization: Bearer $(CRON_SECRET)" in container["args"]
    reference = container["env"][0]["valueFrom"]["secretKeyRef"]
    assert reference == {"name": "cronbell", "key": "CRON_SECRET"}
    assert second["spec"]["suspend"] is True
    assert second["spec"]["schedule"] == "0 9 * * 1-5"
    assert {loss.what for loss in exported.losses} == {"name", "retry.backoff"}


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("suspend: false", 'suspend: "false"', ".spec.suspend: 'false' is not bool"),
        ("  jobTemplate:", "  jobTemplates:", ".spec.jobTemplates: no such field"),
        ("restartPolicy: Never", "backoffLimit: 1", ".restartPolicy: missing"),
        ("Policy: Never", "Policy: Always", "'Always' is none of ['Never', 'OnFailure']"),
        ("schedule: ", "schedule: *", "may be read as something else"),
        ("- curl", "- no", "may be read as something else"),
        ("  timeZone:", "   timeZone:", "indented like nothing before it"),
        ('job: "clean"', r'job: "\ud83d\udd14"', "half a character"),
        ('job: "clean"', 'job: "cl"ean"', "may be read as something else"),
    ],
)
def test_sabotage_a_manifest_that_is_wrong_is_seen(right, wrong, said):
    text = export("kubernetes", job()).files["cronjobs.yaml"]
    assert right in text
    try:
        faults = [
            fault
            for one in manifests.documents(text.replace(right, wrong, 1))
            for fault in manifests.misfits(one, manifests.CRON_JOB)
        ]
    except ValueError as error:
        faults = [str(error)]
    assert any(said in fault for fault in faults), faults


def test_names_that_only_differ_in_what_kubernetes_forbids_stay_apart():
    names = ["a_b", "a.b", "A-b", "a-b", "x" * 60, "x" * 61, "한"]
    exported = export("kubernetes", *(job(name=name) for name in names))
    found = re.findall(r'^  name: "(.*)"$', exported.files["cronjobs.yaml"], re.MULTILINE)
    assert len(set(found)) == len(names)
    assert all(len(name) <= 52 and re.fullmatch(r"[a-z0-9-]+", name) for name in found)


def test_no_file_holds_a_secret_and_every_call_carries_one():
    spec = job(retry=RetryPolicy(max_attempts=3, backoff=0.2, retry_on=("5xx",)))
    texts = {to: "".join(export(to, spec).files.values()) for to in EXPORTS if to != "vercel"}
    assert "--header @/etc/cronbell/authorization" in texts["crontab"]
    assert "LoadCredential=authorization:/etc/cronbell/authorization" in texts["systemd"]
    assert "--header @%d/authorization" in texts["systemd"]
    assert "secretKeyRef" in texts["kubernetes"]
    for text in texts.values():
        assert re.search(r"--retry-delay\W+1\b", text)


def test_daylight_saving_is_only_said_to_differ_where_it_does():
    def losses(to, schedule, **changes):
        exported = export(to, job(schedule, timezone="America/New_York", **changes))
        return {loss.what for loss in exported.losses if loss.what.startswith("dst")}

    assert losses("crontab", "30 2 * * *") == set()
    assert losses("crontab", "30 2 * * *", dst_gap=DstGap.SKIP) == {"dst_gap"}
    assert losses("kubernetes", "30 2 * * *") == {"dst_gap", "dst_repeat"}
    assert losses("kubernetes", "*/30 * * * *") == set()
    assert losses("systemd", "*/30 * * * *") == {"dst_repeat"}
    exported = export("systemd", job("30 2 * * *", timezone="Asia/Tokyo"))
    assert exported.losses == []


def test_the_command_of_a_crontab_is_the_call(tmp_path):
    spec = job(path="/a?b=c&d=%20'x'", method="DELETE")
    line = export("crontab", spec).files["crontab"].splitlines()[-1]
    words = shlex.split(line.split(maxsplit=5)[5].replace("\\%", "%"))
    assert words[0] == "curl"
    assert words[-1] == spec.url
    assert words[words.index("--request") + 1] == "DELETE"


@pytest.mark.parametrize(
    ("overlap", "there"),
    [
        (Overlap.SKIP, "Forbid"),
        (Overlap.ALLOW, "Allow"),
        (Overlap.CANCEL_RUNNING, "Replace"),
        (Overlap.QUEUE_ONE, "Forbid"),
        (Overlap.QUEUE_ALL, "Forbid"),
    ],
)
def test_kubernetes_gets_the_overlap_it_knows_and_says_which_it_does_not(overlap, there):
    result = export("kubernetes", job(overlap=overlap))
    (text,) = result.files.values()
    assert f"concurrencyPolicy: {there}\n" in text
    assert ("nothing waits there" in str(result)) == overlap.startswith("queue")


@pytest.mark.parametrize("to", EXPORTS)
def test_a_heartbeat_runs_elsewhere_and_is_said_not_to_be_watched_any_more(to):
    watched = job(name="backup", path="", url="", heartbeat=True)
    exported = export(to, job(), watched)
    assert "backup" not in "".join(exported.files.values())
    assert [(loss.job, loss.what) for loss in exported.losses if loss.job == "backup"] == [
        ("backup", "heartbeat")
    ]
