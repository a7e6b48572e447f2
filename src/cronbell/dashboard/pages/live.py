"""Parts of pages that keep themselves current: given again only where they have changed."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

VERSION_HEADER = "X-Cronbell-Version"
NO_CHANGE = 204
# What forms carry is new each time and says nothing that a viewer sees.
ONE_TIME = re.compile(r'name="(csrfmiddlewaretoken|nonce)" value="[^"]*"')
SEE_OTHER = 303


def wants_part(request: HttpRequest, part: str) -> bool:
    """Say whether the part of the page with this id is asked for, rather than the whole page."""
    return request.headers.get("HX-Target") == part


def live_part(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """Give a part anew; nothing at all where the viewer has just this already.

    What is not exchanged keeps its focus and its place.
    """
    html = render_to_string(template, context, request)
    version = hashlib.sha256(ONE_TIME.sub("", html).encode()).hexdigest()[:16]
    if request.headers.get(VERSION_HEADER) == version:
        return HttpResponse(status=NO_CHANGE)
    response = HttpResponse(html)
    response.headers[VERSION_HEADER] = version
    return response


def page_window(page: int, pages: int, window: int = 5) -> range:
    """Return the (at most five) page numbers shown around ``page``."""
    first = max(1, min(page - window // 2, pages - window + 1))
    return range(first, min(pages, first + window - 1) + 1)
