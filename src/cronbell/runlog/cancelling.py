"""A person ends a run that waits or goes on."""

from __future__ import annotations

from django.db import connections, transaction
from django.utils.translation import gettext as _

from cronbell.clock import SYSTEM_CLOCK, Clock
from cronbell.errors import CronbellError
from cronbell.runlog import audit
from cronbell.runlog.early import MARGIN
from cronbell.runlog.models import Run
from cronbell.runlog.router import ALIAS
from cronbell.runlog.statements import execute, fetch

LARGEST_ID = (1 << 63) - 1


class CancelError(CronbellError):
    """A run that cannot be cancelled: not there, over, or a call that Cronbell did not make."""

    code = "cancel"


def cancel(run_id: int, *, actor: str, clock: Clock = SYSTEM_CLOCK) -> Run:
    """Cancel a run. A second time changes nothing more.

    Args:
        run_id: the run.
        actor: who asked, for the log.
        clock: what time it is.

    Returns:
        The run: cancelled where it was waiting; where it is running its runner drops the call
        within about a second and the run ends then. The endpoint itself is not stopped.

    Raises:
        CancelError: there is nothing to cancel.
    """
    now = clock.micros()
    by = actor[:150]
    known = 0 < run_id <= LARGEST_ID
    with transaction.atomic(using=ALIAS):
        if known:
            # Recorded early, and not begun: it ends here, like any run that waits.
            execute(connections[ALIAS], "early_wait", [run_id, clock.micros() + MARGIN])
        changed = known and fetch(connections[ALIAS], "cancel", [now, by, now, by, run_id])
        if changed:
            audit.record(audit.Action.CANCEL, "run", str(run_id), by=actor)
    run = Run.objects.select_related("job").filter(pk=run_id).first() if known else None
    if run is None:
        raise CancelError(
            _("there is no run %(id)s") % {"id": run_id},
            hint=_("`cronbell runs` lists the newest"),
        )
    if changed:
        return run
    if run.by_endpoint and run.finished_at is None:
        raise CancelError(
            _("run %(id)s is a call that Cronbell did not make, and cannot end") % {"id": run_id},
            hint=_("end it in the application, or where it is called from"),
        )
    words = _("run %(id)s is over: %(status)s") % {"id": run_id, "status": run.get_status_display()}
    raise CancelError(words, hint=_("nothing is left to cancel"))
