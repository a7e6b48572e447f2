"""Makes a data directory ready to serve: one process at a time, safe to repeat, nothing lost."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connections

from cronbell.config.rotation import CURRENT, FOLDER_VARIABLE
from cronbell.config.secrets import secrets_from_env
from cronbell.errors import StartError, StorageError
from cronbell.files import DIRECTORY_MODE
from cronbell.server.environment import APP_FILE, RUNLOG_FILE
from cronbell.server.hooks import run_prepared
from cronbell.server.secrets import secret_from_file

LOCK = "start.lock"
# One of these is in every data directory that Cronbell has used.
OURS = frozenset({APP_FILE, RUNLOG_FILE, "django-secret-key", CURRENT, LOCK})
NOBODYS = frozenset({"lost+found"})  # where a volume of its own is mounted
# PostgreSQL's advisory lock for the same: any number, the same in every version.
PREPARE_LOCK = 0x63726F6F
CRON_SECRET = "CRON_SECRET"  # noqa: S105 - the variable's name
ADMIN_NAME = "admin"
PASSWORD_BYTES = 12


def prepare_directory(directory: Path) -> None:
    """Make the data directory if needed, readable by its owner alone.

    One that others may look into is closed to them only if it is empty or Cronbell's already: a
    project's folder, or ``/tmp``, named by mistake must stay as it is.

    Raises:
        StartError: it cannot be made, is not a directory this user may write to, or is open and
            holds files of others.
    """
    try:
        directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        mode = stat.S_IMODE(directory.stat().st_mode)
        if mode & 0o077:
            _see_that_it_is_ours(directory, mode)
            directory.chmod(DIRECTORY_MODE)
        probe = directory / f".probe-{os.getpid()}"
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        raise StartError(
            f"the data directory {directory} cannot be used: {error.strerror}",
            hint="name another with --data DIR, or give this user the right to write there",
        ) from error


def _see_that_it_is_ours(directory: Path, mode: int) -> None:
    there = {path.name for path in directory.iterdir()} - NOBODYS
    if there and not there & OURS:
        raise StartError(
            f"the data directory {directory} holds other files and is open to others"
            f" (mode {mode:04o})",
            hint="name an empty or a new folder with --data DIR; if this is the right one, close"
            " it to others first",
        )


def provide_cron_secret(directory: Path) -> str:
    """Put ``CRON_SECRET`` into the environment, from a file in the data directory if not there.

    Returns:
        Where it comes from, for the person who starts the service; never the secret itself.

    Raises:
        SecretError: it or ``CRON_SECRET_PREVIOUS`` is too short or has blanks at an end, or its
            file can be read by others.
    """
    source = f"the environment variable {CRON_SECRET}"
    if os.environ.get(CRON_SECRET):
        os.environ.pop(FOLDER_VARIABLE, None)
    else:
        path = directory / CURRENT
        os.environ[CRON_SECRET] = secret_from_file(path, variable=CRON_SECRET)
        # Its processes look at the files, which a rotation changes while they run.
        os.environ[FOLDER_VARIABLE] = str(directory.absolute())
        source = str(path)
    secrets_from_env(os.environ)
    return source


def prepare(directory: Path) -> str | None:
    """Migrate both databases, make the administrator, run the application's hooks.

    Args:
        directory: the data directory; settings must point there already.

    Returns:
        The administrator's new password, or None where there is an administrator already.

    Raises:
        StartError: another process is starting here, or the directory cannot be used.
        StorageError: a database cannot be opened or written.
    """
    prepare_directory(directory)
    os.umask(0o077)
    django.setup()
    try:
        with _only_one(directory):
            _migrate()
            password = _first_administrator()
            _ping_secret()
            run_prepared()
    except DatabaseError as error:
        raise StorageError(
            f"a database cannot be used: {error}",
            hint="see that DATABASE_URL is right, the disk has room and the files are yours",
        ) from error
    finally:
        connections.close_all()
    return password


def _migrate() -> None:
    # The run log first, by name: where one PostgreSQL holds both, migrating "default" first
    # would write down the run log's migrations as done without making its tables.
    call_command("migrate", "runlog", database="runlog", verbosity=0, interactive=False)
    call_command("migrate", database="default", verbosity=0, interactive=False)


def _ping_secret() -> None:
    from cronbell.runlog.ping_tokens import ping_secret  # noqa: PLC0415 - needs django.setup()

    # Made, or refused, at the start and not at the first ping.
    ping_secret()


def _first_administrator() -> str | None:
    from django.contrib.auth import get_user_model  # noqa: PLC0415 - needs django.setup()
    from django.contrib.auth.models import Group  # noqa: PLC0415

    from cronbell.dashboard.access import ADMIN_GROUP  # noqa: PLC0415

    users = get_user_model()
    if users.objects.filter(groups__name=ADMIN_GROUP).exists():
        return None
    if users.objects.filter(is_superuser=True).exists():
        return None
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    user, created = users.objects.get_or_create(username=ADMIN_NAME)
    if not created:
        return None
    user.set_password(password)
    user.is_staff = True
    user.save()
    user.groups.add(Group.objects.get_or_create(name=ADMIN_GROUP)[0])
    return password


@contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    path = directory / LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Waits: a second start finds everything done when its turn comes.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with _only_one_on_postgresql():
            yield
    finally:
        os.close(descriptor)


@contextmanager
def _only_one_on_postgresql() -> Iterator[None]:
    """Keep other machines that start on the same database out; a file lock does not reach them."""
    connection = connections["default"]
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [PREPARE_LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [PREPARE_LOCK])


def storage_summary() -> str:
    """Say in a few words where the data is kept."""
    engine = settings.DATABASES["runlog"]["ENGINE"]
    return "PostgreSQL" if engine.endswith("postgresql") else str(settings.CRONBELL_DATA_DIR)
