"""No regular expression of ours takes long over text that strangers choose (C31).

Every expression is found in the source, with the methods it is used by, and given long runs of each
small piece that expressions like ours repeat. What backtracks takes a multiple of its square in
steps; what does not takes microseconds. How long a square takes is measured in the same run, as
machines differ: one did it within the tenth of a second that was the limit here once.
"""

from __future__ import annotations

import ast
import functools
import re
import resource
from collections.abc import Callable, Iterator

import pytest
from tests.support import source

LENGTH = 10_000
BACKTRACKS = re.compile(r"\s*x?\s*b")  # half of the square of LENGTH in steps
SHARE = 0.25  # of what that takes, for one call
# They find the line of a fault in a configuration, and explain a pattern in it: text of its owner.
OWNERS_TEXT = {"src/cronbell/config/lines.py", "src/cronbell/config/advice.py"}
METHODS = frozenset({"match", "search", "fullmatch", "finditer", "findall", "sub", "subn", "split"})
PIECES = (
    "a", "0", "-", "_", " ", "\t", "\n", ".", "/", "%", "*", "\\", '"', "'", "(", "[", "{", "<",
    "#", "=", ":", ",", "@", "\u200b", "가", "a.", "a-", "a_", "a ", "0.", "1,", "*,", "1-", "a=",
    "a:", "::", "1) ", "\\\\", "<a ", "http://", "a b\n", "\r\n",
)  # fmt: skip
FLAGS = {name: getattr(re, name) for name in ("IGNORECASE", "I", "MULTILINE", "M", "DOTALL", "S",
                                              "VERBOSE", "X", "ASCII", "A")}  # fmt: skip


def expressions(text: str) -> Iterator[tuple[str, int, str]]:
    """Yield each expression of a module, its flags, and each method it is used by."""
    tree = ast.parse(text)
    named: dict[str, ast.Call] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            if is_of_re(node.value, {"compile"}) and isinstance(node.targets[0], ast.Name):
                named[node.targets[0].id] = node.value
        elif isinstance(node, ast.Call) and is_of_re(node, METHODS):
            assert isinstance(node.func, ast.Attribute)
            yield from written(node, node.func.attr, tree)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
            continue
        if node.attr in METHODS and node.value.id in named:
            yield from written(named[node.value.id], node.attr, tree)


def is_of_re(call: ast.Call, names: frozenset[str] | set[str]) -> bool:
    function = call.func
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "re"
        and function.attr in names
    )


def written(call: ast.Call, method: str, tree: ast.Module) -> Iterator[tuple[str, int, str]]:
    """Yield the expression of a call where it is written down, pieces by name included."""
    first = call.args[0]
    if isinstance(first, ast.JoinedStr | ast.Constant):
        known = {
            node.targets[0].id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        }
        parts = [first] if isinstance(first, ast.Constant) else first.values
        pattern = "".join(
            str(part.value)
            if isinstance(part, ast.Constant)
            else str(known[ast.unparse(part.value)])
            for part in parts
            if isinstance(part, ast.Constant) or ast.unparse(part.value) in known
        )
        flags = 0
        for option in [*call.args[1:], *(word.value for word in call.keywords)]:
            for name in re.findall(r"re\.([A-Z]+)", ast.unparse(option)):
                flags |= FLAGS[name]
        yield pattern, flags, method


def seconds_of(use: Callable[..., object], method: str, text: str) -> float:
    """Return the CPU seconds that one call takes."""
    before = cpu_seconds()
    answer = use("", text) if method in {"sub", "subn"} else use(text)
    if isinstance(answer, Iterator):
        list(answer)
    return cpu_seconds() - before


def cpu_seconds() -> float:
    # The sum is measured; how Linux divides it into the two is a guess by ticks, which leaps.
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


@functools.cache
def limit() -> float:
    """Return how many CPU seconds a call may take on this machine: a share of a square's."""
    return SHARE * min(seconds_of(BACKTRACKS.match, "match", "\t" * LENGTH) for _ in range(3))


def slowest(pattern: str, flags: int, method: str) -> tuple[float, str]:
    """Return the CPU seconds of the slowest text, and the piece it was made of."""
    use = getattr(re.compile(pattern, flags), method)
    found = (0.0, "")
    for piece in PIECES:
        run = piece * (LENGTH // len(piece))
        for text in (run, f"{run}!"):
            took = seconds_of(use, method, text)
            if took > limit():  # once more: another thread of the process may have worked
                took = min(took, *(seconds_of(use, method, text) for _ in range(2)))
            found = max(found, (took, piece))
            if took > limit():
                return found
    return found


def everything() -> list[tuple[str, str, int, str]]:
    return sorted(
        {
            (source.name(path), *one)
            for path in source.under("src", suffix=".py")
            if source.name(path) not in OWNERS_TEXT
            for one in expressions(source.text(path))
        }
    )


def test_no_expression_takes_long_over_any_text():
    """C31."""
    found = everything()
    assert len(found) > 50, "the expressions were not found"
    slow = {
        (file, pattern, method): worst
        for file, pattern, flags, method in found
        if (worst := slowest(pattern, flags, method))[0] > limit()
    }
    assert slow == {}


@pytest.mark.parametrize("pattern", [r"\s*x?\s*b", r"\s*(?:x|y)?\s*b"])
def test_sabotage_one_that_backtracks_is_seen(pattern: str):
    assert slowest(pattern, 0, "match")[0] > limit()


def test_sabotage_expressions_are_found_with_their_flags_and_methods():
    text = (
        "import re\n_P = r'a|b'\nX = re.compile(rf'{_P}+', re.I)\nX.search(t)\nre.sub('c', '', t)\n"
    )
    assert sorted(expressions(text)) == [("a|b+", re.IGNORECASE, "search"), ("c", 0, "sub")]
