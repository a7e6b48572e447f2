"""No template holds what the content security policy would block."""

from __future__ import annotations

import pytest
from tests.support import pages, source


def test_no_template_has_inline_script_style_or_handlers_or_loads_from_elsewhere():
    templates = source.under("src", suffix=".html")
    assert templates
    found = [
        f"{source.name(path)}: {words}"
        for path in templates
        for words in pages.blocked(source.text(path))
    ]
    assert not found


def test_what_fills_the_dialog_never_takes_its_place():
    # Live parts swap their outer HTML, and what stands in them inherits that: a dialog opened
    # from one would open but once.
    found = [
        f"{source.name(path)}: {rest[:40]}"
        for path in source.under("src", suffix=".html")
        for rest in source.text(path).split('hx-target="#dialog-body"')[1:]
        if not rest.startswith(' hx-swap="innerHTML"')
    ]
    assert not found


@pytest.mark.parametrize(
    "markup",
    [
        "<script>go()</script>",
        "<style>p{}</style>",
        '<p style="color:red">',
        '<button onclick="go()">',
        '<button {% if x %}OnClick="go()"{% endif %}>',
        '<div hx-on:click="go()">',
        '<a href="javascript:go()">',
        '<script src="https://elsewhere.example/x.js"></script>',
        '<link href="//elsewhere.example/x.css">',
    ],
)
def test_sabotage_each_kind_is_seen(markup: str):
    assert list(pages.blocked(f"<main>\n{markup}\n</main>"))


@pytest.mark.parametrize(
    "markup",
    [
        "<script src=\"{% static 'x.js' %}\" defer></script>",
        '<script type="application/json" id="data">{}</script>',
        '<a href="https://example.com">',
        "{# <style> #}{% comment %}<script>{% endcomment %}",
        '<option value="on">',
    ],
)
def test_what_the_policy_allows_is_let_through(markup: str):
    assert not list(pages.blocked(markup))
