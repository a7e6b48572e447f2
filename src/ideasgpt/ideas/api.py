"""The JSON API: create ideas, purchases and claims; read the ranking.

Writing needs a signed-in session and its CSRF token (header ``X-CSRFToken``). Every error is
``{"error": …}``, with ``details`` where there is more to say.
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, cast

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import NinjaAPI, Schema, Status
from ninja.errors import AuthenticationError, AuthorizationError, HttpError, ValidationError
from ninja.security import django_auth
from pydantic import ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from ideasgpt.ideas.models import DESCRIPTION_LENGTH, TITLE_LENGTH, Category, Claim, Idea, Purchase
from ideasgpt.ideas.ranking import MOST_RANKED, PageError, parse_number, ranked
from ideasgpt.ideas.taking import GoneError, TakenError, take

DEFAULT_LIMIT = 25
MOST_LIMIT = 200
LAST_ID = 2**63 - 1

api = NinjaAPI(
    title="IdeasGPT",
    description="Create ideas, purchases and claims; read the ranking.",
    version="1",
    urls_namespace="ideas-api",
    auth=django_auth,
    docs_url=None,
)

# A NUL byte is text that PostgreSQL cannot keep.
Text = StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\x00]*$")


class _Wire(Schema):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", strict=True
    )


class NewIdea(_Wire):
    """An idea to be created."""

    title: Annotated[str, Text, Field(max_length=TITLE_LENGTH)]
    description: Annotated[str, Text, Field(max_length=DESCRIPTION_LENGTH)]
    category: Annotated[str, Field(max_length=60, description="the category's slug")]
    is_temporary: bool = False


class OfIdea(_Wire):
    """A purchase or claim to be created."""

    idea_id: Annotated[int, Field(ge=1, le=LAST_ID)]


class IdeaOut(_Wire):
    """An idea."""

    id: int
    title: str
    description: str
    category: str
    view_count: int
    ranking_score: float
    purchases: int
    is_claimed: bool
    is_temporary: bool
    is_ai_generated: bool
    created_at: datetime


class Pagination(_Wire):
    """Where in the list this page is; ``total`` counts at most 10,000."""

    total: int
    page: int
    limit: int
    pages: int
    capped: bool


class IdeasOut(_Wire):
    """One page of the ranking."""

    ideas: list[IdeaOut]
    pagination: Pagination


class TakenOut(_Wire):
    """A purchase or claim."""

    id: int
    idea_id: int
    created_at: datetime


class ErrorOut(Schema):
    """Every error."""

    error: str
    details: list[str] | None = None


class RefusedError(Exception):
    """A request that is answered with a status and a reason."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


ERRORS: dict[Any, Any] = {frozenset({400, 401, 403, 404, 409}): ErrorOut}


@api.get("ideas", response={200: IdeasOut, **ERRORS}, auth=None, by_alias=True)
def list_ideas(
    request: HttpRequest,
    category: str | None = None,
    page: str | None = None,
    limit: str | None = None,
) -> IdeasOut:
    """Give one page of ideas, best first; of one category (by slug), or of all."""
    del request
    size = parse_number("limit", limit, DEFAULT_LIMIT, MOST_LIMIT)
    number = parse_number("page", page, 1, MOST_RANKED)
    shelf = None if category is None else _category(category)
    found = ranked(shelf, number, size)
    return IdeasOut(
        ideas=[_idea(idea, found.purchases.get(idea.pk, 0)) for idea in found.ideas],
        pagination=Pagination(
            total=found.total,
            page=number,
            limit=size,
            pages=found.pages,
            capped=found.capped,
        ),
    )


@api.post("ideas", response={201: IdeaOut, **ERRORS}, by_alias=True)
def create_idea(request: HttpRequest, body: NewIdea) -> Status[IdeaOut]:
    """Create an idea, with the signed-in user as its author."""
    idea = Idea.objects.create(
        title=body.title,
        description=body.description,
        category=_category(body.category),
        is_temporary=body.is_temporary,
        author=_user(request),
    )
    return Status(201, _idea(idea, 0))


@api.post("purchases", response={201: TakenOut, **ERRORS}, by_alias=True)
def create_purchase(request: HttpRequest, body: OfIdea) -> Status[TakenOut]:
    """Buy an idea; a user can buy each idea once."""
    return Status(201, _take(Purchase, body.idea_id, request))


@api.post("claims", response={201: TakenOut, **ERRORS}, by_alias=True)
def create_claim(request: HttpRequest, body: OfIdea) -> Status[TakenOut]:
    """Claim an idea; an idea can be claimed once."""
    return Status(201, _take(Claim, body.idea_id, request))


def _take(model: type[Purchase | Claim], idea_id: int, request: HttpRequest) -> TakenOut:
    try:
        made = take(model, idea_id, _user(request))
    except GoneError as error:
        raise RefusedError(HTTPStatus.NOT_FOUND, error.message) from error
    except TakenError as error:
        raise RefusedError(HTTPStatus.CONFLICT, error.message) from error
    return TakenOut(id=made.pk, idea_id=idea_id, created_at=made.created_at)


def _user(request: HttpRequest) -> User:
    return cast("User", request.user)  # django_auth let nobody else in


def _category(slug: str) -> Category:
    # A NUL byte cannot be in a slug, and PostgreSQL refuses to look for one.
    found = None if "\x00" in slug else Category.objects.filter(slug=slug).first()
    if found is None:
        raise RefusedError(
            HTTPStatus.NOT_FOUND, _("There is no category “%(slug)s”.") % {"slug": slug[:60]}
        )
    return found


def _idea(idea: Idea, purchases: int) -> IdeaOut:
    return IdeaOut(
        id=idea.pk,
        title=idea.title,
        description=idea.description,
        category=idea.category.slug,
        view_count=idea.view_count,
        ranking_score=idea.ranking_score,
        purchases=purchases,
        is_claimed=hasattr(idea, "claim"),
        is_temporary=idea.is_temporary,
        is_ai_generated=idea.is_ai_generated,
        created_at=idea.created_at,
    )


def _error(
    request: HttpRequest, status: int, message: str, details: list[str] | None = None
) -> HttpResponse:
    body: dict[str, Any] = {"error": message}
    if details:
        body["details"] = details
    return api.create_response(request, body, status=status)


@api.exception_handler(RefusedError)
def _refused(request: HttpRequest, error: RefusedError) -> HttpResponse:
    return _error(request, error.status, error.message)


@api.exception_handler(PageError)
def _bad_page(request: HttpRequest, error: PageError) -> HttpResponse:
    return _error(request, HTTPStatus.BAD_REQUEST, error.message, [error.hint])


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    details = [f"{_place(fault['loc'])}: {fault['msg']}" for fault in error.errors]
    return _error(request, HTTPStatus.BAD_REQUEST, _("The request is not valid."), details)


@api.exception_handler(AuthenticationError)
def _nobody(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    del error
    return _error(request, HTTPStatus.UNAUTHORIZED, "Unauthorized")


@api.exception_handler(AuthorizationError)
def _forbidden(request: HttpRequest, error: AuthorizationError) -> HttpResponse:
    return _error(request, HTTPStatus.FORBIDDEN, str(error))


@api.exception_handler(HttpError)
def _http(request: HttpRequest, error: HttpError) -> HttpResponse:
    return _error(request, error.status_code, str(error))


def _place(location: tuple[Any, ...]) -> str:
    # ("body", "body", "title"): where it was looked for, the parameter's name, the field.
    return ".".join(str(part) for part in location[2:]) or "body"
