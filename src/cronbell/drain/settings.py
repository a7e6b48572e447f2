"""Environment ─► ``BatchSize``: read at the start, and refused there if it makes no sense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from cronbell.errors import ConfigError

DEFAULT_BATCH = 20
LARGEST_BATCH = 100
MOST_DIGITS = 9  # more are as good as too large, and int() refuses thousands of them


@dataclass(frozen=True, slots=True)
class BatchSize:
    """How many records a claim takes.

    Attributes:
        size: 1 to ``LARGEST_BATCH``.
        asked: what the variable said where it was more than that; empty otherwise.
        name: the variable.
    """

    size: int = DEFAULT_BATCH
    asked: str = ""
    name: str = ""

    def note(self) -> str:
        """Return what the answer has to say about it; empty where the setting is in force."""
        if not self.asked:
            return ""
        return _("%(name)s is %(asked)s; no more than %(size)d are taken.") % {
            "name": self.name,
            "asked": self.asked,
            "size": self.size,
        }


def batch_size(environ: Mapping[str, str], name: str) -> BatchSize:
    """Read a batch size.

    Args:
        environ: ``os.environ``, or a test's own.
        name: the variable, such as ``VERIFY_BATCH_SIZE``; unset or empty means 20.

    Raises:
        ConfigError: it is not a whole number, or below 1.
    """
    raw = environ.get(name, "").strip()
    if not raw:
        return BatchSize(name=name)
    digits = raw.lstrip("0")
    if not (raw.isascii() and raw.isdecimal() and digits):
        raise ConfigError(
            f"{name} is {raw[:40]!r}, which is no number of records",
            hint=f"set it to a whole number from 1 to {LARGEST_BATCH}, or unset it for "
            f"{DEFAULT_BATCH}",
        )
    if len(digits) > MOST_DIGITS or int(digits) > LARGEST_BATCH:
        return BatchSize(LARGEST_BATCH, digits[:40], name)
    return BatchSize(int(digits), name=name)
