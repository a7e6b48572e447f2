"""A loopback server that speaks as OpenAI-compatible APIs do, in their good and bad moments."""

from __future__ import annotations

import json

from cronbell.testing import answers

CHAT = "/v1/chat/completions"
KEY = "sk-test-0123456789"
ROBOT = ("Robot barber", "Cuts hair in railway stations while people wait for a train.")
LAMP = ("Lamp library", "Lends lamps to students who read at night, a coin for each evening.")
SHIP = ("Ship sitter", "Looks after small boats in winter for owners who live far from the sea.")
BOOK = ("Book swap", "A shelf at each bus stop; whoever takes a novel leaves one there.")
KOREAN = ("밤 창고", "밤에만 비는 창고를 작은 가게에 시간 단위로 빌려준다.")


def completion(text, *, finish="stop", refusal=None, usage=(100, 50)):
    """Answer as a model that says ``text``."""
    message = {"role": "assistant", "content": text, "refusal": refusal}
    return answers.json_answer(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "finish_reason": finish, "message": message}],
            "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1]},
        }
    )


def ideas(*pairs, **kwargs):
    """Answer with ideas of the given titles and descriptions."""
    listed = [{"title": title, "description": text} for title, text in pairs]
    return completion(json.dumps({"ideas": listed}, ensure_ascii=False), **kwargs)


def failure(status, message, *, code=None, param=None, retry_after=None):
    """Answer as the API says no."""
    error = {"message": message, "type": "error", "code": code, "param": param}
    headers = [] if retry_after is None else [("Retry-After", retry_after)]
    return answers.json_answer({"error": error}, status, headers=headers)


def asked(target):
    """Return the bodies of the requests so far."""
    return [json.loads(request.body) for request in target.requests_to(CHAT)]
