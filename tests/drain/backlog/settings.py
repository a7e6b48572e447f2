import os

from cronbell.server.environment import data_dir, databases

data_dir().mkdir(exist_ok=True)
SECRET_KEY = "only-for-tests-" + "x" * 40
INSTALLED_APPS = ["cronbell.drain", "tests.drain.backlog"]
DATABASES = {"default": databases(data_dir(), os.environ.get("DATABASE_URL", ""))["default"]}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
