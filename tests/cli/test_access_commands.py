"""``tokens``, ``password`` and ``audit`` as a shell calls them."""

from __future__ import annotations

import getpass
import json
import socket
import sys
from pathlib import Path

import pytest

CRONBELL = Path(sys.executable).parent / "cronbell"


@pytest.fixture
def command(process, prepared):
    """Run ``cronbell`` on a prepared store whose administrator is ``admin``."""

    def call(*args: str | Path, typed: str = "") -> tuple[int, str]:
        program = () if args[0] == "sh" else (CRONBELL,)
        one = process(*program, *args, env=prepared | {"TYPED": typed})
        return one.wait(60), one.output()

    return call


def test_a_token_is_made_shown_once_listed_and_revoked(command):
    code, output = command("tokens", "make", "ci", "--user", "admin", "--scope", "run", "--json")
    made = json.loads(output)
    assert (code, made["scope"], made["state"]) == (0, "run", "valid")
    assert made["token"].startswith("cbt_")
    code, output = command("tokens", "--json")
    (listed,) = json.loads(output)["tokens"]
    assert "token" not in listed
    assert (listed["name"], listed["user"]) == ("ci", "admin")
    code, output = command("tokens", "revoke", str(listed["id"]))
    assert (code, "'ci' is revoked" in output) == (0, True)
    assert json.loads(command("tokens", "--json")[1])["tokens"][0]["state"] == "revoked"


def test_what_makes_no_token_is_said_with_a_hint(command):
    code, output = command("tokens", "make", "ci", "--user", "nobody")
    assert (code, "there is no user 'nobody'" in output, "admin" in output) == (1, True, True)
    code, output = command("tokens", "make", "ci", "--user", "admin", "--scope", "all")
    assert (code, "read, run, manage" in output) == (2, True)


def test_a_password_is_set_without_anybody_seeing_it(command, prepared, tmp_path):
    code, output = command("password", "admin", "--generate", "--revoke-tokens", "--json")
    made = json.loads(output)
    assert (code, made["user"], made["signedOut"], len(made["password"])) == (0, "admin", True, 16)
    script = tmp_path / "typed.sh"
    script.write_text(f'printf "%s\\n" "$TYPED" | "{CRONBELL}" password "$1"\n')
    code, output = command("sh", script, "admin", typed="a long new phrase")
    assert (code, "signed out everywhere" in output) == (0, True)
    assert "phrase" not in output
    code, output = command("sh", script, "admin", typed="short")
    assert (code, "too short" in output) == (1, True)
    _, output = command("audit", "--json", "--actor", getpass.getuser())
    rows = json.loads(output)["rows"]
    assert [(row["action"], row["subject"]) for row in rows] == [("password", "admin")] * 2
    assert {(row["means"], row["source"]) for row in rows} == {("command", socket.gethostname())}
    code, output = command("password", "nobody", "--generate")
    assert (code, "there is no user 'nobody'" in output) == (1, True)
