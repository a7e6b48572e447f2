"""The lock file pins every dependency, with hashes, within what ``pyproject.toml`` allows."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.support import source

HASH = re.compile(r"--hash=(\S+)")
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
PROJECT = tomllib.loads(source.text(source.ROOT / "pyproject.toml"))


def declared() -> list[Requirement]:
    groups = [
        PROJECT["build-system"]["requires"],
        PROJECT["project"]["dependencies"],
        *PROJECT["project"].get("optional-dependencies", {}).values(),
        *PROJECT.get("dependency-groups", {}).values(),
    ]
    # A group may name another one, whose lines are here as well.
    return [Requirement(line) for group in groups for line in group if isinstance(line, str)]


def entries(lock: str) -> dict[str, list[tuple[str, str]]]:
    """Return name → (version, the entry's whole text), as many as there are markers."""
    found: dict[str, list[tuple[str, str]]] = {}
    starts = [*PINNED.finditer(lock)]
    for here, after in zip(starts, [*starts[1:], None], strict=True):
        entry = lock[here.start() : after.start() if after else len(lock)]
        found.setdefault(canonicalize_name(here[1]), []).append((here[2], entry))
    return found


def pinned(pins: list[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Return versions and hashes."""
    return [(version, HASH.findall(entry)) for version, entry in pins]


LOCK = source.text(source.ROOT / "requirements.lock")


@pytest.mark.parametrize("requirement", declared(), ids=lambda one: one.name)
def test_a_dependency_is_pinned_within_its_bounds(requirement: Requirement):
    pins = entries(LOCK).get(canonicalize_name(requirement.name), [])
    assert pins, "run make lock"
    assert all(requirement.specifier.contains(version, prereleases=True) for version, _ in pins)


def test_every_pin_has_hashes():
    bare = [
        name
        for name, pins in entries(LOCK).items()
        for _version, entry in pins
        if "--hash=sha256:" not in entry
    ]
    assert not bare


def test_what_is_deployed_is_pinned_as_what_is_tested_and_holds_no_tools():
    deployed = entries(source.text(source.ROOT / "deploy" / "requirements.lock"))
    tested = entries(LOCK)
    # Without markers: where no tool needs a package elsewhere, fewer systems get it.
    assert all(pinned(pins) == pinned(tested.get(name, [])) for name, pins in deployed.items())
    extras = PROJECT["project"].get("optional-dependencies", {}).values()
    wanted = [*PROJECT["project"]["dependencies"], *(line for extra in extras for line in extra)]
    wanted += PROJECT["build-system"]["requires"]
    assert {canonicalize_name(Requirement(line).name) for line in wanted} <= deployed.keys()
    assert not {"pytest", "mypy", "ruff", "playwright"} & deployed.keys()


def test_the_time_zone_rules_are_the_locked_ones():
    import tzdata

    assert tzdata.IANA_VERSION
    assert entries(LOCK)["tzdata"][0][0] == tzdata.__version__


def test_sabotage_a_pin_without_a_hash_is_seen():
    found = entries("a==1 \\\n    --hash=sha256:00\nb==2 ; python_version < '3.12'\n")
    assert "--hash=sha256:" in found["a"][0][1]
    assert found["b"] == [("2", "b==2 ; python_version < '3.12'\n")]
    assert "--hash=sha256:" not in found["b"][0][1]
