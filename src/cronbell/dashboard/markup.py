"""HTML put together from texts, each escaped: what a page writes hundreds of times."""

from __future__ import annotations

from html import escape

from django.utils.safestring import SafeString


def markup(text: str, *values: object, **named: object) -> SafeString:
    """Fill values into HTML; what is not marked safe is escaped.

    It gives what Django's ``format_html`` gives. That one is made for texts which are translated
    only when they are shown, and looks at each value several times for it: of a page of the log
    it took a sixth.

    Args:
        text: the HTML, with the fields of ``str.format``.
        values: for the fields without a name.
        named: for the others.
    """
    filled = [_escaped(value) for value in values]
    if not named:
        return SafeString(text.format(*filled))
    return SafeString(
        text.format(*filled, **{name: _escaped(value) for name, value in named.items()})
    )


def _escaped(value: object) -> str:
    if isinstance(value, SafeString):
        return value
    if type(value) is str:
        return escape(value)
    if type(value) is int:
        return str(value)
    # A translation is marked safe where its source is.
    known = str(value)
    return known if isinstance(known, SafeString) else escape(known)
