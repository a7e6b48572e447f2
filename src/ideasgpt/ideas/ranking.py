"""Reads for pages and API: ranked ideas in bounded pages, without counting a whole table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from cronbell.errors import CronbellError
from ideasgpt.ideas.models import Category, Idea, Purchase

# Nobody pages further than this by hand, and an offset costs what it skips.
MOST_RANKED = 10_000
WINDOW = 5


class PageError(CronbellError):
    """A page or limit that cannot be: not a whole number, or out of range."""

    code = "page"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of ranked ideas.

    Attributes:
        ideas: the ideas, best first, each with ``category`` and ``claim`` loaded.
        purchases: how often each of them was bought, by id.
        number: 1 for the first page.
        limit: ideas on a full page.
        total: ideas in all, at most ``MOST_RANKED``.
        capped: there are more than ``total``, which are not listed.
    """

    ideas: Sequence[Idea]
    purchases: dict[int, int]
    number: int
    limit: int
    total: int
    capped: bool

    @property
    def pages(self) -> int:
        """How many pages there are; 1 where there are no ideas."""
        return max(1, -(-self.total // self.limit))

    @property
    def first_rank(self) -> int:
        """The rank of the first idea on this page."""
        return (self.number - 1) * self.limit + 1

    @property
    def window(self) -> range:
        """The page numbers to offer: five, with this one in the middle where that is possible."""
        start = max(1, min(self.number - WINDOW // 2, self.pages - WINDOW + 1))
        return range(start, min(start + WINDOW, self.pages + 1))


def parse_number(name: str, raw: str | None, default: int, most: int) -> int:
    """Read a page number or limit.

    Args:
        name: what it is called, for the message.
        raw: as sent; None for the default.
        default: what None means.
        most: the largest number allowed.

    Raises:
        PageError: it is not plain ASCII digits, or not between 1 and ``most``.
    """
    if raw is None:
        return default
    plain = raw.isascii() and raw.isdigit() and len(raw) <= len(str(most))
    if not plain or not 1 <= int(raw) <= most:
        shown = raw if len(raw) <= 20 else raw[:20] + "…"  # noqa: PLR2004 - enough to recognise it
        raise PageError(
            _("%(name)s is “%(shown)s”") % {"name": name, "shown": shown},
            hint=_("write a whole number from 1 to %(most)d, or leave it out") % {"most": most},
        )
    return int(raw)


def ranked(category: Category | None, number: int, limit: int) -> Page:
    """Return one page of ideas, best first; of one category, or of all.

    A page past the end has no ideas.
    """
    ideas: QuerySet[Idea] = Idea.objects.order_by("-ranking_score", "-pk")
    if category is not None:
        ideas = ideas.filter(category=category)
    total = ideas.order_by()[: MOST_RANKED + 1].count()
    start = (number - 1) * limit
    end = min(start + limit, MOST_RANKED)
    shown = list(ideas.select_related("category", "claim")[start:end]) if start < end else []
    return Page(
        ideas=shown,
        purchases=count_purchases([idea.pk for idea in shown]),
        number=number,
        limit=limit,
        total=min(total, MOST_RANKED),
        capped=total > MOST_RANKED,
    )


def count_purchases(ids: Sequence[int]) -> dict[int, int]:
    """Return how often each idea was bought, in one query; ideas never bought are left out."""
    counts = Purchase.objects.filter(idea__in=ids).order_by().values_list("idea")
    return dict(counts.annotate(times=Count("pk")))


def score_now(views: int, purchases: int, *, claimed: bool) -> float:
    """Return what ``update-rankings`` would write: views × 0.3 + purchases × 3 + 5 if claimed."""
    return (views * 3 + purchases * 30 + (50 if claimed else 0)) / 10
