from __future__ import annotations

import pytest

from ideasgpt.ideas import duplicates
from ideasgpt.ideas.duplicates import Known, title_key
from ideasgpt.ideas.models import Category
from ideasgpt.llm.parse import Draft

OLD = ("Night market map", "A map of stalls that open after ten, for people who work late.")


@pytest.mark.parametrize(
    ("title", "description"),
    [
        ("NIGHT-market  Map!", "Something else altogether, about pets."),
        ("Night market map", "x"),
        ("Night market map", "Night map"),
        ("A map of night markets", "A map of stalls that open after ten for those who work late."),
        ("Late map", "For people who work late: a map of stalls that open after ten."),
    ],
)
def test_the_same_idea_in_other_clothes_is_found(title, description):
    assert not Known([OLD]).take(Draft(title, description))


@pytest.mark.parametrize(
    ("title", "description"),
    [
        ("Night school", "Lessons that begin after ten, for people who work late."),
        ("밤 시장 지도", "밤늦게 여는 가게들의 지도."),
        ("Stall rental", "Rents a stall by the hour and brings it to the market."),
    ],
)
def test_another_idea_is_not(title, description):
    known = Known([OLD])
    assert known.take(Draft(title, description))
    assert not known.take(Draft(title, description)), "it is known from now on"


def test_full_and_half_width_are_the_same():
    assert title_key("ＡＩ 비서") == title_key("ai비서")


def test_a_short_old_idea_does_not_stand_for_every_longer_one_with_its_words(monkeypatch):
    old = ("AI 앱", "사진 앱")
    new = Draft(
        "반려견 산책 앱", "사진 한 장으로 AI 앱이 산책 길을 고르고 이웃과 약속을 잡아 준다."
    )
    assert not Known([old]).has(new)
    monkeypatch.setattr(duplicates, "ALIKE", 0.0)
    assert Known([old]).has(new), "the harm the second measure prevents"


@pytest.mark.django_db(transaction=True, databases=["default"])
def test_only_the_category_s_own_newest_ideas_are_compared(make_idea, shelf, monkeypatch):
    monkeypatch.setattr(duplicates, "LAST", 2)
    other = Category.objects.create(slug="pets", name="Pets")
    for title in ("First", "Second", "Third"):
        make_idea(title=title)
    make_idea(title="Elsewhere", category=other)
    assert Known.of(shelf).titles == ["Third", "Second"]
