"""``/healthz``: is all well here? For machines that ask; it needs no sign-in and tells no secrets.

200 where all is well, else 503, with the name of each check and whether it is fine: no path, no
address, no error's text. ``/healthz/ready`` looks at what this web process itself needs, whether or
not a runner is alive: that is for a container that is the web part alone. ``/healthz/live`` says
only that this process answers, which is what whoever restarts web processes should ask: a runner
that is gone, or a database, is not mended by that.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

from cronbell.server.health import Check, watch

PATH = "/healthz"
READY_PATH = "/healthz/ready"
LIVE_PATH = "/healthz/live"
# What is looked at, by path.
LOOKED_AT = {PATH: tuple(Check), READY_PATH: (Check.DATABASE, Check.DISK)}
METHODS = ("GET", "HEAD")


def healthz(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Answer at the three paths, before anything that asks for a host, a session or a language.

    A container's own check asks 127.0.0.1 and an orchestrator some address of the day, whatever
    hosts are allowed.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path_info not in {*LOOKED_AT, LIVE_PATH}:
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
    checks = {check.value: check not in wrong for check in LOOKED_AT[request.path_info]}
    ok = all(checks.values())
    return JsonResponse({"ok": ok, "checks": checks}, status=200 if ok else 503)
