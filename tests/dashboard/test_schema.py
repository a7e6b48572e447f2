"""The whole API against its own OpenAPI document, with data that fits it and data that does not.

``SCHEMA_EXAMPLES=300`` (``make fuzz``) looks longer; a plain run tries a few of each.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import requests
import schemathesis
from django.contrib.auth.models import Group, User
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.dashboard.conftest import spec

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard.api import api
from cronbell.runlog.jobs import sync_jobs
from cronbell.runlog.models import Run
from ideasgpt.verification.api import api as verification_api

pytestmark = [
    pytest.mark.django_db(databases=["default", "runlog"]),
    pytest.mark.any_store,
]
EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "12"))
SERVICE_TOKEN = "a-token-for-the-service"
# This one no session opens.
BY_TOKEN = {"/api/admin/records": {"Authorization": f"Bearer {SERVICE_TOKEN}"}}


def document(ninja: Any) -> dict[str, Any]:
    return ninja.get_openapi_schema()


def operations() -> list[tuple[str, str, str]]:
    found = []
    for name, ninja in (("cronbell", api), ("verification", verification_api)):
        for path, methods in document(ninja)["paths"].items():
            if path.startswith("/api/admin/"):
                found += [(name, path, method) for method in methods]
    return found


LOADED = {
    "cronbell": schemathesis.openapi.from_dict(document(api)),
    "verification": schemathesis.openapi.from_dict(document(verification_api)),
}


@pytest.fixture
def world(db):
    """Return who calls and what is there; each example works in a transaction of the test's."""
    sync_jobs([spec("clean-data"), spec("digest")], SYSTEM_CLOCK.now())
    user = User.objects.create_user("administrator")
    user.groups.add(Group.objects.get(name="ADMIN"))
    return user


# Names and numbers that are there, for half of the calls: made-up ones are mostly not found.
THERE = {
    "job_name": "clean-data",
    "job": "verify-records",
    "run_id": 1,
    "backfill_id": 1,
    "record_id": 1,
    "word": "pause",
}


def cases(name: str, path: str, method: str) -> st.SearchStrategy[Any]:
    operation = LOADED[name][path][method.upper()]
    known = {part: value for part, value in THERE.items() if f"{{{part}}}" in path}
    positive, negative = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
    kinds = [operation.as_strategy(generation_mode=positive)]
    if known:
        kinds.append(operation.as_strategy(generation_mode=positive, path_parameters=known))
    if known or operation.body or operation.query:
        kinds.append(operation.as_strategy(generation_mode=negative))
    return st.one_of(kinds)


def ask(client: Client, case: Any, headers: dict[str, str]) -> Any:
    """Send a case by Django's client, with our credentials in place of the made-up ones."""
    given = case.as_transport_kwargs(base_url="http://testserver")
    sent = requests.Request(
        given["method"], given["url"], params=given.get("params"), data=given.get("data"),
        json=given.get("json"), files=given.get("files"),
    ).prepare()  # fmt: skip
    body = sent.body or b""
    return client.generic(
        sent.method or "GET",
        sent.path_url,
        body.encode() if isinstance(body, str) else body,
        content_type=sent.headers.get("Content-Type", "application/json"),
        headers=headers,
    )


def conforms(case: Any, answer: Any) -> None:
    """Compare an answer with the document: its status, its content type, its schema."""
    response = Response(
        status_code=answer.status_code,
        headers={name.lower(): [value] for name, value in answer.headers.items()},
        content=answer.content,
        request=requests.Request(case.method, "http://testserver/").prepare(),
        elapsed=0.0,
        verify=False,
    )
    checks = [status_code_conformance, content_type_conformance, response_schema_conformance]
    case.validate_response(response, checks=checks)


def tried(test: Any) -> Any:
    """Run a test with so many examples, the same ones each time in CI."""
    calm = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much]
    return settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=calm)(test)


@pytest.mark.parametrize(("name", "path", "method"), operations())
def test_the_api_answers_as_its_document_says_whatever_it_is_asked(
    name, path, method, world, monkeypatch
):
    """C26: never a server error; status, type and shape of each answer are documented."""
    monkeypatch.setattr("cronbell.dashboard.api.WAIT_SECONDS", 0)
    monkeypatch.setenv("SERVICE_TOKEN", SERVICE_TOKEN)
    client = Client(raise_request_exception=False)
    client.force_login(world)

    @tried
    @given(case=cases(name, path, method))
    def try_one(case: Any) -> None:
        answer = ask(client, case, BY_TOKEN.get(path, {}))
        assert answer.status_code < 500, answer.content
        conforms(case, answer)

    try_one()


@pytest.mark.parametrize(("name", "path", "method"), operations())
def test_nobody_gets_past_the_guard_whatever_they_send(name, path, method, world):
    """C26: signed out the answer is 401, before the request is looked at."""
    client = Client(raise_request_exception=False)

    @tried
    @given(case=cases(name, path, method))
    def try_one(case: Any) -> None:
        for headers in ({}, {"Authorization": "Bearer cbt_0000000000000000_" + "x" * 43}):
            answer = ask(client, case, headers)
            if answer.status_code != 404:  # an address no operation has
                assert answer.status_code == 401
                assert list(answer.json()) == ["error"]

    try_one()
    assert not Run.objects.exists()


def test_an_answer_that_is_not_as_documented_is_noticed(world):
    """Sabotage of the comparison itself."""
    case = LOADED["cronbell"]["/api/admin/drains"]["GET"].Case()
    client = Client()
    client.force_login(world)
    answer = client.get("/api/admin/drains")
    conforms(case, answer)
    answer.content = b'{"drains": 5}'
    with pytest.raises(FailureGroup):
        conforms(case, answer)
    answer.status_code = 418
    with pytest.raises(FailureGroup):
        conforms(case, answer)
