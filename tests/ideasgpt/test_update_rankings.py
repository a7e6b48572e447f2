from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import F
from django.test import override_settings
from django.utils import translation

from ideasgpt.ideas.jobs import update_rankings as module
from ideasgpt.ideas.jobs.chunks import PIECE_ROWS, Turns
from ideasgpt.ideas.jobs.positions import load_position
from ideasgpt.ideas.models import Claim, Idea, JobPosition, Purchase
from ideasgpt.sample import load_sample

pytestmark = pytest.mark.django_db(transaction=True, databases=["default"])

run = module.update_rankings


def expected(idea: Idea) -> float:
    """Compute SPEC section 6's formula in decimals, by other means than the job's."""
    purchases = len(list(Purchase.objects.filter(idea=idea)))
    claimed = Claim.objects.filter(idea=idea).exists()
    exact = Decimal(idea.view_count) * Decimal("0.3") + 3 * purchases + (5 if claimed else 0)
    return float(exact)


class Stamps:
    """Counts writes to ideas with a trigger of the store's own."""

    def __enter__(self):
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE written (id bigint)")
            if connection.vendor == "sqlite":
                cursor.execute(
                    "CREATE TRIGGER note AFTER UPDATE ON ideas_idea "
                    "BEGIN INSERT INTO written VALUES (NEW.id); END"
                )
            else:
                cursor.execute(
                    "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
                    "$$BEGIN INSERT INTO written VALUES (NEW.id); RETURN NEW; END$$"
                )
                cursor.execute(
                    "CREATE TRIGGER note AFTER UPDATE ON ideas_idea "
                    "FOR EACH ROW EXECUTE FUNCTION note()"
                )
        return self

    def ids(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM written ORDER BY id")
            return [row[0] for row in cursor.fetchall()]

    def __exit__(self, *_):
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute("DROP TRIGGER note")
            else:
                cursor.execute("DROP FUNCTION note CASCADE")
            cursor.execute("DROP TABLE written")


@pytest.mark.parametrize(
    ("views", "purchases", "claimed", "score"),
    [
        (0, 0, False, 0.0),
        (1, 0, False, 0.3),
        (3, 0, False, 0.9),
        (0, 1, False, 3.0),
        (0, 0, True, 5.0),
        (10, 2, True, 14.0),
        (41, 3, False, 21.3),
        (2**40, 0, False, 329853488332.8),
    ],
)
def test_the_score_is_views_purchases_and_claim(
    make_idea, context, views, purchases, claimed, score
):
    idea = make_idea(views, purchases, claimed=claimed, score=-1)
    run(context())
    idea.refresh_from_db()
    assert idea.ranking_score == score == expected(idea)


def test_every_score_of_the_sample_is_what_the_formula_says(context):
    load_sample(ideas=300, purchases=500, claims=30, seed=3)
    result = run(context())
    assert result.data["ideas"] == 300
    assert 0 < result.data["changed"] < 300
    assert all(idea.ranking_score == expected(idea) for idea in Idea.objects.all())


def test_order_changes_with_the_scores(make_idea, context):
    first = make_idea(views=1, score=100)
    second = make_idea(purchases=2, score=0)
    assert list(Idea.objects.all()) == [first, second]
    run(context())
    assert list(Idea.objects.all()) == [second, first]


def test_rows_whose_score_does_not_change_are_not_written(make_idea, context):
    ideas = [make_idea(views=i, score=i * 3 / 10) for i in range(20)]
    stale = ideas[7]
    Idea.objects.filter(pk=stale.pk).update(view_count=F("view_count") + 1)
    with Stamps() as stamps:
        assert run(context()).data == {"ideas": 20, "changed": 1}
        assert stamps.ids() == [stale.pk]


def test_a_second_run_writes_nothing(context):
    load_sample(ideas=200, purchases=400, claims=20, seed=5)
    run(context())
    with Stamps() as stamps:
        assert run(context()).data["changed"] == 0
        assert stamps.ids() == []


def test_a_score_changed_by_hand_is_put_right(make_idea, context):
    idea = make_idea(views=10, score=3.0)
    Idea.objects.filter(pk=idea.pk).update(ranking_score=999)
    assert run(context()).data["changed"] == 1
    idea.refresh_from_db()
    assert idea.ranking_score == 3.0


def test_deleted_purchases_and_claims_lower_the_score(make_idea, context):
    idea = make_idea(purchases=2, claimed=True)
    run(context())
    Purchase.objects.filter(idea=idea)[:1].get().delete()
    Claim.objects.all().delete()
    run(context())
    idea.refresh_from_db()
    assert idea.ranking_score == 3.0


def test_the_score_written_is_that_of_the_moment_of_writing(make_idea, clock, user):
    """A purchase between finding and writing counts; a score found earlier would be wrong."""
    idea = make_idea(views=10, score=0)
    ((*_place, ids),) = module.once_round(0, clock)
    Purchase.objects.create(idea=idea, user=user())
    module.write(ids, Turns(clock))
    idea.refresh_from_db()
    assert idea.ranking_score == 6.0


def test_no_ideas_is_a_success_that_says_so(context, db):
    result = run(context())
    assert str(result.message) == "Updated the ranking of 0 ideas"
    assert result.data == {"ideas": 0, "changed": 0}
    assert not result.partial


def test_gaps_between_ids_cost_nothing_and_lose_nothing(make_idea, context, clock, monkeypatch):
    monkeypatch.setattr(module, "FIRST_SPAN", 2)
    monkeypatch.setattr(module, "WIDEST_SPAN", 2)
    ids = [1, 2, 3, 1_000_000, 2**40, 2**41]
    for number in ids:
        make_idea(views=10, id=number)
    found = [block.stale for block in module.once_round(0, clock)]
    assert found == [[1, 2], [3], [1_000_000], [2**40], [2**41]]
    assert run(context()).data == {"ideas": 6, "changed": 6}


def turns_of(monkeypatch, rows):
    monkeypatch.setattr("ideasgpt.ideas.jobs.chunks.FIRST_ROWS", rows)
    monkeypatch.setattr("ideasgpt.ideas.jobs.chunks.MOST_ROWS", rows)


@pytest.mark.parametrize("position", [0, 5])
def test_blocks_with_few_stale_ids_share_a_turn(make_idea, context, clock, monkeypatch, position):
    """One turn for each block cost more in rests and checkpoints than the writing itself."""
    monkeypatch.setattr(module, "FIRST_SPAN", 2)
    monkeypatch.setattr(module, "WIDEST_SPAN", 2)
    turns_of(monkeypatch, 4)
    for number in range(1, 13):
        make_idea(views=10, id=number)
    if position:
        JobPosition.objects.create(job=module.NAME, last_id=position, updated_at=clock.now())
    written = []
    write = module.write

    def noted(ids, turns):
        written.append(ids)
        return write(ids, turns)

    monkeypatch.setattr(module, "write", noted)
    assert run(context()).data == {"ideas": 12, "changed": 12}
    assert [len(ids) for ids in written] == ([4, 3, 4, 1] if position else [4, 4, 4])
    assert sorted(pk for ids in written for pk in ids) == list(range(1, 13))


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 10])
@pytest.mark.parametrize("position", [0, 3, 5, 100, 2**63 - 1])
def test_a_round_sees_every_idea_once_wherever_it_begins(
    make_idea, clock, monkeypatch, count, position
):
    monkeypatch.setattr(module, "FIRST_SPAN", 3)
    monkeypatch.setattr(module, "WIDEST_SPAN", 3)
    for number in range(1, count + 1):
        make_idea(views=10, id=number)
    blocks = list(module.once_round(position, clock))
    seen = [pk for block in blocks for pk in block.stale]
    assert seen == [*range(position + 1, count + 1), *range(1, min(position, count) + 1)]
    assert sum(block.ideas for block in blocks) == count


def test_a_run_that_begins_in_the_middle_counts_right_wherever_it_stops(
    make_idea, context, clock, monkeypatch
):
    monkeypatch.setattr(module, "FIRST_SPAN", 2)
    monkeypatch.setattr(module, "WIDEST_SPAN", 2)
    turns_of(monkeypatch, 2)
    ideas = [make_idea(views=10, id=number).pk for number in range(1, 7)]
    JobPosition.objects.create(job=module.NAME, last_id=ideas[3], updated_at=clock.now())
    first = context(seconds=10)
    write = module.write
    written = []

    def write_and_run_out(ids, turns):
        written.append(list(ids))
        if len(written) == 2:
            clock.advance(11)
        return write(ids, turns)

    monkeypatch.setattr(module, "write", write_and_run_out)
    assert run(first).data == {"ideas": 4, "changed": 4}
    assert written == [ideas[4:], ideas[:2]]
    assert load_position(module.NAME) == ideas[1]


def test_a_deadline_ends_the_run_partial_and_the_next_goes_on_there(
    make_idea, context, clock, monkeypatch
):
    monkeypatch.setattr(module, "FIRST_SPAN", 8)
    monkeypatch.setattr(module, "WIDEST_SPAN", 8)
    turns_of(monkeypatch, 8)
    monkeypatch.setattr(module, "REPORT_SECONDS", 0.0)
    ideas = [make_idea(views=10, id=number) for number in range(1, 13)]
    first = context(seconds=10)
    told = []
    first._on_progress = lambda done, total: (told.append((done, total)), clock.advance(11))
    result = run(first)
    assert result.partial
    assert told == [(8, 12)]
    assert result.data == {"ideas": 8, "changed": 8}
    assert str(result.message).startswith("Out of time: 8 of 12 ideas")
    assert load_position(module.NAME) == ideas[7].pk
    with Stamps() as stamps:
        result = run(context())
        assert stamps.ids() == [idea.pk for idea in ideas[8:]]
    assert not result.partial
    assert result.data == {"ideas": 12, "changed": 4}
    assert load_position(module.NAME) == 0


def test_a_deadline_within_a_block_keeps_what_was_written(make_idea, context, clock, monkeypatch):
    monkeypatch.setattr("ideasgpt.ideas.jobs.chunks.FIRST_ROWS", 3)
    ideas = [make_idea(views=10) for _ in range(8)]
    first = context(seconds=10)
    wrote = []
    write = module.write

    def write_and_run_out(ids, turns):
        wrote.append(list(ids))
        clock.advance(11)
        return write(ids, turns)

    monkeypatch.setattr(module, "write", write_and_run_out)
    assert run(first).data["changed"] == 3
    assert load_position(module.NAME) == ideas[2].pk
    monkeypatch.setattr(module, "write", write)
    assert run(context()).data == {"ideas": 8, "changed": 5}


def slow_statements(clock, seconds):
    """Have each batch of writes take so long by the clock of the job."""

    def slowly(execute, sql, params, many, context):
        if sql in {module.WRITE, module.WRITE_MANY}:
            clock.advance(seconds)
        return execute(sql, params, many, context)

    return connection.execute_wrapper(slowly)


@pytest.mark.parametrize("rows", [60, 1000])
def test_turns_that_are_cut_short_leave_no_score_behind(
    make_idea, context, clock, monkeypatch, rows
):
    turns_of(monkeypatch, rows)
    for _ in range(60):
        make_idea(views=10)
    with slow_statements(clock, 0.02):
        assert run(context()).data == {"ideas": 60, "changed": 60}
    assert not Idea.objects.exclude(ranking_score=3.0).exists()


def test_a_deadline_after_a_turn_that_was_cut_short_keeps_the_place(
    make_idea, context, clock, monkeypatch
):
    turns_of(monkeypatch, 60)
    ideas = [make_idea(views=10) for _ in range(60)]
    with slow_statements(clock, 11):
        assert run(context(seconds=10)).data == {"ideas": PIECE_ROWS, "changed": PIECE_ROWS}
    assert load_position(module.NAME) == ideas[PIECE_ROWS - 1].pk
    assert run(context()).data == {"ideas": 60, "changed": 60 - PIECE_ROWS}


def test_a_stopped_run_makes_way_before_it_writes(make_idea, context):
    make_idea(views=10)
    told = context()
    told.stop()
    with Stamps() as stamps:
        assert run(told).partial
        assert stamps.ids() == []


def test_a_position_past_the_last_idea_loses_nothing(make_idea, context, clock):
    make_idea(views=10)
    JobPosition.objects.create(job=module.NAME, last_id=10**9, updated_at=clock.now())
    assert run(context()).data == {"ideas": 1, "changed": 1}


@pytest.mark.parametrize(
    ("ids", "joined"),
    [
        ([], []),
        ([5], [(5, 5)]),
        ([1, 2, 4, 90], [(1, 4), (90, 90)]),
        ([1, 5, 10], [(1, 5), (10, 10)]),
    ],
)
def test_near_ids_share_a_statement(ids, joined):
    assert module.spans(ids) == joined if ids else True


@pytest.mark.parametrize(
    ("language", "message"),
    [("ko", "2개 아이디어 랭킹 업데이트 완료"), ("en", "Updated the ranking of 2 ideas")],
)
def test_the_message_is_in_the_services_language_whatever_the_callers(
    make_idea, context, language, message
):
    make_idea()
    make_idea()
    other = "en" if language == "ko" else "ko"
    with override_settings(LANGUAGE_CODE=language), translation.override(other):
        assert str(run(context()).message) == message


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("ko", "랭킹 업데이트 중 오류가 발생했습니다."),
        ("en", "An error occurred while updating the rankings."),
    ],
)
def test_the_failure_message_is_in_the_services_language(language, message):
    from cronbell.endpoint.registry import REGISTRY

    job = REGISTRY.by_name("update-rankings")
    assert job is not None
    assert (job.path, job.max_duration) == ("/api/cron/update-rankings", 300)
    with override_settings(LANGUAGE_CODE=language):
        assert str(job.failure_message) == message


@pytest.mark.parametrize(("score", "widest"), [(-1, 4), (3.0, 16)])
def test_blocks_are_wider_where_nothing_is_out_of_date(
    make_idea, clock, monkeypatch, score, widest
):
    """No turn follows them, so that they need not be as short as a rest."""
    monkeypatch.setattr(module, "FIRST_SPAN", 1)
    for _ in range(60):
        make_idea(views=10, score=score)
    find = module.find_stale

    def slowly(block):
        ideas, stale = find(block)
        clock.advance(0.0009 * ideas)
        return ideas, stale

    monkeypatch.setattr(module, "find_stale", slowly)
    assert max(block.ideas for block in module.once_round(0, clock)) == widest


@pytest.mark.parametrize("seconds", [0.9, 1.1])
def test_how_many_ideas_there_are_is_counted_for_those_who_wait(
    make_idea, context, clock, monkeypatch, seconds
):
    """Counted before each run, that took a twentieth of one that finds nothing to write."""
    for number in range(1, 5):
        make_idea(id=number)  # in one block, whichever tests came before this one
    find = module.find_stale

    def slowly(block):
        found = find(block)
        if found[0]:
            clock.advance(seconds)
        return found

    monkeypatch.setattr(module, "find_stale", slowly)
    told = []
    running = context()
    running._on_progress = lambda done, total: told.append((done, total))
    assert run(running).data == {"ideas": 4, "changed": 0}
    assert told == ([(4, 4)] if seconds > 1 else [])


@pytest.mark.parametrize("span", [1, 2, 3, 7])
def test_blocks_of_any_width_find_exactly_what_is_out_of_date(context, clock, monkeypatch, span):
    """Purchases and claims of the first and the last idea of a block are those of no other."""
    load_sample(ideas=60, purchases=150, claims=30, seed=7)
    monkeypatch.setattr(module, "FIRST_SPAN", span)
    monkeypatch.setattr(module, "WIDEST_SPAN", span)
    stale = [i.pk for i in Idea.objects.order_by("pk") if i.ranking_score != expected(i)]
    with module.read_in_order():
        blocks = list(module.once_round(0, clock))
    assert [pk for block in blocks for pk in block.stale] == stale != []
    assert run(context()).data == {"ideas": 60, "changed": len(stale)}
    assert all(idea.ranking_score == expected(idea) for idea in Idea.objects.all())


def test_only_a_block_without_ideas_asks_for_the_next_one(make_idea, clock, monkeypatch):
    monkeypatch.setattr(module, "FIRST_SPAN", 2)
    monkeypatch.setattr(module, "WIDEST_SPAN", 2)
    for number in (1, 2, 3, 4, 5, 1_000_000):
        make_idea(id=number)
    asked = []
    following = module._next_id

    def noted(after, last):
        asked.append(after)
        return following(after, last)

    monkeypatch.setattr(module, "_next_id", noted)
    found = [(block.after, block.ideas) for block in module.once_round(0, clock)]
    assert found == [(0, 2), (2, 2), (4, 1), (999_999, 1)]
    assert asked == [8, 1_000_003]


@pytest.fixture
def on_postgresql():
    if connection.vendor != "postgresql":
        pytest.skip("about PostgreSQL's planner")


def settings_now():
    with connection.cursor() as cursor:
        cursor.execute(module.SETTINGS, [list(module.IN_ORDER)])
        return dict(cursor.fetchall())


def test_blocks_are_read_by_three_indexes_side_by_side(on_postgresql):
    load_sample(ideas=3000, purchases=6000, claims=300, seed=1)
    with connection.cursor() as cursor, module.read_in_order():
        cursor.execute("ANALYZE ideas_idea, ideas_purchase, ideas_claim")
        place = {"after": 0, "last": module.LAST_ID}
        cursor.execute("EXPLAIN " + module.FINDS["postgresql"], place)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert plan.count("Merge Cond") == 2, plan
    assert not {"Hash", "Bitmap", "Seq", "Sort"} & set(plan.replace("(", " ").split()), plan


def test_the_planner_is_left_as_it_was(on_postgresql, make_idea, context, monkeypatch):
    before = settings_now()
    make_idea(views=10)
    during = []
    find = module.find_stale

    def noted(block):
        during.append(settings_now())
        return find(block)

    monkeypatch.setattr(module, "find_stale", noted)
    run(context())
    assert during[0] == module.IN_ORDER != before == settings_now()
    monkeypatch.setattr(module, "find_stale", lambda _block: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(context())
    assert settings_now() == before
