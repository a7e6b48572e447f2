"""``update-rankings``: score = views × 0.3 + purchases × 3 + 5 if claimed, for all ideas.

Two steps for every block of ideas (``docs/decisions/0005-ranking-in-chunks.md``):

1. *Find*: read, without any lock, which scores are out of date.
2. *Write*: only those, in short turns with the write lock. The score is computed again inside the
   UPDATE, so that it is right for the moment of writing and not for the moment of reading.

Scores are counted in tenths, in integers, and divided once: both stores then give the same
number, the double nearest to the true decimal, and an unchanged score compares as equal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import NamedTuple

from django.db import connection
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from cronbell.clock import Clock
from cronbell.endpoint import JobContext, JobResult, cron_job
from ideasgpt.ideas.jobs.chunks import Turns
from ideasgpt.ideas.jobs.positions import load_position, save_position
from ideasgpt.ideas.jobs.words import service_text, service_text_later
from ideasgpt.ideas.models import Idea

NAME = "update-rankings"
LAST_ID = 2**63 - 1
# A block is as many ids as take about this long to judge: the rest after a turn, put to use. Where
# blocks were longer, several turns followed one of them and all but the first rested idly: at 6 ms
# 1 % of a million took 0.81 s, at 4 ms 0.75 (means of 4 runs by turns).
FIND_SECONDS = 0.004
# Where nothing is out of date no turn follows: the fewer statements the better.
FIND_NOTHING_SECONDS = 0.024
FIRST_SPAN = 5_000
WIDEST_SPAN = 2**40
REPORT_SECONDS = 1.0
# A turn costs its rest and its share of a checkpoint, so blocks with few stale ids are put
# together, for no longer than this: a deadline is to be seen in time.
GATHER_SECONDS = 0.2
# Judging a row again costs less than another statement: stale ids this near share one.
NEAR = 4

NEXT = """
SELECT id FROM ideas_idea WHERE id > %s AND id <= %s ORDER BY id LIMIT 1
"""
COUNT = """
SELECT COUNT(*) FROM ideas_idea WHERE id > %s AND id <= %s
"""
# How many ideas a block holds comes along: counted by itself, that cost a seventh as much again.
# Purchases and claims are counted in the way that costs least on each store (record 5).
FINDS = {
    "sqlite": """
SELECT COUNT(*), json_group_array(idea.id) FILTER (WHERE
  idea.ranking_score <> CAST(
        idea.view_count * 3
        + (SELECT COUNT(*) FROM ideas_purchase WHERE idea_id = idea.id) * 30
        + CASE WHEN idea.id IN (SELECT idea_id FROM ideas_claim
                                WHERE idea_id > %(after)s AND idea_id <= %(last)s)
               THEN 50 ELSE 0 END
      AS double precision) / 10
)
FROM ideas_idea AS idea
WHERE idea.id > %(after)s AND idea.id <= %(last)s
""",
    # All three are read in the order of the ideas' ids: see IN_ORDER.
    "postgresql": """
SELECT COUNT(*), jsonb_agg(idea.id) FILTER (WHERE
  idea.ranking_score <> CAST(
        idea.view_count * 3
        + COALESCE(bought.times, 0) * 30
        + CASE WHEN claim.idea_id IS NULL THEN 0 ELSE 50 END
      AS double precision) / 10
)
FROM ideas_idea AS idea
LEFT JOIN (SELECT idea_id, COUNT(*) AS times FROM ideas_purchase
           WHERE idea_id > %(after)s AND idea_id <= %(last)s
           GROUP BY idea_id) AS bought ON bought.idea_id = idea.id
LEFT JOIN (SELECT idea_id FROM ideas_claim
           WHERE idea_id > %(after)s AND idea_id <= %(last)s) AS claim ON claim.idea_id = idea.id
WHERE idea.id > %(after)s AND idea.id <= %(last)s
""",
}
# What keeps PostgreSQL from reading a block otherwise than by three indexes side by side: it takes
# a hash, or sorts by pages, to be cheaper, and for a wide block even compiles or calls in helpers.
IN_ORDER = {
    "enable_hashjoin": "off",
    "enable_bitmapscan": "off",
    "enable_seqscan": "off",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}
SETTINGS = """
SELECT name, current_setting(name) FROM unnest(CAST(%s AS text[])) AS asked (name)
"""
SET = """
SELECT set_config(name, value, false)
FROM unnest(CAST(%s AS text[]), CAST(%s AS text[])) AS wanted (name, value)
"""
# By the sums that triggers keep on SQLite, and whether those come to what there is.
FIND_BY_SUMS = """
SELECT COUNT(*), json_group_array(idea.id) FILTER (WHERE
  idea.ranking_score <> (idea.view_count * 3 + COALESCE(gained.tenths, 0)) / 10.0
), COALESCE(SUM(gained.tenths), 0)
   = (SELECT COUNT(*) FROM ideas_purchase WHERE idea_id > %(after)s AND idea_id <= %(last)s) * 30
   + (SELECT COUNT(*) FROM ideas_claim WHERE idea_id > %(after)s AND idea_id <= %(last)s) * 50
FROM ideas_idea AS idea LEFT JOIN ideas_gained AS gained ON gained.idea_id = idea.id
WHERE idea.id > %(after)s AND idea.id <= %(last)s
"""
SCORE = """CAST(
        view_count * 3
        + (SELECT COUNT(*) FROM ideas_purchase WHERE idea_id = ideas_idea.id) * 30
        + (SELECT COUNT(*) FROM ideas_claim WHERE idea_id = ideas_idea.id) * 50
      AS double precision) / 10"""
WRITE = """
UPDATE ideas_idea SET ranking_score = {score}
WHERE id >= %s AND id <= %s AND ranking_score <> {score}
""".replace("{score}", SCORE)
# Planning a statement costs PostgreSQL more than a row does. Locked in id order beforehand, so that
# two who write several ideas cannot lock each other out.
WRITE_MANY = """
WITH mine AS MATERIALIZED (
    SELECT id FROM ideas_idea WHERE id = ANY(CAST(%s AS bigint[])) ORDER BY id FOR NO KEY UPDATE
)
UPDATE ideas_idea SET ranking_score = {score}
FROM mine WHERE ideas_idea.id = mine.id AND ranking_score <> {score}
""".replace("{score}", SCORE)


class Block(NamedTuple):
    """A stretch of ids and what was found there.

    Attributes:
        after: ideas with a greater id,
        last: up to this one, belong to it.
        again: met after the run went round the end.
        ideas: how many there are.
        stale: those whose score is out of date, in order.
    """

    after: int
    last: int
    again: bool
    ideas: int = 0
    stale: Sequence[int] = ()


@cron_job(
    NAME,
    max_duration=300,
    failure_message=service_text_later(_("An error occurred while updating the rankings.")),
)
def update_rankings(context: JobContext) -> JobResult:
    """Bring every idea's ranking score up to date.

    A run begins where the last one had to stop and goes once round all ideas.

    Returns:
        ``ideas`` (how many were judged) and ``changed`` (how many were written) as data; partial
        if the deadline came first.
    """
    total: int | None = None
    start = load_position(NAME)
    judged = changed = 0
    report_at = context.clock.monotonic() + REPORT_SECONDS
    with Turns(context.clock) as turns, read_in_order():
        for block in gathered(once_round(start, context.clock), turns):
            for ids in turns.portions(block.stale):
                if context.should_stop:
                    # Everything before the first stale id that was not written is done.
                    judged += _count(block.after, ids[0] - 1)
                    return _stopped(ids[0] - 1, judged, changed, context)
                changed += write(ids, turns)
            judged += block.ideas
            if context.clock.monotonic() >= report_at:
                report_at = context.clock.monotonic() + REPORT_SECONDS
                # Counted for those who wait: a run that is over sooner has no use for it.
                total = Idea.objects.count() if total is None else total
                context.progress(judged, total)
            if context.should_stop:
                return _stopped(block.last, judged, changed, context)
    save_position(NAME, 0, context.clock)
    return JobResult(
        service_text(
            ngettext_lazy(
                "Updated the ranking of %(n)d idea", "Updated the ranking of %(n)d ideas", "n"
            ),
            n=judged,
        ),
        {"ideas": judged, "changed": changed},
    )


def _count(after: int, last: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [after, last])
        return int(cursor.fetchone()[0])


def _stopped(last: int, done: int, changed: int, context: JobContext) -> JobResult:
    save_position(NAME, last, context.clock)
    return JobResult(
        service_text(
            _(
                "Out of time: %(done)d of %(total)d ideas ranked, "
                "the next run goes on where this one stopped"
            ),
            done=done,
            total=Idea.objects.count(),
        ),
        {"ideas": done, "changed": changed},
        partial=True,
    )


def once_round(position: int, clock: Clock) -> Iterator[Block]:
    """Go over all ideas, block by block: those behind ``position`` first, then those up to it."""
    yield from _sweep(Block(position, LAST_ID, again=False), clock)
    yield from _sweep(Block(0, position, again=True), clock)


def gathered(blocks: Iterable[Block], turns: Turns) -> Iterator[Block]:
    """Put neighbouring blocks together until they hold enough for a full turn.

    Those before and those after the end of the ideas stay apart.
    """
    whole: Block | None = None
    begun = turns.clock.monotonic()
    for block in blocks:
        if whole is None:
            whole = block
        elif whole.again != block.again:
            yield whole
            whole = block
        else:
            ideas, stale = whole.ideas + block.ideas, [*whole.stale, *block.stale]
            whole = block._replace(after=whole.after, ideas=ideas, stale=stale)
        if len(whole.stale) >= turns.rows or turns.clock.monotonic() - begun >= GATHER_SECONDS:
            yield whole
            whole = None
            begun = turns.clock.monotonic()
    if whole is not None:
        yield whole


def _sweep(part: Block, clock: Clock) -> Iterator[Block]:
    span = FIRST_SPAN
    after = part.after
    while after < part.last:
        block = Block(after, min(after + span, part.last), part.again)
        begun = clock.monotonic()
        ideas, stale = find_stale(block)
        took = clock.monotonic() - begun
        aim = FIND_SECONDS if stale else FIND_NOTHING_SECONDS
        if took < aim / 2:
            span = min(span * 2, WIDEST_SPAN)
        elif took > aim * 2:
            span = max(span // 2, 1)
        after = block.last
        if ideas:
            yield block._replace(ideas=ideas, stale=stale)
            continue
        # Only now is it asked where the next idea is: gaps, however wide, cost one such block.
        following = _next_id(after, part.last)
        if following is None:
            return
        after = following - 1


def _next_id(after: int, last: int) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(NEXT, [after, last])
        row = cursor.fetchone()
    return None if row is None else int(row[0])


@contextmanager
def read_in_order() -> Iterator[None]:
    """Have PostgreSQL read blocks as ``IN_ORDER`` says, and afterwards as before."""
    if connection.vendor == "sqlite":
        yield
        return
    names = list(IN_ORDER)
    with connection.cursor() as cursor:
        cursor.execute(SETTINGS, [names])
        before = dict(cursor.fetchall())
        cursor.execute(SET, [names, list(IN_ORDER.values())])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(SET, [list(before), list(before.values())])


def find_stale(block: Block) -> tuple[int, list[int]]:
    """Return how many ideas a block holds, and those whose score is out of date, in order.

    Takes no lock. Where the sums kept on SQLite are not those of the purchases and claims there
    are, these are counted.
    """
    place = {"after": block.after, "last": block.last}
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(FIND_BY_SUMS, place)
            ideas, stale, right = cursor.fetchone()
            if right:
                return int(ideas), sorted(json.loads(stale))
        cursor.execute(FINDS[connection.vendor], place)
        ideas, stale = cursor.fetchone()
    return int(ideas), sorted(json.loads(stale or "[]"))


def write(ids: Sequence[int], turns: Turns) -> int:
    """Write the scores of the given ids, in order, in one turn; return how many changed.

    What the turn's time does not suffice for is ``turns.left``.
    """
    changed = 0
    with turns.turn(len(ids)), connection.cursor() as cursor:
        for piece in turns.pieces(ids):
            if connection.vendor == "sqlite":
                cursor.executemany(WRITE, spans(piece))
            else:
                cursor.execute(WRITE_MANY, [list(piece)])
            changed += int(cursor.rowcount)
    return changed


def spans(ids: Sequence[int]) -> list[tuple[int, int]]:
    """Join ascending ids that are near each other: ``[1, 2, 4, 90]`` → ``[(1, 4), (90, 90)]``."""
    cuts = [i for i, (one, other) in enumerate(pairwise(ids), 1) if other - one > NEAR]
    edges = [0, *cuts, len(ids)]
    return [(ids[start], ids[end - 1]) for start, end in pairwise(edges)]
