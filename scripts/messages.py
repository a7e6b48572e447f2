"""``make messages``: gather the texts to translate and compile the translations.

Gathering needs GNU gettext; compiling does not, so a translator without it can still see the
result. ``--compile-only`` leaves the gathering out.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import polib
from django.core.management import call_command
from django.core.management.utils import find_command

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("cronbell", "ideasgpt")
LANGUAGE = "ko"


def gather(package: Path) -> None:
    """Bring the package's ``django.po`` up to date with its sources, in place."""
    before = Path.cwd()
    os.chdir(package)
    try:
        call_command(
            "makemessages",
            locale=[LANGUAGE],
            no_obsolete=True,
            no_wrap=True,
            no_location=True,  # where a text stands changes with every edit
            verbosity=0,
        )
    finally:
        os.chdir(before)


def steady(po: Path) -> None:
    """Drop the date of gathering, so that gathering the same texts changes nothing."""
    lines = po.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith('"POT-Creation-Date:')]
    po.write_text("".join(kept), encoding="utf-8")


def compile_catalogue(po: Path) -> None:
    """Write the ``.mo`` beside a ``.po``."""
    catalogue = polib.pofile(str(po))
    catalogue.save_as_mofile(str(po.with_suffix(".mo")))
    untranslated = len(catalogue.untranslated_entries()) + len(catalogue.fuzzy_entries())
    print(f"{po.relative_to(ROOT)}: {len(catalogue)} texts, {untranslated} not translated")


def main() -> int:
    """Return 2 where GNU gettext is needed and missing."""
    if "--compile-only" not in sys.argv[1:]:
        if not find_command("xgettext") or not shutil.which("msgmerge"):
            print("gathering texts needs GNU gettext: apt-get install gettext", file=sys.stderr)
            return 2
        for package in PACKAGES:
            gather(ROOT / "src" / package)
    for package in PACKAGES:
        for po in sorted((ROOT / "src" / package).glob("**/LC_MESSAGES/*.po")):
            steady(po)
            compile_catalogue(po)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ideasgpt.settings")
    raise SystemExit(main())
