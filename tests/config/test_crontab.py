"""A crontab read into jobs: what becomes a job, and why a line does not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cronbell.config.crontab import read_crontab
from cronbell.config.loader import check_files
from cronbell.config.toml_text import write_toml

URL = "https://app.example/api/cron/clean"


def jobs_of(text, **options):
    found = read_crontab(text, **options)
    assert found.left_out == []
    return found.jobs


def reason_of(command):
    found = read_crontab(f"0 0 * * * {command}")
    assert found.jobs == []
    (remark,) = found.left_out
    assert remark.line == 1
    return remark.reason


@pytest.mark.parametrize(
    ("command", "method", "timeout", "attempts"),
    [
        (f"curl {URL}", "GET", 300, 1),
        (f"/usr/bin/curl -fsS --max-time 30 '{URL}' >/dev/null 2>&1", "GET", 30, 1),
        (f"curl -fsSm30 -X POST {URL} >> /var/log/x.log 2>> /dev/null", "POST", 30, 1),
        (f"curl --request=post --retry 2 --url {URL} || true", "POST", 300, 3),
        (f'curl -I "{URL}" &> /dev/null ;', "HEAD", 300, 1),
        (f"wget -qO- {URL}", "GET", 300, 1),
        (f"wget -nv --spider -t 2 --timeout=5 {URL} # nightly", "HEAD", 5, 2),
        (f"wget -O /dev/null --method=PUT {URL}", "PUT", 300, 1),
        (f"timeout 2m flock -n /tmp/lock nice -n 10 curl {URL}", "GET", 120, 1),
        (f"chronic curl {URL} || exit 0", "GET", 300, 1),
        (f"curl -H 'x-vercel-cron-schedule: 0 0 * * *' {URL}", "GET", 300, 1),
    ],
)
def test_a_line_that_calls_one_url_becomes_a_job(command, method, timeout, attempts):
    found = read_crontab(f"0 0 * * * {command}")
    assert (found.left_out, found.notes) == ([], [])
    (job,) = found.jobs
    assert (job.name, job.url, job.path) == ("clean", URL, "/api/cron/clean")
    assert (job.method, job.timeout, job.retry.max_attempts) == (method, timeout, attempts)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("/usr/local/bin/backup.sh", "runs a command"),
        (f"cd /srv && curl {URL}", "joined by the shell"),
        (f"curl {URL} | logger", "joined by the shell"),
        (f"curl {URL} & curl {URL}", "joined by the shell"),
        (f"curl {URL}?a=1&b=2", "joined by the shell"),
        (f"curl {URL} || mail -s broken root", "joined by the shell"),
        (f"sleep 30; curl {URL}", "joined by the shell"),
        (f"curl $(cat /url) {URL}", "computes part"),
        ("curl `cat /url`", "computes part"),
        ("curl https://$HOST/x", "a variable that the crontab does not set"),
        (f"curl -d a=b {URL}", "sends a body"),
        (f"curl -u me:pw {URL}", "sends credentials"),
        (f"curl -b a=b {URL}", "sends cookie"),
        ("curl https://me:pw@app.example/x", "credentials"),
        (f"curl --proxy p {URL}", "`--proxy` is an option that is not known"),
        (f"curl -fZ {URL}", "`-Z` is an option"),
        (f"curl -X BREW {URL}", "the method `BREW`"),
        (f"curl -m soon {URL}", "is not a timeout"),
        (f"curl {URL} {URL}", "several URLs"),
        ("curl -fsS", "no URL"),
        ("curl -m", "lacks its value"),
        ("curl ftp://app.example/x", "not an http or https URL"),
        (f"curl '{URL}", "quotes do not match"),
        (f"curl {URL}?a=b%20c", "a % that cron takes for the end"),
        ("curl " + "x" * 9000, "too long"),
    ],
)
def test_every_other_line_is_listed_with_the_reason(command, reason):
    assert reason in reason_of(command)


def test_a_password_in_a_url_is_not_repeated_in_the_reason():
    assert "pw" not in reason_of("curl https://me:pw@app.example/x")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("@reboot curl " + URL, "when the machine starts"),
        ("61 * * * * curl " + URL, "minute `61` is out of range"),
        ("0 0 30 2 * curl " + URL, "never fires"),
        ("~ * * * * curl " + URL, "its schedule"),
        ("0 0 * * *", "not a line of a crontab"),
        ("@daily", "not a line of a crontab"),
        ("nonsense", "not a line of a crontab"),
        ("\x00\x07 curl", "not a line of a crontab"),
    ],
)
def test_a_schedule_that_cannot_be_is_listed(line, reason):
    found = read_crontab(line)
    assert found.jobs == []
    assert reason in found.left_out[0].reason
    assert found.left_out[0].text.isprintable()


@pytest.mark.parametrize("alias", ["@hourly", "@daily", "@midnight", "@weekly", "@monthly",
                                   "@yearly", "@annually"])  # fmt: skip
def test_shorthands_are_kept(alias):
    assert jobs_of(f"{alias} curl {URL}")[0].schedule == alias


def test_an_escaped_percent_is_one():
    assert jobs_of(rf"0 0 * * * curl {URL}?a=b\%20c")[0].path == "/api/cron/clean?a=b%20c"


def test_a_zone_holds_for_the_lines_below_it():
    text = f"""
0 0 * * * curl {URL}/first
CRON_TZ = "Asia/Seoul"
0 0 * * * curl {URL}/second
CRON_TZ=Mars/Base
0 0 * * * curl {URL}/third
CRON_TZ=
0 0 * * * curl {URL}/fourth
"""
    found = read_crontab(text, timezone="Europe/Berlin")
    assert {job.name: job.timezone for job in found.jobs} == {
        "first": "Europe/Berlin",
        "second": "Asia/Seoul",
        "fourth": "Europe/Berlin",
    }
    assert [(remark.line, "zone" in remark.reason) for remark in found.left_out] == [(6, True)]


def test_tz_is_the_commands_and_said_to_be():
    found = read_crontab(f"TZ=Asia/Seoul\n0 0 * * * curl {URL}")
    assert found.jobs[0].timezone == "UTC"
    assert [remark.line for remark in found.notes] == [1]


def test_variables_of_the_crontab_are_put_in():
    text = f'BASE="{URL}"\nM=POST\n0 0 * * * curl -X $M ${{BASE}}/x\nBASE=http://b.example\n'
    (job,) = jobs_of(text)
    assert (job.method, job.url) == ("POST", URL + "/x")


def test_the_system_format_has_a_user():
    line = f"0 0\t* * *  root\tcurl {URL}"
    assert jobs_of(line, system=True)[0].url == URL
    assert read_crontab(line).jobs == []
    assert jobs_of(f"@daily www-data curl {URL}", system=True)[0].schedule == "@daily"


def test_what_a_job_does_not_do_is_noted():
    text = f"0 0 * * * curl -Lk -A me -e r -H 'X-A: 1' -H 'Authorization: Bearer x' {URL}"
    found = read_crontab(text)
    assert len(found.jobs) == 1
    noted = " ".join(remark.reason for remark in found.notes)
    for part in ("redirects", "certificate", "User-Agent", "Referer", "`x-a`", "CRON_SECRET"):
        assert part in noted


def test_the_same_call_at_the_same_times_is_one_job_and_names_are_told_apart():
    line = f"0 0 * * * curl {URL}"
    found = read_crontab(f"{line}\n{line}\n0 1 * * * curl {URL}\n{line} -X POST")
    assert [remark.line for remark in found.left_out] == [2]
    assert len({job.name for job in found.jobs}) == 3


def test_a_name_in_a_comment_is_kept_once():
    text = f"# job: mine\n0 0 * * * curl {URL}\n# job: mine\n0 1 * * * curl {URL}/x\n"
    assert [job.name for job in jobs_of(text)] == ["mine", "x"]
    assert jobs_of(f"# job: not a name\n0 0 * * * curl {URL}")[0].name == "clean"


def as_toml(tmp_path, found):
    path = tmp_path / "cronbell.toml"
    path.write_text(write_toml(found.jobs, target=found.target, header=["x"]))
    return check_files(None, path)


def test_what_is_written_as_toml_loads_as_the_same_jobs(tmp_path):
    text = f"""CRON_TZ=America/New_York
*/5 1-3 * * mon-fri curl -m 1.5 -X POST --retry 3 --retry-delay 7 "{URL}?q=\\"a\\""
@weekly wget -qO- {URL}/한국
"""
    for extra in ("", "0 0 1 * * curl http://other.example:81/z\n"):
        found = read_crontab(text + extra)
        errors, warnings, jobs = as_toml(tmp_path, found)
        assert errors == warnings == []
        for key in ("name", "url", "schedule", "timezone", "method", "timeout", "retry"):
            assert [getattr(job, key) for job in jobs] == [getattr(job, key) for job in found.jobs]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="019* \t\n\\\"'%$#-@=/:;|&<>(curlwgetmHX{}한\x00", max_size=80))
def test_no_text_makes_the_reading_fail(text):
    found = read_crontab(f"{text}\n0 0 * * * curl {text}\n")
    assert all(remark.reason for remark in found.left_out)


def test_a_huge_crontab_is_read_in_time():
    found = read_crontab("".join(f"0 0 * * * curl {URL}/{n}\n" for n in range(5_000)))
    assert len({job.name for job in found.jobs}) == 5_000
