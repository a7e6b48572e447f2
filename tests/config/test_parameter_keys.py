"""``parameters`` of a job in ``cronbell.toml``: what it takes, refuses and writes again."""

from __future__ import annotations

import json

import pytest

from cronbell.config.loader import check_files, load
from cronbell.config.plan import plain_spec
from cronbell.config.toml_text import write_toml
from cronbell.domain import JobSpec, Parameter
from cronbell.runlog.jobs import spec_from

TARGET = "http://127.0.0.1:3000"
BOTH = (
    Parameter(name="category", label="Only this category"),
    Parameter(name="depth", choices=("1", "2 or more"), required=True),
)


@pytest.fixture
def files(tmp_path):
    def write(toml):
        crons = {"crons": [{"path": "/api/cron/clean", "schedule": "0 3 * * 0"}]}
        (tmp_path / "vercel.json").write_text(json.dumps(crons))
        (tmp_path / "cronbell.toml").write_text(toml)
        return tmp_path / "vercel.json", tmp_path / "cronbell.toml"

    return write


def test_what_is_declared_is_known_and_survives_store_and_export(files):
    (job,) = load(
        *files(
            """
[[jobs.clean.parameters]]
name = "category"
label = "Only this category"
[[jobs.clean.parameters]]
name = "depth"
choices = ["1", "2 or more"]
required = true
"""
        ),
        target=TARGET,
    ).jobs
    assert job.parameters == BOTH
    assert spec_from(json.loads(json.dumps(plain_spec(job)))) == job
    written = write_toml([JobSpec(name="own", path="/own", schedule="0 0 * * *", parameters=BOTH)])
    (own,) = (one for one in load(*files(written), target=TARGET).jobs if one.name == "own")
    assert own.parameters == BOTH


@pytest.mark.parametrize(
    ("value", "key", "words"),
    [
        ("3", "parameters", "must be a list of tables"),
        ("[3]", "parameters[0]", "must be a table"),
        ("[{}]", "parameters[0]", "needs `name`"),
        ('[{ name = "1st" }]', "parameters[0].name", "cannot be a parameter's name"),
        ('[{ name = "a", lable = "x" }]', "parameters[0].lable", "is not known"),
        ('[{ name = "a", label = "x\\ny" }]', "parameters[0].label", "cannot be shown"),
        ('[{ name = "a", choices = [] }]', "parameters[0].choices", "has 0 entries"),
        ('[{ name = "a", choices = ["b", "b"] }]', "parameters[0].choices", "twice"),
        ('[{ name = "a", choices = [" b"] }]', "parameters[0].choices", "cannot be sent"),
        ('[{ name = "a", required = 1 }]', "parameters[0].required", "must be true or false"),
        ('[{ name = "a" }, { name = "a" }]', "parameters[1].name", "is there twice"),
    ],
)
def test_each_fault_is_named_at_its_place(files, value, key, words):
    (fault,), _, _ = check_files(*files(f"[jobs.clean]\nparameters = {value}\n"), target=TARGET)
    assert fault.key == f"jobs.clean.{key}"
    assert words in fault.message
    assert fault.hint


def test_they_belong_to_one_job_that_is_called(files):
    errors, _, _ = check_files(
        *files(
            '[defaults]\nparameters = []\n[jobs.ping]\nheartbeat = true\nevery = "1h"\n'
            'parameters = [{ name = "a" }]\n'
        ),
        target=TARGET,
    )
    assert [(fault.key, fault.line) for fault in errors] == [
        ("defaults.parameters", 2),
        ("jobs.ping.parameters", 6),
    ]
