"""When a failed attempt is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronbell.dispatch import retry_delay
from cronbell.domain import RetryPolicy

FIVE = RetryPolicy(max_attempts=5, backoff=10.0, max_backoff=60.0)


def test_nothing_is_tried_again_unless_configured():
    assert retry_delay(RetryPolicy(), 1, 0.0) is None


def test_the_wait_doubles_up_to_its_limit_and_then_there_is_no_more():
    waits = [retry_delay(FIVE, failures, 0.0) for failures in range(1, 7)]

    assert waits == [10.0, 20.0, 40.0, 60.0, None, None]


def test_jitter_takes_away_up_to_half():
    assert retry_delay(FIVE, 2, 0.5) == 15.0
    assert retry_delay(FIVE, 2, 0.999_999) == pytest.approx(10.0, abs=0.001)


@given(
    st.integers(2, 10**9),
    st.floats(0, 1e300),
    st.floats(0, 1e300),
    st.integers(1, 10**9),
    st.floats(0, 1, exclude_max=True),
)
def test_every_wait_is_between_half_of_and_the_whole_limit(
    attempts, backoff, limit, failures, jitter
):
    policy = RetryPolicy(max_attempts=attempts, backoff=backoff, max_backoff=limit)

    wait = retry_delay(policy, failures, jitter)

    if failures >= attempts:
        assert wait is None
    else:
        full = min(backoff * 2 ** min(failures - 1, 63), limit)
        assert wait is not None
        assert full / 2 <= wait <= full
