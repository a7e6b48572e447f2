"""Trying records again, asked for by page or API: recorded first, then done."""

from __future__ import annotations

from collections.abc import Sequence

from cronbell.clock import SYSTEM_CLOCK
from cronbell.drain import ledger
from cronbell.drain.drain import Drain
from cronbell.runlog import audit


def retry_records(job: str, drain: Drain, record_ids: Sequence[str] | None, *, actor: str) -> int:
    """Have records that failed tried again by the job's next run; return how many there were.

    Args:
        job: the drain's job.
        drain: the drain.
        record_ids: these, as far as they failed; None for all that were set aside.
        actor: who wants it.
    """
    details = {"all": True} if record_ids is None else {"records": list(record_ids)}
    # Before and not with it: the application's database knows no transaction of the run log's.
    audit.record(audit.Action.RETRY, "records", job, details)
    now = SYSTEM_CLOCK.now()
    if record_ids is None:
        return ledger.try_all_again(drain, actor=actor, now=now)
    return ledger.try_again(drain, record_ids, actor=actor, now=now)
