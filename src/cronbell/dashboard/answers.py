"""What every part of the JSON API shares: the shape of errors, and the service's language."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.utils import translation
from django.utils.translation import gettext as _
from ninja import Schema


class ErrorAnswer(Schema):
    """What went wrong, in the service's language."""

    error: str
    details: Any = None


Refusals = dict[int, type[Schema]]
REFUSALS: Refusals = {400: ErrorAnswer, 401: ErrorAnswer, 403: ErrorAnswer}
# Where the address has a part that may name nothing.
NOT_FOUND: Refusals = {**REFUSALS, 404: ErrorAnswer}
EVERY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
OTHERS_THAN_GET = [method for method in EVERY_METHOD if method != "GET"]
OTHERS_THAN_POST = [method for method in EVERY_METHOD if method != "POST"]
OTHERS_THAN_BOTH = [method for method in OTHERS_THAN_GET if method != "POST"]


def in_service_language(view: Callable[..., Any]) -> Callable[..., Any]:
    """Answer in the service's language, whatever the caller's browser asks for."""

    @functools.wraps(view)
    def speaking(*args: Any, **kwargs: Any) -> Any:
        with translation.override(settings.LANGUAGE_CODE):
            return view(*args, **kwargs)

    # Read here, where the names are those of the view's module: ninja would look for them in ours.
    setattr(speaking, "__signature__", inspect.signature(view, eval_str=True))  # noqa: B010
    return speaking


def wrong_method(*allowed: str) -> HttpResponse:
    """Return the answer to a method that an address does not have, to whoever may know of it."""
    words = _("Use %(method)s here.") % {"method": ", ".join(allowed)}
    return JsonResponse({"error": words}, status=405, headers={"Allow": ", ".join(allowed)})
