"""A connection that was used a moment ago, and from which nothing has come, is not asked anew.

With ``CONN_HEALTH_CHECKS`` Django asks ``SELECT 1`` at each connection's first use in a request:
two trips to the server for a page, as it uses two connections. A server that ends a connection
(restarted, told to) says so and closes it, and then there is something to read from it; a server
that is well says nothing unasked. A line that was cut says nothing either, as where a firewall
forgets a connection that is idle, so one that was idle for long is asked as before.
"""

from __future__ import annotations

import select
from typing import Any

from django.db.backends.postgresql import base

from cronbell.clock import SYSTEM_CLOCK

# Firewalls and balancers forget a connection after minutes.
IDLE_SECONDS = 30.0


class DatabaseWrapper(base.DatabaseWrapper):
    """PostgreSQL whose connections are asked for a sign of life only where there may be none."""

    _used_at = float("-inf")

    def create_cursor(self, name: str | None = None) -> Any:
        """Return Django's cursor; what it is asked is answered, or the connection is at fault."""
        self._used_at = SYSTEM_CLOCK.monotonic()
        return super().create_cursor(name)

    def is_usable(self) -> bool:
        """Say whether the connection lives; asked only where it may not, or after an error."""
        return (not self.errors_occurred and self._surely_lives()) or super().is_usable()

    def _surely_lives(self) -> bool:
        if SYSTEM_CLOCK.monotonic() - self._used_at > IDLE_SECONDS:
            return False
        if self.connection.closed:
            return False
        waiting = select.poll()
        waiting.register(self.connection.fileno(), select.POLLIN)
        return not waiting.poll(0)
