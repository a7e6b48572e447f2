"""The ledger: how a drain stands, what was set aside, and having it tried again."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from tests.drain.backlog.models import Letter
from tests.drain.conftest import PATH

from cronbell.drain import ledger
from cronbell.drain.budget import Usage
from cronbell.drain.ledger import CursorError
from cronbell.drain.models import Stage
from cronbell.drain.pace import Pace
from cronbell.drain.registry import drain_of, draining, drains
from cronbell.drain.settings import BatchSize
from cronbell.drain.target import Reply
from cronbell.endpoint import JobContext
from cronbell.endpoint.registry import Registry, cron_job
from cronbell.testing import answers

pytestmark = pytest.mark.django_db(transaction=True)


def dead(**where):
    return Letter.objects.filter(drain_state=Stage.DEAD.value, **where).count()


@pytest.fixture
def refused(drain, run, target, letters, clock):
    """Make letters that were all set aside, one after the other, the first one first."""

    def make(count):
        made = letters(count)
        target.script(PATH, *[answers.json_answer({"why": "no"}, 422)] * count, answers.ok())
        posting = drain(strikes=1, batch=BatchSize(1))
        for _ in made:
            clock.advance(1)
            run(posting)
        assert dead() == count
        return posting, [str(one.pk) for one in made]

    return make


def test_a_job_s_drain_is_found_by_its_run_or_by_its_mark(drain):
    one, other, registry = drain(), drain(name="other"), Registry()

    @draining(other)
    def around(context: JobContext):
        return other.run(context)

    cron_job("bare", max_duration=1, registry=registry)(one.run)
    cron_job("marked", max_duration=1, registry=registry)(around)
    cron_job("none", max_duration=1, registry=registry)(lambda _context: None)
    found = drains(registry)
    assert {name: each for name, (_job, each) in found.items()} == {"bare": one, "marked": other}
    none = registry.by_name("none")
    assert none is not None
    assert drain_of(none) is None


def test_how_a_drain_stands(drain, run, letters, clock):
    letters(5)
    pace = Pace("post-office")
    posting = drain(
        call=lambda _hold, _seconds: Reply(usage=Usage(tokens=7, money=Decimal("0.5"))),
        batch=BatchSize(2),
        pace=pace,
    )
    run(posting)
    pace.slow_down(60, begun=0, now=clock.now(), monotonic=clock.monotonic())
    now = clock.now()
    found = ledger.standing(posting, now=now)
    assert (found.backlog.pending, found.backlog.outflow) == (3, 2)
    assert (found.used["items"], found.used["tokens"], found.used["money"]) == (2, 14, 1_000_000)
    assert found.paused_until == now + timedelta(seconds=60)
    tomorrow = ledger.standing(posting, now=now + timedelta(days=1))
    assert (tomorrow.used["items"], tomorrow.paused_until) == (0, None)


def test_dead_letters_are_listed_page_by_page_the_last_first(refused):
    posting, ids = refused(7)
    seen, cursor = [], ""
    while True:
        page = ledger.set_aside(posting, limit=3, cursor=cursor)
        seen += [str(one.pk) for one in page.records]
        cursor = page.cursor
        if not cursor:
            break
    assert seen == ids[::-1]


def test_dead_letters_of_one_instant_are_each_listed_once(refused, clock):
    posting, ids = refused(5)
    Letter.objects.update(drain_available_at=clock.now())
    first = ledger.set_aside(posting, limit=3)
    second = ledger.set_aside(posting, limit=3, cursor=first.cursor)
    assert [str(one.pk) for one in (*first.records, *second.records)] == ids[::-1]


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "한국",
        "[]",
        encoded([]),
        encoded(7),
        encoded(["2026-11-22T00:00:00", "1"]),
        encoded(["2026-11-22T00:00:00+00:00", "one"]),
        encoded(["2026-11-22T00:00:00+00:00", {}]),
        encoded([None, "1"]),
        encoded("[" * 900),
    ],
)
def test_a_cursor_that_no_list_gave_is_refused(drain, cursor):
    with pytest.raises(CursorError):
        ledger.set_aside(drain(), limit=3, cursor=cursor)


def test_only_what_failed_is_tried_again_and_with_the_same_key(
    refused, drain, run, target, letters, clock
):
    posting, ids = refused(2)
    done = letters(1)[0]
    run(posting)
    waiting = letters(1)[0]
    target.script(PATH, answers.reset(), answers.ok())
    run(drain(retry_wait=3600))
    keys = [one.header("Idempotency-Key") for one in target.requests][:2]
    new = letters(1)[0]
    sent = len(target.requests)
    everything = [*ids, str(done.pk), str(waiting.pk), str(new.pk), "0", "x", "\x00", "9" * 30]
    assert ledger.try_again(posting, everything, actor="kim", now=clock.now()) == 3
    assert dead() == 0
    assert run(drain())["processed"] == 4
    again = target.requests[sent:]
    assert [json.loads(one.body)["recordId"] for one in again] == [
        *map(int, ids), waiting.pk, new.pk,
    ]  # fmt: skip
    assert [one.header("Idempotency-Key") for one in again][:2] == keys
    assert ledger.try_again(posting, everything, actor="kim", now=clock.now()) == 0


def test_what_is_being_handled_is_not_put_back(drain, run, take, target, letters, clock):
    letters(1)
    target.script(PATH, answers.reset())
    run(drain())
    clock.advance(61)
    (hold,) = take()
    assert ledger.try_again(drain(), [str(hold.record.pk)], actor="kim", now=clock.now()) == 0
    assert Letter.objects.get().drain_owner == hold.owner


def test_sabotage_an_id_in_another_spelling_is_no_record(drain, refused, clock):
    posting, ids = refused(1)
    wrong = [f"0{ids[0]}", f" {ids[0]}", f"{ids[0]}.0"]
    assert ledger.try_again(posting, wrong, actor="kim", now=clock.now()) == 0
    assert ledger.record_of(posting, wrong[0]) is None
    assert ledger.record_of(posting, ids[0]) == Letter.objects.get()


def test_all_dead_letters_are_put_back_however_many(refused, clock, monkeypatch):
    posting, ids = refused(5)
    monkeypatch.setattr(ledger, "MOST_AT_ONCE", 2)
    assert ledger.try_all_again(posting, actor="kim", now=clock.now()) == len(ids)
    assert dead() == 0
    assert ledger.try_all_again(posting, actor="kim", now=clock.now()) == 0


def test_the_application_does_its_part_and_says_which_are_tried_again(refused, clock, monkeypatch):
    posting, ids = refused(5)
    monkeypatch.setattr(ledger, "MOST_AT_ONCE", 2)
    asked = []

    def again(records, actor, now):
        asked.append(([str(one.pk) for one in records], actor, now))
        return [one for one in records if str(one.pk) not in ids[:2]]

    # The first page is left out whole, and those after it are come to all the same.
    wanting = replace(posting, again=again)
    assert ledger.try_all_again(wanting, actor="kim", now=clock.now()) == 3
    assert asked == [(ids[at : at + 2], "kim", clock.now()) for at in (0, 2, 4)]
    left = Letter.objects.filter(drain_state=Stage.DEAD).order_by("pk")
    assert [str(one.pk) for one in left] == ids[:2]
    assert ledger.try_again(wanting, ids, actor="kim", now=clock.now()) == 0
    assert asked[3:] == [(ids[:2], "kim", clock.now())]  # only what failed is asked about


def test_what_the_application_cannot_do_puts_nothing_back(refused, clock):
    posting, ids = refused(1)

    def again(records, _actor, _now):
        Letter.objects.filter(pk=records[0].pk).update(text="changed")
        raise RuntimeError("not now")

    with pytest.raises(RuntimeError, match="not now"):
        ledger.try_again(replace(posting, again=again), ids, actor="kim", now=clock.now())
    assert dead() == 1
    assert Letter.objects.get().text != "changed"
