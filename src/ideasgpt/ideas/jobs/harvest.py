"""One category ─► its new ideas: ask, read, drop what is here already, ask once more if short."""

from __future__ import annotations

from dataclasses import dataclass, field

from cronbell.clock import Clock
from ideasgpt.ideas.duplicates import Known
from ideasgpt.ideas.prompts import ask_for_ideas
from ideasgpt.llm.chat import ChatClient, Ended, Reply, Usage
from ideasgpt.llm.parse import Draft, parse_ideas

LEAST_SECONDS = 1.0  # a call with less would only cost money
ASKS = 2
# After these a second question may do better; a provider that fails was asked again already.
WORTH_ASKING_AGAIN = frozenset({Ended.ANSWERED, Ended.TRUNCATED, Ended.EMPTY})


@dataclass(slots=True)
class Harvest:
    """What came of one category.

    Attributes:
        drafts: the new ideas.
        duplicates: how many were here already.
        dropped: how many had no usable title and description.
        usage: of all calls.
        last: the last reply; None where there was no time for a question.
    """

    drafts: list[Draft] = field(default_factory=list)
    duplicates: int = 0
    dropped: int = 0
    usage: Usage = field(default_factory=Usage)
    last: Reply | None = None

    @property
    def failed(self) -> bool:
        """Whether nothing came of it. An answer of nothing but known ideas was an answer."""
        return not self.drafts and not self.duplicates


def harvest(
    client: ChatClient,
    known: Known,
    *,
    category: str,
    count: int,
    language: str,
    seed: str,
    seconds: float,
    clock: Clock,
) -> Harvest:
    """Ask for ``count`` ideas; returns within ``seconds``, with what there is.

    Args:
        client: whom to ask.
        known: the category's ideas; the new ones are added.
        category: its name in ``language``.
        count: how many.
        language: ``en`` or ``ko``.
        seed: of the offline sample.
        seconds: for both questions together.
        clock: measures them.
    """
    ends = clock.monotonic() + seconds
    result = Harvest()
    for turn in range(ASKS):
        left = ends - clock.monotonic()
        if left < LEAST_SECONDS:
            break
        question = ask_for_ideas(
            category=category,
            count=count - len(result.drafts),
            known=[draft.title for draft in result.drafts] + known.titles,
            language=language,
            again=turn > 0,
            seed=seed,
        )
        reply = client.complete(question, left)
        result.last = reply
        result.usage += reply.usage
        _read(reply, known, count, result)
        if len(result.drafts) == count or reply.ended not in WORTH_ASKING_AGAIN:
            break
    return result


def _read(reply: Reply, known: Known, count: int, result: Harvest) -> None:
    parsed = parse_ideas(reply.text, cut=reply.ended is Ended.TRUNCATED)
    result.dropped += parsed.dropped
    for draft in parsed.ideas:
        if len(result.drafts) == count:
            break  # more than was asked for
        if known.take(draft):
            result.drafts.append(draft)
        else:
            result.duplicates += 1
