"""``make mutants``: is every line of the safety-critical modules there for a reason tests know?

Each mutant is one module with one thing changed: a comparison turned round, a condition that always
holds or never, a `not` taken away, a number moved by one, a `raise` or a returned value left out,
a member of a set lost. It lives in a copy of the source, and the module's own tests are run on it;
where they still pass, the mutant survived, and either a test is missing or the line does nothing.
A survivor that changes nothing anybody could see is listed in ``EXPLAINED`` with the reason.

Each mutant gets a process of its own, forked from one that has loaded everything but the project.

    make mutants                          all of them: 135 in about twenty minutes
    make mutants ARGS="--only egress"    one module
    make mutants ARGS="--write"           and docs/mutants.md written anew

Exit codes: 0 all were noticed or explained, 1 one was not, 2 the tests fail without any mutant.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "mutants.md"
SECONDS = 240
MEANING = (
    " were noticed by the tests of their module. A mutant is a module with one thing changed;"
    " what is changed, and how, is said in `scripts/mutate.py`."
)
FINE, SURVIVED, BROKEN = 0, 1, 2
# Module ─► the tests that are about it, the quick ones first.
MODULES = {
    "cronbell/dispatch/egress.py": ("dispatch/test_dispatch_egress.py",),
    "cronbell/dispatch/retry.py": ("dispatch/test_dispatch_retry.py",),
    "cronbell/alerts/signing.py": ("alerts/test_signing.py",),
}
# Survivors that nobody could notice: module and changed line ─► why.
EXPLAINED: dict[tuple[str, str], str] = {
    (
        "cronbell/dispatch/egress.py",
        "MAX_KNOWN = 4096 → MAX_KNOWN = 4097",
    ): "a bound on memory, one higher",
    (
        "cronbell/dispatch/egress.py",
        "if isinstance(address, IPv4Address): → if False:",
    ): "an IPv4 address carries no other one: the lines it would reach find nothing",
}

Change = Callable[[Any], object]

_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE,
    ast.GtE: ast.Gt, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One changed module.

    Attributes:
        line: where, in the module as it is.
        what: the first line that is another, before and after the change.
        source: of the whole module.
    """

    line: int
    what: str
    source: str


@dataclass
class Score:
    """What became of a module's mutants."""

    made: int = 0
    noticed: int = 0
    explained: list[Mutant] = field(default_factory=list)
    survived: list[Mutant] = field(default_factory=list)


def mutants(text: str) -> Iterator[Mutant]:
    """Yield every mutant of a module."""
    tree = ast.parse(text)
    places = [node for node in ast.walk(tree) if not _is_type(node)]
    for place, node in enumerate(ast.walk(tree)):
        if node not in places:
            continue
        for change in _changes(node):
            mutated = copy.deepcopy(tree)
            twin = next(one for number, one in enumerate(ast.walk(mutated)) if number == place)
            change(twin)
            source = ast.unparse(ast.fix_missing_locations(mutated))
            line = getattr(node, "lineno", 0)
            yield Mutant(line, _changed_line(ast.unparse(tree), source), source)


def _is_type(node: ast.AST) -> bool:
    """Say whether a node is nothing at run time: what a checker reads, and documentation."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _changes(node: ast.AST) -> Iterator[Change]:
    """Yield what can be done to a node, each to be done to its twin in a copy of the tree."""
    for kind, changes in _CHANGES.items():
        if isinstance(node, kind):
            yield from changes(node)


def _turn_round(node: ast.Compare) -> Iterator[Change]:
    for index, one in enumerate(node.ops):
        if type(one) in _TURNED:
            other = _TURNED[type(one)]()
            yield lambda twin, index=index, other=other: _set_item(twin.ops, index, other)


def _all_or_any(node: ast.BoolOp) -> Iterator[Change]:
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    yield lambda twin: setattr(twin, "op", other)


def _always_or_never(node: ast.If | ast.IfExp | ast.While) -> Iterator[Change]:
    for value in (False,) if isinstance(node, ast.While) else (True, False):  # it has to end
        yield lambda twin, value=value: setattr(twin, "test", ast.Constant(value))


def _without_not(node: ast.UnaryOp) -> Iterator[Change]:
    if isinstance(node.op, ast.Not):
        # Not a plus: of text or None that would fail, and failing is noticed for nothing.
        yield lambda twin: setattr(twin, "operand", ast.UnaryOp(ast.Not(), twin.operand))


def _nothing_returned(node: ast.Return) -> Iterator[Change]:
    if _is_something(node.value):
        yield lambda twin: setattr(twin, "value", ast.Constant(None))


def _one_less(node: ast.Set) -> Iterator[Change]:
    for index in range(len(node.elts) if len(node.elts) > 1 else 0):
        yield lambda twin, index=index: twin.elts.pop(index)


def _left_out(node: Any) -> Iterator[Change]:
    for index, one in enumerate(node.body):
        if isinstance(one, ast.Raise) or _is_call(one):
            yield lambda twin, index=index: _set_item(twin.body, index, ast.Pass())


def _other_number(node: ast.Constant) -> Iterator[Change]:
    if isinstance(node.value, bool):
        yield lambda twin: setattr(twin, "value", not twin.value)
    elif isinstance(node.value, int | float):
        yield lambda twin: setattr(twin, "value", twin.value + 1)


_CHANGES: dict[Any, Callable[[Any], Iterator[Change]]] = {
    ast.Compare: _turn_round,
    ast.BoolOp: _all_or_any,
    ast.If | ast.IfExp | ast.While: _always_or_never,
    ast.UnaryOp: _without_not,
    ast.Return: _nothing_returned,
    ast.Set: _one_less,
    ast.FunctionDef
    | ast.If
    | ast.For
    | ast.While
    | ast.With
    | ast.Try
    | ast.ExceptHandler
    | ast.Module: _left_out,
    ast.Constant: _other_number,
}


def _is_something(value: ast.expr | None) -> bool:
    return value is not None and not (isinstance(value, ast.Constant) and value.value is None)


def _is_call(statement: ast.stmt) -> bool:
    """Say whether a statement calls something for its effect; a line of a log is none."""
    if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)):
        return False
    return not ast.unparse(statement.value.func).startswith("log.")


def _set_item(items: list[ast.AST], index: int, value: ast.AST) -> None:
    items[index] = value


def _changed_line(before: str, after: str) -> str:
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    return next((f"{old.strip()} → {new.strip()}" for old, new in pairs if old != new), "")


class Runner:
    """Runs tests on a copy of the source, each time in a fresh child.

    Args:
        folder: where the copy is made.
    """

    def __init__(self, folder: Path) -> None:
        self.src = folder / "src"
        shutil.copytree(ROOT / "src", self.src)
        os.environ["PYTHONPATH"] = str(self.src)
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        sys.dont_write_bytecode = True
        sys.path.insert(0, str(self.src))
        os.chdir(ROOT)
        # Loaded once, for all children; nothing of the project may be among it.
        import django.test  # noqa: F401, PLC0415
        import hypothesis  # noqa: F401, PLC0415
        import pyreqwest.client  # noqa: F401, PLC0415
        import pytest  # noqa: F401, PLC0415

        loaded = [name for name in sys.modules if name.partition(".")[0] in {"cronbell", "tests"}]
        if loaded:
            raise SystemExit(f"loaded before its mutant was made: {loaded}")

    def passes(self, tests: tuple[str, ...], *, loud: bool = False) -> bool:
        """Say whether the tests pass; a child that takes too long has noticed something."""
        child = os.fork()
        if child == 0:
            self._child(tests, loud=loud)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status) == 0

    @staticmethod
    def _child(tests: tuple[str, ...], *, loud: bool) -> None:
        signal.alarm(SECONDS)
        if not loud:
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
        code = 1
        try:
            import pytest  # noqa: PLC0415

            options = ["-n0", "-x", "-q", "--no-header", "--assert=plain"]
            code = int(pytest.main([*options, *(f"tests/{name}" for name in tests)]))
        finally:
            # Whatever was raised, this child must not clean up what is its parent's.
            os._exit(code)


def judge(runner: Runner, module: str, tests: tuple[str, ...]) -> Score:
    """Make and run the mutants of one module."""
    path = runner.src / module
    original = path.read_text(encoding="utf-8")
    score = Score()
    try:
        for mutant in mutants(original):
            score.made += 1
            path.write_text(mutant.source, encoding="utf-8")
            if not runner.passes(tests):
                score.noticed += 1
            elif (module, mutant.what) in EXPLAINED:
                score.explained.append(mutant)
            else:
                score.survived.append(mutant)
                print(f"   survived: {module}:{mutant.line}: {mutant.what}", flush=True)
    finally:
        path.write_text(original, encoding="utf-8")
    return score


def page(scores: dict[str, Score]) -> str:
    """Return ``docs/mutants.md``."""
    rows = [
        f"| `{module}` | {one.made} | {one.noticed} | {len(one.explained)} | {len(one.survived)} |"
        for module, one in scores.items()
    ]
    whole = Score(
        sum(one.made for one in scores.values()), sum(one.noticed for one in scores.values())
    )
    explained = [
        f"- `{module}`: `{what}`: {why}"
        for (module, what), why in EXPLAINED.items()
        if any(one.what == what for one in scores.get(module, Score()).explained)
    ]
    return "\n".join(
        [
            "<!-- Written by `make mutants ARGS=--write`: change scripts/mutate.py, not this. -->",
            "",
            "# Mutants",
            "",
            f"{whole.noticed:,} of {whole.made:,} mutants{MEANING}",
            "",
            "| module | mutants | noticed | explained | survived |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "## Explained",
            "",
            "These change nothing that anybody could see.",
            "",
            *explained,
            "",
        ]
    )


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="modules whose path has this in it")
    parser.add_argument("--write", action="store_true", help="write docs/mutants.md")
    given = parser.parse_args()
    chosen = {module: tests for module, tests in MODULES.items() if given.only in module}
    if not chosen or (given.write and given.only):
        parser.error("no module has that in its path" if not chosen else "--write is for all")
    scores = {}
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(Path(folder))
        for module, tests in chosen.items():
            if not runner.passes(tests, loud=True):
                print(f"{module}: its tests fail without a mutant: {' '.join(tests)}")
                return BROKEN
            print(f"== {module}", flush=True)
            scores[module] = one = judge(runner, module, tests)
            print(
                f"   {one.noticed} of {one.made} noticed, {len(one.explained)} explained,"
                f" {len(one.survived)} survived",
                flush=True,
            )
    if given.write:
        PAGE.write_text(page(scores), encoding="utf-8")
    return SURVIVED if any(one.survived for one in scores.values()) else FINE


if __name__ == "__main__":
    sys.exit(main())
