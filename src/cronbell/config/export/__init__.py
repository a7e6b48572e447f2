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

Export = Callable[[Sequence[JobSpec], Options], Exported]


def _of_called(to: Export) -> Export:
    def export(jobs: Sequence[JobSpec], options: Options) -> Exported:
        result = to([job for job in jobs if not job.heartbeat], options)
        for job in jobs:
            if job.heartbeat:
                # No job is lost: it runs elsewhere. Only that somebody waits for it is.
                result.lose(job, "heartbeat", "it runs elsewhere, and nobody waits for its pings")
        return result

    return export


EXPORTS: Mapping[str, Export] = {
    "crontab": _of_called(to_crontab),
    "vercel": _of_called(to_vercel),
    "kubernetes": _of_called(to_kubernetes),
    "systemd": _of_called(to_systemd),
}

__all__ = ["EXPORTS", "Exported", "Options"]
