"""Where everything is: the service's pages and API, and Cronbell's own addresses."""

from __future__ import annotations

from django.urls import include, path

from ideasgpt.ideas import pages
from ideasgpt.ideas.api import api
from ideasgpt.verification import pages as verification_pages
from ideasgpt.verification.api import api as verification_api

urlpatterns = [
    # Before Cronbell's, whose own "/" leads to the dashboard.
    path("", pages.ranking, name="ranking"),
    path("category/<slug:slug>", pages.category, name="category"),
    path("ideas/<int:idea_id>", pages.idea, name="idea"),
    # Before Cronbell's, which answers for everything else under /api/admin/.
    path("api/", verification_api.urls),
    path("admin/reviews", verification_pages.reviews_page, name="reviews"),
    path("admin/reviews/<int:record_id>", verification_pages.review_page, name="review"),
    path("admin/reviews/<int:record_id>/text", verification_pages.review_text, name="review-text"),
    path("", include("cronbell.server.urls")),
    path("api/", api.urls),
]
