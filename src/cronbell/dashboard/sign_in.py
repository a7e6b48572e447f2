"""Signing in and out."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import logout
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from cronbell.clock import SYSTEM_CLOCK
from cronbell.dashboard import throttle
from cronbell.dashboard.access import local_path
from cronbell.runlog import audit

MINUTE = 60
TOO_MANY_REQUESTS = 429


class SignInForm(AuthenticationForm):
    """Django's form, asked only while the throttle lets it be."""

    wait_seconds = 0
    attempt: throttle.Attempt | None = None

    def clean(self) -> dict[str, Any]:
        """Check the password, unless too many were tried; counted as wrong until it is right.

        Raises:
            ValidationError: wrong, or to be tried later; neither says whether the name exists.
        """
        assert self.request is not None  # noqa: S101 - LoginView always hands it over
        if not (self.cleaned_data.get("username") and self.cleaned_data.get("password")):
            return self.cleaned_data  # nothing is tried with half a form
        now = SYSTEM_CLOCK.now()
        self.attempt = throttle.attempt_of(self.request, self.cleaned_data.get("username") or "")
        self.wait_seconds = throttle.begin(self.attempt, now)
        if self.wait_seconds:
            minutes = -(-self.wait_seconds // MINUTE)
            message = ngettext(
                "Too many attempts. Try again in %(minutes)s minute.",
                "Too many attempts. Try again in %(minutes)s minutes.",
                minutes,
            ) % {"minutes": minutes}
            self.add_error(None, message)
            return self.cleaned_data
        return dict(super().clean())


class SignIn(LoginView):
    """``/admin/login``."""

    template_name = "cronbell/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def get_default_redirect_url(self) -> str:
        """Lead to the log."""
        return local_path(self.request, "")

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Sign in: the session gets a new id, the browser becomes a known one."""
        response = super().form_valid(form)
        audit.record(audit.Action.SIGN_IN, "user", self.request.user.get_username())
        if isinstance(form, SignInForm) and form.attempt is not None:
            throttle.record_success(
                self.request, response, form.cleaned_data["username"], form.attempt
            )
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Show the form again; 429 with ``Retry-After`` while the throttle holds."""
        response = super().form_invalid(form)
        wait = getattr(form, "wait_seconds", 0)
        if wait:
            response.status_code = TOO_MANY_REQUESTS
            response.headers["Retry-After"] = str(wait)
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Name the page."""
        return super().get_context_data(**kwargs) | {"page_title": _("Sign in")}


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session on the server, then show the sign-in page."""
    if request.user.is_authenticated:
        audit.record(audit.Action.SIGN_OUT, "user", request.user.get_username())
    logout(request)
    return HttpResponseRedirect(resolve_url("cronbell:sign-in"))
