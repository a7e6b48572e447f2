"""Cronbell's settings and the tiny application."""

from cronbell.server.settings import *  # noqa: F403
from cronbell.server.settings import INSTALLED_APPS as CRONBELL_APPS

INSTALLED_APPS = [*CRONBELL_APPS, "tests.flow.effects"]
