"""Reading, judging and gathering the translations, for the checks in ``tests/project``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polib
from tests.support import source

LANGUAGES = ("ko",)
# %(name)s, %s, {name}: what the program puts in.
PLACEHOLDER = re.compile(r"%\(\w+\)[sdif]|%[sdif]|{\w*}")
# What makemessages looks into.
READ = {".py", ".html", ".txt"}

Key = tuple[str | None, str, str]


def catalogue(package: str, language: str) -> Path:
    """Return where a package's ``.po`` is."""
    return source.SRC / package / "locale" / language / "LC_MESSAGES" / "django.po"


def written(package: str, language: str) -> polib.POFile:
    """Return a package's translations as written; polib takes a path that is not there for text."""
    path = catalogue(package, language)
    assert path.exists(), f"{source.name(path)} is missing: run make messages"
    return polib.pofile(str(path))


def compiled(package: str, language: str) -> polib.MOFile:
    """Return a package's translations as the program reads them."""
    path = catalogue(package, language).with_suffix(".mo")
    assert path.exists(), f"{source.name(path)} is missing: run make messages"
    return polib.mofile(str(path))


def keys(po: polib.POFile) -> set[Key]:
    """Return what identifies each living text: context, singular, plural."""
    return {(one.msgctxt, one.msgid, one.msgid_plural or "") for one in po if not one.obsolete}


def faults(po: polib.POFile) -> Iterator[str]:
    """Yield what is wrong with the translations themselves."""
    for entry in po:
        if entry.obsolete:
            continue
        answers = list(entry.msgstr_plural.values()) or [entry.msgstr]
        if entry.fuzzy:
            yield f"fuzzy: {entry.msgid!r}"
        if not all(answer.strip() for answer in answers):
            yield f"not translated: {entry.msgid!r}"
            continue
        # A plural may leave the number out of one form, so any of the two may be matched.
        allowed = [
            sorted(PLACEHOLDER.findall(text)) for text in (entry.msgid, entry.msgid_plural) if text
        ]
        for answer in answers:
            if sorted(PLACEHOLDER.findall(answer)) not in allowed:
                yield f"other placeholders: {entry.msgid!r} → {answer!r}"


def compiled_differs(po: polib.POFile, mo: polib.MOFile) -> set[str]:
    """Return the texts whose compiled translation is not the one in the ``.po``."""

    def table(entries: polib.POFile | polib.MOFile) -> dict[Key, tuple[str, ...]]:
        return {
            (one.msgctxt, one.msgid, one.msgid_plural or ""): (
                tuple(one.msgstr_plural.values()) or (one.msgstr,)
            )
            for one in entries
            if not one.obsolete
        }

    left, right = table(po), table(mo)
    return {key[1] for key in left.keys() | right.keys() if left.get(key) != right.get(key)}


def gathered(package: str, language: str, folder: Path) -> polib.POFile:
    """Gather a package's texts anew, in a copy, with GNU gettext; return the new catalogue."""
    copy = folder / package
    for path in source.under(f"src/{package}", suffix=".py"):
        _copy(path, copy, package)
    for suffix in READ - {".py"}:
        for path in source.under(f"src/{package}", suffix=suffix):
            _copy(path, copy, package)
    (copy / "locale").mkdir(parents=True)
    program = (
        "import django; from django.conf import settings; settings.configure(USE_I18N=True);"
        "django.setup(); from django.core.management import call_command;"
        f"call_command('makemessages', locale=[{language!r}], verbosity=0)"
    )
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=copy,
        env={name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
        check=True,
        timeout=120,
    )
    return polib.pofile(str(copy / "locale" / language / "LC_MESSAGES" / "django.po"))


def _copy(path: Path, folder: Path, package: str) -> None:
    target = folder / path.relative_to(source.SRC / package)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
