"""Sessions as Django keeps them in the database, read by one statement that is always the same."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends import db
from django.db import connections, router

from cronbell.clock import SYSTEM_CLOCK

_READ = "SELECT session_data FROM django_session WHERE session_key = %s AND expire_date > %s"


class SessionStore(db.SessionStore):
    """Django's own in all but how a session is read.

    Each request reads its session anew, so one that was ended is ended everywhere at once. Django
    puts the statement together for each request, which takes it three times as long as asking.
    The class keeps its name: Django signs with it what a session holds.
    """

    def load(self) -> dict[str, Any]:
        """Return what the session holds; nothing where it was ended or is too old."""
        connection = connections[router.db_for_read(self.model)]
        now = connection.ops.adapt_datetimefield_value(SYSTEM_CLOCK.now())
        with connection.cursor() as cursor:
            cursor.execute(_READ, [self.session_key, now])
            row = cursor.fetchone()
        if row is None:
            self._session_key = None
            return {}
        return dict(self.decode(row[0]))
