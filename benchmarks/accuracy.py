"""What becomes of true and of false claims about Debian's copyright files; false approvals first.

Each machine-readable copyright file of this machine makes one true claim, the package and its
licence, and up to three false ones: the licence of another package, the package of another file,
and, the hardest, a licence that the same file names for a part of the package only. Every claim
goes the verifier's own way: the file is read by the limited child process, ``decide`` decides.

Without a model nothing is ever approved; what is measured then is what the rules alone hold back
and what they would pass on. With one (OPENAI_API_KEY, OPENAI_BASE_URL, OPENAI_MODEL) each claim
that passes the rules is one call.

    python -m benchmarks.accuracy [--documents N] [--seed 1] [--folder /usr/share/doc]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from cronbell.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from ideasgpt.llm.chat import ChatClient
    from ideasgpt.verification.documents import Document
    from ideasgpt.verification.verifier import Decision

TRUE = "true claims"
OTHER_LICENCE = "licence of another package"
OTHER_PACKAGE = "package of another file"
OTHER_PART = "licence of a part only"
FALSE = (OTHER_LICENCE, OTHER_PACKAGE, OTHER_PART)
# As people would name the fields, and as the files name them: only then can a rule see that the
# file gives the field another value.
LABELS = {
    "package, licence": ("package", "licence"),
    "Upstream-Name, License": ("Upstream-Name", "License"),
}
APPROVED, REJECTED, FLAGGED, PASSED = "approved", "rejected", "held back", "passed on"
OUTCOMES = (APPROVED, REJECTED, FLAGGED, PASSED)
SECONDS = 60.0
TRIES = 40
_HEAD = re.compile(r"Format:[^\n]*copyright-format")
_FIELD = re.compile(r"^([A-Za-z-]+):[ \t]*(\S?[^\n]*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Source:
    """One copyright file: what it says, and what it says of parts."""

    package: str
    licence: str
    named: frozenset[str]
    parts: tuple[str, ...]
    document: Document


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim about a document, true or false by the way it was made."""

    kind: str
    package: str
    licence: str
    document: Document


@dataclass(slots=True)
class Counts:
    """Outcomes of the claims of one kind, and why claims were held back."""

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


def main() -> int:
    """Measure and print; exit 1 where a false claim was approved, 2 where the model is away."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--documents", type=int, default=0, help="so many at most; 0 for all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("/usr/share/doc"))
    arguments = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "ideasgpt.settings"
    os.environ.setdefault("DJANGO_SECRET_KEY", "signs-nothing-here")
    import django

    django.setup()
    from ideasgpt.verification.verifier import ProviderAwayError
    from ideasgpt.verification.verifying import model

    random = Random(arguments.seed)
    paths = sorted(arguments.folder.glob("*/copyright"))
    sources = list(read_sources(paths))
    if not sources:
        print(f"NOT MEASURED: no machine-readable */copyright in {arguments.folder}")
        return 0
    random.shuffle(sources)
    sources = sources[: arguments.documents or None]
    client = model(SYSTEM_CLOCK)
    introduce(sources, len(paths), arguments.seed, client)
    claims = list(make_claims(sources, random))
    try:
        return max(measure(name, labels, claims, client) for name, labels in LABELS.items())
    except ProviderAwayError as error:
        print(f"NOT MEASURED: the model could not be asked: {error}")
        return 2


def read_sources(paths: Iterable[Path]) -> Iterator[Source]:
    """Read every copyright file once, however many packages ship it."""
    from ideasgpt.verification.documents import Document, extract

    seen = set()
    for path in paths:
        data = path.read_bytes()
        digest = hashlib.sha256(data).digest()
        said = data.decode("utf-8", "replace")
        if digest in seen or not _HEAD.match(said):
            continue
        seen.add(digest)
        found = parse(said)
        if found is not None:
            with path.open("rb") as file:
                document = Document("d1", *extract(file, "text/plain"))
            yield Source(*found, document)


def parse(said: str) -> tuple[str, str, frozenset[str], tuple[str, ...]] | None:
    """Return package, licence, every licence named, and those of parts; None where one lacks."""
    paragraphs = [dict(_FIELD.findall(one)) for one in re.split(r"\n[ \t]*\n", said)]
    package = paragraphs[0].get("Upstream-Name", "").strip()
    whole = [one for one in paragraphs if one.get("Files", "").strip() == "*"]
    licence = whole[0].get("License", "").strip() if whole else ""
    if not package or not licence or max(len(package), len(licence)) > 200:
        return None
    given = [one["License"].strip() for one in paragraphs if one.get("License", "").strip()]
    named = frozenset().union(*map(names, given))
    parts = [
        one["License"].strip()
        for one in paragraphs
        if "Files" in one and one.get("License", "").strip()
    ]
    others = sorted({one for one in parts if not names(one) & names(licence)})
    return package, licence, named, tuple(others)


def names(licence: str) -> frozenset[str]:
    """Return the licences that an expression is made of, by names that can be compared."""
    words = re.split(r"[\s,|()]+(?:and/or|and|or)?[\s,|()]*", licence.casefold())
    same = {"expat": "mit", "mit/x11": "mit", "x11": "mit"}
    return frozenset(same.get(one, one.replace(".0", "")) for one in words if one)


def make_claims(sources: Sequence[Source], random: Random) -> Iterator[Claim]:
    """Make one true claim for each source, and as many kinds of false ones as there are."""
    for source in sources:
        yield Claim(TRUE, source.package, source.licence, source.document)
        others = [random.choice(sources) for _ in range(TRIES)]
        foreign = [one.licence for one in others if not names(one.licence) & source.named]
        if foreign:
            yield Claim(OTHER_LICENCE, source.package, foreign[0], source.document)
        strange = [one.package for one in others if unlike(one.package, source.package)]
        if strange:
            yield Claim(OTHER_PACKAGE, strange[0], source.licence, source.document)
        if source.parts:
            part = random.choice(source.parts)
            yield Claim(OTHER_PART, source.package, part, source.document)


def unlike(one: str, other: str) -> bool:
    """Say whether two names name different packages: neither is a part of the other."""
    one, other = one.casefold(), other.casefold()
    return one not in other and other not in one


def measure(
    name: str, labels: tuple[str, str], claims: Sequence[Claim], client: ChatClient | None
) -> int:
    """Decide every claim and print what came of them; return 1 where a false one was approved."""
    from ideasgpt.verification.verifier import decide

    counts: dict[str, Counts] = {kind: Counts() for kind in (*FALSE, TRUE)}
    usage: Counter[str] = Counter()
    for claim in claims:
        fields = dict(zip(labels, (claim.package, claim.licence), strict=True))
        decision = decide(fields, [claim.document], client, SECONDS)
        found = counts[claim.kind]
        found.outcomes[outcome(decision)] += 1
        found.reasons.update({one.partition(":")[0] for one in decision.reasons})
        usage["calls"] += decision.usage.calls
        usage["tokens"] += decision.usage.prompt_tokens + decision.usage.completion_tokens
    report(name, counts, usage)
    return int(any(counts[kind].outcomes[APPROVED] for kind in FALSE))


def outcome(decision: Decision) -> str:
    """Name a decision as the table does."""
    if decision.status.value in {APPROVED, REJECTED}:
        return decision.status.value
    return PASSED if decision.reasons == ("no_model",) else FLAGGED


def introduce(sources: Sequence[Source], files: int, seed: int, client: ChatClient | None) -> None:
    """Print what is measured, on what, with what."""
    from ideasgpt.verification.verdict import PROMPT_VERSION

    digest = hashlib.sha256()
    for text in sorted(one.document.text for one in sources):
        digest.update(text.encode())
    system: dict[str, Any] = {}
    if Path("/etc/os-release").exists():
        system = platform.freedesktop_os_release()
    print(
        f"verifier: {len(sources):,} different machine-readable files of {files:,}, texts "
        f"{digest.hexdigest()[:12]}, seed {seed}; {system.get('PRETTY_NAME', platform.system())}, "
        f"Python {platform.python_version()}"
    )
    asked = f"{client.name}, prompt {PROMPT_VERSION}" if client else "none: nothing is approved"
    print(f"model: {asked}")


def report(name: str, counts: dict[str, Counts], usage: Counter[str]) -> None:
    """Print the table of one way to name the fields."""
    false: Counter[str] = Counter()
    for kind in FALSE:
        false.update(counts[kind].outcomes)
    total = sum(false.values())
    print(f"\nfields {name}: {false[APPROVED]} of {total:,} false claims approved")
    if usage["calls"]:
        print(f"{usage['calls']:,} calls, {usage['tokens']:,} tokens")
    print(f"{'':28}{'N':>7}" + "".join(f"{one:>12}" for one in OUTCOMES))
    rows = [(kind, counts[kind].outcomes) for kind in FALSE]
    for kind, outcomes in [*rows, ("all false claims", false), (TRUE, counts[TRUE].outcomes)]:
        many = sum(outcomes.values())
        shares = [f"{100 * outcomes[one] / max(1, many):.1f} %" for one in OUTCOMES]
        print(f"{kind:28}{many:7,}" + "".join(f"{one:>12}" for one in shares))
    for kind in (TRUE, *FALSE):
        why = ", ".join(f"{one} {n:,}" for one, n in counts[kind].reasons.most_common(8))
        print(f"  why, {kind}: {why or 'nothing'}")


if __name__ == "__main__":
    sys.exit(main())
