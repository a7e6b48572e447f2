"""A document's shell blocks typed as its reader would: in order, in one folder, against servers.

What stands in a comment just above a block steers it::

    <!-- not run: it needs root -->       the block is left out; the reason is required
    <!-- file: vercel.json -->            the block, in any language, is written to that file

A block whose first line is a comment with a file's name is written to that file as well. A line
that starts ``cronbell up`` or ``ideasgpt up`` starts a server, which the lines after it may use; a
block that starts one first ends the one before.
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.documents import SHELLS
from tests.support.processes import Process

BIN = Path(sys.executable).parent
FENCE = re.compile(r"^(?:<!-- (.+?) -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEERED = re.compile(r"(not run|file): (\S.*)")
NAMED = re.compile(r"(?:#|//) ([\w.-]+(?:/[\w.-]+)*\.\w+)\n")
SERVER = re.compile(r"(?:\S*/)?(cronbell|ideasgpt) up\b")
UP = "is up with"
SHIM = '#!/bin/bash\nif [[ "${1-}" == up ]]; then set -- "$@" --port %s; fi\nexec %s "$@"\n'
SECONDS = 110.0


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, and what the comment above it says."""

    language: str
    text: str
    file: str = ""
    not_run: str = ""

    @property
    def typed(self) -> bool:
        return self.language in SHELLS and not self.file

    @property
    def parts(self) -> list[str]:
        """The text, each line that starts a server by itself."""
        found: list[str] = []
        for line in self.text.splitlines():
            if SERVER.match(line) or not found or SERVER.match(found[-1]):
                found.append(line)
            else:
                found[-1] += f"\n{line}"
        return found


def blocks(text: str) -> list[Block]:
    """Return a document's blocks; an ``AssertionError`` names a comment that is not understood."""
    found = []
    for comment, language, body in FENCE.findall(text):
        steered = STEERED.fullmatch(comment)
        assert not comment or steered, f"say 'not run: REASON' or 'file: NAME', not {comment!r}"
        named = NAMED.match(body)
        file = named[1] if named else ""
        reason = ""
        if steered:
            file, reason = ("", steered[2]) if steered[1] == "not run" else (steered[2], "")
        found.append(Block(language, body, file, reason))
    return found


@dataclass
class Reader:
    """Somebody who types what a document says.

    Attributes:
        process: starts a process that is ended with the test.
        folder: where the reader is at first.
        port: what stands for 8000.
        words: what stands for words of the document that name other places.
        environment: the variables in force; ``export`` changes them for later blocks.
    """

    process: Callable[..., Process]
    folder: Path
    port: int
    words: Mapping[str, str]
    environment: dict[str, str] = field(default_factory=dict)
    server: Process | None = None
    ran: int = 0

    def __post_init__(self) -> None:
        programs = self.folder / ".venv" / "bin"
        programs.mkdir(parents=True)
        for name in ("cronbell", "ideasgpt"):
            self.program(name, SHIM % (self.port, BIN / name))
        (programs / "python3").symlink_to(sys.executable)
        before = self.environment.get("PATH", "/usr/local/bin:/usr/bin:/bin")
        self.environment["PATH"] = f"{programs}:{before}"
        self.environment["PWD"] = str(self.folder)

    def program(self, name: str, text: str) -> None:
        """Put a program into the reader's PATH."""
        path = self.folder / ".venv" / "bin" / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def read(self, text: str) -> None:
        """Type everything."""
        for block in blocks(text):
            body = self.localized(block.text)
            if block.file:
                path = self.folder / block.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(body, encoding="utf-8")
            elif block.typed and not block.not_run:
                self.type(Block(block.language, body))
                self.ran += 1

    def localized(self, text: str) -> str:
        """Return the text with the places of this machine."""
        for word, meant in {**self.words, "127.0.0.1:8000": f"127.0.0.1:{self.port}"}.items():
            text = text.replace(word, meant)
        return text

    def type(self, block: Block) -> None:
        """Run one block."""
        if any(SERVER.match(part) for part in block.parts):
            self.stop()
        for part in block.parts:
            if SERVER.match(part):
                self.server = self._start(f"exec {part}")
                self.server.wait_for(UP, SECONDS)
            else:
                self._wait(part)

    def stop(self) -> None:
        """End the server that runs, as Ctrl-C would."""
        if self.server is not None:
            self.server.signal(signal.SIGINT)
            assert self.server.wait(SECONDS) == 0, self.server.output()
            self.server = None

    def _wait(self, script: str) -> None:
        left = self.folder.parent / "environment"
        done = self._start(f"{script}\nenv -0 > '{left}'")
        assert done.wait(SECONDS) == 0, (
            f"{script}\n{done.output()}{self.server and self.server.output()}"
        )
        pairs = left.read_text(encoding="utf-8").split("\0")
        self.environment.update(pair.split("=", 1) for pair in pairs if pair)

    def _start(self, script: str) -> Process:
        return self.process(
            "bash", "-euo", "pipefail", "-c", script,
            cwd=Path(self.environment["PWD"]), env=self.environment,
        )  # fmt: skip
