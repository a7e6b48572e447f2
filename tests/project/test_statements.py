"""Every ``.sql`` file is a statement the store accepts; every migration is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connections
from tests.support import source

pytestmark = pytest.mark.django_db(databases=["default", "runlog"])

FILES = source.under("src/cronbell", suffix=".sql")
PARAMETERS = re.compile(r"Parameters?: (.+?)\.(?:\s|$)")
BATCHES = ("{rows}", "{groups}", "{blocks}")  # each is one parameter
TIMES = re.compile(r"×(\d+)$")  # "now ×4" stands for four


def prepare(text: str) -> None:
    """Have the store parse and plan a statement without running it."""
    with connections["runlog"].cursor() as cursor:
        cursor.execute("EXPLAIN " + text, [None] * text.count("%s"))


@pytest.mark.parametrize("path", FILES, ids=source.name)
def test_the_store_accepts_the_statement(path: Path):
    from cronbell.runlog.statements import statement

    prepare(statement(path.stem, connections["runlog"].vendor))


@pytest.mark.parametrize("path", FILES, ids=source.name)
def test_the_heading_names_as_many_parameters_as_there_are(path: Path):
    lines = source.text(path).splitlines()
    heading = " ".join(line.removeprefix("--").strip() for line in lines if line.startswith("--"))
    body = "\n".join(line for line in lines if not line.lstrip().startswith("--"))
    named = PARAMETERS.search(heading)
    assert named, f"{source.name(path)}: its heading has no 'Parameters: a, b.'"
    names = [] if named[1] == "(none)" else named[1].split(",")
    counts = [TIMES.search(one.strip()) for one in names]
    listed = sum(int(count[1]) if count else 1 for count in counts)
    assert listed == sum(body.count(word) for word in ("%s", *BATCHES))


def test_every_statement_is_used():
    code = "\n".join(source.text(path) for path in source.under("src/cronbell", suffix=".py"))
    assert not [path.stem for path in FILES if f'"{path.stem}"' not in code]


def test_sabotage_a_wrong_statement_is_refused():
    with pytest.raises(DatabaseError):
        prepare("SELEKT 1")
    with pytest.raises(DatabaseError):
        prepare("SELECT no_such_column FROM runlog_run")


def test_every_change_of_a_model_has_its_migration():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
