"""What a strict content security policy would block in a template, found before a browser does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

TEMPLATE_TAGS = re.compile(
    r"{%\s*comment\b.*?{%\s*endcomment\s*%}|{#.*?#}|{%.*?%}|{{.*?}}", re.DOTALL
)
DATA_TYPES = {"application/json", "importmap"}  # read, not run
LOADED = {"src", "href", "action", "formaction", "poster", "srcset"}
REMOTE = re.compile(r"^(?:https?:)?//", re.IGNORECASE)
LINKS = {"a", "area"}  # a person follows them; nothing is loaded


class _Finder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        line = self.getpos()[0]
        if tag == "style":
            self._say(line, "<style> in the page")
        data = values.get("type", "").lower() in DATA_TYPES
        self._script = tag == "script" and "src" not in values and not data
        if self._script:
            self._say(line, "<script> without src")
        for name, value in values.items():
            if name.startswith(("on", "hx-on")):
                self._say(line, f"{name}= on <{tag}>")
            if name == "style":
                self._say(line, f"style= on <{tag}>")
            if name in LOADED and value.strip().lower().startswith("javascript:"):
                self._say(line, f"javascript: in {name}= on <{tag}>")
            if name in LOADED and tag not in LINKS and REMOTE.match(value.strip()):
                self._say(line, f"{name}= of <{tag}> is on another host")

    def _say(self, line: int, words: str) -> None:
        self.found.append(f"line {line}: {words}")


def blocked(template: str) -> Iterator[str]:
    """Yield what in a template a policy of ``default-src 'self'`` would block."""
    finder = _Finder()
    # Newlines stay, so that line numbers are the file's.
    finder.feed(TEMPLATE_TAGS.sub(lambda match: "\n" * match[0].count("\n"), template))
    finder.close()
    yield from finder.found
