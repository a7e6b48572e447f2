"""Is this idea here already? By its title, and by words it shares with what the category has.

Same words in other clothes are found, the same thought in other words is not: see
``docs/decisions/0009-generated-ideas.md`` for what was measured.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from rapidfuzz import fuzz, process, utils

from ideasgpt.ideas.models import Category, Idea
from ideasgpt.llm.parse import Draft

LAST = 2000  # of a category's ideas that a new one is compared with
NEAR = 85.0  # token_set_ratio of title and description
# token_set_ratio alone is 100 where one text's words all occur in a much longer one.
ALIKE = 60.0


class Known:
    """The ideas of a category, and those that were taken in since.

    Args:
        texts: title and description of each, the newest first.
    """

    def __init__(self, texts: Iterable[tuple[str, str]] = ()) -> None:
        self.titles: list[str] = []
        self._keys: set[str] = set()
        self._texts: list[str] = []
        for title, description in texts:
            self._add(title, description)

    @classmethod
    def of(cls, category: Category) -> Known:
        """Read the newest ideas of a category."""
        ideas = Idea.objects.filter(category=category).order_by("-pk")
        return cls(ideas.values_list("title", "description")[:LAST])

    def take(self, draft: Draft) -> bool:
        """Add an idea; False, and nothing added, where it is here already."""
        if self.has(draft):
            return False
        self._add(draft.title, draft.description)
        return True

    def has(self, draft: Draft) -> bool:
        """Say whether an idea is here already, or nearly."""
        if title_key(draft.title) in self._keys:
            return True
        text = _words(draft.title, draft.description)
        near = process.extract_iter(
            text, self._texts, scorer=fuzz.token_set_ratio, score_cutoff=NEAR
        )
        return any(fuzz.token_sort_ratio(text, other) >= ALIKE for other, _score, _place in near)

    def _add(self, title: str, description: str) -> None:
        self.titles.append(title)
        self._keys.add(title_key(title))
        self._texts.append(_words(title, description))


def title_key(title: str) -> str:
    """Return what is left of a title when case, width, blanks and punctuation are taken away."""
    folded = unicodedata.normalize("NFKC", title).casefold()
    return "".join(one for one in folded if one.isalnum())


def _words(title: str, description: str) -> str:
    return utils.default_process(unicodedata.normalize("NFKC", f"{title} {description}"))
