"""``/healthz``: is all well here? For machines that ask; it needs no sign-in and tells no secrets.

200 where all is well, else 503, with the name of each check and whether it is fine: no path, no
address, no error's text. ``/healthz/live`` says only that this process answers, which is what
whoever restarts web processes should ask: a runner that is gone is not mended by that.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

from cronbell.server.health import Check, watch

PATH = "/healthz"
LIVE_PATH = "/healthz/live"
METHODS = ("GET", "HEAD")


def healthz(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Answer at the two paths, before anything that asks for a host, a session or a language.

    A container's own check asks 127.0.0.1 and an orchestrator some address of the day, whatever
    hosts are allowed.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path_info not in {PATH, LIVE_PATH}:
            return get_response(request)
        answer = _answer(request)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    return middleware


def _answer(request: HttpRequest) -> HttpResponse:
    if request.method not in METHODS:
        allowed = ", ".join(METHODS)
        return JsonResponse({"error": f"use {allowed}"}, status=405, headers={"Allow": allowed})
    if request.path_info == LIVE_PATH:
        return JsonResponse({"ok": True})
    wrong = {trouble.check for trouble in watch.troubles()}
    checks = {check.value: check not in wrong for check in Check}
    return JsonResponse({"ok": not wrong, "checks": checks}, status=503 if wrong else 200)
