"""What an experiment found: counted figures, broken promises, and the table that shows both."""

from __future__ import annotations

import platform
import sqlite3
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version as version_of
from pathlib import Path

RULE_OF_THREE = 3.0  # -ln 0.05: nought of n seen, the rate is at most 3/n with 95 % confidence
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


@dataclass
class Finding:
    """One experiment's outcome.

    Attributes:
        experiment: what was done, in a few words.
        trials: how often, in words with the number.
        figures: what was counted, by name, zeros included.
        broken: each promise that did not hold, with what was seen.
        skipped: why it could not be done here; empty where it was.
        seconds: wall time.
    """

    experiment: str
    trials: str = ""
    figures: dict[str, object] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    skipped: str = ""
    seconds: float = 0.0

    def promise(self, name: str, count: int) -> None:
        """Count what must never happen."""
        self.figures[name] = count
        if count:
            self.broken.append(f"{name}: {count}")

    def require(self, what: str, *, holds: bool) -> None:
        """Note a promise that is no count."""
        if not holds:
            self.broken.append(what)

    @property
    def verdict(self) -> str:
        """Return one word for the table."""
        if self.skipped:
            return "NOT DONE"
        return "BROKEN" if self.broken else "holds"


def upper_bound(trials: int) -> str:
    """Return the 95 % upper bound of a rate of which nought was seen in ``trials``."""
    return f"≤ {100 * RULE_OF_THREE / trials:.2f} % (95 %)" if trials else "no trials"


def lines(found: Finding) -> Iterable[str]:
    """Yield a finding as it is printed while the experiments run."""
    yield f"{found.verdict:9}{found.experiment}: {found.trials}  [{found.seconds:.0f} s]"
    if found.figures:
        yield "         " + ", ".join(f"{name} {value}" for name, value in found.figures.items())
    for words in found.broken:
        yield f"         BROKEN {words}"
    if found.skipped:
        yield f"         NOT DONE HERE: {found.skipped}"


def versions() -> dict[str, str]:
    """Return what the figures depend on."""
    found = {
        "Cronbell": _commit(),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "Django": version_of("django"),
        "pyreqwest": version_of("pyreqwest"),
        "tzdata": version_of("tzdata"),
        "Linux": platform.release(),
    }
    return {name: words for name, words in found.items() if words}


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def markdown(
    findings: Sequence[Finding], *, title: str, facts: dict[str, str], seconds: float
) -> str:
    """Return the findings as a section of ``docs/reliability.md``."""
    rows = [
        BEGIN,
        "",
        f"## {title}",
        "",
        ", ".join(f"{name} {words}" for name, words in facts.items())
        + f"; {seconds / 60:.0f} min in all.",
        "",
        "| experiment | how often | counted | |",
        "|---|---|---|---|",
    ]
    for found in findings:
        counted = ", ".join(f"{name} {value}" for name, value in found.figures.items())
        said = "; ".join([counted, *found.broken] if counted else found.broken) or found.skipped
        cells = [found.experiment, found.trials, said, found.verdict]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*rows, "", END])


def write_into(path: Path, section: str) -> None:
    """Put a section between the marks of a document, in place of the one that is there.

    Raises:
        ValueError: the document has no marks.
    """
    text = path.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{path} has no {BEGIN} … {END} to put the figures between")
    path.write_text(before + section + after, encoding="utf-8")
