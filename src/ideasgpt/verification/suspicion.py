"""Text ─► signs that it talks to the model instead of a person, or hides something.

A list of patterns can't be complete, and nothing rests on this alone: without evidence in the
text and the rules' consent a record is not approved, whatever a model says.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata

_LAYOUT = frozenset("\n\r\t\f")
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u034f\u2800\u180e")
_INSTRUCTIONS = re.compile(
    r"""
      \b(?:ignor|disregard|forget|overrid|bypass)\w*\W+(?:\w+\W+){0,6}
        (?:instru|rule|prompt|polic|guideline|check|above|previous|anweis|consign|regel)
    | \b(?:system|developer)\W+(?:prompt|message|instruction|override|note)
    | \b(?:you\W+are|act\W+as|as\W+an?)\W+(?:now\W+)?(?:an?\W+)?
        (?:ai|llm|language\W+model|assistant|verifier)\b
    | \b(?:language\W+model|chatbot|chat\W*gpt)\b
    | \b(?:approve|accept|mark|classify|treat|label|flag)\W+(?:this|the|it|all|any)\W+
        (?:\w+\W+){0,4}?(?:approv|record|document|application|claim|valid|verified)
    | \b(?:set|return|output|respond|reply|answer|print)\W+(?:\w+\W+){0,5}?
        (?:approved|verdict|json|true|matches)
    | \b(?:assistant|system|user)\s*:\s
    | <\|?\W{0,20}(?:im_start|im_end|system|assistant|document|untrusted)\b | \[/?inst\]
    | (?:이전|위|앞|모든|기존).{0,12}(?:지시|명령|지침|규칙|프롬프트)
    | (?:지시|명령|지침|규칙|검사|확인).{0,8}(?:무시|잊|건너)
    | (?:승인|통과|적합|일치).{0,6}
        (?:하세요|하십시오|하라|해라|해\s?줘|해\s?주세요|처리|판정|출력|응답|답)
    | 시스템\s*(?:프롬프트|메시지|지시) | (?:인공지능|언어\s*모델|AI\s*(?:모델|비서|심사|검증))
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_ANSWER = re.compile(
    r"(?:verdict|injection_suspected|tool_calls|function_call|finish_reason|\bchecks)"
    r"[\"'\\`*]*\s*[:=]|판정\s*[:=]",
    re.IGNORECASE,
)
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{40,}={0,2}")
_RUN_TOGETHER = re.compile(
    r"ignore(?:all|the|any)?(?:previous|above|prior)|previousinstructions|approvethisrecord"
    r"|systemprompt|이전지시|지시무시|승인하세요|승인하라"
)
_OTHER_LETTERS = 20  # of scripts whose language is not looked into


def suspicions(text: str) -> list[str]:
    """Return the kinds of signs found, each once."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    letters = "".join(one for one in plain if one.isalnum())
    signs = {
        "invisible_characters": any(map(is_invisible, text)),
        "instructions": bool(_INSTRUCTIONS.search(plain) or _RUN_TOGETHER.search(letters)),
        "answer_shaped": bool(_ANSWER.search(plain)),
        "encoded_text": any(_decodes(one) for one in _ENCODED.findall(text)),
        "lookalike_letters": any(len(_scripts(word)) > 1 for word in re.findall(r"\w+", text)),
        "unknown_language": sum(_script(one) == "other" for one in text) > _OTHER_LETTERS,
    }
    return [name for name, there in signs.items() if there]


def is_invisible(one: str) -> bool:
    """Say whether a character leaves no mark, and is none that lays out a text either."""
    if one in _LAYOUT:
        return False
    return unicodedata.category(one) in {"Cc", "Cf", "Co", "Cn", "Cs"} or (
        one in _BLANK_LETTERS or "\ufe00" <= one <= "\ufe0f" or "\U000e0000" <= one <= "\U000e0fff"
    )


def _decodes(run: str) -> bool:
    try:
        found = base64.b64decode(run[: len(run) // 4 * 4].replace("-", "+").replace("_", "/"))
        words = found.decode()
    except (binascii.Error, ValueError):
        return False
    return sum(one.isprintable() for one in words) >= 0.95 * len(words)


def _script(one: str) -> str:
    if not one.isalpha():
        return ""
    if one.isascii():
        return "latin"
    name = unicodedata.name(one, "").partition(" ")[0]
    return {"LATIN": "latin", "HANGUL": "hangul", "CYRILLIC": "other", "GREEK": "other"}.get(
        name, "latin" if name in {"FEMININE", "MASCULINE", "MICRO"} else "other"
    )


def _scripts(word: str) -> set[str]:
    return {_script(one) for one in word} & {"latin", "other"}
