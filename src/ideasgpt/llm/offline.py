"""The provider without a provider: sample text, for whoever wants to see the jobs work.

It answers only where ``IDEASGPT_LLM=offline`` asks for it, and what it says is labelled by who
asks.
"""

from __future__ import annotations

from ideasgpt.llm.chat import Ended, Question, Reply


class OfflineClient:
    """Implements ``ChatClient``; calls nobody."""

    name = "offline"
    model = "offline"
    real = False

    def complete(self, question: Question, seconds: float) -> Reply:
        """Return the question's own sample."""
        del seconds
        return Reply(ended=Ended.ANSWERED, text=question.sample())
