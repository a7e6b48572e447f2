"""The project's own files as data for the checks in ``tests/project``."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
PACKAGES = ("cronbell", "ideasgpt")


@cache
def files() -> tuple[Path, ...]:
    """Return every file of the project: tracked, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    found = (ROOT / name for name in listed.stdout.split("\0") if name)
    return tuple(sorted(path for path in found if path.is_file()))


def under(*folders: str, suffix: str) -> list[Path]:
    """Return the project's files with a suffix below the given folders."""
    roots = [ROOT / folder for folder in folders]
    return [
        path
        for path in files()
        if path.suffix == suffix and any(path.is_relative_to(root) for root in roots)
    ]


def name(path: Path) -> str:
    """Return a path as people know it, from the project's root."""
    return path.relative_to(ROOT).as_posix()


@cache
def text(path: Path) -> str:
    """Return a text file's content."""
    return path.read_text(encoding="utf-8")


@cache
def tree(path: Path) -> ast.Module:
    """Return a Python file's syntax tree."""
    return ast.parse(text(path), filename=name(path))


def module_of(path: Path) -> str:
    """Return the dotted name of a file below ``src``."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    """Return every module of both packages, by dotted name."""
    return {module_of(path): path for path in under("src", suffix=".py")}


def imported(syntax: ast.Module, module: str, *, is_package: bool) -> Iterator[str]:
    """Yield every name a module imports, wherever in it, with relative ones resolved.

    ``from a import b`` yields ``a`` and ``a.b``: whether ``b`` is a module only ``a`` knows.
    """
    home = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(syntax):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = home[: len(home) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def imports(module: str) -> frozenset[str]:
    """Return what a module of ours imports directly; its parent packages run first, so count."""
    path = modules()[module]
    direct = set(imported(tree(path), module, is_package=path.stem == "__init__"))
    return frozenset(direct | _parents(module))


def reached(module: str) -> dict[str, str]:
    """Return every name imported on the way from a module, each with the module that does it."""
    found: dict[str, str] = {}
    waiting = [module]
    seen = {module}
    while waiting:
        current = waiting.pop()
        for target in imports(current):
            found.setdefault(target, current)
            for ours in {target, *_parents(target)} & modules().keys() - seen:
                seen.add(ours)
                waiting.append(ours)
    return found


def _parents(module: str) -> set[str]:
    parts = module.split(".")
    return {".".join(parts[:count]) for count in range(1, len(parts))}


def is_part_of(module: str, package: str) -> bool:
    """Say whether a dotted name is a package or lies in it."""
    return module == package or module.startswith(f"{package}.")
