from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import override_settings

from cronbell.endpoint import JobContext
from ideasgpt.ideas.jobs.clean_data import clean_data
from ideasgpt.ideas.jobs.update_rankings import update_rankings
from ideasgpt.ideas.models import Category, Claim, Idea, Purchase
from ideasgpt.sample import SampleError, load_sample, load_sample_if_empty
from ideasgpt.sample.compose import object_particle
from ideasgpt.sample.words import AUDIENCES, SHELVES

pytestmark = pytest.mark.django_db(transaction=True, databases=["default"])

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _the_sample_is_asked_for(settings):
    settings.SAMPLE_IF_EMPTY = True


def everything():
    first = Idea.objects.order_by("pk").values_list("pk", flat=True).first() or 0
    ideas = Idea.objects.order_by("pk").values_list(
        "category__slug",
        "title",
        "description",
        "view_count",
        "ranking_score",
        "is_temporary",
        "is_ai_generated",
        "created_at",
        "author__username",
    )
    return (
        list(ideas),
        [
            (idea - first, name)
            for idea, name in Purchase.objects.order_by("pk").values_list("idea", "user__username")
        ],
        [
            (idea - first, name)
            for idea, name in Claim.objects.order_by("pk").values_list("idea", "user__username")
        ],
    )


def load(seed=1, ideas=200):
    load_sample(ideas=ideas, purchases=ideas * 2, claims=ideas // 10, seed=seed, now=NOW)
    return everything()


def clear():
    for model in (Purchase, Claim, Idea, Category, User):
        model.objects.all().delete()


def test_the_same_seed_gives_the_same_data_and_another_seed_other_data():
    first = load()
    clear()
    assert load() == first
    clear()
    assert load(seed=2) != first


def test_there_is_as_much_of_everything_as_was_asked_for():
    load_sample(ideas=500, purchases=1234, claims=77, seed=4)
    counts = [model.objects.count() for model in (Idea, Purchase, Claim, Category)]
    assert counts == [500, 1234, 77, len(SHELVES)]


def test_loading_again_adds_to_what_is_there():
    load()
    load()
    assert Idea.objects.count() == 400
    assert Category.objects.count() == len(SHELVES)


@pytest.mark.parametrize(
    ("ideas", "purchases", "claims"),
    [(-1, 0, 0), (0, -1, 0), (0, 0, -1), (0, 1, 0), (0, 0, 1), (10, 10_000, 0), (10, 0, 11)],
)
def test_sizes_that_cannot_be_are_refused_and_load_nothing(ideas, purchases, claims):
    with pytest.raises(SampleError) as error:
        load_sample(ideas=ideas, purchases=purchases, claims=claims)
    assert error.value.hint
    assert not Category.objects.exists()
    with pytest.raises(CommandError):
        call_command("load_sample", ideas=ideas, purchases=purchases, claims=claims)


def test_nothing_at_all_is_a_size_too():
    load_sample(ideas=0, purchases=0, claims=0)
    assert not Idea.objects.exists()


def test_everybody_buying_everything_fits():
    load_sample(ideas=30, purchases=400, claims=0)
    assert Purchase.objects.count() == 400


def test_titles_are_of_both_languages_and_tell_ideas_apart():
    load_sample(ideas=400, purchases=0, claims=0)
    titles = list(Idea.objects.values_list("title", flat=True))
    korean = [title for title in titles if any("가" <= sign <= "힣" for sign in title)]
    assert 200 < len(korean) < 280
    assert len(set(titles)) > 200
    assert max(map(len, titles)) <= 200


@pytest.mark.parametrize(
    ("word", "particle"), [("직장인", "을"), ("부모", "를"), ("사장님", "을"), ("간호사", "를")]
)
def test_the_korean_particle_follows_the_last_sound(word, particle):
    assert object_particle(word) == particle


def test_the_word_lists_are_as_long_in_both_languages():
    assert all(len(shelf.things) == len(shelf.things_ko) == 8 for shelf in SHELVES)
    assert all(all(pair) for pair in AUDIENCES)


def test_running_the_jobs_on_the_small_sample_changes_what_can_be_seen():
    assert load_sample_if_empty()
    top = list(Idea.objects.values_list("pk", flat=True)[:25])
    ranked = update_rankings(JobContext("update-rankings"))
    assert ranked.data["changed"] > 40
    assert list(Idea.objects.values_list("pk", flat=True)[:25]) != top
    before = Idea.objects.count()
    cleaned = clean_data(JobContext("clean-data"))
    assert cleaned.data["deleted"] >= 10
    assert Idea.objects.count() == before - cleaned.data["deleted"]


def test_a_first_start_loads_the_sample_and_a_second_does_not():
    assert load_sample_if_empty()
    count = Idea.objects.count()
    assert not load_sample_if_empty()
    assert Idea.objects.count() == count


def test_whoever_deletes_the_sample_does_not_get_it_back():
    load_sample_if_empty()
    for model in (Purchase, Claim, Idea, Category):
        model.objects.all().delete()
    assert not load_sample_if_empty()
    assert not Idea.objects.exists()


def test_a_service_with_data_of_its_own_is_left_alone(shelf):
    assert not load_sample_if_empty()
    assert list(Category.objects.all()) == [shelf]


@override_settings(SAMPLE_IF_EMPTY=False)
def test_a_service_that_does_not_ask_for_the_sample_gets_none():
    assert not load_sample_if_empty()
    assert not Category.objects.exists()


def test_a_start_that_breaks_half_way_leaves_nothing_so_that_the_next_loads_all(monkeypatch):
    def breaks(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ideasgpt.sample.load._claim_rows", breaks)
        with pytest.raises(KeyboardInterrupt):
            load_sample_if_empty()
    assert not Idea.objects.exists()
    assert load_sample_if_empty()


def test_nobody_can_sign_in_as_a_sample_user(client):
    load_sample_if_empty()
    user = User.objects.filter(username__startswith="sample-").first()
    assert user is not None
    assert not user.has_usable_password()
    assert not user.is_staff


def test_the_command_says_what_it_added(capsys):
    call_command("load_sample", ideas=50, purchases=60, claims=5)
    assert "50 ideas, 60 purchases, 5 claims" in capsys.readouterr().out
