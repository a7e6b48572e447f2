"""The files of ``deploy/`` as data, and processes in the surroundings that they describe."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support import manifests, source

DEPLOY = source.ROOT / "deploy"
BIN = Path(sys.executable).parent


@dataclass
class Stage:
    """One stage of a Containerfile: its instructions, those of the stages below it first."""

    image: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        return [text for name, text in self.instructions if name == word]

    def last(self, word: str) -> str:
        return self.all(word)[-1]

    @property
    def environment(self) -> dict[str, str]:
        found = " ".join(self.all("ENV"))
        return dict(re.findall(r'(\w+)="([^"]*)"', found))

    @property
    def health(self) -> list[str]:
        return json.loads(self.last("HEALTHCHECK").partition("CMD ")[2])


def stages(text: str) -> dict[str, Stage]:
    """Read a Containerfile; the last stage is the one that is built unless another is named."""
    found: dict[str, Stage] = {}
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for line in filter(None, plain.replace("\\\n", " ").splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            image, _, name = rest.partition(" AS ")
            below = found.get(image, Stage(image))
            found[name] = Stage(below.image, [*below.instructions])
        else:
            found[name].instructions.append((word, " ".join(rest.split())))
    return found


@pytest.fixture(scope="session")
def containerfile() -> dict[str, Stage]:
    return stages(source.text(DEPLOY / "Containerfile"))


@pytest.fixture(scope="session")
def compose() -> dict:
    (found,) = manifests.documents("---\n" + source.text(DEPLOY / "compose.yaml"))
    return found
