"""Cronbell's settings and the application under fire."""

from cronbell.server.settings import *  # noqa: F403
from cronbell.server.settings import INSTALLED_APPS as CRONBELL_APPS

INSTALLED_APPS = [*CRONBELL_APPS, "tests.faults.application.apps.Application"]
# A dead process's hold runs out as fast as a dead runner's lease in these experiments.
CRONBELL_ENDPOINT = {"LEASE_SECONDS": 2}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
