"""The command ``ideasgpt``: ``cronbell`` with the ideas service's settings.

``ideasgpt up`` prepares the databases, loads the small sample where there is nothing yet (the hook
in ``ideas/apps.py``) and serves.
"""

from __future__ import annotations

import os


def run() -> None:
    """Run Cronbell's command line on this service."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ideasgpt.settings")
    from cronbell.cli.main import run as run_cronbell  # noqa: PLC0415 - reads the variable above

    run_cronbell()
