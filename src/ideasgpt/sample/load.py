"""Sample data ─► database: the same rows for the same seed, sizes and instant.

A part of the scores is out of date on purpose and some temporary ideas are past keeping, so that
running the jobs changes something that can be seen.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from random import Random
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction

from cronbell.clock import SYSTEM_CLOCK
from cronbell.errors import CronbellError
from ideasgpt.ideas.models import Category, Idea
from ideasgpt.sample.compose import compose
from ideasgpt.sample.records import load_sample_records
from ideasgpt.sample.words import SHELVES

USER_PREFIX = "sample-"
MOST_USERS = 5000
SMALL_IDEAS, SMALL_PURCHASES, SMALL_CLAIMS = 400, 900, 40
BATCH_ROWS = 5000

TEMPORARY_SHARE = 0.10
STALE_SHARE = 0.05  # temporary, old, and never bought or claimed
OUTDATED_SHARE = 0.25

INSERT_IDEA = """
INSERT INTO ideas_idea (category_id, view_count, ranking_score, is_temporary, is_ai_generated,
                        created_at, author_id, title, description)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
INSERT_PURCHASE = """
INSERT INTO ideas_purchase (idea_id, user_id, created_at) VALUES (%s, %s, %s)
"""
INSERT_CLAIM = """
INSERT INTO ideas_claim (idea_id, user_id, created_at) VALUES (%s, %s, %s)
"""

Tell = Callable[[str, int, int], None]


class SampleError(CronbellError):
    """Sample sizes that cannot be: negative, or more purchases or claims than there is room for."""

    code = "sample"


class Plan:
    """What each idea will be, decided before anything is written.

    Ideas are numbered from 0; ``stale`` ones are never bought or claimed.
    """

    def __init__(self, ideas: int, purchases: int, claims: int, users: int, seed: int) -> None:
        random = Random(seed)  # noqa: S311 - repeatable is what is wanted
        self.ideas = ideas
        self.users = users
        self.seed = seed
        self.kind = bytearray(ideas)  # 0 lasting, 1 temporary, 2 stale
        for number in range(ideas):
            draw = random.random()
            self.kind[number] = 2 if draw < STALE_SHARE else 1 if draw < TEMPORARY_SHARE else 0
        alive = array("q", (n for n in range(ideas) if self.kind[n] != 2))  # noqa: PLR2004
        self._check(len(alive), purchases, claims)
        # Few ideas are popular: popularity falls with the place in this shuffled order.
        for place in range(len(alive) - 1, 0, -1):
            other = int(random.random() * (place + 1))
            alive[place], alive[other] = alive[other], alive[place]
        self.bought = array("q", bytes(8 * ideas))
        self._buy(random, alive, purchases)
        self.claimed = bytearray(ideas)
        step = max(1, len(alive) // max(1, claims))
        self.claims = sorted(alive[::step][:claims])
        for number in self.claims:
            self.claimed[number] = 1
        self.views = array("q", bytes(8 * ideas))
        for place, number in enumerate(alive):
            popularity = (len(alive) / (place + 1)) ** 0.6
            self.views[number] = int(popularity * (1 + 8 * random.random()))

    def _check(self, alive: int, purchases: int, claims: int) -> None:
        if purchases > alive * self.users:
            raise SampleError(
                f"{purchases} purchases do not fit: {alive} ideas can each be bought once by "
                f"{self.users} users",
                hint="ask for more ideas or fewer purchases",
            )
        if claims > alive:
            raise SampleError(
                f"{claims} claims do not fit on {alive} ideas",
                hint="ask for more ideas or fewer claims",
            )

    def _buy(self, random: Random, alive: array[int], purchases: int) -> None:
        for _ in range(purchases):
            place = int(len(alive) * random.random() ** 2)
            # Everybody has this one already: the next in popularity is bought instead.
            while self.bought[alive[place]] >= self.users:
                place = (place + 1) % len(alive)
            self.bought[alive[place]] += 1

    def score(self, number: int) -> float:
        """Return the score that ``update-rankings`` would write."""
        claimed = 50 if self.claimed[number] else 0
        return (self.views[number] * 3 + self.bought[number] * 30 + claimed) / 10


def load_sample(
    *,
    ideas: int,
    purchases: int,
    claims: int,
    seed: int = 1,
    now: datetime | None = None,
    outdated: float = OUTDATED_SHARE,
    tell: Tell | None = None,
) -> None:
    """Add sample categories, users, ideas, purchases and claims to what is there.

    Args:
        ideas: how many ideas.
        purchases: how many purchases, at most one per idea and user.
        claims: how many claims, at most one per idea.
        seed: the same seed gives the same data.
        now: the instant that ages are counted from, aware; the present one unless given.
        outdated: share of the scores (0 to 1) that are not what they should be.
        tell: called with what is being written, how many are, and how many will be.

    Raises:
        SampleError: the sizes cannot be.
    """
    for name, number in (("ideas", ideas), ("purchases", purchases), ("claims", claims)):
        if number < 0:
            raise SampleError(f"{name} is {number}", hint="write 0 or more")
    instant = SYSTEM_CLOCK.now() if now is None else now
    users = min(MOST_USERS, max(20, ideas // 10))
    plan = Plan(ideas, purchases, claims, users, seed)
    tell = tell or (lambda _what, _done, _total: None)
    people = _users(users, instant)
    shelves = _categories()
    last = Idea.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    rows = _idea_rows(plan, shelves, people, instant, outdated)
    _insert(INSERT_IDEA, rows, lambda done: tell("ideas", done, ideas))
    ids = array("q", Idea.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True))
    bought = _purchase_rows(plan, ids, people, instant)
    _insert(INSERT_PURCHASE, bought, lambda done: tell("purchases", done, purchases))
    claimed = _claim_rows(plan, ids, people, instant)
    _insert(INSERT_CLAIM, claimed, lambda done: tell("claims", done, claims))


def load_sample_if_empty() -> bool:
    """Load the small sample into a service that has nothing yet; return whether it did.

    All or nothing, and only once: whoever deletes the sample does not get it back at the next
    start. Only where ``IDEASGPT_SAMPLE=1`` asks for it, as ``make run`` does.
    """
    if not settings.SAMPLE_IF_EMPTY:
        return False
    with transaction.atomic():
        if (
            Category.objects.exists()
            or Idea.objects.exists()
            or User.objects.filter(username__startswith=USER_PREFIX).exists()
        ):
            return False
        load_sample(ideas=SMALL_IDEAS, purchases=SMALL_PURCHASES, claims=SMALL_CLAIMS)
        load_sample_records(User.objects.filter(username__startswith=USER_PREFIX)[0])
    return True


def _categories() -> list[int]:
    return [
        Category.objects.get_or_create(
            slug=shelf.slug, defaults={"name": shelf.name, "name_ko": shelf.name_ko}
        )[0].pk
        for shelf in SHELVES
    ]


def _users(count: int, now: datetime) -> list[int]:
    names = [f"{USER_PREFIX}{number:04}" for number in range(1, count + 1)]
    # "!" is no password's hash: nobody can sign in as one of them.
    User.objects.bulk_create(
        [User(username=name, password="!", date_joined=now) for name in names],  # noqa: S106
        batch_size=500,
        ignore_conflicts=True,
    )
    users = User.objects.filter(username__startswith=USER_PREFIX).order_by("username")
    return list(users.values_list("pk", flat=True)[:count])


def _idea_rows(
    plan: Plan, shelves: list[int], people: list[int], now: datetime, outdated: float
) -> Iterator[tuple[Any, ...]]:
    random = Random(plan.seed + 1)  # noqa: S311
    stored = connection.ops.adapt_datetimefield_value
    for number in range(plan.ideas):
        text = compose(random)
        kind = plan.kind[number]
        days = 31 + 300 * random.random() if kind == 2 else 300 * random.random()  # noqa: PLR2004
        score = plan.score(number)
        if random.random() < outdated:
            score = round(score * random.random() * 0.8 - 0.05, 1)
        yield (
            shelves[text.shelf],
            plan.views[number],
            max(0.0, score),
            kind != 0,
            int(random.random() * 4) == 0,
            stored(now - timedelta(seconds=int(days * 86_400))),
            people[int(random.random() * len(people))],
            text.title,
            text.description,
        )


def _purchase_rows(
    plan: Plan, ids: array[int], people: list[int], now: datetime
) -> Iterator[tuple[Any, ...]]:
    stored = connection.ops.adapt_datetimefield_value(now)
    # In the order of the index on (idea, user): four times as fast as in a random order.
    for number, times in enumerate(plan.bought):
        for turn in range(times):
            # Each idea has its own first buyer and goes round from there: no pair comes twice.
            yield ids[number], people[(number * 7 + turn) % plan.users], stored


def _claim_rows(
    plan: Plan, ids: array[int], people: list[int], now: datetime
) -> Iterator[tuple[Any, ...]]:
    stored = connection.ops.adapt_datetimefield_value(now)
    for number in plan.claims:
        yield ids[number], people[number % plan.users], stored


def _insert(statement: str, rows: Iterable[tuple[Any, ...]], told: Callable[[int], None]) -> None:
    waiting = iter(rows)
    done = 0
    while batch := list(islice(waiting, BATCH_ROWS)):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(statement, batch)
        done += len(batch)
        told(done)
