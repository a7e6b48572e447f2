"""On which line each key of a JSON or TOML text stands.

Both scans are given text that the real parser has already accepted, so they need not find
faults; they only have to step over strings and comments rightly.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator

from cronbell.config.source import Place

_DEEPEST = 4  # nothing of ours is nested deeper; other people's keys may be
_JSON_SYMBOL = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_TOML_SYMBOL = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\''
    r"|\#[^\n]*|\n|[\[\]{},=.]|[^\s\[\]{},=.#\"']+",
    re.DOTALL,
)


def json_lines(text: str) -> Iterator[tuple[Place, int]]:
    """Give the line of each key and each array element of a JSON text, in its order."""
    yield (), 1
    path: list[str | int] = []
    brackets: list[str] = []
    line, seen, key_next = 1, 0, False
    for match in _JSON_SYMBOL.finditer(text):
        symbol, start = match.group(), match.start()
        line += text.count("\n", seen, start)
        seen = start
        if symbol in {"}", "]"}:
            brackets.pop()
            path.pop()
            key_next = False
        elif symbol == ",":
            key_next = brackets[-1] == "{"
            if not key_next:
                path[-1] = int(path[-1]) + 1
        elif symbol != ":":
            if key_next and symbol != "}":
                path[-1] = json.loads(symbol)
            if len(path) <= _DEEPEST:
                yield tuple(path), line
            key_next = False
            if symbol in {"{", "["}:
                brackets.append(symbol)
                path.append("" if symbol == "{" else 0)
                key_next = symbol == "{"


class _TomlScan:
    """Walks the symbols of a TOML text, noting the line of each key."""

    def __init__(self, text: str) -> None:
        self._symbols = list(_TOML_SYMBOL.finditer(text))
        self._text = text
        self._next = 0
        self._line, self._counted = 1, 0
        self.lines: dict[Place, int] = {(): 1}
        self._elements: dict[Place, int] = {}

    def run(self) -> dict[Place, int]:
        table: Place = ()
        while (symbol := self._peek()) is not None:
            if symbol == "\n" or symbol.startswith("#"):
                self._next += 1
            elif symbol == "[":
                brackets = 0
                while self._peek() == "[":
                    self._next += 1
                    brackets += 1
                table = self._key(())
                if brackets > 1:
                    table = self._element(table)
                while self._peek() == "]":
                    self._next += 1
            else:
                self._pair(table)
        return self.lines

    def _peek(self) -> str | None:
        return self._symbols[self._next].group() if self._next < len(self._symbols) else None

    def _count_lines(self) -> None:
        start = self._symbols[self._next].start()
        self._line += self._text.count("\n", self._counted, start)
        self._counted = start

    def _element(self, place: Place) -> Place:
        """Note the next ``[[…]]`` of a list of tables."""
        index = self._elements.get(place, 0)
        self._elements[place] = index + 1
        self.lines.setdefault((*place, index), self._line)
        return (*place, index)

    def _key(self, table: Place) -> Place:
        """Read a dotted key up to the symbol that ends it."""
        self._count_lines()
        place = table
        while (symbol := self._peek()) is not None and symbol not in {"=", "]"}:
            self._next += 1
            if symbol != ".":
                place = (*place, _unquoted(symbol))
                self.lines.setdefault(place, self._line)
        return place

    def _pair(self, table: Place) -> None:
        place = self._key(table)
        self._next += 1  # the equals sign
        if self._peek() == "{":
            self._inline_table(place)
        elif self._peek() == "[":
            self._array(place)
        else:
            self._skip_value()

    def _inline_table(self, place: Place) -> None:
        self._next += 1
        while (symbol := self._peek()) not in {"}", None}:
            if symbol in {",", "\n"} or (symbol or "").startswith("#"):
                self._next += 1
            else:
                self._pair(place)
        self._next += 1

    def _array(self, place: Place) -> None:
        self._next += 1
        index = 0
        while (symbol := self._peek()) not in {"]", None}:
            if symbol == "{":
                self._count_lines()
                self.lines.setdefault((*place, index), self._line)
                self._inline_table((*place, index))
            elif symbol in {",", "\n"} or (symbol or "").startswith("#"):
                index += symbol == ","
                self._next += 1
            else:
                self._skip_value()
        self._next += 1

    def _skip_value(self) -> None:
        """Step over a value that holds no table, up to what ends it."""
        depth = 0
        while (symbol := self._peek()) is not None:
            if depth == 0 and symbol in {"\n", ",", "}", "]"}:
                return
            depth += (symbol in {"[", "{"}) - (symbol in {"]", "}"})
            self._next += 1


def _unquoted(symbol: str) -> str:
    return str(tomllib.loads(f"key = {symbol}")["key"]) if symbol[0] in "\"'" else symbol


def toml_lines(text: str) -> Iterator[tuple[Place, int]]:
    """Give the line of each table and key of a TOML text, inline tables included."""
    yield from _TomlScan(text.replace("\r\n", "\n")).run().items()
