"""What a part of an address may be, beyond what Django knows."""

from __future__ import annotations

from django.urls import register_converter
from django.urls.converters import StringConverter


class Anything(StringConverter):
    """All that is left of an address, line breaks included: an application names its records.

    Django's own ``path`` stops at a line break, so that such an address had no operation.
    """

    regex = "(?s:.+)"


register_converter(Anything, "anything")
