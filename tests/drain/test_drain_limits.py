"""How fast, how much, how many: the pace of a target, caps, the batch size."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest
from django.db import connections
from tests.drain.backlog.models import Letter

from cronbell.drain.budget import Budget, Caps, Reached, Reserved, Usage
from cronbell.drain.models import DrainDay, TargetPause
from cronbell.drain.pace import Pace
from cronbell.drain.settings import BatchSize, batch_size
from cronbell.drain.target import HttpTarget, Reply
from cronbell.endpoint import JobContext
from cronbell.errors import ConfigError
from cronbell.testing import answers

pytestmark = pytest.mark.django_db(transaction=True, databases=["default"])

PATH = "/letters"

# Pace


def test_a_429_slows_every_thread_and_every_run_for_as_long_as_asked(
    drain, run, target, letters, clock
):
    letters(20)
    sent = []
    http = HttpTarget(target.url(PATH), clock=clock)

    def call(hold, seconds):
        sent.append(clock.monotonic())
        return http(hold, seconds)

    target.script(PATH, answers.retry_after("40", 429), answers.ok())
    answer = run(drain(call=call, concurrency=4, batches=1))
    assert (answer["processed"], answer["failed"]) == (20, 1)
    on_their_way = sum(at < 40 for at in sent)
    assert 1 <= on_their_way <= 4 + 3  # what was under way when the first 429 came, no more
    TargetPause.objects.update(until=clock.now())
    letters(1)
    target.script(PATH, answers.retry_after("100", 429))
    run(drain(call=call))
    letters(1)
    target.script(PATH, answers.ok())
    before = clock.monotonic()
    other = drain(name="other", call=call, pace=Pace("post"))
    run(other)
    assert sent[-1] - before == pytest.approx(100, abs=1)


def test_a_pause_longer_than_the_run_ends_it(drain, run, target, letters, clock):
    letters(3)
    target.script(PATH, answers.retry_after("1000"))
    http = HttpTarget(target.url(PATH), clock=clock)
    answer = run(drain(call=http))
    assert answer["stopped"] == {"reason": "paused"}
    assert len(target.requests) == 1
    assert clock.monotonic() == 0


def test_pauses_nobody_gave_a_length_double(clock):
    pace = Pace("guess")
    lengths = []
    for _ in range(8):
        pace.slow_down(None, begun=clock.monotonic(), now=clock.now(), monotonic=clock.monotonic())
        lengths.append(pace.paused(clock.now(), clock.monotonic()))
        clock.advance(lengths[-1])
    assert lengths == [1, 2, 4, 8, 16, 32, 60, 60]
    pace.slow_down(None, begun=0, now=clock.now(), monotonic=clock.monotonic())
    assert pace.paused(clock.now(), clock.monotonic()) == 0
    pace.accepted()
    pace.slow_down(None, begun=clock.monotonic(), now=clock.now(), monotonic=clock.monotonic())
    assert pace.paused(clock.now(), clock.monotonic()) == 1


def test_calls_keep_to_the_rate(drain, run, letters, clock):
    letters(5)
    sent = []

    def call(*_):
        sent.append(clock.monotonic())
        return Reply()

    run(drain(call=call, pace=Pace("post", rate=0.5)))
    assert sent == [0, 2, 4, 6, 8]


# Caps


def use(**values):
    return lambda *_: Reply(usage=Usage(**values))


@pytest.mark.parametrize(
    ("caps", "call", "most", "handled"),
    [
        (Caps(items=4), use(), Usage(), 4),
        (Caps(items=0), use(), Usage(), 0),
        (Caps(calls=5), use(calls=2), Usage(calls=2), 2),
        (Caps(tokens=100), use(tokens=30), Usage(), 4),
        (Caps(tokens=100), use(tokens=30), Usage(tokens=30), 3),
        (Caps(money=Decimal("0.03")), use(money=Decimal("0.01")), Usage(), 3),
        (
            Caps(money=Decimal("0.03")),
            use(money=Decimal("0.01")),
            Usage(money=Decimal("0.011")),
            2,
        ),
    ],
)
@pytest.mark.parametrize("per", ["run", "day"])
def test_a_cap_ends_the_run_and_the_next_goes_on(
    caps, call, most, handled, per, drain, run, letters, clock
):
    letters(10)
    capped = drain(call=call, most=most, **{f"per_{per}": caps})
    answer = run(capped)
    (what,) = caps.counts()
    assert answer["stopped"] == {"reason": "cap", "cap": what, "per": per}
    assert (answer["status"], answer["processed"]) == ("partial", handled)
    assert set(Letter.objects.values_list("drain_owner", flat=True)) == {""}
    assert run(capped)["processed"] == (min(handled, 10 - handled) if per == "run" else 0)
    clock.advance(86_400)
    assert run(capped)["processed"] == min(handled, 10 - handled * (2 if per == "run" else 1))


def test_seconds_are_measured(drain, run, letters, clock):
    letters(5)

    def call(*_):
        clock.advance(2)
        return Reply()

    answer = run(drain(call=call, per_run=Caps(seconds=5)))
    assert (answer["processed"], answer["stopped"]["cap"]) == (3, "seconds")
    assert DrainDay.objects.get().microseconds == 6_000_000


def run_beside(drain, barrier, handled, clock):
    try:
        context = JobContext("post", clock=clock)
        barrier.wait(20)
        drain.run(context)
        handled.append(len(context.items))
    finally:
        connections.close_all()


def test_a_days_cap_holds_exactly_for_runs_side_by_side(drain, letters, clock):
    letters(60)
    called: list[int] = []

    def call(hold, _seconds):
        called.append(hold.record.pk)
        return Reply(usage=Usage(tokens=7))

    capped = drain(
        call=call,
        batch=BatchSize(10),
        batches=None,
        concurrency=2,
        most=Usage(tokens=10),
        per_day=Caps(items=40, tokens=200),
    )
    handled: list[int] = []
    barrier = threading.Barrier(4)
    threads = [
        threading.Thread(target=run_beside, args=(capped, barrier, handled, clock))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    day = DrainDay.objects.get()
    assert len(called) == len(set(called)) == sum(handled) == day.items
    assert day.tokens == 7 * day.items
    # Each call reserves 10 and uses 7, so the cap stops them at 28 calls, never at a 29th.
    assert 24 <= day.items <= 28
    assert day.tokens <= 200


def test_the_last_of_a_days_cap_is_given_to_one_run_only(clock):
    def budget():
        caps = {"run": Caps(), "day": Caps(items=1)}
        return Budget("post", **caps, most=Usage(), using="default", clock=clock)

    first, second = budget(), budget()
    reserved = first.reserve()
    assert isinstance(reserved, Reserved)
    assert second.reserve() == Reached("day", "items")
    first.correct(reserved, Usage(items=0))
    assert isinstance(second.reserve(), Reserved)


def run_within_a_run(drain, run):
    """Run a drain while another run of it is in the middle of a call; both have a cap of 1."""
    handled = []
    capped = {"batch": BatchSize(1), "per_day": Caps(items=1)}

    def call(*_):
        handled.append(run(drain(call=lambda *_: Reply(), **capped))["processed"])
        connections.close_all()
        return Reply()

    handled.append(run(drain(call=call, **capped))["processed"])
    return handled


def test_a_run_beside_another_does_not_pass_the_days_cap(drain, run, letters):
    letters(2)
    assert run_within_a_run(drain, run) == [0, 1]
    assert DrainDay.objects.get().items == 1


def test_sabotage_counted_only_afterwards_a_day_s_cap_is_passed(drain, run, letters, monkeypatch):
    letters(2)
    reserve = Budget.reserve

    def look(budget):
        found = reserve(budget)
        if isinstance(found, Reached):
            return found
        budget.correct(found, Usage(items=0, calls=0))
        return Reserved(found.day, dict.fromkeys(found.counts, 0))

    monkeypatch.setattr(Budget, "reserve", look)
    assert run_within_a_run(drain, run) == [1, 1]
    assert DrainDay.objects.get().items == 2


# Settings


@pytest.mark.parametrize(
    ("raw", "size"), [(None, 20), ("", 20), (" 7 ", 7), ("001", 1), ("100", 100)]
)
def test_a_batch_size_in_range_is_in_force(raw, size):
    read = batch_size({} if raw is None else {"VERIFY_BATCH_SIZE": raw}, "VERIFY_BATCH_SIZE")
    assert (read.size, read.note()) == (size, "")


@pytest.mark.parametrize("raw", ["101", "1000000", "9" * 5000])
def test_a_larger_batch_is_cut_to_100_and_the_answer_says_so(raw, drain, run, letters):
    letters(101)
    read = batch_size({"VERIFY_BATCH_SIZE": raw}, "VERIFY_BATCH_SIZE")
    answer = run(drain(batch=read, call=lambda *_: Reply()))
    assert (answer["processed"], answer["batchSize"]) == (100, 100)
    assert f"VERIFY_BATCH_SIZE is {raw[:40]}; no more than 100 are taken." in answer["message"]


@pytest.mark.parametrize("raw", ["0", "-5", "ten", "2.5", "1e2", "+3", "1_0", "٣", "00"])
def test_a_senseless_batch_size_is_refused_at_the_start(raw):
    with pytest.raises(ConfigError, match="VERIFY_BATCH_SIZE") as refused:
        batch_size({"VERIFY_BATCH_SIZE": raw}, "VERIFY_BATCH_SIZE")
    assert "1 to 100" in refused.value.hint


@pytest.mark.parametrize(
    "values",
    [
        {"name": ""},
        {"name": "x" * 101},
        {"batches": 0},
        {"concurrency": 0},
        {"concurrency": 101},
        {"timeout": 0},
        {"strikes": 0},
    ],
)
def test_a_drain_that_makes_no_sense_is_refused_where_it_is_made(drain, values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        drain(**values)


@pytest.mark.parametrize("make", [lambda: Caps(items=-1), lambda: Pace("x", rate=0)])
def test_caps_and_rates_that_make_no_sense_are_refused(make):
    with pytest.raises(ConfigError) as refused:
        make()
    assert refused.value.hint
