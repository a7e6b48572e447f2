"""A user buys or claims an idea, whatever others do to the idea at the same moment."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from cronbell.errors import CronbellError
from ideasgpt.ideas.models import Claim, Idea, Purchase


class GoneError(CronbellError):
    """The idea does not exist, or no longer does."""

    code = "idea-gone"


class TakenError(CronbellError):
    """The user has bought the idea already, or somebody has claimed it."""

    code = "idea-taken"


def take(model: type[Purchase | Claim], idea_id: int, user: User) -> Purchase | Claim:
    """Tie a user to an idea by a purchase or a claim.

    The idea's row is locked first, so that ``clean-data`` leaves it out from this moment on and
    not only from the commit: on PostgreSQL a foreign key that is checked at commit locks nothing
    before it. Where the idea is gone in spite of that, the foreign key says so at commit and
    nothing is left behind.

    Raises:
        GoneError: there is no such idea.
        TakenError: the user has bought it already, or it is claimed already.
    """
    gone = GoneError(_("There is no idea %(id)d.") % {"id": idea_id})
    try:
        with transaction.atomic():
            ideas = Idea.objects.select_for_update(no_key=True).filter(pk=idea_id)
            if not ideas.values_list("pk", flat=True):
                raise gone
            try:
                return model.objects.create(idea_id=idea_id, user=user)
            except IntegrityError as error:
                raise TakenError(_taken(model)) from error
    except IntegrityError as error:
        raise gone from error


def _taken(model: type[Purchase | Claim]) -> str:
    if model is Purchase:
        return _("You have already bought this idea.")
    return _("This idea is already claimed.")
