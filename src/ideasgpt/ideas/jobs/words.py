"""A job's words are the service's, not the caller's: they are stored in the run log."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.functional import lazy
from django.utils.translation import override


def service_text(message: Any, **values: object) -> str:
    """Return a lazy translation in the service's language, with its values filled in.

    Args:
        message: what ``gettext_lazy`` or ``ngettext_lazy`` gave.
        values: what its ``%(name)s`` stand for.
    """
    with override(settings.LANGUAGE_CODE):
        return str(message % values) if values else str(message)


# For decorators, which run before translations are loaded.
service_text_later = lazy(service_text, str)
