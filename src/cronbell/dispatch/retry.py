"""When a failed attempt is tried again."""

from __future__ import annotations

from cronbell.domain import RetryPolicy

# 2**63 backoffs are longer than any ``max_backoff``; a larger exponent would overflow a float.
MAX_DOUBLINGS = 63


def retry_delay(policy: RetryPolicy, failures: int, jitter: float) -> float | None:
    """Return the seconds before the next try; None when there is to be no further one.

    The wait doubles from ``backoff`` up to ``max_backoff``. Jitter takes away up to half of it,
    so that jobs which failed together do not all come back together, and ``max_backoff`` still
    holds.

    Args:
        policy: the job's policy.
        failures: attempts that failed so far, at least 1.
        jitter: in [0, 1); drawn by the caller, so that this stays pure. 0 is the full wait.
    """
    if failures >= policy.max_attempts:
        return None
    doublings = min(max(failures - 1, 0), MAX_DOUBLINGS)
    wait: float = min(policy.backoff * 2**doublings, policy.max_backoff)
    return max(wait, 0.0) * (1.0 - jitter / 2.0)
