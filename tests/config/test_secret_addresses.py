"""A secret in a job's address is called with, and shown nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from cronbell.addresses import has_secret, shown_address
from cronbell.config.loader import check_files
from cronbell.config.names import job_names
from cronbell.dispatch.request import BadRequestError, canonical_url
from cronbell.redaction import Redactor

SECRET_NAMES = (
    "token", "TOKEN", "access_token", "accessToken", "x-api-key", "apikey", "key", "secret",
    "client_secret", "password", "passwd", "pwd", "sig", "X-Amz-Signature", "x_sig", "auth", "code",
    "jwt", "hmac", "auth[token]", "%74oken", "credential", "X-Amz-Credential",
)  # fmt: skip
PLAIN_NAMES = ("region", "page", "author", "codec", "signal", "tokens_of", "keyboard", "since", "q")
VALUE = "hunter2-hunter2"
JOB = '[jobs.x]\nevery = "1h"\n'


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize("before", ["/api/cron/x?", "https://a.example/x?region=eu&", "/x?a;"])
def test_the_value_of_a_secret_parameter_is_masked(name: str, before: str):
    assert shown_address(f"{before}{name}={VALUE}&page=2") == f"{before}{name}=[secret]&page=2"
    assert has_secret(f"{before}{name}={VALUE}")


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_log_masks_whatever_a_page_masks(name: str):
    if "%" not in name:  # a log is any text: what is written in no way a person would is not found
        line = f'GET /api/cron/x?region=eu&{name}={VALUE}&page=2 "200"'
        assert VALUE not in Redactor({})(line)
        assert "page=2" in Redactor({})(line)


@pytest.mark.parametrize(
    "address",
    [*(f"/x?{name}={VALUE}" for name in PLAIN_NAMES), "/x", "/x?", "/x?token", "/x?token=", "",
     "/x?=1", "/token=abc", "/x?a=token=b"],
)  # fmt: skip
def test_everything_else_is_shown_as_it_is(address: str):
    assert shown_address(address) == address
    assert not has_secret(address)


def test_a_fragment_stays_and_two_of_a_name_are_both_masked():
    assert shown_address("/x?key=a&key=b#part") == "/x?key=[secret]&key=[secret]#part"


def test_a_name_made_of_a_query_has_no_secret_in_it():
    """Two entries of the same path are told apart by their queries, and names are everywhere."""
    pairs = [(f"/api/x?token={VALUE}{n}&region=eu", "0 0 * * *") for n in (1, 2)]
    names = job_names(pairs)
    assert len(set(names)) == 2
    assert not [name for name in names if VALUE in name]
    assert all(name.startswith("api-x-token-secret-region-eu-") for name in names)


def test_a_refused_url_is_named_without_its_secret():
    for url in (f"ftp://a.example/?token={VALUE}", f"http://a.example/\n?token={VALUE}",
                f"http://a.example/?token={VALUE}&x={'y' * 9000}"):  # fmt: skip
        with pytest.raises(BadRequestError) as refused:
            canonical_url(url)
        assert VALUE not in str(refused.value)


def warnings_of(folder: Path, crons: str = "", settings: str = "") -> list:
    files: list[Path | None] = []
    for name, text in (("vercel.json", crons), ("cronbell.toml", settings)):
        (folder / name).write_text(text)
        files.append(folder / name if text else None)
    errors, warnings, jobs = check_files(files[0], files[1], target="http://127.0.0.1:9")
    assert not errors
    assert len(jobs) == 1
    return [(one.key, one.message, one.hint) for one in warnings]


@pytest.mark.parametrize(
    ("crons", "settings", "key"),
    [
        ('{"crons": [{"path": "/x?token=abc", "schedule": "0 0 * * *"}]}', "", "crons[0].path"),
        ("", f'{JOB}path = "/x?token=abc"', "jobs.x.path"),
        (
            "",
            f'allowed_hosts = ["a.example"]\n{JOB}url = "http://a.example/x?key=abc"',
            "jobs.x.url",
        ),
    ],
)
def test_whoever_writes_one_is_told_where_it_lies(tmp_path, crons, settings, key):
    ((found, message, hint),) = warnings_of(tmp_path, crons, settings)
    assert found == key
    assert "run log" in message
    assert "abc" not in message + hint
    assert "CRON_SECRET" in hint


def test_an_address_without_one_brings_no_warning(tmp_path):
    crons = '{"crons": [{"path": "/x?region=eu", "schedule": "0 0 * * *"}]}'
    assert warnings_of(tmp_path, crons) == []
