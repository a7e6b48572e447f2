import os

from cronbell.server.environment import data_dir, databases

SECRET_KEY = "only-for-tests-" + "x" * 40
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["cronbell.endpoint.receipts", "tests.endpoint.shop"]
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
ROOT_URLCONF = "tests.endpoint.shop.urls"
DATABASES = {"default": databases(data_dir(), os.environ.get("DATABASE_URL", ""))["default"]}
DATABASES["default"]["ATOMIC_REQUESTS"] = True  # the adapter must not be caught by it
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
CRONBELL_ENDPOINT = {"LEASE_SECONDS": float(os.environ.get("SHOP_LEASE", "30"))}
