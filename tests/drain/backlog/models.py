from __future__ import annotations

from django.db import models

from cronbell.drain.models import DrainState


class Letter(DrainState):
    """A record; ``stamped`` is the application's own condition."""

    text = models.CharField(max_length=50, default="")
    stamped = models.BooleanField(default=True)
    posted = models.BooleanField(default=False)

    class Meta(DrainState.Meta):
        pass

    def __str__(self) -> str:
        return self.text
