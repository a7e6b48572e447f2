"""Links and addresses put together by our own tags are those that Django would write."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.template import Context, Template
from django.test import RequestFactory
from django.urls import clear_script_prefix, reverse, set_script_prefix
from django.utils.html import escape

QUERIES = [
    "",
    "page=2",
    "status=error&page=7&job_name=a+b%26c",
    "text=%3Cb%3E%22%27%20%25&status=",
    "job_name=x&job_name=y&job_name=",
    "job_name=&job_name=y",
    "cursor=5&limit=7",
    "text=%EA%B0%80&since=2026-11-22T09:00:00%2B09:00",
    "a;b=c&=d&e",
]
CHANGES = [
    {"page": 3},
    {"status": "", "page": ""},
    {"status": "timed out", "page": ""},
    {"page": "", "cursor": 9},
    {"text": "a&b=<c>"},
]


def drawn(source: str, query: str = "", **values) -> str:
    request = RequestFactory().get(f"/admin/cron-logs?{query}")
    return Template("{% load cronbell %}" + source).render(Context({"request": request, **values}))


def changed(query: str, changes: dict[str, object]) -> str:
    """Return the query string by way of Django's own copy of it."""
    copied = RequestFactory().get(f"/?{query}").GET.copy()
    for name, value in changes.items():
        copied[name] = str(value)
    if "cursor" not in changes:
        copied.pop("cursor", None)
    kept = {name: values for name, values in copied.lists() if values and values[-1]}
    return f"?{urlencode(kept, doseq=True)}"


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_a_link_changes_what_it_names_and_keeps_the_rest(query, changes):
    names = " ".join(f"{name}={name}" for name in changes)
    twice = drawn(f"{{% link {names} %}} {{% link {names} %}}", query, **changes)
    assert twice.split(" ") == [escape(changed(query, changes))] * 2


@pytest.mark.parametrize("number", [1, 10, 12345678901])
@pytest.mark.parametrize("name", ["job", "run", "pause", "resume"])
def test_the_address_of_one_by_its_number(name, number):
    """Some have their number at the end, others before another word."""
    name = f"cronbell:{name}"
    assert drawn("{% address name number %}", name=name, number=number) == reverse(
        name, args=[number]
    )


@pytest.mark.parametrize("prefix", ["/", "/0/", "/cron/"])
@pytest.mark.parametrize("name", ["logs", "jobs", "why"])
def test_the_address_of_a_page_wherever_it_is_mounted(name, prefix):
    set_script_prefix(prefix)
    try:
        name = f"cronbell:{name}"
        assert drawn("{% address name %}", name=name) == reverse(name)
        assert drawn("{% address 'cronbell:run' 7 %}") == reverse("cronbell:run", args=[7])
    finally:
        clear_script_prefix()


def test_fixed_text_knows_where_it_is_mounted():
    made = Template("{% load cronbell_fixed %}{% fixed %}{% url 'cronbell:logs' %}{% endfixed %}")
    found = []
    for prefix in ("/", "/cron/", "/"):
        set_script_prefix(prefix)
        try:
            found.append(made.render(Context()))
        finally:
            clear_script_prefix()
    assert found == ["/admin/cron-logs", "/cron/admin/cron-logs", "/admin/cron-logs"]
