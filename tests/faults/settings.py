"""What the command line asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How much is done.

    Attributes:
        seed: of everything that is random; printed, so that a finding can be tried again.
        full: the long version.
        kills: of each store and delivery.
        stores: ``sqlite``, and ``postgresql`` where this machine has one.
    """

    seed: int
    full: bool
    kills: int
    stores: tuple[str, ...]
