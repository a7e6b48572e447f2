"""Who may import whom (DESIGN, "Rules that keep the parts apart")."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest
from tests.support import source
from tests.support.source import is_part_of

# What must work without Django: in another framework, in `cronbell next`, in a user's tests.
FREE = (
    "cronbell.clock",
    "cronbell.config",
    "cronbell.dispatch",
    "cronbell.domain",
    "cronbell.endpoint",
    "cronbell.errors",
    "cronbell.logs",
    "cronbell.redaction",
    "cronbell.schedule",
    "cronbell.states",
    "cronbell.testing",
    "cronbell.tracing",
)
ADAPTERS = ("cronbell.endpoint.django", "cronbell.endpoint.receipts")
FRAMEWORKS = ("django", "ninja", "django_htmx", "whitenoise")
EVERYTHING_KNOWS = ("cronbell.domain", "cronbell.states", "cronbell.clock", "cronbell.errors")


def free_modules() -> list[str]:
    return [
        module
        for module in sorted(source.modules())
        if any(is_part_of(module, free) for free in FREE)
        and not any(is_part_of(module, adapter) for adapter in ADAPTERS)
    ]


def frameworks_reached(module: str) -> list[str]:
    return [
        f"{importer} imports {target}"
        for target, importer in source.reached(module).items()
        if any(is_part_of(target, framework) for framework in FRAMEWORKS)
    ]


def test_every_framework_free_package_is_there():
    for package in FREE:
        assert package in source.modules(), f"{package} is gone: mend this test's list"


def test_cronbell_never_imports_ideasgpt():
    breaches = [
        f"{module} imports {target}"
        for module in source.modules()
        if is_part_of(module, "cronbell")
        for target in source.imports(module)
        if is_part_of(target, "ideasgpt")
    ]
    assert not breaches


def test_framework_free_modules_reach_no_framework_directly_or_through_others():
    breaches = {module: found for module in free_modules() if (found := frameworks_reached(module))}
    assert not breaches


def test_what_everything_knows_knows_only_itself():
    for module in EVERYTHING_KNOWS:
        ours = {one for one in source.reached(module) if is_part_of(one, "cronbell")}
        top = {".".join(one.split(".")[:2]) for one in ours} - {"cronbell"}
        assert top <= set(EVERYTHING_KNOWS), f"{module} reaches {top}"


def test_importing_every_framework_free_module_loads_no_framework():
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        f"print(sorted(set({FRAMEWORKS!r}) & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *free_modules()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("settings", ["cronbell.server.settings", "ideasgpt.settings"])
def test_only_what_serves_the_api_loads_what_the_api_is_made_of(settings):
    """Commands and the runner would take a fifth longer to start; ninja has Django's tests load."""
    program = (
        "import django, sys; django.setup()\n"
        "import cronbell.cli.commands as cli, cronbell.engine.loop\n"
        "assert all(cli.Loaded().values())\n"
        "print(sorted({'ninja', 'pydantic', 'unittest'} & set(sys.modules)), end=' ')\n"
        "from django.urls import get_resolver\n"
        "get_resolver().url_patterns\n"
        "print('ninja' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == "[] True"


def test_only_the_run_log_holds_the_statements_on_runs():
    # Pages and API read through runlog.queries, the engine through runlog.store.
    allowed = ("cronbell.runlog", "cronbell.dashboard.admin", "cronbell.dashboard.site")
    breaches = [
        f"{module} imports {target}"
        for module in source.modules()
        if not any(is_part_of(module, one) for one in allowed)
        for target in source.imports(module)
        if is_part_of(target, "cronbell.runlog.statements")
    ]
    assert not breaches


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import django.db", "django.db"),
        ("from django import db", "django.db"),
        ("def f():\n    from django.conf import settings", "django.conf"),
        ("if TYPE_CHECKING:\n    import django", "django"),
        ("from . import store", "cronbell.engine.store"),
        ("from ..runlog import store", "cronbell.runlog.store"),
    ],
)
def test_sabotage_an_import_is_seen_however_it_is_written(text: str, found: str):
    names = source.imported(ast.parse(text), "cronbell.engine.loop", is_package=False)
    assert found in set(names)


def test_sabotage_django_behind_another_module_of_ours_is_seen():
    # The engine may reach Django, through the run log: the search must find it there.
    assert any("cronbell.runlog" in words for words in frameworks_reached("cronbell.engine.loop"))
