"""The service as a whole: its two files, its settings, its entry points."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from django.test import Client, override_settings
from django.utils import translation

from cronbell.endpoint.django import process_endpoint
from cronbell.endpoint.registry import REGISTRY
from cronbell.server import hooks
from ideasgpt.ideas.models import (
    Category,
    Claim,
    GeneratedBatch,
    Idea,
    JobPosition,
    ProviderPause,
    Purchase,
)
from ideasgpt.llm import provider
from ideasgpt.verification import service
from ideasgpt.verification.jobs.verify_records import BATCH

ROOT = Path(__file__).parents[2]
JOBS = {
    "update-rankings": "0 0 * * *",
    "clean-data": "0 3 * * 0",
    "generate-ideas": "0 12 * * 1,4",
    "verify-records": "*/5 * * * *",
}


def test_vercel_json_has_every_job_with_its_schedule():
    crons = json.loads((ROOT / "vercel.json").read_text(encoding="utf-8"))["crons"]
    assert {cron["path"]: cron["schedule"] for cron in crons} == {
        f"/api/cron/{name}": schedule for name, schedule in JOBS.items()
    }
    assert all(set(cron) == {"path", "schedule"} for cron in crons)


def test_each_job_is_published_and_its_timeout_leaves_room_for_the_answer():
    jobs = tomllib.loads((ROOT / "cronbell.toml").read_text(encoding="utf-8"))["jobs"]
    for name in JOBS:
        job = REGISTRY.by_name(name)
        assert job is not None
        assert job.path == f"/api/cron/{name}"
        assert int(jobs[name]["timeout"].removesuffix("s")) == job.max_duration + 10
        assert jobs[name].get("dry_run", False) == job.dry_run


def test_the_sample_is_loaded_when_the_databases_are_ready(monkeypatch):
    called = []
    monkeypatch.setattr("ideasgpt.sample.load_sample_if_empty", lambda: called.append(1))
    ours = [one for one in hooks._callbacks if one.__module__ == "ideasgpt.ideas.apps"]
    assert len(ours) == 1


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_the_readmes_name_the_variables_and_the_model(readme):
    text = (ROOT / readme).read_text(encoding="utf-8")
    variables = (
        *(provider.KEY, provider.BASE_URL, provider.MODEL, provider.PRICE, provider.CHOICE),
        *(service.TOKEN, service.ADDRESS, service.SAMPLE, BATCH),
    )
    assert [name for name in variables if f"| `{name}` |" not in text] == []
    assert f"`{provider.DEFAULT_MODEL}`" in text


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize(
    "model", [Category, Idea, Purchase, Claim, JobPosition, GeneratedBatch, ProviderPause]
)
def test_every_table_has_a_name_in_both_languages(model, language):
    with translation.override(language):
        name = str(model._meta.verbose_name)
        assert name
        assert (name.isascii()) == (language == "en")


@pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
def test_the_services_pages_come_before_cronbells_redirect():
    assert Client().get("/").status_code == 200
    assert Client().get("/api/cron/update-rankings").status_code in {401, 500}
    assert Client().get("/admin/").status_code == 302


@pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
def test_a_real_call_ranks_the_ideas(make_idea, monkeypatch):
    """Through authentication, receipt and job, as Vercel or Cronbell would call it."""
    secret = "0123456789abcdef-only-for-tests"
    monkeypatch.setenv("CRON_SECRET", secret)
    process_endpoint.cache_clear()
    idea = make_idea(views=10)
    with override_settings(LANGUAGE_CODE="ko"):
        answer = Client().get(
            "/api/cron/update-rankings",
            headers={"Authorization": f"Bearer {secret}", "Accept-Language": "en"},
        )
    process_endpoint.cache_clear()
    body = answer.json()
    assert answer.status_code == 200, body
    assert body["success"] is True
    assert body["message"] == "1개 아이디어 랭킹 업데이트 완료"
    assert (body["ideas"], body["changed"]) == (1, 1)
    idea.refresh_from_db()
    assert idea.ranking_score == 3.0
