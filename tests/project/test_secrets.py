"""No secret is compared by ``==`` or ``in``: the time taken says how much was right (C04)."""

from __future__ import annotations

import ast
import re

import pytest
from tests.support import source

SECRET = re.compile(
    r"(?i)(?:^|_)(?:secret|token|password|passphrase|signature|bearer|authorization|hmac|digest"
    r"|api_?key|credential|otp)s?$"
)

COMPARING = ast.Eq | ast.NotEq | ast.In | ast.NotIn
# Comparisons whose other side nobody can send: how long they take tells nobody anything.
NOBODY_GUESSES = {
    ("src/cronbell/dispatch/dispatcher.py", "secret in body"): "answers are searched, to mask it",
    ("src/cronbell/server/backup.py", "found.hexdigest() != digest"): "a checksum beside its file",
}


def named(node: ast.expr) -> str:
    """Return the name a value goes by, as far as it has one."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        key = node.slice
        return str(key.value) if isinstance(key, ast.Constant) else named(node.value)
    return named(node.func) if isinstance(node, ast.Call) else ""


def compared(node: ast.Compare) -> list[ast.expr]:
    """Return what is compared: of a look into a list only what is looked for."""
    looked_for = any(isinstance(one, ast.In | ast.NotIn) for one in node.ops)
    return [node.left] if looked_for else [node.left, *node.comparators]


def comparisons(text: str) -> list[str]:
    """Return each comparison, or look into a list, of something named like a secret."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Compare)
        and any(isinstance(one, COMPARING) for one in node.ops)
        and any(SECRET.search(named(one)) for one in compared(node))
    ]


def test_no_secret_is_compared_by_equality():
    """C04: there is ``hmac.compare_digest``."""
    found = {
        (source.name(path), comparison)
        for path in source.under("src", suffix=".py")
        for comparison in comparisons(source.text(path))
    }
    assert found == set(NOBODY_GUESSES)


@pytest.mark.parametrize(
    "text",
    ["token == given", "given != self.secret", 'sent["password"] == x', "get_token() == y",
     "a == request.headers['Authorization']", "token in known", "row.digest == given"],
)  # fmt: skip
def test_sabotage_a_comparison_is_seen(text: str):
    assert comparisons(text) == [ast.unparse(ast.parse(text)).strip()]
