"""``clean-data``: delete temporary ideas older than 30 days that nobody bought or claimed.

What may go is looked up without a lock, then deleted in short turns with the write lock. Every
condition is asked again by the DELETE itself, so a purchase made in between saves its idea.

What is deleted is gone, so the run after one that was stopped finds only what is left: no position
needs to be kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from cronbell.endpoint import JobContext, JobResult, cron_job
from ideasgpt.ideas.jobs.chunks import Turns
from ideasgpt.ideas.jobs.words import service_text, service_text_later
from ideasgpt.ideas.models import Claim, Idea, Purchase

NAME = "clean-data"
KEEP = timedelta(days=30)
BLOCK_ROWS = 2000
LISTED = 100

DELETE = """
DELETE FROM ideas_idea
WHERE id = %s AND is_temporary AND created_at < %s
  AND NOT EXISTS (SELECT 1 FROM ideas_purchase WHERE idea_id = ideas_idea.id)
  AND NOT EXISTS (SELECT 1 FROM ideas_claim WHERE idea_id = ideas_idea.id)
"""
# PostgreSQL deletes a piece at once: told each idea, it took four times the processor time.
DELETE_PIECE = DELETE.replace("id = %s", "id = ANY(CAST(%s AS bigint[]))")
LOCK_FREE = """
SELECT id FROM ideas_idea WHERE id = ANY(CAST(%s AS bigint[])) ORDER BY id FOR UPDATE SKIP LOCKED
"""
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)


@cron_job(
    NAME,
    max_duration=60,
    failure_message=service_text_later(_("An error occurred while cleaning up the data.")),
    dry_run=True,
)
def clean_data(context: JobContext) -> JobResult:
    """Delete the ideas that are past keeping.

    Returns:
        ``deleted`` as data; partial if the deadline came first. A dry run deletes nothing and
        returns ``wouldDelete`` and the first ``ideas`` (id and title) instead.
    """
    cutoff = context.clock.now() - KEEP
    if context.dry_run:
        return _preview(context, cutoff)
    deleted = 0
    with Turns(context.clock) as turns:
        for ids in unused(cutoff):
            for portion in turns.portions(ids):
                if context.should_stop:
                    return _stopped(deleted)
                deleted += delete(portion, cutoff, turns)
                context.progress(deleted)
            if context.should_stop:
                return _stopped(deleted)
    return JobResult(
        service_text(
            ngettext_lazy("Deleted %(n)d unused idea", "Deleted %(n)d unused ideas", "n"),
            n=deleted,
        ),
        {"deleted": deleted},
    )


def _stopped(deleted: int) -> JobResult:
    return JobResult(
        service_text(
            ngettext_lazy(
                "Out of time: %(n)d unused idea deleted, the next run goes on with the rest",
                "Out of time: %(n)d unused ideas deleted, the next run goes on with the rest",
                "n",
            ),
            n=deleted,
        ),
        {"deleted": deleted},
        partial=True,
    )


def unused(cutoff: datetime) -> Iterator[list[int]]:
    """Yield, block by block, the ids of old temporary ideas that nobody bought or claimed."""
    for block in old_temporary(cutoff):
        yield list(
            Idea.objects.filter(
                ~Exists(Purchase.objects.filter(idea=OuterRef("pk"))),
                ~Exists(Claim.objects.filter(idea=OuterRef("pk"))),
                pk__in=block,
            )
            .order_by("pk")
            .values_list("pk", flat=True)
        )


def old_temporary(cutoff: datetime) -> Iterator[list[int]]:
    """Yield the ids of temporary ideas older than ``cutoff``, oldest first, used or not.

    Walked along the partial index ``idea_temporary``, so that each step reads a bounded number of
    rows even where hundreds of thousands of old ones are kept because somebody bought them.
    """
    old: QuerySet[Idea] = Idea.objects.filter(is_temporary=True, created_at__lt=cutoff)
    created, last = BEGINNING, 0
    while block := _following(old, created, last):
        yield [pk for _created, pk in block]
        created, last = block[-1]


def _following(old: QuerySet[Idea], created: datetime, last: int) -> list[tuple[datetime, int]]:
    """Return what comes after an instant and id, at most a block.

    In two steps, each of which begins in the index where it should, however many ideas were made
    at the same instant: SQLite takes no pair for a bound where there is another bound.
    """
    steps = (old.filter(created_at=created, pk__gt=last), old.filter(created_at__gt=created))
    block: list[tuple[datetime, int]] = []
    for step in steps:
        rest = BLOCK_ROWS - len(block)
        if rest:
            block += step.order_by("created_at", "pk").values_list("created_at", "pk")[:rest]
    return block


def delete(ids: Sequence[int], cutoff: datetime, turns: Turns) -> int:
    """Delete those of the given ideas that still may go, in one turn; return how many went.

    What the turn's time does not suffice for is ``turns.left``.

    On PostgreSQL the rows are locked first, leaving out those that a purchase in progress holds:
    the DELETE then sees every purchase that was made before it. On SQLite the turn itself is the
    lock, and looking first would only lengthen it.
    """
    deleted = 0
    before = connection.ops.adapt_datetimefield_value(cutoff)
    with turns.turn(len(ids)), connection.cursor() as cursor:
        for piece in turns.pieces(ids):
            if connection.features.has_select_for_update:
                cursor.execute(LOCK_FREE, [list(piece)])
                ours = [pk for (pk,) in cursor.fetchall()]
                cursor.execute(DELETE_PIECE, [ours, before])
            else:
                cursor.executemany(DELETE, [(pk, before) for pk in piece])
            deleted += max(0, int(cursor.rowcount))
    return deleted


def _preview(context: JobContext, cutoff: datetime) -> JobResult:
    count = 0
    first: list[int] = []
    stopped = False
    for ids in unused(cutoff):
        count += len(ids)
        first += ids[: LISTED - len(first)]
        context.progress(count)
        if stopped := context.should_stop:
            break
    titles = Idea.objects.in_bulk(first)
    return JobResult(
        service_text(
            ngettext_lazy(
                "%(n)d unused idea would be deleted", "%(n)d unused ideas would be deleted", "n"
            ),
            n=count,
        ),
        {
            "wouldDelete": count,
            "ideas": [{"id": pk, "title": titles[pk].title} for pk in first if pk in titles],
        },
        partial=stopped,
    )
