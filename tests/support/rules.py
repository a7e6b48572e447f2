"""The house rules on source text that no linter of ours has, each as a function over one file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

LONGEST_FUNCTION = 60
LONGEST_FILE = 500
SQL_CALLS = frozenset({"execute", "executemany", "executescript", "raw", "RawSQL", "RunSQL"})
# Spelled apart, so that this file passes its own rule.
NOTES = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
MACHINES = re.compile(
    r"(?<![\w.])/(?:wo"
    r"rk|ro"
    r"ot|Us"
    r"ers|ho"
    r"me)/[\w.-]"
    r"|\bfa"
    r"rm-[a-z]|\biss"
    r"ues show\b"
)
REGISTRIES = re.compile(
    r"py"
    r"pi\.org|python"
    r"hosted\.org|npm"
    r"js\.(?:org|com)|proxy\.go"
    r"lang\.org"
    r"|crates"
    r"\.io|--(?:extra-)?index"
    r"-url",
)


def long_functions(syntax: ast.Module) -> Iterator[str]:
    """Yield the functions that are too long, decorators and docstring included."""
    for node in ast.walk(syntax):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            length = (node.end_lineno or first) - first + 1
            if length > LONGEST_FUNCTION:
                yield f"line {first}: {node.name} has {length} lines"


def long_file(text: str) -> Iterator[str]:
    """Yield one complaint where a file has too many lines."""
    length = text.count("\n")
    if length > LONGEST_FILE:
        yield f"{length} lines"


def formatted_sql(syntax: ast.Module) -> Iterator[str]:
    """Yield the statements that are put together from pieces instead of given parameters."""
    for node in ast.walk(syntax):
        if not (isinstance(node, ast.Call) and node.args):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        called = node.func.id if isinstance(node.func, ast.Name) else called
        if called in SQL_CALLS and _is_made_of_pieces(node.args[0]):
            yield f"line {node.lineno}: {ast.unparse(node.args[0])}"


def _is_made_of_pieces(node: ast.expr) -> bool:
    if isinstance(node, ast.JoinedStr):
        if ast.unparse(node)[2:].startswith("PRAGMA "):  # takes no parameters on SQLite
            return False
        return any(isinstance(part, ast.FormattedValue) for part in node.values)
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Mod | ast.Add)
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"format", "replace", "join"}
    )


def matches(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    """Yield the lines a pattern is found in."""
    for number, line in enumerate(text.splitlines(), 1):
        if pattern.search(line):
            yield f"line {number}: {line.strip()[:120]}"
