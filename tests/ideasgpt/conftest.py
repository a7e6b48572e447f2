"""Makers of ideas for the service's tests."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from tests.ideasgpt.model_server import KEY

from cronbell.endpoint import JobContext
from cronbell.testing import FakeClock, ScriptedTarget
from ideasgpt.ideas.models import Category, Claim, Idea, Purchase

NUMBERS = itertools.count(1)


@pytest.fixture
def clock():
    """Waits on it cost no time and move it."""
    return FakeClock(auto=True)


@pytest.fixture
def context(clock):
    """Give a job's context as the endpoint would."""

    def make(seconds=300.0, **kwargs):
        return JobContext("job", max_duration=seconds, clock=clock, **kwargs)

    return make


@pytest.fixture
def shelf():
    return Category.objects.create(slug="food", name="Food", name_ko="음식")


@pytest.fixture
def user():
    """Give new users, one a call."""
    return lambda: User.objects.create_user(f"user-{next(NUMBERS)}")


@pytest.fixture
def make_idea(shelf, user, clock):
    """Make an idea with views, so many purchases, and a claim or not."""

    def make(views=0, purchases=0, *, claimed=False, score=0.0, days=0, **fields):
        idea = Idea.objects.create(
            title=fields.pop("title", "An idea"),
            description="What it is about.",
            category=fields.pop("category", shelf),
            view_count=views,
            ranking_score=score,
            created_at=clock.now() - timedelta(days=days),
            **fields,
        )
        for _ in range(purchases):
            Purchase.objects.create(idea=idea, user=user())
        if claimed:
            Claim.objects.create(idea=idea, user=user())
        return idea

    return make


@pytest.fixture
def target(monkeypatch):
    """The model's server; the environment names it."""
    with ScriptedTarget() as running:
        for name in ("OPENAI_MODEL", "OPENAI_PRICE", "IDEASGPT_LLM"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", running.url("/v1"))
        yield running


@pytest.fixture
def shelves():
    """Make so many categories."""

    def make(count):
        names = [f"Shelf {number}" for number in range(count)]
        return [
            Category.objects.create(slug=f"shelf-{number}", name=name)
            for number, name in enumerate(names)
        ]

    return make
