"""Notices that a configuration file was changed, and reads it anew.

It looks at the files' times, sizes and inodes a few times a second (``files.stamp``).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from cronbell.config.loader import Config, load
from cronbell.errors import CronbellError, describe
from cronbell.files import Stamp, stamp

log = logging.getLogger("cronbell.engine.watch")

Fingerprint = tuple[Stamp | None, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """What a changed file came to.

    Attributes:
        config: the new configuration; None where the files are at fault and the old one stays.
        fault: why, for page and log; empty where there is none.
    """

    config: Config | None
    fault: str = ""


class Watcher:
    """Reads the configuration, and again whenever a file of it has changed.

    Args:
        vercel_json: where it is or may come to be.
        cronbell_toml: likewise.
        target: the target named on the command line, which goes before the files'.
    """

    def __init__(
        self, vercel_json: Path | None, cronbell_toml: Path | None, *, target: str | None
    ) -> None:
        self.vercel_json = vercel_json
        self.cronbell_toml = cronbell_toml
        self.target = target
        self._seen = self._fingerprint()

    def look(self) -> Changed | None:
        """Say what changed since the last look; None where nothing did."""
        now = self._fingerprint()
        if now == self._seen:
            return None
        gone = [
            path
            for path, before, found in zip(self._paths(), self._seen, now, strict=True)
            if before is not None and found is None
        ]
        self._seen = now
        if gone:
            # Between two steps of an editor or a checkout more often than for good: taking every
            # job away would lose fires. Who means it restarts.
            fault = f"{gone[0]} is gone; the configuration read from it stays in force"
            log.error("%s", fault)
            return Changed(None, fault)
        try:
            config = self.read()
        except CronbellError as error:
            fault = describe(error).strip()
            log.error("the changed configuration is at fault, the old one stays:\n%s", fault)  # noqa: TRY400 - a person's mistake, no traceback
            return Changed(None, fault)
        log.info("the configuration was read again: %d jobs", len(config.jobs))
        return Changed(config)

    def read(self) -> Config:
        """Read the files that are there.

        Raises:
            ConfigError: they are at fault.
        """
        vercel_json, cronbell_toml = (
            path if path is not None and path.exists() else None
            for path in (self.vercel_json, self.cronbell_toml)
        )
        return load(vercel_json, cronbell_toml, target=self.target)

    def _fingerprint(self) -> Fingerprint:
        return tuple(stamp(path) for path in self._paths())

    def _paths(self) -> list[Path]:
        return [path for path in (self.vercel_json, self.cronbell_toml) if path is not None]
