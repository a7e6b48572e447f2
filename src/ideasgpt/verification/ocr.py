"""Whether this machine can read pictures: Tesseract, with English and Korean.

A program of the system, not a package of Python's: nothing of it is needed where nobody sends
pictures, and where it is missing the reason for the review names what to install.
"""

from __future__ import annotations

import os
import shutil
import subprocess

PROGRAM = "tesseract"
PACKAGES = {"eng": "tesseract-ocr", "kor": "tesseract-ocr-kor"}  # Debian's names, by language
LANGUAGES = "+".join(PACKAGES)
DATA = "TESSDATA_PREFIX"  # where the languages are; of a Tesseract in a place of one's own
SECONDS = 10.0


def reader() -> tuple[str, str]:
    """Return Tesseract's path, or the package that is missing; the other one is empty."""
    program = shutil.which(PROGRAM)
    if program is None:
        return "", PACKAGES["eng"]
    try:
        said = subprocess.run(  # noqa: S603 - fixed arguments
            [program, "--list-langs"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=environment(),
            timeout=SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "", PACKAGES["eng"]
    there = said.stdout.decode("utf-8", "replace").split()
    missing = [package for language, package in PACKAGES.items() if language not in there]
    return ("", missing[0]) if missing else (program, "")


def environment() -> dict[str, str]:
    """Return all that the reading process gets of the environment."""
    kept = {DATA: os.environ[DATA]} if DATA in os.environ else {}
    # One thread: its processor time is limited, and others verify beside it.
    return {"LANG": "C.UTF-8", "OMP_THREAD_LIMIT": "1", **kept}
