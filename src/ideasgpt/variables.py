"""The variables of the environment that the ideas service reads besides Cronbell's own.

``docs/reference/environment.md`` is written from here.
"""

from __future__ import annotations

from collections.abc import Mapping

VARIABLES: Mapping[str, str] = {
    "OPENAI_API_KEY": "The key of the provider that writes ideas and reads documents.",
    "OPENAI_BASE_URL": "Any OpenAI-compatible API; OpenAI's own unless set.",
    "OPENAI_MODEL": "The model; `gpt-5.4-mini` unless set.",
    "OPENAI_PRICE": "US dollars for a million tokens in and out, like `0.25/2.00`; without it the"
    " cost is not known.",
    "IDEASGPT_LLM": "`openai` (unless set), or `offline` for sample text, labelled as such.",
    "IDEASGPT_SAMPLE": "`1`: sample data in a service that is empty. `make run` sets it, production"
    " never does.",
    "SERVICE_TOKEN": "What `verify-records` shows the verifier's API; at least 16 printable ASCII"
    " characters. Made in the data folder unless set.",
    "VERIFY_BATCH_SIZE": "Records for each run of `verify-records`; 20 unless set, 100 at most.",
    "VERIFY_SAMPLE_PERCENT": "Approvals of which a person looks at as many in a hundred as well; 5"
    " unless set.",
    "VERIFY_URL": "The service's own address, where `cronbell up` does not serve it.",
}
