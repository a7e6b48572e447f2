from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client, override_settings
from tests.ideasgpt.model_server import (
    BOOK,
    CHAT,
    KEY,
    KOREAN,
    LAMP,
    ROBOT,
    SHIP,
    asked,
    completion,
    failure,
    ideas,
)

from cronbell.clock import SYSTEM_CLOCK
from cronbell.endpoint import JobContext
from cronbell.endpoint.django import process_endpoint
from cronbell.endpoint.registry import REGISTRY
from cronbell.testing import answers
from ideasgpt.ideas.jobs import batches
from ideasgpt.ideas.jobs import generate_ideas as module
from ideasgpt.ideas.models import Category, GeneratedBatch, Idea, ProviderPause
from ideasgpt.llm.provider import ProviderError

pytestmark = pytest.mark.django_db(transaction=True, databases=["default"])

run = module.generate_ideas


def test_ideas_are_asked_for_and_stored_with_what_they_cost(target, shelves, context, monkeypatch):
    monkeypatch.setenv("OPENAI_PRICE", "1/2")
    (shelf,) = shelves(1)
    target.script(CHAT, ideas(*[(f"{n} {ROBOT[0]}", f"{n}" * 40) for n in "abcdefghij"]))
    given = context(run_id="run-1")
    result = run(given)
    assert str(result.message) == "Generated 10 ideas"
    assert not result.partial
    stored = list(Idea.objects.order_by("pk"))
    assert len(stored) == 10
    assert result.data["ideasGenerated"] == [
        {"id": idea.pk, "title": idea.title, "category": "Shelf 0"} for idea in stored
    ]
    assert "errors" not in result.data
    assert all(idea.is_ai_generated and idea.category == shelf for idea in stored)
    assert result.data["usage"]["cost"] == pytest.approx(0.0002)
    (item,) = given.items
    assert (item.record_id, item.ok) == ("shelf-0", True)
    assert (item.body["promptTokens"], item.body["completionTokens"]) == (100, 50)
    (batch,) = GeneratedBatch.objects.all()
    assert (batch.run_id, batch.finished, batch.cost) == ("run-1", True, Decimal("0.0002"))
    (request,) = asked(target)
    assert request["temperature"] == 0.7
    assert "Number of ideas: 10" in request["messages"][1]["content"]


@pytest.mark.parametrize(("count", "each"), [(1, 10), (3, 3), (4, 2), (10, 1), (11, 1)])
def test_ten_ideas_are_shared_among_the_categories(target, shelves, context, count, each):
    shelves(count)
    target.script(CHAT, failure(401, "no"))
    with pytest.raises(module.GenerationError):
        run(context())
    assert len(asked(target)) == count
    for body in asked(target):
        assert f"Number of ideas: {each}\n" in body["messages"][1]["content"] + "\n"


def test_more_than_was_asked_for_is_left_and_known_titles_are_shown(
    target, shelves, make_idea, context
):
    shelves(9)
    make_idea(title="Already here")  # in a tenth
    target.script(CHAT, ideas(ROBOT, LAMP, SHIP))
    assert len(run(context()).data["ideasGenerated"]) == 10
    shown = [body["messages"][1]["content"] for body in asked(target)]
    assert sum('["Already here"]' in one for one in shown) == 1


@pytest.mark.parametrize(
    ("scripted", "words"),
    [
        (failure(500, "oops"), "could not be reached: HTTP 500: oops"),
        (failure(401, "bad key"), "rejected the request: HTTP 401: bad key"),
        (failure(429, "slow"), "turns requests away: HTTP 429: slow"),
        (answers.answer(200, b"\xff garbled"), "could not be read: the body is not JSON"),
        (completion(None, refusal="Not that."), "the model refused: Not that."),
        (completion('{"ideas": [{"ti', finish="length"), "cut off before an idea was whole"),
        (completion(""), "the answer was empty"),
        (completion("I would rather not."), "held no idea with a title and a description"),
    ],
)
def test_one_category_fails_and_the_others_do_not(target, shelves, context, scripted, words):
    """The second category gets the broken answers, however often it asks."""
    first, second, third = shelves(3)

    def by_category(exchange):
        body = asked(target)[-1]["messages"][1]["content"]
        name = body.split("\n")[0]
        good = {first.name: (ROBOT, LAMP, SHIP), third.name: (BOOK, KOREAN, ROBOT)}
        for label, pairs in good.items():
            if name.endswith(label):
                return ideas(*pairs)(exchange)
        return scripted(exchange)

    target.script(CHAT, by_category)
    given = context()
    result = run(given)
    assert result.partial
    assert str(result.message) == "Generated 6 ideas, 1 error"
    (error,) = result.data["errors"]
    assert error["category"] == second.name
    assert words in error["error"]
    assert KEY not in json.dumps(result.data)
    assert [item.ok for item in given.items] == [True, False, True]
    assert not Idea.objects.filter(category=second).exists()
    failed = GeneratedBatch.objects.get(category=second)
    assert not failed.finished
    assert failed.calls >= 1


def test_all_failing_is_an_error_that_says_why_for_each(target, shelves, context):
    shelves(2)
    target.script(CHAT, failure(401, "bad key"))
    with pytest.raises(module.GenerationError, match=r"2 errors — Shelf 0: .*; Shelf 1: .*bad key"):
        run(context())


def test_no_category_is_an_error(target, context):
    with (
        override_settings(LANGUAGE_CODE="ko"),
        pytest.raises(module.GenerationError, match=r"^생성할 카테고리가 없습니다\.$"),
    ):
        run(context())
    assert not target.requests


def test_without_a_key_the_error_names_the_variable(target, shelves, context, monkeypatch):
    shelves(1)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ProviderError, match="OPENAI_API_KEY is not set"):
        run(context())
    assert not target.requests
    assert not Idea.objects.exists()


def test_the_good_ideas_of_half_an_answer_are_kept_and_the_rest_asked_for_once(
    target, shelves, context
):
    shelves(3)
    cut = f'{{"ideas": [{{"title": "{ROBOT[0]}", "description": "{ROBOT[1]}"}}, {{"title": "Ha'
    target.script(CHAT, completion(cut, finish="length"), ideas(LAMP, SHIP), ideas(BOOK, KOREAN))
    result = run(context())
    second = asked(target)[1]["messages"][1]["content"]
    assert "Number of ideas: 2" in second
    assert ROBOT[0] in second
    assert "did not hold enough new ideas" in second
    made = {(one["category"], one["title"]) for one in result.data["ideasGenerated"]}
    assert {("Shelf 0", ROBOT[0]), ("Shelf 0", LAMP[0]), ("Shelf 0", SHIP[0])} <= made
    # Two of three after the second question: what there is is kept, and it is no failure.
    assert {title for shelf, title in made if shelf == "Shelf 1"} == {BOOK[0], KOREAN[0]}
    assert not result.partial
    assert len(asked(target)) == 6


def test_duplicates_are_dropped_and_counted(target, shelf, make_idea, context):
    make_idea(title="ROBOT  barber!", category=shelf)
    target.script(CHAT, ideas(ROBOT, LAMP, LAMP), ideas(ROBOT))
    result = run(context())
    assert [one["title"] for one in result.data["ideasGenerated"]] == [LAMP[0]]
    assert result.data["duplicates"] == 3
    assert not result.partial


def test_nothing_but_duplicates_is_no_failure(target, shelf, make_idea, context):
    make_idea(title=ROBOT[0], category=shelf)
    target.script(CHAT, ideas(ROBOT))
    result = run(context())
    assert (result.data["ideasGenerated"], result.data["duplicates"]) == ([], 2)
    assert str(result.message) == "Generated 0 ideas"


def test_a_slow_category_takes_its_share_and_no_more(target, shelves):
    """The described service let one slow call eat the whole time limit."""
    shelves(3)
    hangs = iter([answers.hang()])

    def slow_once(exchange):
        return next(hangs, ideas(ROBOT, LAMP, SHIP))(exchange)

    target.script(CHAT, slow_once)
    given = JobContext("generate-ideas", max_duration=6, clock=SYSTEM_CLOCK)
    result = run(given)
    assert [error["category"] for error in result.data["errors"]] == ["Shelf 0"]
    assert "did not answer in time" in result.data["errors"][0]["error"]
    assert len(result.data["ideasGenerated"]) == 6
    assert given.remaining() > 2


def test_out_of_time_the_rest_is_said_and_comes_first_the_next_time(
    target, shelves, context, clock
):
    shelves(3)
    target.script(CHAT, ideas(ROBOT, LAMP, SHIP))
    given = context(seconds=100)
    given._on_progress = lambda _done, _total: clock.advance(99)
    result = run(given)
    assert result.partial
    assert [one["category"] for one in result.data["errors"]] == ["Shelf 1", "Shelf 2"]
    assert "less than 1 s" in result.data["errors"][0]["error"]
    order = [category.slug for category in batches.categories_in_turn()]
    assert order == ["shelf-1", "shelf-2", "shelf-0"]


def test_told_to_stop_it_asks_for_nothing_more(target, shelves, context):
    shelves(2)
    target.script(CHAT, ideas(ROBOT, LAMP))
    given = context()
    given._on_progress = lambda _done, _total: given.stop()
    assert run(given).partial
    assert len(asked(target)) == 2, "both for the first category"
    assert Idea.objects.values("category").distinct().count() == 1


def test_a_pause_the_provider_asks_for_is_kept_for_later_runs(target, shelves, context, clock):
    shelves(3)
    target.script(CHAT, failure(429, "slow", retry_after="7200"), ideas(ROBOT, LAMP, SHIP))
    with pytest.raises(module.GenerationError, match="not to be called before 2026-11-22T02:00:00"):
        run(context())
    assert len(target.requests) == 1, "the other categories are not even tried"
    (pause,) = ProviderPause.objects.all()
    assert pause.not_before == clock.now() + timedelta(hours=2)
    clock.advance(6000)
    with pytest.raises(module.GenerationError):
        run(context())
    assert len(target.requests) == 1
    clock.advance(1201)
    assert len(run(context()).data["ideasGenerated"]) == 9


def test_a_pause_that_ends_in_the_run_s_time_is_waited_for(target, shelves, context, clock):
    """Longer than a category's share of 29 s, and far from the end of the run."""
    shelves(10)
    target.script(CHAT, failure(429, "slow", retry_after="60"), ideas(ROBOT))
    given = context()
    result = run(given)
    assert not result.partial
    assert len(result.data["ideasGenerated"]) == 10
    assert [item.record_id for item in given.items][-1] == "shelf-0", "its turn came again"
    assert (len(given.items), len(target.requests)) == (10, 11)
    assert result.data["usage"]["calls"] == 11
    assert 60 <= clock.monotonic() < 70


def test_a_provider_that_asks_for_pause_after_pause_is_not_waited_for_for_ever(
    target, shelves, context, clock
):
    shelves(10)
    target.script(CHAT, failure(429, "slow", retry_after="60"))
    with pytest.raises(module.GenerationError, match="10 errors"):
        run(context())
    assert clock.monotonic() <= 300
    assert len(target.requests) <= 6


def test_told_to_stop_it_does_not_wait_for_a_pause_to_end(target, shelves, context, clock):
    shelves(10)
    target.script(CHAT, failure(429, "slow", retry_after="60"))
    given = context()
    given._on_progress = lambda _done, _total: given.stop()
    with pytest.raises(module.GenerationError):
        run(given)
    assert clock.monotonic() < 2
    assert len(target.requests) == 1


def test_offline_shows_the_job_at_work_and_labels_what_it_says(
    target, shelves, context, monkeypatch
):
    shelves(2)
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("IDEASGPT_LLM", "offline")
    result = run(context(run_id="a"))
    assert len(result.data["ideasGenerated"]) == 10
    assert result.data["usage"] == {
        "model": "offline",
        "calls": 0,
        "promptTokens": 0,
        "completionTokens": 0,
        "cost": 0.0,
    }
    for idea in Idea.objects.all():
        assert idea.title.startswith("[Sample] ")
        assert idea.description.startswith("Sample text, not written by a model: ")
        assert not idea.is_ai_generated
    with override_settings(LANGUAGE_CODE="ko"):
        again = run(context(run_id="b"))
    assert all(one["title"].startswith("[예시] ") for one in again.data["ideasGenerated"])
    assert len(again.data["ideasGenerated"]) == 10
    assert not target.requests


@pytest.mark.parametrize(
    ("language", "message", "failed", "words"),
    [
        (
            "ko",
            "3개 아이디어 생성 완료, 오류: 1개",
            "아이디어 생성 중 오류가 발생했습니다.",
            "카테고리: ",
        ),
        (
            "en",
            "Generated 3 ideas, 1 error",
            "An error occurred while generating ideas.",
            "Category: ",
        ),
    ],
)
def test_the_words_and_the_prompt_are_in_the_service_s_language(
    target, context, language, message, failed, words
):
    Category.objects.create(slug="food", name="Food", name_ko="음식")
    Category.objects.create(slug="pets", name="Pets", name_ko="반려동물")
    target.script(CHAT, ideas(KOREAN, ROBOT, SHIP), ideas(KOREAN), failure(401, "no"))
    with override_settings(LANGUAGE_CODE=language):
        result = run(context())
        job = REGISTRY.by_name("generate-ideas")
        assert job is not None
        assert str(job.failure_message) == failed
        assert job.max_duration == 300
    assert str(result.message) == message
    label = {"ko": "음식", "en": "Food"}[language]
    assert {one["category"] for one in result.data["ideasGenerated"]} == {label}
    assert f"{words}{label}\n" in asked(target)[0]["messages"][1]["content"]
    assert Idea.objects.filter(title=KOREAN[0], description=KOREAN[1]).exists()


@pytest.mark.django_db(transaction=True, databases=["default", "runlog"])
def test_a_real_call_is_answered_in_the_described_shape_and_replayed(target, shelves, monkeypatch):
    secret = "0123456789abcdef-only-for-tests"
    monkeypatch.setenv("CRON_SECRET", secret)
    process_endpoint.cache_clear()
    shelves(2)
    target.script(CHAT, ideas(ROBOT, LAMP, SHIP, BOOK, KOREAN), failure(401, "bad key"))
    headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": "fire-1"}
    first = Client().get("/api/cron/generate-ideas", headers=headers)
    again = Client().get("/api/cron/generate-ideas", headers=headers)
    process_endpoint.cache_clear()
    body = first.json()
    assert first.status_code == 200, body
    assert (body["success"], body["status"]) == (True, "partial")
    assert body["message"] == "Generated 5 ideas, 1 error"
    assert set(body["ideasGenerated"][0]) == {"id", "title", "category"}
    assert [set(error) for error in body["errors"]] == [{"category", "error"}]
    assert [result["ok"] for result in body["results"]] == [True, False]
    assert again.content == first.content
    assert len(target.requests) == 2
    assert GeneratedBatch.objects.filter(run_id="fire-1").count() == 2


def test_one_category_can_be_asked_for_by_its_slug(target, shelves, context):
    shelves(3)
    target.script(CHAT, ideas(ROBOT, SHIP, LAMP))
    result = run(context(parameters={"category": "shelf-1"}))
    assert {idea["category"] for idea in result.data["ideasGenerated"]} == {"Shelf 1"}
    (request,) = asked(target)
    # Its share of the ten stays what it is when all are asked for.
    assert "Number of ideas: 3" in request["messages"][1]["content"]
    with pytest.raises(module.GenerationError, match="slug nowhere"):
        run(context(parameters={"category": "nowhere"}))
    assert len(asked(target)) == 1
