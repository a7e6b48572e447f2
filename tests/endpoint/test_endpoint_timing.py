"""How long a wrong secret takes does not say how much of it was right (C04), measured.

A secret of a megabyte makes of a comparison that stops at the first difference something a clock
can see: 30 µs or nothing. The shortest of many looks, taken in turn, is what a busy machine
disturbs least.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

import pytest

from cronbell.clock import SYSTEM_CLOCK
from cronbell.endpoint.auth import Gate

SECRET = b"s" * 1_000_000
LOOKS = 60
# One is as the other, as far as a busy machine lets a clock see.
ALIKE = 1.3


def times_apart(check: Callable[[bytes], object]) -> float:
    """Return by what factor a secret wrong at its end takes longer than one wrong at once."""
    wrong_at_once, wrong_at_the_end = b"x" + SECRET[1:], SECRET[:-1] + b"x"
    times: dict[bytes, list[float]] = {wrong_at_once: [], wrong_at_the_end: []}
    for _ in range(LOOKS):
        for given, taken in times.items():
            began = SYSTEM_CLOCK.monotonic()
            assert not check(given)
            taken.append(SYSTEM_CLOCK.monotonic() - began)
    return min(times[wrong_at_the_end]) / min(times[wrong_at_once])


def at_the_gate(token: bytes) -> bool:
    gate = Gate((hashlib.sha256(SECRET).digest(),), "")
    return gate.which([b"Bearer " + token]) is not None


def test_a_secret_that_is_nearly_right_takes_no_longer():
    assert 1 / ALIKE < times_apart(at_the_gate) < ALIKE


def test_the_comparison_underneath_takes_the_same_wherever_it_differs():
    assert 1 / ALIKE < times_apart(lambda given: hmac.compare_digest(given, SECRET)) < ALIKE


@pytest.mark.parametrize(
    "careless",
    [lambda given: given == SECRET, lambda given: given.startswith(SECRET)],
    ids=["equality", "prefix"],
)
def test_sabotage_a_careless_comparison_is_seen(careless):
    assert times_apart(careless) > 3 * ALIKE


def test_the_gate_lets_the_right_one_in():
    assert at_the_gate(SECRET)
