"""What the documents say is there is there."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest
from tests.support import documents, source

import cronbell

READMES = ("README.md", "README.ko.md")
DOCUMENTS = documents.all_documents()


def text(name: str) -> str:
    return source.text(source.ROOT / name)


@pytest.mark.parametrize("path", DOCUMENTS, ids=source.name)
def test_every_relative_link_leads_somewhere(path: Path):
    assert not list(documents.dead_links(path, source.text(path)))


@pytest.mark.parametrize("path", DOCUMENTS, ids=source.name)
def test_every_command_named_exists(path: Path):
    import typer

    from cronbell.cli.main import app

    known = set(typer.main.get_command(app).commands)
    unknown = {words for words in documents.commands(source.text(path)) if words[1] not in known}
    assert not unknown


@pytest.mark.parametrize("name", READMES)
def test_a_readme_lists_every_command(name: str):
    from cronbell.cli.commands import COMMANDS

    listed = {words[1] for words in documents.commands(text(name))}
    assert COMMANDS.keys() - listed == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=source.name)
def test_every_make_target_named_exists(path: Path):
    known = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    named = documents.commands(source.text(path), documents.MAKE)
    assert {target for (target,) in named} <= known


@pytest.mark.parametrize("name", READMES)
def test_a_readme_names_the_two_commands_and_ci_runs_what_it_names(name: str):
    named = {target for (target,) in documents.commands(text(name), documents.MAKE)}
    assert {"run", "test", "check"} <= named
    assert {"make check", "make test", "make setup"} <= set(
        re.findall(r"make \w+", text(".ci/run"))
    )


def test_both_readmes_have_the_same_outline_code_links_and_tables():
    english, korean = (text(name) for name in READMES)
    assert documents.outline(english) == documents.outline(korean)
    assert documents.code(english) == documents.code(korean)
    named = [documents.commands(one) for one in (english, korean)]
    assert named[0] == named[1]
    links = [set(documents.LINK.findall(one)) - set(READMES) for one in (english, korean)]
    assert links[0] == links[1]
    assert english.count("\n|") == korean.count("\n|")


@pytest.mark.parametrize("path", DOCUMENTS, ids=source.name)
def test_every_sample_parses(path: Path):
    readers = {"json": json.loads, "toml": tomllib.loads, "python": ast.parse}
    for language, code in documents.fences(source.text(path)):
        if language in readers:
            readers[language](code)


def test_the_readme_s_configuration_is_one_that_cronbell_takes(tmp_path: Path):
    from cronbell.config.loader import load

    samples = dict(documents.fences(text("README.md")))
    vercel_json, toml = tmp_path / "vercel.json", tmp_path / "cronbell.toml"
    vercel_json.write_text(samples["json"], encoding="utf-8")
    toml.write_text(samples["toml"], encoding="utf-8")
    loaded = load(vercel_json, toml)
    assert sorted(job.name for job in loaded.jobs) == ["digest", "heartbeat"]


def test_every_decision_is_listed_once_and_numbered_without_gaps():
    folder = source.ROOT / "docs" / "decisions"
    records = [path.name for path in documents.all_documents() if path.parent == folder]
    records.remove("README.md")
    listed = documents.LINK.findall(text("docs/decisions/README.md"))
    assert sorted(listed) == sorted(records)
    assert [int(name[:4]) for name in sorted(records)] == list(range(1, len(records) + 1))


def test_the_changelog_has_the_current_version():
    assert f"## [{cronbell.__version__}]" in text("CHANGELOG.md")
    declared = tomllib.loads(text("pyproject.toml"))["project"]["version"]
    assert declared == cronbell.__version__


def test_the_flow_names_only_files_there_are():
    named = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_.]+)?)`", text("docs/FLOW.md")))
    roots = [source.SRC / "cronbell", source.ROOT]
    missing = {name for name in named if not any((root / name).exists() for root in roots)}
    assert named
    assert not missing


def test_sabotage_dead_links_and_unknown_commands_are_seen():
    words = (
        "# Here\n[a](no/file.md) [b](#no) [c](#here)\n`cronbell fly`\n```sh\nmake tea # x\n```\n"
    )
    found = documents.dead_links(source.ROOT / "docs" / "unwritten.md", words)
    assert list(found) == ["no/file.md", "#no"]
    assert documents.commands(words) == {("cronbell", "fly")}
    assert documents.commands(words, documents.MAKE) == {("tea",)}
