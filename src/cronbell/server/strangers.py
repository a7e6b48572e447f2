"""What strangers send is no fault of ours: a line in the log, not a page of it."""

from __future__ import annotations

import logging


class WithoutTrace(logging.Filter):
    """Take the traceback off a record, and its level down to a warning.

    Django logs a ``Host`` that is not ours as an error with a traceback of a dozen lines, so that
    anybody who can reach the port could fill the log and bury what matters.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record and let it through."""
        record.exc_info = record.exc_text = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True
