from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from ideasgpt.ideas.models import Category, Idea
from ideasgpt.ideas.ranking import Page
from ideasgpt.ideas.views_counted import COUNTER

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "runlog"])


@pytest.fixture(autouse=True)
def nothing_waits():
    yield
    COUNTER.close()


def titles(answer):
    return re.findall(r'<h2 lang="\w+"><a href="[^"]+">([^<]+)</a>', answer.content.decode())


def text(answer):
    return answer.content.decode()


def test_all_ideas_are_ranked_best_first(make_idea):
    home = Category.objects.create(slug="home", name="Home")
    make_idea(title="second", score=2)
    make_idea(title="first", score=3, category=home)
    make_idea(title="third", score=1)
    assert titles(Client().get("/")) == ["first", "second", "third"]
    assert titles(Client().get("/category/food")) == ["second", "third"]


def test_a_row_says_what_the_score_is_made_of(make_idea):
    make_idea(views=1234, purchases=2, claimed=True, score=1234.5, is_temporary=True)
    page = text(Client().get("/"))
    for words in ("1,234 views", "2 purchases", "Claimed", "Temporary", "1,234.5"):
        assert words in page


def test_one_is_not_plural(make_idea):
    make_idea(views=1, purchases=1)
    page = text(Client().get("/"))
    assert "1 view<" in page
    assert "1 purchase<" in page
    assert "1 idea<" in page


@pytest.mark.parametrize(
    "path", ["/category/nowhere", "/ideas/1", "/ideas/0", f"/ideas/{2**63}", f"/ideas/{10**300}"]
)
def test_what_is_not_there_is_a_404_page_that_says_so(shelf, path):
    answer = Client().get(path)
    assert answer.status_code == 404
    assert 'href="/"' in text(answer)


@pytest.mark.parametrize(
    "page", ["abc", "", "0", "-1", "1e3", "1.0", "９", "<b>", "401", "9" * 9999]
)
@pytest.mark.parametrize("path", ["/", "/category/food"])
def test_a_bad_page_number_is_a_400_page_that_says_what_to_write(shelf, path, page):
    answer = Client().get(path, {"page": page})
    assert answer.status_code == 400
    assert "whole number" in text(answer)
    assert "<b>" not in text(answer)


def test_a_page_past_the_end_is_404(make_idea):
    make_idea()
    assert Client().get("/?page=2").status_code == 404


def test_pages_follow_each_other_without_gap_or_repeat(make_idea):
    for number in range(53):
        make_idea(title=f"idea-{number:02}", score=float(number // 7))
    client = Client()
    pages = [titles(client.get(f"/?page={number}")) for number in (1, 2, 3)]
    assert [len(page) for page in pages] == [25, 25, 3]
    everything = sorted(title for page in pages for title in page)
    assert everything == [f"idea-{number:02}" for number in range(53)]
    assert 'rel="next" href="?page=2"' in text(client.get("/"))
    assert 'start="26"' in text(client.get("/?page=2"))


@pytest.mark.parametrize(
    ("number", "total", "window"),
    [
        (1, 0, [1]),
        (1, 60, [1, 2, 3]),
        (1, 250, [1, 2, 3, 4, 5]),
        (5, 250, [3, 4, 5, 6, 7]),
        (10, 250, [6, 7, 8, 9, 10]),
    ],
)
def test_five_page_numbers_are_offered(number, total, window):
    page = Page([], {}, number=number, limit=25, total=total, capped=False)
    assert list(page.window) == window


def test_an_empty_category_says_how_ideas_come(shelf):
    assert "No ideas here yet" in text(Client().get("/category/food"))


def test_more_ideas_take_no_more_queries(make_idea):
    def count():
        with CaptureQueriesContext(connection) as queries:
            Client().get("/")
        return len(queries)

    make_idea(purchases=1, claimed=True)
    one = count()
    for _ in range(10):
        make_idea(purchases=1, claimed=True)
    assert count() == one <= 4


def test_korean_where_the_reader_asks_for_it(make_idea):
    make_idea(purchases=1, claimed=True)
    page = text(Client().get("/", headers={"Accept-Language": "ko"}))
    for words in ('<html lang="ko"', "아이디어 랭킹", "구매 1건", "선점됨", "음식"):
        assert words in page
    assert "Food" not in page


def test_a_title_is_marked_with_its_own_language(make_idea):
    make_idea(title="냉장고 재고 알림 앱")
    page = text(Client().get("/", headers={"Accept-Language": "en"}))
    assert '<h2 lang="ko">' in page


def test_text_from_users_is_shown_and_never_markup(make_idea):
    idea = make_idea(title='<script>alert(1)</script>"><img src=x>')
    Idea.objects.filter(pk=idea.pk).update(description="<script>alert(2)</script>")
    for path in ("/", f"/ideas/{idea.pk}"):
        page = text(Client().get(path))
        assert "<script" not in page
        assert "<img src=x" not in page


def test_the_idea_page_breaks_the_score_down_and_says_when_it_is_old(make_idea):
    idea = make_idea(views=9, purchases=2, claimed=True, score=1.0)
    page = text(Client().get(f"/ideas/{idea.pk}"))
    for points in ("3.0", "6.0", "5.0", "14.0"):
        assert f">{points}<" in page
    assert "still uses the score above" in page
    COUNTER.flush()
    Idea.objects.filter(pk=idea.pk).update(ranking_score=14.3)
    assert "up to date for this idea" in text(Client().get(f"/ideas/{idea.pk}"))


def test_a_view_is_counted_and_shown_at_once(make_idea):
    idea = make_idea()
    client = Client()
    client.get(f"/ideas/{idea.pk}")
    assert '<td class="num">2</td>' in text(client.get(f"/ideas/{idea.pk}"))
    client.head(f"/ideas/{idea.pk}")
    client.get("/ideas/999999")
    COUNTER.flush()
    idea.refresh_from_db()
    assert idea.view_count == 2


@pytest.mark.parametrize("path", ["/", "/category/food", "/ideas/1"])
def test_pages_cannot_be_posted_to(shelf, path):
    assert Client().post(path).status_code == 405


def test_every_answer_carries_the_strict_policy(make_idea):
    idea = make_idea()
    for path in ("/", "/category/food", f"/ideas/{idea.pk}", "/ideas/999999", "/api/ideas"):
        policy = Client().get(path).headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy


def test_templates_have_nothing_inline_and_name_files_that_exist():
    folder = Path(settings.LOCALE_PATHS[0]).parent / "ideas" / "templates"
    found = list(folder.rglob("*.html"))
    assert len(found) >= 4
    for path in found:
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", source), path.name
        for name in re.findall(r"{% static '([^']+)' %}", source):
            assert finders.find(name), name
