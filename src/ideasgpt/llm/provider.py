"""The environment ─► a provider.

===================== ============================================================================
``OPENAI_API_KEY``    the provider's key
``OPENAI_BASE_URL``   any OpenAI-compatible API; OpenAI's own unless set
``OPENAI_MODEL``      the model; ``DEFAULT_MODEL`` unless set
``OPENAI_PRICE``      ``0.25/2.00``: US dollars for a million tokens in and out; cost is not known
                      without it
``IDEASGPT_LLM``      ``openai`` (the default), or ``offline`` for sample text
===================== ============================================================================
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from cronbell.clock import Clock
from cronbell.errors import CronbellError
from ideasgpt.llm.chat import ChatClient, Price
from ideasgpt.llm.client import OpenAIClient
from ideasgpt.llm.offline import OfflineClient

KEY, BASE_URL, MODEL, PRICE = "OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL", "OPENAI_PRICE"
CHOICE, OFFLINE = "IDEASGPT_LLM", "offline"
DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_MODEL = "gpt-5.4-mini"


class ProviderError(CronbellError):
    """The environment names no provider that could be called."""

    code = "llm-provider"


@dataclass(frozen=True, slots=True)
class Setting:
    """Where to call, and as whom."""

    key: str
    base_url: str
    model: str
    price: Price | None


def provider_from_environment(clock: Clock) -> ChatClient:
    """Return the provider that the environment names.

    Raises:
        ProviderError: a variable is missing or senseless; the message names it.
    """
    if _choice() == OFFLINE:
        return OfflineClient()
    setting = read_setting()
    return OpenAIClient(
        key=setting.key,
        base_url=setting.base_url,
        model=setting.model,
        price=setting.price,
        clock=clock,
    )


def check_settings() -> None:
    """Look at every variable that is set; none need be: without a key the job says so.

    Raises:
        ProviderError: one is senseless.
    """
    _choice()
    _key()
    _base_url()
    _price()


def read_setting() -> Setting:
    """Read the variables.

    Raises:
        ProviderError: one is missing or senseless.
    """
    key = _key()
    if not key:
        raise ProviderError(
            f"{KEY} is not set",
            hint=f"set {KEY} to your provider's key, or {CHOICE}=offline to see sample text",
        )
    return Setting(key, _base_url(), _given(MODEL) or DEFAULT_MODEL, _price())


def _given(name: str) -> str:
    return os.environ.get(name, "").strip()


def _choice() -> str:
    choice = _given(CHOICE).lower()
    if choice not in {"", "openai", OFFLINE}:
        raise ProviderError(f"{CHOICE} is {choice!r}", hint=f"set {CHOICE} to openai or offline")
    return choice


def _key() -> str:
    key = _given(KEY)
    if not (key.isascii() and key.isprintable()):  # as nothing is
        raise ProviderError(
            f"{KEY} holds characters that no header can carry", hint="copy the key once more"
        )
    return key


def _base_url() -> str:
    text = _given(BASE_URL) or DEFAULT_BASE_URL
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ProviderError(
            f"{BASE_URL} is no http or https address", hint=f"write it like {DEFAULT_BASE_URL}"
        )
    return text


def _price() -> Price | None:
    text = _given(PRICE)
    if not text:
        return None
    try:
        prompt, completion = (Decimal(part.strip()) for part in text.split("/"))
    except (InvalidOperation, ValueError):
        prompt = completion = Decimal(-1)
    if not (prompt.is_finite() and completion.is_finite() and min(prompt, completion) >= 0):
        raise ProviderError(
            f"{PRICE} is {text!r}",
            hint="write US dollars for a million tokens in and out, like 0.25/2.00",
        )
    return Price(prompt, completion)
