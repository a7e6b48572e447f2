"""Printing: JSON on one line for tools, aligned columns for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any


def print_json(value: Any) -> None:
    """Print a value as JSON, with non-ASCII text as it is."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: drawn on a terminal, tab-separated where another program reads."""
    if not sys.stdout.isatty():
        for row in [headers, *rows]:
            sys.stdout.write("\t".join(_one_line(cell) for cell in row) + "\n")
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        table.add_row(*(escape(_one_line(cell)) for cell in row))
    Console().print(table)


def _one_line(text: str) -> str:
    # Control characters in a job's answer must not move a terminal's cursor.
    return "".join(" " if ord(c) < 32 or 127 <= ord(c) < 160 else c for c in text)  # noqa: PLR2004 - the C0 and C1 ranges
