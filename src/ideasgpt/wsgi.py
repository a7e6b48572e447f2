"""The WSGI entry point, for granian, any other WSGI server, and Vercel (``app``)."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ideasgpt.settings")

from cronbell.server.wsgi import application

app = application
