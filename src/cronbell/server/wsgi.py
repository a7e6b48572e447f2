"""The WSGI entry point: for ``cronbell up``, for any WSGI server, and for Vercel."""

from __future__ import annotations

import atexit
import os

from django.core.wsgi import get_wsgi_application

from cronbell.logs import catch_uncaught
from cronbell.server.bodies import BoundedReaders
from cronbell.server.lifeline import SUPERVISED, end_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cronbell.server.settings")

# Half of the threads of `server.web`; other servers have as many or wait for bodies themselves.
READERS = 24

if os.environ.get(SUPERVISED):
    end_with_parent()
    catch_uncaught()

application = BoundedReaders(get_wsgi_application(), readers=READERS)


def _ready_endpoints() -> None:
    # Secrets and settings are read now: what is wrong with them shows at the start, not at the
    # first cron call; and at the end no new job is begun.
    from cronbell.endpoint.django import process_endpoint  # noqa: PLC0415 - needs loaded apps

    atexit.register(process_endpoint().stop)


def _look_after_runners() -> None:
    # A runner that is dead tells nobody so; this process may be all that is left to do it.
    from cronbell.alerts.standin import keep_looking  # noqa: PLC0415 - needs loaded apps
    from cronbell.clock import SYSTEM_CLOCK  # noqa: PLC0415

    keep_looking(SYSTEM_CLOCK)


_ready_endpoints()
_look_after_runners()
