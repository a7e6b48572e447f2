"""What Django's ``check`` command says about the receipts' database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.db import connections


def check_transaction_mode(
    *, databases: Sequence[str] | None = None, **_options: Any
) -> list[CheckMessage]:
    """Warn where SQLite would begin a claim as a reader: beside another writer it fails at once.

    Measured: a deferred transaction that turns from reading to writing gets SQLITE_BUSY
    immediately, whatever the timeout.
    """
    return [
        CheckWarning(
            f"The SQLite database {alias!r} does not begin its transactions as IMMEDIATE.",
            hint=f'Set DATABASES["{alias}"]["OPTIONS"]["transaction_mode"] = "IMMEDIATE".',
            id="cronbell.W001",
        )
        for alias in databases or ()
        if connections[alias].vendor == "sqlite"
        and connections[alias].settings_dict["OPTIONS"].get("transaction_mode") != "IMMEDIATE"
    ]
