"""The project's Markdown as data: links, code, and the commands it tells people to type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.support import source

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
COMMENT = re.compile(r"\s*(?:#|//) .*$", re.MULTILINE)
COMMAND = re.compile(r"(?:^|[\s/(])(cronbell|ideasgpt) ([a-z][a-z-]*)")
MAKE = re.compile(r"(?:^|\s)make ([a-z]+)")
SHELLS = {"sh", "bash", "console"}


def all_documents() -> list[Path]:
    """Return every Markdown file of the project."""
    return [path for path in source.files() if path.suffix == ".md"]


def fences(text: str) -> list[tuple[str, str]]:
    """Return the code blocks, each with its language."""
    return [(match[1], match[2]) for match in FENCE.finditer(text)]


def prose(text: str) -> str:
    """Return the text without its code blocks."""
    return FENCE.sub("", text)


def dead_links(path: Path, text: str) -> Iterator[str]:
    """Yield the relative links of a document at ``path`` that lead nowhere in the project."""
    for target in LINK.findall(prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        if not found.is_relative_to(source.ROOT) or (file and not found.exists()):
            yield target
            continue
        if anchor and anchor not in anchors(source.text(found) if file else text):
            yield target


def anchors(text: str) -> set[str]:
    """Return the anchors a document's headings make."""
    titles = (match[2].lower() for match in HEADING.finditer(prose(text)))
    return {re.sub(r"[^\w\- ]", "", title).strip().replace(" ", "-") for title in titles}


def commands(text: str, pattern: re.Pattern[str] = COMMAND) -> set[tuple[str, ...]]:
    """Return what a document tells people to type: in spans and in shell blocks."""
    typed = [
        span for span in SPAN.findall(prose(text)) if not span.startswith(("from ", "import "))
    ]
    for language, code in fences(text):
        if language in SHELLS:
            typed += COMMENT.sub("", code).splitlines()
    found = (pattern.findall(line) for line in typed)
    return {one if isinstance(one, tuple) else (one,) for many in found for one in many}


def outline(text: str) -> list[int]:
    """Return the levels of the headings, in order."""
    return [len(match[1]) for match in HEADING.finditer(prose(text))]


def code(text: str) -> list[str]:
    """Return the code blocks without their comments, which may be translated."""
    return [COMMENT.sub("", block) for _language, block in fences(text)]
