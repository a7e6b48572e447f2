"""Jobs go in, the same jobs in another scheduler's words come out.

    fields.py      expression ─► its values, and back to text in the fewest words
    curl.py        job ─► the curl command that makes its call
    crontab.py, vercel.py, kubernetes.py, systemd.py

What a scheduler cannot do is said job by job; nothing is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cronbell.config.export.crontab import to_crontab
from cronbell.config.export.kubernetes import to_kubernetes
from cronbell.config.export.parts import Exported, Options
from cronbell.config.export.systemd import to_systemd
from cronbell.config.export.vercel import to_vercel
from cronbell.domain import JobSpec

EXPORTS: Mapping[str, Callable[[Sequence[JobSpec], Options], Exported]] = {
    "crontab": to_crontab,
    "vercel": to_vercel,
    "kubernetes": to_kubernetes,
    "systemd": to_systemd,
}

__all__ = ["EXPORTS", "Exported", "Options"]
