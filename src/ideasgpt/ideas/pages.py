"""The public pages: ranked ideas, all or by category, and one idea."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from ideasgpt.ideas.models import Category, Idea
from ideasgpt.ideas.ranking import (
    MOST_RANKED,
    PageError,
    count_purchases,
    parse_number,
    ranked,
    score_now,
)
from ideasgpt.ideas.views_counted import COUNTER

PAGE_ROWS = 25
LAST_ID = 2**63 - 1


@require_safe
def ranking(request: HttpRequest) -> HttpResponse:
    """Show all ideas, best first."""
    return _list(request, None)


@require_safe
def category(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one category's ideas, best first; 404 for an unknown one."""
    found = Category.objects.filter(slug=slug).first()
    if found is None:
        return _problem(request, 404, _("There is no such category."))
    return _list(request, found)


@require_safe
def idea(request: HttpRequest, idea_id: int) -> HttpResponse:
    """Show one idea and count the view; asking for the headers alone is not a view."""
    # No store has an id past 64 bits, and each refuses to look for one in its own way.
    known = Idea.objects.select_related("category", "claim")
    found = known.filter(pk=idea_id).first() if idea_id <= LAST_ID else None
    if found is None:
        return _problem(request, 404, _("This idea does not exist, or no longer does."))
    if request.method == "GET":
        COUNTER.add(found.pk)
    views = found.view_count + COUNTER.waiting(found.pk)
    purchases = count_purchases([found.pk]).get(found.pk, 0)
    claimed = hasattr(found, "claim")
    now = score_now(views, purchases, claimed=claimed)
    context: dict[str, Any] = {
        "idea": found,
        "category": found.category,
        "views": views,
        "purchases": purchases,
        "claimed": claimed,
        "from_views": score_now(views, 0, claimed=False),
        "from_purchases": score_now(0, purchases, claimed=False),
        "from_claim": score_now(0, 0, claimed=claimed),
        "score_now": now,
        "up_to_date": now == found.ranking_score,
    }
    return _render(request, "ideas/idea.html", context)


def _list(request: HttpRequest, category: Category | None) -> HttpResponse:
    try:
        last = -(-MOST_RANKED // PAGE_ROWS)
        number = parse_number("page", request.GET.get("page"), 1, last)
    except PageError as error:
        return _problem(request, 400, _("There is no such page."), str(error))
    page = ranked(category, number, PAGE_ROWS)
    if number > page.pages:
        return _problem(request, 404, _("There are no ideas on this page."))
    rows = [
        {
            "rank": rank,
            "idea": shown,
            "purchases": page.purchases.get(shown.pk, 0),
            "claimed": hasattr(shown, "claim"),
        }
        for rank, shown in enumerate(page.ideas, page.first_rank)
    ]
    return _render(
        request,
        "ideas/list.html",
        {"page": page, "rows": rows, "category": category, "everything": category is None},
    )


def _problem(request: HttpRequest, status: int, message: str, details: str = "") -> HttpResponse:
    context = {"message": message, "details": details}
    return _render(request, "ideas/problem.html", context, status)


def _render(
    request: HttpRequest, template: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    context["categories"] = Category.objects.all()
    return render(request, template, context, status=status)
