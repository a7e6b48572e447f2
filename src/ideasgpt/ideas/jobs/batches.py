"""What a run did for a category, kept in the transaction that keeps the ideas."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import F, Max, Q

from ideasgpt.ideas.jobs.harvest import Harvest
from ideasgpt.ideas.models import Category, GeneratedBatch, Idea, ProviderPause


def categories_in_turn() -> list[Category]:
    """Return every category, the one served longest ago first.

    Where a deadline ends a run, the next one thus begins with those that got nothing.
    """
    last = Max("batches__updated_at", filter=Q(batches__finished=True))
    return list(
        Category.objects.annotate(last=last).order_by(F("last").asc(nulls_first=True), "pk")
    )


def finished_batches(run_id: str) -> Mapping[int, GeneratedBatch]:
    """Return what an earlier attempt at this run finished, by category."""
    batches = GeneratedBatch.objects.filter(run_id=run_id, finished=True)
    return {batch.category_id: batch for batch in batches}


def keep(
    run_id: str,
    category: Category,
    harvest: Harvest,
    *,
    model: str,
    real: bool,
    error: str,
    now: datetime,
) -> GeneratedBatch:
    """Write a category's ideas and that it is done, or neither; add up what was used.

    Another process that finished the same category of the same run meanwhile wins: its row is
    returned, and nothing is written twice.

    Raises:
        IntegrityError: the category was deleted meanwhile.
    """
    with transaction.atomic():
        GeneratedBatch.objects.get_or_create(
            run_id=run_id, category=category, defaults={"updated_at": now}
        )
        batch = GeneratedBatch.objects.select_for_update().get(run_id=run_id, category=category)
        usage = harvest.usage
        batch.calls += usage.calls
        batch.prompt_tokens += usage.prompt_tokens
        batch.completion_tokens += usage.completion_tokens
        unknown = batch.cost is None or usage.cost is None
        batch.cost = None if unknown else (batch.cost or 0) + (usage.cost or 0)
        if not batch.finished:
            batch.duplicates += harvest.duplicates
            batch.dropped += harvest.dropped
            batch.model, batch.error, batch.updated_at = model, error, now
            batch.finished = not error
            if batch.finished:
                batch.ideas = _create(category, harvest, real=real, now=now)
        batch.save()
    return batch


def _create(
    category: Category, harvest: Harvest, *, real: bool, now: datetime
) -> list[dict[str, object]]:
    ideas = Idea.objects.bulk_create(
        Idea(
            category=category,
            title=draft.title,
            description=draft.description,
            # What the offline provider says no model has written.
            is_ai_generated=real,
            created_at=now,
        )
        for draft in harvest.drafts
    )
    return [{"id": idea.pk, "title": idea.title} for idea in ideas]


def paused_until(provider: str, now: datetime) -> datetime | None:
    """Return the instant before which a provider is not to be called; None when it may be."""
    pauses = ProviderPause.objects.filter(provider=provider, not_before__gt=now)
    return pauses.values_list("not_before", flat=True).first()


def pause(provider: str, not_before: datetime) -> None:
    """Remember what a provider asked for, for the runs to come."""
    ProviderPause.objects.update_or_create(provider=provider, defaults={"not_before": not_before})
