"""``generate-ideas``: a few new ideas for each category, written by a language model.

Each category stands alone: its share of the time, its answer, its failure, its transaction. So one
slow or failing category costs the others nothing, and a run that is sent again after a crash goes
on with those that are not finished.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy, override

from cronbell.clock import iso
from cronbell.endpoint import JobContext, JobResult, cron_job
from cronbell.errors import CronbellError
from ideasgpt.ideas.duplicates import Known
from ideasgpt.ideas.jobs.batches import (
    categories_in_turn,
    finished_batches,
    keep,
    pause,
    paused_until,
)
from ideasgpt.ideas.jobs.harvest import LEAST_SECONDS, Harvest, harvest
from ideasgpt.ideas.jobs.words import service_text, service_text_later
from ideasgpt.ideas.models import Category, GeneratedBatch
from ideasgpt.llm.chat import ChatClient, Ended, Reply, Usage
from ideasgpt.llm.provider import check_settings, provider_from_environment

check_settings()  # refused at the start, not at noon on Thursday

NAME = "generate-ideas"
CATEGORY = "category"
IDEAS_PER_RUN = 10
LOOK_UP_SECONDS = 1.0  # how soon a job that waits notices that it is to stop
SPARE = 0.02  # of the time, for writing down what the last answer held

FAILURES = {
    Ended.ANSWERED: _("the answer held no idea with a title and a description"),
    Ended.TRUNCATED: _("the answer was cut off before an idea was whole"),
    Ended.EMPTY: _("the answer was empty"),
    Ended.REFUSED: _("the model refused: %(detail)s"),
    Ended.GARBLED: _("the provider's answer could not be read: %(detail)s"),
    Ended.RATE_LIMITED: _("the provider turns requests away: %(detail)s"),
    Ended.UNAVAILABLE: _("the provider could not be reached: %(detail)s"),
    Ended.REJECTED: _("the provider rejected the request: %(detail)s"),
    Ended.TIMED_OUT: _("the provider did not answer in time: %(detail)s"),
}


class GenerationError(CronbellError):
    """Not one idea could be asked for, or no category got an answer."""

    code = "generate-ideas"


@dataclass(slots=True)
class Tally:
    """What a run has to tell when it is over."""

    ideas: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    duplicates: int = 0
    finished: int = 0
    usage: Usage = field(default_factory=Usage)


@cron_job(
    NAME,
    max_duration=300,
    failure_message=service_text_later(_("An error occurred while generating ideas.")),
    parameters=[CATEGORY],
)
def generate_ideas(context: JobContext) -> JobResult:
    """Have ideas written for every category, or for the one that the call names by its slug.

    Returns:
        ``ideasGenerated``, ``duplicates``, ``usage`` and, where a category failed, ``errors``;
        partial then.

    Raises:
        ProviderError: the environment names no provider.
        GenerationError: there is no category, none of that name, or every one failed.
    """
    client = provider_from_environment(context.clock)
    categories = categories_in_turn()
    if not categories:
        raise GenerationError(service_text(_("There is no category to generate ideas for.")))
    count = max(1, IDEAS_PER_RUN // len(categories))
    wanted = context.parameters.get(CATEGORY)
    if wanted is not None:
        categories = [category for category in categories if category.slug == wanted]
        if not categories:
            unknown = _("There is no category with the slug %(slug)s.")
            raise GenerationError(service_text(unknown, slug=wanted))
    return _Run(context, client, categories, count).run()


class _Run:
    def __init__(
        self, context: JobContext, client: ChatClient, categories: Sequence[Category], count: int
    ) -> None:
        self._context = context
        self._client = client
        self._categories = categories
        self._run_id = context.run_id or str(uuid.uuid4())
        self._count = count
        self._spare = context.remaining() * SPARE
        self._tally = Tally()

    def run(self) -> JobResult:
        finished = finished_batches(self._run_id)
        open_ = [one for one in self._categories if one.pk not in finished]
        for category in self._categories:
            if category.pk in finished:
                self._count_in(category, finished[category.pk])
        queue, put_off = deque(open_), set[int]()
        while queue:
            category = queue.popleft()
            waiting = len(queue) + 1
            if not self._serve(category, waiting, may_wait=category.pk not in put_off):
                put_off.add(category.pk)
                queue.append(category)
            self._context.progress(len(self._categories) - len(queue), len(self._categories))
        return self._result()

    def _serve(self, category: Category, waiting: int, *, may_wait: bool) -> bool:
        """Ask for one category's ideas in its share of the time, and write down what came.

        Returns:
            False where the provider asked for a pause that ends in this run's time, so that the
            category's turn is to come again; only if it ``may_wait``.
        """
        until = paused_until(self._client.name, self._context.clock.now())
        if until is not None and self._has_rested(until):
            until = None
        gathered = Harvest()
        if until is None and not self._context.should_stop:
            gathered = self._ask(category, waiting)
            if gathered.last is not None and gathered.last.not_before is not None:
                until = gathered.last.not_before
                pause(self._client.name, until)
        error = _failure(gathered, until) if gathered.failed else ""
        self._tally.usage += gathered.usage
        try:
            batch = keep(
                self._run_id,
                category,
                gathered,
                model=self._client.model,
                real=self._client.real,
                error=error,
                now=self._context.clock.now(),
            )
        except IntegrityError:
            gone = service_text(_("the category was deleted meanwhile"))
            self._failed(category, gone, gathered.usage)
            return True
        if batch.finished:
            self._count_in(category, batch)
        elif may_wait and until is not None and self._ends_in_time(until):
            return False
        else:
            self._failed(category, error, gathered.usage)
        return True

    def _ask(self, category: Category, waiting: int) -> Harvest:
        return harvest(
            self._client,
            Known.of(category),
            category=_label(category),
            count=self._count,
            language=settings.LANGUAGE_CODE,
            seed=self._run_id,
            seconds=(self._context.remaining() - self._spare) / waiting,
            clock=self._context.clock,
        )

    def _ends_in_time(self, until: datetime) -> bool:
        wait = (until - self._context.clock.now()).total_seconds()
        return wait + LEAST_SECONDS <= self._context.remaining() - self._spare

    def _has_rested(self, until: datetime) -> bool:
        """Wait for the end of a pause, if that comes in this run's time; say whether it came."""
        if not self._ends_in_time(until):
            return False
        clock = self._context.clock
        while (wait := (until - clock.now()).total_seconds()) > 0:
            if self._context.should_stop:
                return False
            clock.sleep(min(wait, LOOK_UP_SECONDS))
        return True

    def _count_in(self, category: Category, batch: GeneratedBatch) -> None:
        label = _label(category)
        ideas = [{**idea, "category": label} for idea in batch.ideas]
        self._tally.ideas += ideas
        self._tally.duplicates += batch.duplicates
        self._tally.finished += 1
        body = {
            "category": label,
            "ideas": len(ideas),
            "duplicates": batch.duplicates,
            "unusable": batch.dropped,
            "model": batch.model,
            **_wire(_usage_of(batch)),
        }
        self._context.item(category.slug, ok=True, body=body)

    def _failed(self, category: Category, error: str, usage: Usage) -> None:
        self._tally.errors.append({"category": _label(category), "error": error})
        self._context.item(category.slug, ok=False, body=_wire(usage), error=error)

    def _result(self) -> JobResult:
        tally = self._tally
        failed = service_text(
            ngettext_lazy("%(n)d error", "%(n)d errors", "n"), n=len(tally.errors)
        )
        if not tally.finished:
            each = "; ".join(f"{one['category']}: {one['error']}" for one in tally.errors)
            raise GenerationError(f"{failed} — {each}")
        message = service_text(
            ngettext_lazy("Generated %(n)d idea", "Generated %(n)d ideas", "n"), n=len(tally.ideas)
        )
        data: dict[str, Any] = {
            "ideasGenerated": tally.ideas,
            "duplicates": tally.duplicates,
            "usage": {"model": self._client.model, **_wire(tally.usage)},
        }
        if tally.errors:
            message = f"{message}, {failed}"
            data["errors"] = tally.errors
        return JobResult(message, data, partial=bool(tally.errors))


def _label(category: Category) -> str:
    with override(settings.LANGUAGE_CODE):
        return category.label


def _failure(gathered: Harvest, until: datetime | None) -> str:
    if until is not None:
        return service_text(
            _("the provider asks not to be called before %(instant)s"),
            instant=iso(until.replace(microsecond=0)),
        )
    reply: Reply | None = gathered.last
    if reply is None:
        return service_text(
            _("less than %(seconds)d s were left to ask in"), seconds=int(LEAST_SECONDS)
        )
    return service_text(FAILURES[reply.ended], detail=reply.detail)


def _usage_of(batch: GeneratedBatch) -> Usage:
    return Usage(batch.calls, batch.prompt_tokens, batch.completion_tokens, batch.cost)


def _wire(usage: Usage) -> Mapping[str, Any]:
    return {
        "calls": usage.calls,
        "promptTokens": usage.prompt_tokens,
        "completionTokens": usage.completion_tokens,
        "cost": None if usage.cost is None else float(usage.cost),
    }
