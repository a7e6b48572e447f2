"""What the environment may say, and what is refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from cronbell.errors import SecretError, StartError
from cronbell.server.environment import data_dir, databases, flag, hosts, language, origins
from cronbell.server.secrets import secret_from_file


def test_without_a_url_there_are_two_sqlite_files(tmp_path):
    found = databases(tmp_path, "")
    assert {Path(each["NAME"]).name for each in found.values()} == {
        "app.sqlite3",
        "runlog.sqlite3",
    }
    for each in found.values():
        assert each["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
        assert "synchronous = FULL" in each["OPTIONS"]["init_command"]


def test_one_postgresql_holds_both(tmp_path):
    url = "postgresql://someone:p%40ss@db.example:5433/cron%20bell?sslmode=require"
    found = databases(tmp_path, url)
    assert found["default"] == found["runlog"]
    runlog = found["runlog"]
    assert (runlog["USER"], runlog["PASSWORD"]) == ("someone", "p@ss")
    assert (runlog["HOST"], runlog["PORT"], runlog["NAME"]) == ("db.example", "5433", "cron bell")
    assert runlog["OPTIONS"] == {"sslmode": "require"}


@pytest.mark.parametrize(
    "url", ["mysql://a/b", "sqlite:///file", "postgres://host", "postgresql:///", "nonsense"]
)
def test_another_store_is_refused_with_what_to_write(tmp_path, url):
    with pytest.raises(StartError, match="postgresql://user:password@host"):
        databases(tmp_path, url)


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("on", True), ("TRUE", True), ("0", False), ("no", False)]
)
def test_a_flag_is_yes_or_no(monkeypatch, text, value):
    monkeypatch.setenv("CRONBELL_HTTPS", text)
    assert flag("CRONBELL_HTTPS") is value


def test_a_flag_that_is_neither_is_refused_not_guessed(monkeypatch):
    monkeypatch.setenv("CRONBELL_HTTPS", "maybe")
    with pytest.raises(StartError, match="CRONBELL_HTTPS is 'maybe'"):
        flag("CRONBELL_HTTPS")


def test_hosts_are_those_named_and_always_the_loopback_s(monkeypatch):
    monkeypatch.delenv("VERCEL", raising=False)
    monkeypatch.setenv("VERCEL_URL", "not-here.vercel.app")
    assert hosts() == ["localhost", "127.0.0.1", "[::1]"]
    monkeypatch.setenv("CRONBELL_HOSTS", "cron.example, localhost,")
    assert hosts() == ["cron.example", "localhost", "127.0.0.1", "[::1]"]


def test_vercel_names_its_hosts_and_keeps_no_files(monkeypatch, tmp_path):
    monkeypatch.setenv("VERCEL", "1")
    monkeypatch.setenv("VERCEL_URL", "ideas-1a2b3c.vercel.app")
    monkeypatch.setenv("VERCEL_PROJECT_PRODUCTION_URL", "ideas.vercel.app")
    monkeypatch.delenv("CRONBELL_DATA", raising=False)
    assert hosts()[:2] == ["ideas.vercel.app", "ideas-1a2b3c.vercel.app"]
    assert data_dir().is_relative_to(tempfile.gettempdir())
    with pytest.raises(StartError, match="no file lasts on Vercel"):
        databases(tmp_path, "")
    with pytest.raises(SecretError, match="A_SECRET is not set"):
        secret_from_file(tmp_path / "secret", variable="A_SECRET")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        (" , ", []),
        (
            "https://cron.example.com, http://[::1]:8000/ ,https://*.example.com",
            ["https://cron.example.com", "http://[::1]:8000", "https://*.example.com"],
        ),
    ],
)
def test_origins_are_read_with_blanks_and_a_slash_at_their_ends(monkeypatch, text, found):
    monkeypatch.setenv("CRONBELL_ORIGINS", text)
    assert origins() == found


@pytest.mark.parametrize(
    "text",
    ["cron.example.com", "https://", "https://a/path", "ftp://a", "https://a b", "https://é"],
)
def test_what_is_no_origin_is_refused(monkeypatch, text):
    monkeypatch.setenv("CRONBELL_ORIGINS", f"https://good.example,{text}")
    with pytest.raises(StartError, match="CRONBELL_ORIGINS names"):
        origins()


@pytest.mark.parametrize(
    ("text", "found"),
    [("", "en"), (" ", "en"), ("ko", "ko"), ("KO", "ko"), ("ko-KR", "ko"), ("ko_KR.UTF-8", "ko"),
     ("en-us", "en")],
)  # fmt: skip
def test_the_language_may_have_a_country(monkeypatch, text, found):
    monkeypatch.setenv("LANGUAGE_CODE", text)
    assert language() == found


@pytest.mark.parametrize("text", ["de", "english", "k", "-", "한국어"])
def test_another_language_is_refused_with_those_there_are(monkeypatch, text):
    monkeypatch.setenv("LANGUAGE_CODE", text)
    with pytest.raises(StartError, match="LANGUAGE_CODE is") as error:
        language()
    assert error.value.hint == "set LANGUAGE_CODE to en or ko"


@pytest.mark.parametrize(
    "text", ["https://cron.example.com", "cron.example.com:443", "two names", "a..b", "é.example"]
)
def test_what_is_no_host_name_is_refused(monkeypatch, text):
    monkeypatch.setenv("CRONBELL_HOSTS", f"good.example, {text}")
    with pytest.raises(StartError, match="CRONBELL_HOSTS names"):
        hosts()


def test_names_with_a_dot_or_a_star_in_front_are_hosts(monkeypatch):
    monkeypatch.delenv("VERCEL", raising=False)
    monkeypatch.setenv("CRONBELL_HOSTS", "*,.example.com,[::1],cron-1.example.com.")
    assert hosts()[:4] == ["*", ".example.com", "[::1]", "cron-1.example.com."]
