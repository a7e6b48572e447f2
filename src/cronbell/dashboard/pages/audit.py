"""``/admin/audit``: who changed what, when and from where; and the same for programs."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_safe
from ninja import Schema
from pydantic import BeforeValidator, Field

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard.access import viewers_too
from cronbell.dashboard.parameters import BadParameterError, Instant, RowId, SearchText, read_query
from cronbell.runlog import audit
from cronbell.runlog.audit import Action, Means

PER_PAGE = 50
ACTIONS = {
    Action.RUN_NOW: gettext_lazy("run now"),
    Action.RERUN: gettext_lazy("rerun"),
    Action.REPLAY: gettext_lazy("replay"),
    Action.CANCEL: gettext_lazy("cancel a run"),
    Action.PAUSE: gettext_lazy("pause a job"),
    Action.RESUME: gettext_lazy("resume a job"),
    Action.BACKFILL: gettext_lazy("start a backfill"),
    Action.BACKFILL_PAUSE: gettext_lazy("pause a backfill"),
    Action.BACKFILL_RESUME: gettext_lazy("resume a backfill"),
    Action.BACKFILL_CANCEL: gettext_lazy("cancel a backfill"),
    Action.RETRY: gettext_lazy("try records again"),
    Action.PING_URL: gettext_lazy("replace a ping URL"),
    Action.APPLY: gettext_lazy("change the configuration"),
    Action.REVIEW: gettext_lazy("decide on a record"),
    Action.ALERT_TESTED: gettext_lazy("test a channel"),
    Action.TOKEN_MADE: gettext_lazy("make an API token"),
    Action.TOKEN_REVOKED: gettext_lazy("revoke an API token"),
    Action.PASSWORD: gettext_lazy("set a password"),
    Action.SIGN_IN: gettext_lazy("sign in"),
    Action.SIGN_OUT: gettext_lazy("sign out"),
    Action.ADDED: gettext_lazy("add data"),
    Action.CHANGED: gettext_lazy("change data"),
    Action.DELETED: gettext_lazy("delete data"),
}
MEANS = {
    Means.SESSION: pgettext_lazy("acted through", "session"),
    Means.TOKEN: pgettext_lazy("acted through", "API token"),
    Means.COMMAND: pgettext_lazy("acted through", "command line"),
    Means.PROGRAM: pgettext_lazy("acted through", "program"),
}


class AuditFilter(Schema):
    """What may stand in the query string of the audit."""

    actor: SearchText = Field("", description="only by this user")
    action: Annotated[
        Action | None, BeforeValidator(lambda value: None if value == "" else value)
    ] = Field(None, description="only this action")
    subject: Annotated[SearchText, Field(description="only to this job, run, user …")] = ""
    since: Instant = Field(None, description="then or later; UTC if no offset")
    until: Instant = Field(None, description="before then; UTC if no offset")
    cursor: RowId = Field(None, description="of the page before")

    def wanted(self) -> audit.Wanted:
        """Return the filter these parameters ask for."""
        return audit.Wanted(
            self.actor.strip(), self.action, self.subject.strip(), self.since, self.until
        )


@require_safe
@viewers_too
def audit_page(request: HttpRequest) -> HttpResponse:
    """List changes, newest first."""
    faults: dict[str, str] = {}
    try:
        wanted = read_query(AuditFilter, request.GET.dict())
    except BadParameterError as error:
        wanted, faults = AuditFilter.model_validate({}), error.problems
    found = audit.page(wanted.wanted(), limit=PER_PAGE, before=wanted.cursor)
    context: dict[str, Any] = {
        "nav": "settings",
        "page_title": _("Audit"),
        "now": SYSTEM_CLOCK.now(),
        "wanted": wanted,
        "actions": [(one.value, words) for one, words in ACTIONS.items()],
        "lines": [(row, _action(row.action), _means(row.means), _said(row)) for row in found.rows],
        "cursor": found.cursor,
        "first": wanted.cursor is None,
        "narrowed": wanted.wanted() != audit.Wanted(),
        "faults": faults,
    }
    return render(request, "cronbell/audit.html", context, status=400 if faults else 200)


def _action(word: str) -> str:
    # A row of another version may have a word that this one does not know.
    return str(ACTIONS[Action(word)]) if word in set(Action) else word


def _means(word: str) -> str:
    return str(MEANS[Means(word)]) if word in set(Means) else word


def _said(row: Any) -> list[tuple[str, str]]:
    return [(name, _value(value)) for name, value in row.details.items()]


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_value(one) for one in value)
    return str(value)
