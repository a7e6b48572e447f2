"""Django's settings for the ideas service: Cronbell's own, and what the service adds."""

from __future__ import annotations

import os
from pathlib import Path

from cronbell.server.environment import flag
from cronbell.server.settings import *  # noqa: F403
from cronbell.server.settings import INSTALLED_APPS as CRONBELL_APPS
from cronbell.server.settings import LOCALE_PATHS as CRONBELL_LOCALES

INSTALLED_APPS = [*CRONBELL_APPS, "ideasgpt.ideas", "ideasgpt.verification"]
ROOT_URLCONF = "ideasgpt.urls"
WSGI_APPLICATION = "ideasgpt.wsgi.application"
LOCALE_PATHS = [Path(__file__).resolve().parent / "locale", *CRONBELL_LOCALES]

# Seconds that page views may wait in memory before they are written. A serverless platform
# freezes a process between requests, so there every view is written at once.
VIEW_FLUSH_SECONDS = 0.0 if os.environ.get("VERCEL") else 1.0

# `make run` sets it, so that a newcomer finds something to look at; never on in production.
SAMPLE_IF_EMPTY = flag("IDEASGPT_SAMPLE")
