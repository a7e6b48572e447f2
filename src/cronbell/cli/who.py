"""Who sits at the terminal, and which of Cronbell's users is meant."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

from cronbell.errors import CronbellError

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class UnknownUserError(CronbellError):
    """A user name that nobody has."""

    code = "unknown-user"


def command_line_actor() -> str:
    """Return who runs this command, as the log names them."""
    return f"{getpass.getuser()} (command line)"


def user_named(name: str) -> User:
    """Return the user of that name.

    Raises:
        UnknownUserError: there is none.
    """
    from django.contrib.auth.models import User

    found = User.objects.filter(username=name).first() if "\0" not in name else None
    if found is None:
        users = User.objects.filter(is_active=True).order_by("id")
        known = ", ".join(users.values_list("username", flat=True)[:5])
        raise UnknownUserError(
            f"there is no user {name!r}", hint=f"the first users there are: {known}"
        )
    return found
