"""Backup and restore of a data directory with SQLite databases.

A backup is one tar file, readable by its owner alone: both databases, each copied in one piece
while others go on writing, the secrets and every other plain file of the data directory, and a
manifest with their digests. The run log is copied before the application: what the application
knows besides (receipts, effects) then makes a run that is sent again be answered, not done twice.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import sqlite3
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cronbell import __version__
from cronbell.clock import iso
from cronbell.errors import CronbellError
from cronbell.files import DIRECTORY_MODE, OWNER_ONLY
from cronbell.server.environment import APP_FILE, RUNLOG_FILE
from cronbell.server.prepare import LOCK

FORMAT = 1
MANIFEST = "manifest.json"
DATABASES = (RUNLOG_FILE, APP_FILE)
PASSED_OVER = frozenset(
    {LOCK, *(f"{name}{end}" for name in DATABASES for end in ("", "-wal", "-shm", "-journal"))}
)
PIECE = 1 << 20


class BackupError(CronbellError):
    """A backup that can't be written, can't be trusted, or must not be put in place here."""

    code = "backup"


@dataclass(frozen=True, slots=True)
class Kept:
    """What a backup holds.

    Attributes:
        version: of the Cronbell that wrote it.
        created_at: when, ISO 8601.
        files: paths within the data directory.
        runs: how many there are in its run log.
        newest: the newest run's number; 0 for none.
    """

    version: str
    created_at: str
    files: Sequence[str]
    runs: int
    newest: int


def back_up(directory: Path, file: Path, now: datetime) -> Kept:
    """Write a backup and read it again; whatever runs here may go on.

    Raises:
        BackupError: there is nothing to back up, the file is there already, or cannot be written.
    """
    if not (directory / DATABASES[0]).is_file():
        raise BackupError(f"there is no run log in {directory}", hint="name its folder with --data")
    if file.exists():
        raise BackupError(f"{file} is there already", hint="name another file, or remove it first")
    try:
        with tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=".cronbell-") as made:
            whole = Path(made)
            (whole / "data").mkdir(mode=DIRECTORY_MODE)
            for name in DATABASES:
                _copy_database(directory / name, whole / "data" / name)
            _write(directory, whole, iso(now))
            kept = unpack(whole / "backup", whole / "again")
            # Appears whole or not at all, and never in another's place.
            os.link(whole / "backup", file)
    except (OSError, sqlite3.Error) as error:
        raise BackupError(
            f"the backup {file} cannot be written: {error}",
            hint="see that its folder is yours to write and has room for twice the databases",
        ) from error
    return kept


def restore(file: Path, directory: Path, known: frozenset[tuple[str, str]], now: datetime) -> Path:
    """Put a backup in the place of a data directory; what was there is kept beside it.

    Args:
        file: the backup.
        directory: the data directory; it need not be there.
        known: (application, name) of each migration this version has.
        now: names the folder the old data is moved to.

    Returns:
        Where the old data is now; ``directory`` itself where there was none.

    Raises:
        BackupError: the backup is damaged or of a newer version, or something runs here.
    """
    aside = directory.with_name(f"{directory.name}.before-{now:%Y%m%dT%H%M%S}Z")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".cronbell-") as made:
            fresh = Path(made) / "data"
            kept = unpack(file, fresh)
            _require_known(fresh, known, kept.version)
            if not directory.exists():
                fresh.rename(directory)
                return directory
            if aside.exists():
                raise BackupError(f"{aside} is there already", hint="move it away and try again")
            with _nobody_else(directory):
                directory.rename(aside)
                try:
                    fresh.rename(directory)
                except OSError:
                    aside.rename(directory)
                    raise
    except OSError as error:
        raise BackupError(
            f"{file} cannot be restored to {directory}: {error}",
            hint="see that the file is there and the folder above the data is yours to write",
        ) from error
    return aside


def unpack(file: Path, into: Path) -> Kept:
    """Unpack a backup into a new folder and see that it is whole.

    Raises:
        BackupError: it is no backup, of a newer format, or damaged.
        OSError: it cannot be read, or the folder not be written.
    """
    into.mkdir(mode=DIRECTORY_MODE)
    try:
        with tarfile.open(file, "r:") as tar:
            manifest = json.loads(_member(tar, MANIFEST).read())
            if manifest["format"] > FORMAT:
                raise BackupError(
                    f"{file} was written by Cronbell {manifest['version']}, which is newer",
                    hint=f"restore it with that version; this is {__version__}",
                )
            files: dict[str, str] = manifest["files"]
            for name, digest in files.items():
                _unpack_one(tar, name, digest, into)
        (runs, newest), _ = (_judge(into / name) for name in DATABASES)
        return Kept(manifest["version"], manifest["createdAt"], sorted(files), runs, newest)
    except (tarfile.TarError, sqlite3.Error, ValueError, KeyError, TypeError) as error:
        raise BackupError(
            f"{file} is no whole backup: {error}", hint="use another; this one was not restored"
        ) from error


def _copy_database(source: Path, copy: Path) -> None:
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=20)) as reading,
        closing(sqlite3.connect(copy)) as writing,
    ):
        # In one step, under one read lock: in WAL mode it holds up no writer.
        reading.backup(writing)
        # One file that needs no other beside it.
        writing.execute("PRAGMA journal_mode = DELETE")


def _write(directory: Path, whole: Path, created_at: str) -> None:
    found = {name: whole / "data" / name for name in DATABASES}
    found |= dict(_others(directory))
    digests: dict[str, str] = {}
    descriptor = os.open(whole / "backup", os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as out:
        for name, path in found.items():
            with path.open("rb") as read:
                digests[name] = hashlib.file_digest(read, "sha256").hexdigest()
        manifest = {"format": FORMAT, "version": __version__, "createdAt": created_at}
        text = json.dumps({**manifest, "files": digests}, indent=2).encode()
        with tarfile.open(fileobj=out, mode="w:") as tar:
            head = tarfile.TarInfo(MANIFEST)
            head.size, head.mode = len(text), OWNER_ONLY
            tar.addfile(head, io.BytesIO(text))
            for name, path in found.items():
                tar.add(path, name, recursive=False)
        out.flush()
        os.fsync(out.fileno())


def _others(directory: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        passing = path.name.startswith(".") or name in PASSED_OVER
        if not passing and stat.S_ISREG(path.lstat().st_mode):
            yield name, path


def _member(tar: tarfile.TarFile, name: str) -> io.BufferedReader:
    member = tar.getmember(name)
    found = tar.extractfile(member) if member.isreg() else None
    if found is None:
        raise ValueError(f"{name} is no plain file")
    return found  # type: ignore[return-value]


def _unpack_one(tar: tarfile.TarFile, name: str, digest: str, into: Path) -> None:
    target = into / name
    if not target.resolve().is_relative_to(into.resolve()):
        raise ValueError(f"{name} would lie outside of the data directory")
    target.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    found = hashlib.sha256()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with _member(tar, name) as read, os.fdopen(descriptor, "wb") as write:
        while piece := read.read(PIECE):
            found.update(piece)
            write.write(piece)
        write.flush()
        os.fsync(write.fileno())
    if found.hexdigest() != digest:
        raise ValueError(f"{name} is not what was written")


def _judge(database: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(database)) as connection:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            raise ValueError(f"{database.name} is damaged: {verdict}")
        if database.name != DATABASES[0]:
            return 0, 0
        runs, newest = connection.execute("SELECT COUNT(*), MAX(id) FROM runlog_run").fetchone()
        return runs, newest or 0


def _require_known(fresh: Path, known: frozenset[tuple[str, str]], version: str) -> None:
    for name in DATABASES:
        with closing(sqlite3.connect(fresh / name)) as connection:
            applied = set(connection.execute("SELECT app, name FROM django_migrations"))
        if strange := sorted(applied - known):
            raise BackupError(
                f"{name} has a change this version does not know: {'.'.join(strange[0])}",
                hint=f"restore it with Cronbell {version} and the same applications; this is"
                f" {__version__}",
            )


@contextmanager
def _nobody_else(directory: Path) -> Iterator[None]:
    """Refuse where any process has a database open, or is just starting."""
    running = BackupError(
        f"something still runs on {directory}", hint="stop it first: `cronbell up`, and any runner"
    )
    descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, OWNER_ONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise running from None
        for name in DATABASES:
            if (directory / name).exists() and not _alone(directory / name):
                raise running
        yield
    finally:
        os.close(descriptor)


def _alone(database: Path) -> bool:
    # Leaving WAL mode needs the file to oneself; a connection that only idles is in the way too.
    try:
        with closing(sqlite3.connect(database, timeout=0)) as connection:
            (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            return bool(mode == "delete")
    except sqlite3.OperationalError:
        return False
    except sqlite3.DatabaseError:
        # Damaged beyond reading, which may be why something is restored in its place.
        return True
