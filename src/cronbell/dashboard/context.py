"""What the frame around every page shows; nothing here asks the database until a template does."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import cached_property

from cronbell import __version__
from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard.access import is_admin, may_see
from cronbell.dashboard.additions import Addition, additions
from cronbell.dashboard.preferences import theme_of
from cronbell.runlog import queries
from cronbell.server.health import Check, Trouble, watch

_KEPT = "_cronbell_shell"


class Shell:
    """The frame of one request."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.version = __version__
        self.languages = settings.LANGUAGES

    @cached_property
    def theme(self) -> str:
        """``auto``, ``light`` or ``dark``."""
        return theme_of(self.request)

    @cached_property
    def is_admin(self) -> bool:
        """Whether the viewer is an administrator."""
        user = getattr(self.request, "user", None)
        return user is not None and is_admin(user)

    @cached_property
    def may_see(self) -> bool:
        """Whether the viewer may look at everything."""
        user = getattr(self.request, "user", None)
        return user is not None and may_see(user)

    @cached_property
    def now(self) -> datetime:
        """The moment that the page is of."""
        return SYSTEM_CLOCK.now()

    @cached_property
    def runner(self) -> queries.RunnerState:
        """Whether a runner is alive, and when one was last seen."""
        return queries.runner_state(self.now)

    @property
    def additions(self) -> list[Addition]:
        """The pages that the application has added."""
        return additions()

    @cached_property
    def troubles(self) -> list[Trouble]:
        """What else is wrong with Cronbell itself."""
        return [found for found in watch.troubles() if found.check is not Check.RUNNER]

    @cached_property
    def address(self) -> str:
        """Where the language and theme switches lead back to."""
        if self.request.method == "GET" and "HX-Request" not in self.request.headers:
            return self.request.get_full_path()
        return self.request.path


def shell(request: HttpRequest) -> dict[str, Any]:
    """Give templates ``shell``."""
    return {"shell": shell_of(request)}


def shell_of(request: HttpRequest) -> Shell:
    """Return the frame of a request, the same each time."""
    known: Shell | None = getattr(request, _KEPT, None)
    if known is None:
        known = Shell(request)
        setattr(request, _KEPT, known)
    return known
