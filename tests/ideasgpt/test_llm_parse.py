from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ideasgpt.llm import parse
from ideasgpt.llm.parse import Draft, parse_ideas

RECORDED = json.loads((Path(__file__).parent / "broken_answers.json").read_text(encoding="utf-8"))
# What answers are made of, so that random texts come near to being one.
PIECES = st.sampled_from([
    "{", "}", "[", "]", '"', "'", ":", ",", "\\", "\\u", "\\ud83c", "\n", "```json\n", "```", " ",
    '"title"', '"description"', "title:", "제목", '"ideas": [', "1. ", "2) ", "**", "null", "1e999",
    '{"title": "A", "description": "B c"}', "밤 창고", "<think>", "\x00", "\ud800", "- ", "ß", "ﬁ",
])  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join))


def letters(text: str) -> str:
    return "".join(one for one in text if one.isalnum())


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["name"])
def test_a_recorded_answer_gives_the_ideas_that_are_in_it(case):
    parsed = parse_ideas(case["text"], cut=case.get("cut", False))
    assert [[draft.title, draft.description] for draft in parsed.ideas] == case["ideas"]
    assert parsed.dropped == case["dropped"]


@given(TEXTS, st.booleans())
def test_no_text_raises_or_yields_an_idea_that_could_not_be_stored(text, cut):
    for draft in parse_ideas(text, cut=cut).ideas:
        for words, longest in ((draft.title, 200), (draft.description, 5000)):
            assert 0 < len(words) <= longest
            assert letters(words)
            assert words.isprintable()
            words.encode()


@given(st.lists(PIECES.filter(lambda piece: "\\" not in piece), max_size=40).map("".join))
def test_no_text_yields_words_that_are_not_in_it(text):
    """Without escapes in the text, reading it letter by letter needs none of the parser's help."""
    said = letters(text)
    for draft in parse_ideas(text).ideas:
        assert letters(draft.title) in said
        assert letters(draft.description) in said


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), max_size=5), st.booleans())
def test_every_good_idea_of_proper_json_comes_back(pairs, ascii_only):
    ideas = [{"title": f"T {one}", "description": f"D {other}"} for one, other in pairs]
    parsed = parse_ideas(json.dumps({"ideas": ideas}, ensure_ascii=ascii_only))
    assert len(parsed.ideas) + parsed.dropped == len(ideas)
    assert parsed.dropped == 0


def test_sabotage_without_the_check_a_repair_makes_ideas_up(monkeypatch):
    """A repair that fills in what is missing must not get its words into the service."""
    made_up = [{"title": "Made up", "description": "By the repair."}]
    monkeypatch.setattr(parse.json_repair, "loads", lambda _text: made_up)
    assert parse_ideas('{"title": ').ideas == ()
    monkeypatch.setattr(parse, "_was_said", lambda *_args, **_kwargs: True)
    assert parse_ideas('{"title": ').ideas == (Draft("Made up", "By the repair."),)


def test_a_repair_that_fails_is_no_answer(monkeypatch):
    def fail(_text):
        raise IndexError

    monkeypatch.setattr(parse.json_repair, "loads", fail)
    assert parse_ideas("{'title': 'A', 'description': 'B'}").ideas == ()


@pytest.mark.parametrize("text", ["[" * 60_000, '{"a":' * 30_000, "1. " * 60_000, '"' * 90_000])
def test_a_long_senseless_text_ends(text):
    assert parse_ideas(text).ideas == ()


def test_an_idea_that_is_too_long_is_dropped_and_not_cut():
    long = [{"title": "t" * 201, "description": "d"}, {"title": "t", "description": "d" * 5001}]
    fits = {"title": "t" * 200, "description": "d" * 5000}
    parsed = parse_ideas(json.dumps({"ideas": [*long, fits]}))
    assert (len(parsed.ideas), parsed.dropped) == (1, 2)
