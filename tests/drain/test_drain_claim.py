"""Claims: each record once, oldest first, only what qualifies; no stale holder settles."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.db.models import Exists, OuterRef
from django.test.utils import CaptureQueriesContext
from tests.drain.backlog.models import Letter

from cronbell.clock import SYSTEM_CLOCK
from cronbell.drain import claim as claims
from cronbell.drain.models import Stage

pytestmark = pytest.mark.django_db(transaction=True, databases=["default"])

EVERY = Letter.objects.all


def ids(holds):
    return [hold.record.pk for hold in holds]


def test_the_oldest_that_qualify_are_claimed_in_order(letters, take):
    unstamped = letters(5, stamped=False)
    made = letters(4)
    assert ids(take(3)) == [letter.pk for letter in made[:3]]
    assert ids(take(3)) == [made[3].pk]
    assert take(3) == []
    assert Letter.objects.filter(pk__in=[one.pk for one in unstamped], drain_term=0).count() == 5


def test_a_claim_is_one_statement_however_many_it_takes(letters, take):
    letters(50)
    with CaptureQueriesContext(
        connection,
    ) as seen:
        assert len(take(40)) == 40
    writes = [query["sql"] for query in seen if "UPDATE" in query["sql"].split("(")[0]]
    assert len(writes) == 1
    assert "LIMIT 40" in writes[0]
    if connection.vendor == "postgresql":
        assert "SKIP LOCKED" in writes[0]
        assert "= ANY(ARRAY(" in writes[0]


def test_a_condition_on_another_table_is_part_of_the_claim(letters, take):
    made = letters(3)
    others = Letter.objects.filter(pk=OuterRef("pk"), text="2")
    assert ids(take(2, qualifying=Letter.objects.filter(Exists(others)))) == [made[2].pk]


def test_an_expired_lease_is_taken_over_and_a_living_one_is_not(letters, take, clock):
    letters(1)
    (first,) = take(lease=60)
    clock.advance(59.9)
    assert take() == []
    clock.advance(0.1)
    (second,) = take()
    assert (second.term, second.key) == (first.term + 1, first.key)


def stale_settlements(hold, clock):
    now = clock.now()
    return [
        claims.finish(hold, now=now),
        claims.fail(hold, error="x", now=now, wait=0, strikes=1)[0],
        claims.release(hold),
        claims.intend(hold, EVERY(), now=now, lease=600),
    ]


def test_who_was_taken_over_changes_nothing(letters, take, clock):
    letters(1)
    (stale,) = take(lease=60)
    clock.advance(61)
    (mine,) = take()
    assert stale_settlements(stale, clock) == [False] * 4
    letter = Letter.objects.get()
    assert (letter.drain_owner, letter.drain_state) == (mine.owner, Stage.PENDING)
    assert claims.finish(mine, now=clock.now())
    assert Letter.objects.get().drain_state == Stage.DONE


def test_sabotage_without_fencing_a_stale_holder_settles_anothers_record(
    letters, take, clock, monkeypatch
):
    letters(1)
    (stale,) = take(lease=60)
    clock.advance(61)
    take()
    monkeypatch.setattr(claims, "held", lambda hold, records: records.filter(pk=hold.record.pk))
    assert claims.finish(stale, now=clock.now())
    assert Letter.objects.get().drain_state == Stage.DONE


def test_a_record_changed_meanwhile_is_neither_sent_nor_settled_and_gets_a_new_key(
    letters, take, clock
):
    letters(1)
    (before,) = take()
    assert claims.mark_changed(EVERY(), now=clock.now()) == 1
    assert stale_settlements(before, clock) == [False] * 4
    (after,) = take()
    assert after.version == before.version + 1
    assert after.key != before.key


def test_a_record_that_no_longer_qualifies_is_not_sent(letters, take, clock):
    letters(1)
    (hold,) = take()
    Letter.objects.update(stamped=False)
    assert not claims.intend(hold, Letter.objects.filter(stamped=True), now=clock.now(), lease=60)


def test_what_is_about_to_be_sent_goes_to_the_back_should_its_process_die(letters, take, clock):
    made = letters(3)
    first, second, third = take(lease=60)
    claims.intend(first, EVERY(), now=clock.now(), lease=60)
    clock.advance(61)
    assert ids(take(3)) == [made[1].pk, made[2].pk, made[0].pk]
    assert {second.record.pk, third.record.pk} == {made[1].pk, made[2].pk}


def test_three_failures_of_its_own_set_a_record_aside_and_others_do_not_count(letters, take, clock):
    letters(1)
    told = []
    for strikes in (3, None, 3, None, None, 3):
        (hold,) = take()
        told.append(claims.fail(hold, error="no\x00", now=clock.now(), wait=0, strikes=strikes))
    assert told == [(True, False)] * 5 + [(True, True)]
    letter = Letter.objects.get()
    assert (letter.drain_state, letter.drain_failures) == (Stage.DEAD, 3)
    assert letter.drain_error == "no\ufffd"
    assert take() == []
    assert claims.send_again(EVERY(), now=clock.now()) == 1
    (again,) = take()
    assert again.key == hold.key


def test_the_backlog_in_numbers(letters, take, clock):
    made = letters(10)
    letters(2, stamped=False)
    done, dead, *_ = take(4)
    claims.finish(done, now=clock.now())
    claims.fail(dead, error="x", now=clock.now(), wait=0, strikes=1)

    def count():
        return claims.backlog(lambda: Letter.objects.filter(stamped=True), now=clock.now())

    seen = count()
    assert (seen.pending, seen.in_progress, seen.dead) == (6, 2, 1)
    assert (seen.inflow, seen.outflow) == (12, 2)
    assert seen.oldest == made[4].drain_entered_at
    assert seen.time_to_empty is None
    clock.advance(3599.5)
    seen = count()
    assert (seen.pending, seen.in_progress, seen.inflow, seen.outflow) == (8, 0, 0, 2)
    assert seen.time_to_empty == timedelta(hours=4)
    Letter.objects.all().delete()
    assert count().time_to_empty == timedelta(0)


@pytest.mark.parametrize(
    "records",
    [
        lambda: EVERY()[:5],
        lambda: EVERY().distinct(),
        lambda: EVERY().union(EVERY()),
        User.objects.all,
    ],
)
def test_what_cannot_be_claimed_from_is_refused_with_a_hint(records):
    with pytest.raises(claims.BacklogError) as refused:
        claims.pending_records(records)
    assert refused.value.hint


def claim_all(taken, barrier):
    barrier.wait(20)
    try:
        while True:
            now = SYSTEM_CLOCK.now()
            holds = claims.claim(
                EVERY(), limit=7, owner=uuid.uuid4().hex, now=now, due=now, lease=600
            )
            if not holds:
                return
            taken.extend(ids(holds))
    finally:
        connections.close_all()


def test_eight_threads_claim_each_record_once():
    Letter.objects.bulk_create(Letter(text=f"{number}") for number in range(800))
    taken: list[int] = []
    barrier = threading.Barrier(8)
    threads = [threading.Thread(target=claim_all, args=(taken, barrier)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert Counter(taken) == Counter(Letter.objects.values_list("pk", flat=True))
    assert set(Letter.objects.values_list("drain_term", flat=True)) == {1}


def test_saving_a_stale_copy_never_undoes_a_settlement(letters, take, clock):
    letters(1)
    (hold,) = take()
    stale = Letter.objects.get()
    claims.finish(hold, now=clock.now())
    stale.text = "edited"
    stale.save()
    letter = Letter.objects.get()
    assert (letter.text, letter.drain_state, letter.drain_owner) == ("edited", Stage.DONE, "")


def test_a_claim_within_a_callers_transaction_is_refused(letters, take):
    letters(1)
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        take()
