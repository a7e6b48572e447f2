from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from tests.ideasgpt.verification.hostile import CLAIM, TRUE
from tests.ideasgpt.verification.obeying_model import ObeyingModel

from ideasgpt.verification import child, documents, service
from ideasgpt.verification.models import Record
from ideasgpt.verification.storage import attach

TOKEN = "service-token-for-tests-only"


@pytest.fixture(autouse=True)
def _surroundings(settings, tmp_path, monkeypatch):
    settings.CRONBELL_DATA_DIR = tmp_path
    for name in ("OPENAI_API_KEY", "OPENAI_PRICE", "IDEASGPT_LLM", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SERVICE_TOKEN", TOKEN)
    monkeypatch.setenv("VERIFY_SAMPLE_PERCENT", "0")
    service.service_token.cache_clear()
    yield
    service.service_token.cache_clear()


@pytest.fixture
def obeying(monkeypatch):
    """A model that approves everything; the environment names it."""
    with ObeyingModel() as model:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-tests")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{model.url}/v1")
        yield model


@pytest.fixture
def make():
    """Make a record with documents."""

    def record(*contents, fields=None, name="proof.txt"):
        owner, _ = User.objects.get_or_create(username="owner")
        made = Record.objects.create(owner=owner, fields=fields or CLAIM)
        for content in contents or (TRUE.encode(),):
            attach(made, name, [content])
        return made

    return record


@pytest.fixture
def read_here(monkeypatch):
    """Read documents in this process, by the function that the child runs.

    A child for each of a hundred documents would take most of the time. What its limits hold off
    is in ``test_child.py``, which starts real ones.
    """

    def extract(file, content_type):
        found = child.found_in(content_type, file)
        return found["text"], tuple(found["problems"])

    monkeypatch.setattr(documents, "extract", extract)
