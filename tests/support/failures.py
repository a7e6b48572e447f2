"""What failed, kept in a file by pytest and told once more by ``make test`` when all is over.

The second store's tests come after the first's: whoever sees the end of a long output only, as in
CI, would not see what the first has said.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

VARIABLE = "TEST_FAILURES_FILE"
LINES = 12  # of each failure, its last ones: what was compared, and where


def keep(file: Path, reports: Iterable[pytest.TestReport]) -> None:
    """Write down what failed: each test's name and the end of what it says."""
    told = [f"{each.nodeid} ({each.when})\n{_end_of(each.longreprtext)}" for each in reports]
    file.write_text("\n".join(told), encoding="utf-8")


def _end_of(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines()[-LINES:])
