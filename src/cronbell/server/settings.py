"""Django's settings for Cronbell alone: dashboard, API and run log, without an application.

An application's settings begin with ``from cronbell.server.settings import *`` and add to them
(``ideasgpt.settings`` does). Everything that differs between machines comes from the environment.
"""

from __future__ import annotations

import os
from pathlib import Path

from django.utils.translation import gettext_lazy as _

from cronbell import logs
from cronbell.schedule.zones import pin_zoneinfo
from cronbell.server.environment import (
    data_dir,
    databases,
    flag,
    hosts,
    language,
    networks,
    on_vercel,
    origins,
    token,
)
from cronbell.server.secrets import secret_from_file

# Before anything reads a zone: Django's own conversions must follow the same rules as schedules.
pin_zoneinfo()

CRONBELL_DATA_DIR = data_dir()
# Who sends it may read /metrics; without it only a signed-in administrator may.
CRONBELL_METRICS_TOKEN = token("CRONBELL_METRICS_TOKEN")
PACKAGE = Path(__file__).resolve().parent.parent

DEBUG = False
SECRET_KEY = token("DJANGO_SECRET_KEY") or secret_from_file(
    CRONBELL_DATA_DIR / "django-secret-key", variable="DJANGO_SECRET_KEY"
)
ALLOWED_HOSTS = hosts()
CSRF_TRUSTED_ORIGINS = origins()

# Whose X-Forwarded-For is believed: the servers in front of this one.
CRONBELL_PROXIES = networks("CRONBELL_PROXIES")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "cronbell.runlog",
    "cronbell.endpoint.receipts",
    "cronbell.drain",
    "cronbell.dashboard",
    "cronbell.dashboard.site.AdminConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "cronbell.server.middleware.security_headers",
    "cronbell.server.healthz.healthz",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "cronbell.dashboard.acting.middleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "cronbell.server.urls"
WSGI_APPLICATION = "cronbell.server.wsgi.application"
# A redirect would lose a cron call: callers do not follow redirects.
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "cronbell.dashboard.context.shell",
            ]
        },
    }
]

DATABASES = databases(CRONBELL_DATA_DIR, os.environ.get("DATABASE_URL", ""))
DATABASE_ROUTERS = ["cronbell.runlog.router.RunLogRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTHENTICATION_BACKENDS = ["cronbell.dashboard.access.AdminGroupBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
SESSION_ENGINE = "cronbell.dashboard.sessions"
LOGIN_URL = "/admin/login"
LOGIN_REDIRECT_URL = "/admin/"
LOGOUT_REDIRECT_URL = "/admin/login"

# HTTPS-only cookies would lock a laptop's http://127.0.0.1 out, so they follow the deployment.
BEHIND_HTTPS = flag("CRONBELL_HTTPS", default=on_vercel())
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_HTTPS
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if BEHIND_HTTPS:
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

LANGUAGE_CODE = language()
LANGUAGES = [("en", _("English")), ("ko", _("Korean"))]
LOCALE_PATHS = [PACKAGE / "locale"]
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

# CRONBELL_LOG_FORMAT, CRONBELL_LOG_LEVEL and CRONBELL_LOG_CALLS choose.
LOGGING = logs.configuration()
