"""A configuration file as text, and the faults found in it, each with its line.

Parsers of JSON and TOML say where a syntax error is, but not on which line a value stands. Lines
are therefore looked up afterwards, by a scan of the text that is only made if there is a fault.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cronbell.addresses import shown_address
from cronbell.domain import Fault

MAX_BYTES = 16 * 1024 * 1024
_MOST_COMPARED = 5_000
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")

# Where a value is: ("crons", 0, "path").
Place = tuple[str | int, ...]
Scan = Callable[[str], Iterator[tuple[Place, int]]]


class UnreadableError(Exception):
    """A file that cannot be taken as text at all; becomes a ``Fault`` at once.

    Attributes:
        message: what is wrong.
        hint: what to do.
        line: 1-based, or 0.
    """

    def __init__(self, message: str, hint: str, line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.line = line


@dataclass(frozen=True, slots=True)
class _Note:
    place: Place
    message: str
    hint: str


class Source:
    """One file: its text, and what was found wrong in it.

    Attributes:
        file: the path as given, for messages.
        text: the content.
    """

    def __init__(self, file: str, text: str, scan: Scan) -> None:
        self.file = file
        self.text = text
        self._scan = scan
        self._errors: list[_Note] = []
        self._warnings: list[_Note] = []
        self._faulty: set[Place] = set()

    def error(self, place: Place, message: str, hint: str = "") -> None:
        """Record a fault at a place."""
        self._errors.append(_Note(place, message, hint))
        self._faulty.update(place[:length] for length in range(len(place) + 1))

    def warn(self, place: Place, message: str, hint: str = "") -> None:
        """Record something that loads, but is probably not meant."""
        self._warnings.append(_Note(place, message, hint))

    def has_error_within(self, place: Place) -> bool:
        """Say whether a fault was recorded at a place or inside it."""
        return place in self._faulty

    def errors(self) -> list[Fault]:
        """Return the faults in the order of their lines."""
        return self._faults(self._errors)

    def warnings(self) -> list[Fault]:
        """Return the warnings in the order of their lines."""
        return self._faults(self._warnings)

    def _find(self, places: Iterable[Place]) -> Mapping[Place, int]:
        """Return the lines of places and of what they are in; read no further than that takes."""
        missing = set(places)
        wanted = {place[:length] for place in missing for length in range(len(place) + 1)}
        lines: dict[Place, int] = {}
        for place, line in self._scan(self.text):
            if place in wanted and place not in lines:
                lines[place] = line
                missing.discard(place)
                if not missing:
                    break
        return lines

    def _faults(self, notes: list[_Note]) -> list[Fault]:
        lines = self._find(note.place for note in notes) if notes else {}
        faults = [
            Fault(
                file=self.file,
                line=_line(lines, note.place),
                key=key_text(note.place),
                message=note.message,
                hint=note.hint,
            )
            for note in notes
        ]
        return sorted(faults, key=lambda fault: fault.line)


def _line(lines: Mapping[Place, int], place: Place) -> int:
    # What is missing has no line of its own: that of what it is missing from is named.
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def key_text(place: Place) -> str:
    """Write a place as ``crons[0].path`` or ``jobs."two words".timeout``."""
    if len(place) == 2 and place[0] == "crons":  # noqa: PLR2004 - asked 100,000 times
        return f"crons[{place[1]}]"
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = part.replace("-", "").replace("_", "")
            shown = part if plain.isalnum() else '"' + printable(part) + '"'
            text += f".{shown}" if text else shown
    return text


def printable(text: str, most: int = 80) -> str:
    """Return text fit for one line of a message.

    Cut, with nothing that moves a cursor, and without the secrets of an address.
    """
    text = shown_address(text)
    cut = text if len(text) <= most else text[:most] + "…"
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in cut
    )


def similar(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean …?`` for a word that is not known, or an empty string."""
    from difflib import get_close_matches  # noqa: PLC0415 - slow to import, needed for faults only

    words = list(known)
    if len(words) > _MOST_COMPARED or len(word) > 100:  # noqa: PLR2004 - comparing would take seconds
        return ""
    close = get_close_matches(word, words, n=1, cutoff=0.6)
    return f"did you mean `{printable(close[0])}`?" if close else ""


def read_text(path: Path) -> str:
    """Return a file's text.

    Raises:
        UnreadableError: it is missing, no file, too large, not UTF-8, or holds a NUL.
    """
    return decode(_read_bytes(path))


def _read_bytes(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableError("is not a file", "name the file itself")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UnreadableError("there is no such file", "check the path") from None
    except PermissionError:
        raise UnreadableError("may not be read by this user", f"chmod u+r {path}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise UnreadableError(f"cannot be read: {error}", "check the path") from None
    return data


def decode(data: bytes) -> str:
    """Return a file's content as text.

    Raises:
        UnreadableError: it is larger than 16 MB, not UTF-8, or holds a NUL.
    """
    if len(data) > MAX_BYTES:
        raise UnreadableError("is larger than 16 MB, which is the limit", "split the project")
    if data.startswith(_BOMS):
        raise UnreadableError(
            "begins with a byte order mark", "save it as UTF-8 without a byte order mark", 1
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableError("is not UTF-8 text", "save it as UTF-8", line) from None
    nul = text.find("\0")
    if nul >= 0:
        line = text.count("\n", 0, nul) + 1
        raise UnreadableError(
            "holds a NUL character", "the file is damaged: restore it, or save it as UTF-8", line
        )
    return text
