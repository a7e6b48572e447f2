"""WhiteNoise as the tests use it: it looks for the static files once, and not once a client.

Every test client loads the middleware anew. Finding the same two hundred files and reading their
times then took more than what most tests do with the answer.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from whitenoise.middleware import WhiteNoiseMiddleware

_found: dict[tuple[object, ...], dict[str, Any]] = {}


class WhiteNoiseOnce(WhiteNoiseMiddleware):
    """The middleware of the settings; what it found under the same settings is not looked for."""

    def add_files_from_finders(self) -> None:
        """Take over what an earlier one found, or find it."""
        place = (self.static_prefix, self.max_age, tuple(settings.INSTALLED_APPS))
        if place not in _found:
            super().add_files_from_finders()
            _found[place] = dict(self.files)
        self.files.update(_found[place])
