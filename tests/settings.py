"""Settings of the test run: the service's own, on throw-away databases of a real store.

``CRONBELL_TEST_STORE=postgresql`` runs the same tests on a PostgreSQL that the tests start.
"""

from tests.support import store

store.prepare()

from ideasgpt.settings import *  # noqa: E402,F403
from ideasgpt.settings import DATABASES, INSTALLED_APPS, MIDDLEWARE  # noqa: E402

store.test_databases(DATABASES)
# Each test client loads the middleware anew; the files it serves need to be found only once.
ONCE = {"whitenoise.middleware.WhiteNoiseMiddleware": "tests.support.statics.WhiteNoiseOnce"}
MIDDLEWARE = [ONCE.get(name, name) for name in MIDDLEWARE]
INSTALLED_APPS = [*INSTALLED_APPS, "tests.drain.backlog", "tests.support.emptying"]
# The real hasher is slow on purpose; what it guards is Django's, not ours to test.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
