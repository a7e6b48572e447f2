"""What ``@cron_job`` refuses while the module is imported."""

from __future__ import annotations

import pytest

from cronbell.endpoint.context import JobContext
from cronbell.endpoint.registry import JobDefinitionError, Registry, cron_job


def job(context: JobContext) -> None:
    """Do nothing."""


async def coroutine(context):
    """Do nothing, later."""


def generator(context):
    yield


def two(context, more):
    """Want too much."""


def publish(registry, name="work", function=job, **options):
    return cron_job(name, **{"max_duration": 1, "registry": registry, **options})(function)


def test_a_job_is_published_under_its_name_and_the_function_stays_itself():
    registry = Registry()

    assert publish(registry, "update-rankings") is job
    found = registry.by_path("/api/cron/update-rankings")
    assert found is not None
    assert found is registry.by_name("update-rankings")
    assert found.function is job


def test_path_overrides_the_default():
    registry = Registry()
    publish(registry, path="/hooks/nightly")

    assert registry.by_path("/hooks/nightly") is registry.by_name("work")
    assert registry.by_path("/api/cron/work") is None


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"name": ""}, "name"),
        ({"name": "two words"}, "name"),
        ({"name": "-x"}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "순위"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": None}, "name"),
        ({"name": 7}, "name"),
        ({"name": "x\n"}, "name"),
        ({"path": ""}, "path"),
        ({"path": "no-slash"}, "path"),
        ({"path": "/"}, "path"),
        ({"path": "//x"}, "path"),
        ({"path": "/a/../b"}, "path"),
        ({"path": "/x?y=1"}, "path"),
        ({"path": "/<int:x>"}, "path"),
        ({"path": "/한"}, "path"),
        ({"path": "/" + "x" * 512}, "path"),
        ({"max_duration": 0}, "max_duration"),
        ({"max_duration": -1}, "max_duration"),
        ({"max_duration": float("nan")}, "max_duration"),
        ({"max_duration": float("inf")}, "max_duration"),
        ({"max_duration": "300"}, "max_duration"),
        ({"max_duration": True}, "max_duration"),
        ({"max_duration": None}, "max_duration"),
        ({"function": coroutine}, "coroutine"),
        ({"function": generator}, "generator"),
        ({"function": two}, "one argument"),
        ({"function": lambda: None}, "one argument"),
        ({"function": "work"}, "not a function"),
    ],
)
def test_a_definition_that_cannot_work_is_an_error_that_names_it(options, word):
    registry = Registry()

    with pytest.raises(JobDefinitionError, match=word):
        publish(registry, **options)
    assert len(registry) == 0


@pytest.mark.parametrize(
    "second", [{"name": "work", "path": "/other"}, {"name": "other", "path": "/api/cron/work"}]
)
def test_a_name_or_path_that_is_taken_is_an_error_that_names_the_holder(second):
    registry = Registry()
    publish(registry)

    with pytest.raises(JobDefinitionError, match=r"already published by .*\.job"):
        publish(registry, **second)
    assert len(registry) == 1
