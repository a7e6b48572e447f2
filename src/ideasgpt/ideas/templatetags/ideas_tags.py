"""Small helps for the templates."""

from __future__ import annotations

import re

from django import template

register = template.Library()

HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")


@register.filter
def language_of(text: str) -> str:
    """Return ``ko`` for a text with Hangul in it, else ``en``: how a screen reader speaks it."""
    return "ko" if HANGUL.search(text) else "en"


@register.filter
def grouped(number: int) -> str:
    """Write a count with its thousands apart, alike in English and Korean: ``12,345``."""
    return f"{number:,}"


@register.filter
def score(number: float) -> str:
    """Write a score with its one decimal: ``12,345.6``."""
    return f"{number:,.1f}"
