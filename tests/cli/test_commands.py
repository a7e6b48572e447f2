"""What a command loads, and what it makes of the words that it is given."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cronbell.cli import commands
from cronbell.cli.commands import Loaded, app

CRONBELL = Path(sys.executable).parent / "cronbell"
WORDS = (
    None, "", " ", "a", "a=b", "7", "07", "0", "1000", "1001", "-1", "+1", " 7", "7 ", "1_0", "1e3",
    "1.0", "٣", "²", "9" * 10, "9" * 400, "web", "WEB", "success", "true", ".", "-", "/", "no/such",
    "\udc80", ["a", "7"], (), [],
)  # fmt: skip


def loaded_by(process, env: dict[str, str], *words: str) -> set[str]:
    """Run a command as the installed program does; return the modules that it loaded."""
    program = (
        "import sys; from cronbell.cli.main import run\n"
        "try: run()\n"
        "finally: sys.stderr.write('loaded: ' + ' '.join(sys.modules) + chr(10))"
    )
    one = process(sys.executable, "-c", program, *words, env=env)
    assert one.wait(60) == 0, one.output()
    return set(one.output().partition("loaded: ")[2].split())


@pytest.mark.any_store
@pytest.mark.parametrize(
    "words",
    [("jobs", "--json"), ("runs", "--limit", "5", "--job", "x"), ("tokens",)],
    ids=" ".join,
)
def test_a_command_loads_itself_and_neither_the_others_nor_pydantic(process, prepared, words):
    modules = loaded_by(process, prepared, *words, "--data", prepared["CRONBELL_DATA"])
    ours = {f"cronbell.cli.{module}" for module, _ in commands.COMMANDS.values()}
    assert modules & ours == {f"cronbell.cli.{commands.COMMANDS[words[0]][0]}"}
    assert not modules & {"pydantic", "rich", "ninja"}


@pytest.mark.any_store
def test_sabotage_a_word_that_is_converted_has_pydantic_loaded(process, prepared):
    assert "pydantic" in loaded_by(process, prepared, "runs", "--status", "success")


def test_a_command_leaves_no_file_of_sqlite_s_behind(process, prepared):
    assert process(CRONBELL, "jobs", env=prepared).wait(60) == 0
    names = {path.name for path in Path(prepared["CRONBELL_DATA"]).iterdir()}
    assert not {name for name in names if name.endswith(("-wal", "-shm"))}


def test_every_command_is_there_by_its_name_and_no_other():
    group: Any = typer.main.get_command(app)
    assert group.list_commands(None) == list(commands.COMMANDS)
    assert {name: command.name for name, command in group.commands.items()} == {
        name: name for name in commands.COMMANDS
    }
    assert group.commands.get("nope") is None


def parameters(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    context = typer.Context(command, info_name=name)
    for one in command.get_params(context):
        yield f"{name} {one.name}", one
    for below, further in getattr(command, "commands", {}).items():
        yield from parameters(further, f"{name} {below}")


def outcome(parameter: Any, value: Any) -> tuple[str, Any]:
    context = typer.Context(typer.main.get_command(app), info_name="cronbell")
    try:
        found = parameter.process_value(context, value)
    except Exception as error:  # noqa: BLE001 - what it is and says is compared
        return type(error).__name__, str(error)
    return type(found).__name__, found


def test_each_word_becomes_what_typer_would_have_made_of_it(monkeypatch, tmp_path):
    """All parameters of all commands, each with words that fit and words that do not."""
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as without:
        without.setattr(commands, "convert_less", lambda _command: None)
        plain = [one for name, found in Loaded().items() for one in parameters(found, name)]
    sparing = [one for name, found in Loaded().items() for one in parameters(found, name)]
    assert [name for name, _ in plain] == [name for name, _ in sparing]
    assert len(plain) > 100
    kinds = {}
    for (name, typers), (_, ours) in zip(plain, sparing, strict=True):
        assert "process_value" in vars(ours)
        assert "process_value" not in vars(typers)
        kinds.setdefault(kind_of(typers), (name, typers, ours))
    assert len(kinds) > 20
    for name, typers, ours in kinds.values():
        for word in (*WORDS, typers.default, str(tmp_path)):
            assert outcome(ours, word) == outcome(typers, word), (name, word)


def kind_of(parameter: Any) -> tuple[Any, ...]:
    """Return what there is about a parameter to make a difference to what becomes of a word."""
    facts = {
        name: value
        for name, value in vars(parameter.type_descriptor.parameter_info).items()
        if name not in {"param_decls", "help", "default", "metavar"}
    }
    shape = (parameter.required, parameter.nargs, parameter.multiple, bool(parameter.callback))
    annotation = str(parameter.type_descriptor.annotation)
    return (annotation, repr(parameter.default), repr(facts), *shape)


def test_a_file_that_cannot_be_read_is_refused_in_typer_s_words(tmp_path, monkeypatch):
    file = tmp_path / "vercel.json"
    file.write_text("{}")
    monkeypatch.setattr("os.access", lambda _path, _mode: False)
    check = Loaded()["check"]
    (parameter,) = [one for _, one in parameters(check, "check") if one.name == "file"]
    kind, words = outcome(parameter, str(file))
    assert kind == "BadParameter"
    assert "is not readable" in words
