"""Settings of the test run: the service's own, on throw-away databases of a real store.

``CRONBELL_TEST_STORE=postgresql`` runs the same tests on a PostgreSQL that the tests start.
"""

from tests.support import store

store.prepare()

from ideasgpt.settings import *  # noqa: E402,F403
from ideasgpt.settings import DATABASES, INSTALLED_APPS  # noqa: E402

store.test_databases(DATABASES)
INSTALLED_APPS = [*INSTALLED_APPS, "tests.drain.backlog", "tests.support.emptying"]
# The real hasher is slow on purpose; what it guards is Django's, not ours to test.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
