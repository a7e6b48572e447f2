"""``make audit``: is a known vulnerability in any of the locked packages?

pip-audit asks the advisories of the OSV database. It ends with 0 where it could ask about nothing
(measured: 56 of 56 packages skipped, exit code 0), so its word is not taken: every package of the
lock file has to be in its report, asked about, at the locked version. Exit codes:

    0  every package was asked about, none has a known vulnerability
    1  at least one has
    2  the audit could not be done, or not for every package

It needs the network, which CI must not, so ``.ci/run`` does not call it: it is a step of a release.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
TOOL = "pip-audit>=2.10,<3"
SECONDS = 600
FINE, VULNERABLE, NOT_DONE = 0, 1, 2
_PIN = re.compile(r"^([A-Za-z0-9._-]+(?:\[[^\]]*\])?==[^\\\n]+?)\s*(?:\\|$)", re.MULTILINE)


def pins(lock: str) -> dict[str, str]:
    """Return the version of each package that the lock file installs on this system."""
    wanted = [Requirement(line) for line in _PIN.findall(lock)]
    return {
        canonicalize_name(one.name): str(one.specifier).removeprefix("==")
        for one in wanted
        if one.marker is None or one.marker.evaluate()
    }


def judge(lock: str, report: str) -> tuple[int, list[str]]:
    """Say what a report is worth.

    Args:
        lock: the lock file.
        report: what pip-audit wrote, as JSON.

    Returns:
        The exit code, and a line for each vulnerability or for each package not asked about.
    """
    wanted = pins(lock)
    try:
        listed: list[dict[str, Any]] = json.loads(report)["dependencies"]
        asked = {
            (canonicalize_name(one["name"]), one["version"]): one["vulns"]
            for one in listed
            if "skip_reason" not in one
        }
    except (ValueError, KeyError, TypeError):
        return NOT_DONE, ["pip-audit gave no report: nothing was asked about"]
    found = [
        f"{name} {version}: {vulnerability['id']}, mended in"
        f" {', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for (name, version), vulnerabilities in asked.items()
        for vulnerability in vulnerabilities
    ]
    left = [
        f"{name} {version} was not asked about"
        for name, version in wanted.items()
        if (name, version) not in asked
    ]
    if left or not wanted:
        return NOT_DONE, [*found, *(left or ["the lock file pins nothing"])]
    return (VULNERABLE, found) if found else (FINE, [f"{len(asked)} packages, none vulnerable"])


def ask(tool: Path) -> str:
    """Run pip-audit on the lock file; return its report, empty where there is none."""
    done = subprocess.run(
        [
            tool, "--strict", "--disable-pip", "--require-hashes", "--requirement", LOCK,
            "--vulnerability-service", "osv", "--format", "json", "--progress-spinner", "off",
        ],
        stdout=subprocess.PIPE,
        text=True,
        timeout=SECONDS,
        check=False,
    )  # fmt: skip
    return done.stdout


def main() -> int:
    """Audit the lock file with a pip-audit of its own; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        # Not among the project's packages: nothing that runs here needs it, and it brings thirty.
        venv.create(folder, with_pip=True)
        program = Path(folder) / "bin"
        install = [program / "python", "-m", "pip", "install", "--quiet", TOOL]
        if subprocess.run(install, check=False, timeout=SECONDS).returncode:
            print(f"{TOOL} could not be installed: nothing was audited", file=sys.stderr)
            return NOT_DONE
        code, lines = judge(LOCK.read_text(encoding="utf-8"), ask(program / "pip-audit"))
    print("\n".join(lines), file=sys.stderr if code else sys.stdout)
    if code == NOT_DONE:
        print(
            "The audit was NOT done. It needs the network, to install pip-audit and to ask the"
            " advisories of OSV: run it where it can reach both.",
            file=sys.stderr,
        )
    return code


if __name__ == "__main__":
    raise SystemExit(main())
