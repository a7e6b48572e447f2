"""No secret is compared by ``==``: how long that takes says how much of it was right (C04)."""

from __future__ import annotations

import ast
import re

import pytest
from tests.support import source

SECRET = re.compile(
    r"(?i)(?:^|_)(?:secret|token|password|passphrase|signature|bearer|authorization|hmac)s?$"
)


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


def comparisons(text: str) -> list[str]:
    """Return each comparison by equality of something that goes by the name of a secret."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Compare)
        and any(isinstance(one, ast.Eq | ast.NotEq) for one in node.ops)
        and any(SECRET.search(named(one)) for one in (node.left, *node.comparators))
    ]


def test_no_secret_is_compared_by_equality():
    """C04: there is ``hmac.compare_digest``."""
    found = {
        (source.name(path), comparison)
        for path in source.under("src", suffix=".py")
        for comparison in comparisons(source.text(path))
    }
    assert not found


@pytest.mark.parametrize(
    "text",
    ["token == given", "given != self.secret", 'sent["password"] == x', "get_token() == y",
     "a == request.headers['Authorization']"],
)  # fmt: skip
def test_sabotage_a_comparison_is_seen(text: str):
    assert comparisons(text) == [ast.unparse(ast.parse(text)).strip()]
