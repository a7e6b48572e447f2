from __future__ import annotations

from django.db import models


class Effect(models.Model):
    """What a job did; the tests count them."""

    job = models.CharField(max_length=50)
    run = models.CharField(max_length=200)

    def __str__(self) -> str:
        return f"{self.job} {self.run}"
