"""What the model is asked for ideas, in the service's language, and the offline sample answer."""

from __future__ import annotations

import json
from random import Random
from typing import Any, NamedTuple

from ideasgpt.llm.chat import Question
from ideasgpt.sample.compose import compose

TEMPERATURE = 0.7
TITLES_SHOWN = 30

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "ideas": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"title": {"type": "string"}, "description": {"type": "string"}},
                "required": ["title", "description"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["ideas"],
    "additionalProperties": False,
}


class Words(NamedTuple):
    """The prompts of one language."""

    system: str
    task: str
    avoid: str
    again: str
    sample_title: str
    sample_description: str


ENGLISH = Words(
    system=(
        "You think of ideas for new products and services. Answer with JSON only, of this form: "
        '{"ideas": [{"title": "…", "description": "…"}]}. The title is one line of at most 80 '
        "characters. The description is two or three sentences: what it is, for whom, and how it "
        "earns money. Write in English."
    ),
    task="Category: %(category)s\nNumber of ideas: %(count)d",
    avoid="These exist already. Do not repeat or reword them:\n%(titles)s",
    again=(
        "Your last answer did not hold enough new ideas that could be used. Mind the form: whole, "
        "valid JSON, every idea with a title and a description."
    ),
    sample_title="[Sample] %(title)s",
    sample_description="Sample text, not written by a model: %(description)s",
)
KOREAN = Words(
    system=(
        "당신은 새로운 제품과 서비스의 아이디어를 내는 사람입니다. 다음 형식의 JSON으로만 "
        '답하세요: {"ideas": [{"title": "…", "description": "…"}]}. title은 40자 이내의 한 '
        "줄입니다. description은 두세 문장으로, 무엇인지, 누구를 위한 것인지, 어떻게 수익을 "
        "내는지를 씁니다. 한국어로 쓰세요."
    ),
    task="카테고리: %(category)s\n아이디어 수: %(count)d",
    avoid="다음은 이미 있는 아이디어입니다. 되풀이하거나 말만 바꾸지 마세요:\n%(titles)s",
    again=(
        "지난 답변에는 쓸 수 있는 새 아이디어가 부족했습니다. 형식을 지키세요: 온전하고 올바른 "
        "JSON이어야 하고, 모든 아이디어에 title과 description이 있어야 합니다."
    ),
    sample_title="[예시] %(title)s",
    sample_description="모델이 쓰지 않은 예시 문구입니다: %(description)s",
)


def words_of(language: str) -> Words:
    """Return the prompts of a language; English unless it is Korean."""
    return KOREAN if language.partition("-")[0] == "ko" else ENGLISH


def ask_for_ideas(
    *, category: str, count: int, known: list[str], language: str, again: bool, seed: str
) -> Question:
    """Put the question for one category.

    Args:
        category: its name, in that language.
        count: how many ideas.
        known: titles not to repeat, the most important first.
        language: ``en`` or ``ko``.
        again: the answer before was not good enough.
        seed: of the offline sample, so that a run's sample differs from the next run's.
    """
    words = words_of(language)
    parts = [words.task % {"category": category, "count": count}]
    if known:
        titles = json.dumps(known[:TITLES_SHOWN], ensure_ascii=False)
        parts.append(words.avoid % {"titles": titles})
    if again:
        parts.append(words.again)
    return Question(
        system=words.system,
        user="\n\n".join(parts),
        name="ideas",
        schema=SCHEMA,
        temperature=TEMPERATURE,
        sample=lambda: _sample(words, count, f"{seed} {category} {again}"),
    )


def _sample(words: Words, count: int, seed: str) -> str:
    random = Random(seed)  # noqa: S311 - repeatable is what is wanted
    ideas: list[dict[str, str]] = []
    while len(ideas) < count:
        text = compose(random)
        # compose() mixes languages; a title with Hangul in it is a Korean one.
        if text.title.isascii() == (words is ENGLISH):
            title = words.sample_title % {"title": text.title}
            description = words.sample_description % {"description": text.description}
            ideas.append({"title": title, "description": description})
    return json.dumps({"ideas": ideas}, ensure_ascii=False)
