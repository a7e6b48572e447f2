"""The process that reads one document: no environment, little memory, little time.

A program of its own that imports nothing of ours. The document comes on standard input; what was
found goes to standard output as JSON. Its limits are set before anything is parsed.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from typing import Any

MEMORY = 512 * 1024 * 1024
CPU_SECONDS = 10
WALL_SECONDS = 20
OUTPUT = 1024 * 1024
INFLATED = 16 * 1024 * 1024
MOST_PAGES = 20
MOST_CHARACTERS = 40_000
SMALLEST_PRINT = 3.0  # points; smaller is not meant to be read
NEARLY_WHITE = 0.92
LEAVES_NO_MARK = (3, 7)  # text rendering modes
ACTIVE = ("/OpenAction", "/AA", "/JavaScript", "/EmbeddedFiles", "/XFA", "/OCProperties")


def limit() -> None:
    """Bound this process: memory, processor time, wall time, output, files."""
    for what, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, OUTPUT),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    signal.alarm(WALL_SECONDS)


def read_text(data: bytes) -> dict[str, Any]:
    """Decode a text; nothing is replaced in silence."""
    for encoding in ("utf-8-sig", "cp949"):
        try:
            return {"text": data.decode(encoding), "problems": []}
        except UnicodeDecodeError:
            continue
    return {"text": "", "problems": ["unreadable_encoding"]}


class Ink:
    """Follows a page's graphics state, and notes text that is there and cannot be seen."""

    def __init__(self) -> None:
        self.hidden = False
        self._now: tuple[float, int, float, bool] = (0.0, 0, 12.0, False)
        self._kept: list[tuple[float, int, float, bool]] = []

    def saw(self, operator: bytes, operands: list[Any], cm: list[float], tm: list[float]) -> None:
        """Take in one operation, before it is carried out."""
        white, mode, size, _ = self._now
        if operator == b"q":
            self._kept.append(self._now)
        elif operator == b"Q" and self._kept:
            self._now = self._kept.pop()
        elif operator in {b"g", b"rg", b"k", b"sc", b"scn"}:
            self._now = (lightness(operands), mode, size, False)
        elif operator == b"Tr":
            self._now = (white, int(operands[0]), size, False)
        elif operator == b"Tf":
            self._now = (white, mode, abs(float(operands[1])), False)
        elif operator in {b"Tj", b"TJ", b"'", b'"'}:
            scale = max(abs(tm[2]), abs(tm[3])) * max(abs(cm[2]), abs(cm[3]), 1e-9)
            if white >= NEARLY_WHITE or mode in LEAVES_NO_MARK or size * scale < SMALLEST_PRINT:
                self.hidden = True


def lightness(operands: list[Any]) -> float:
    """Return how light a colour is, 0 to 1; what is no plain colour counts as dark."""
    try:
        numbers = [float(one) for one in operands]
    except (TypeError, ValueError):
        return 0.0
    if len(numbers) == 4:  # noqa: PLR2004 - cyan, magenta, yellow, black
        return 1 - max(numbers)
    return min(numbers, default=0.0)


def read_pdf(stream: Any) -> dict[str, Any]:
    """Read the text of a PDF's first pages, and what is suspicious about the file."""
    import pypdf  # noqa: PLC0415 - after the limits

    pypdf.overwrite_configuration(
        array_based_stream_maximum_output_length=INFLATED,
        jbig2_maximum_output_length=INFLATED,
        lzw_maximum_output_length=INFLATED,
        run_length_maximum_output_length=INFLATED,
        zlib_maximum_output_length=INFLATED,
    )
    reader = pypdf.PdfReader(stream)
    if reader.is_encrypted:
        return {"text": "", "problems": ["encrypted"]}
    problems = set()
    root: Any = reader.trailer["/Root"].get_object()
    names = root.get("/Names", ())
    catalogue = [*root, *names]
    if any(one in catalogue for one in ACTIVE):
        problems.add("active_content")
    if len(reader.pages) > MOST_PAGES:
        problems.add("cut")
    texts, ink = [], Ink()
    for page in reader.pages[:MOST_PAGES]:
        contents = page.get_contents()
        if contents is not None:
            contents.get_data()  # raises where reading on would leave a part out in silence
        texts.append(page.extract_text(visitor_operand_before=ink.saw))
        if "/Annots" in page:
            problems.add("annotations")
    if ink.hidden:
        problems.add("hidden_text")
    return {"text": "\f".join(texts), "problems": sorted(problems)}


def found_in(content_type: str, stream: Any) -> dict[str, Any]:
    """Read a stream as the type named; whatever a parser raises, an answer."""
    try:
        pdf = content_type == "application/pdf"
        found = read_pdf(stream) if pdf else read_text(stream.read())
    except MemoryError:
        found = {"text": "", "problems": ["too_costly"]}
    except Exception as error:  # noqa: BLE001 - whatever a parser raises, the document is at fault
        name = type(error).__name__
        found = {"text": "", "problems": ["too_costly" if "Limit" in name else "broken"]}
    if len(found["text"]) > MOST_CHARACTERS:
        found["text"] = found["text"][:MOST_CHARACTERS]
        found["problems"].append("cut")
    return found


def main() -> None:
    """Read what standard input holds, as the type named by the first argument.

    For a picture this process becomes the program and the languages named next: its limits, and
    the alarm, stay with it, and no second process outlives it.
    """
    limit()
    if sys.argv[1].startswith("image/"):
        program, languages = sys.argv[2:]
        os.execv(program, [program, "stdin", "stdout", "-l", languages])  # noqa: S606 - no shell
    sys.stdout.write(json.dumps(found_in(sys.argv[1], sys.stdin.buffer)))


if __name__ == "__main__":
    main()
