"""Fixed text of a page is put together once, and holds nothing of the page it was made for."""

from __future__ import annotations

import re

import pytest
from django.template import Context, Template, TemplateSyntaxError
from django.test import Client
from django.utils import translation
from django.utils.safestring import mark_safe

from cronbell.dashboard.templatetags import cronbell_fixed
from cronbell.dashboard.templatetags.cronbell_fixed import FixedNode

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
LOAD = "{% load i18n cronbell cronbell_fixed %}"


def template(source: str) -> Template:
    return Template(LOAD + source)


def shown(made: Template, **values) -> str:
    return made.render(Context(values))


def node(made: Template) -> FixedNode:
    return made.nodelist.get_nodes_by_type(FixedNode)[0]


def test_it_is_kept_for_each_language_and_each_value():
    made = template("{% fixed nav=nav %}{% translate 'Jobs' %} {{ nav }}{% endfixed %}")
    for _ in range(2):
        assert shown(made, nav="home") == "Jobs home"
        assert shown(made, nav="logs") == "Jobs logs"
        with translation.override("ko"):
            assert shown(made, nav="home") == "작업 home"
    assert len(node(made)._kept) == 3


def test_what_varies_is_written_anew_and_escaped():
    made = template("{% fixed %}<b>{% varying %}{{ name }}{% endvarying %}</b>{% endfixed %}")
    assert shown(made, name="<i>") == "<b>&lt;i&gt;</b>"
    assert shown(made, name=mark_safe("<i>")) == "<b><i></b>"
    assert shown(made, name="\0000\0") == "<b>\0000\0</b>"
    assert len(node(made)._kept) == 1


@pytest.mark.parametrize(
    "inside",
    [
        "{{ name }}",
        "{% if name %}x{% endif %}",
        "{% if given or name %}x{% endif %}",
        "{% for one in name %}x{% endfor %}",
        "{% include 'cronbell/parts/icon.html' %}",
        "{% instant given %}",
        "{% csrf_token %}",
    ],
)
def test_sabotage_a_name_that_was_not_given_is_refused(inside: str):
    """Whoever asks first would have theirs shown to everybody."""
    made = template(f"{{% fixed given=given %}}{inside}{{% endfixed %}}")
    with pytest.raises((TemplateSyntaxError, KeyError)):
        shown(made, given="", name="secret", csrf_token="secret")
    assert not node(made)._kept


def test_values_may_be_missing():
    made = template("{% fixed nav=nav %}{% if nav == 'a' %}a{% endif %}{{ nav }}.{% endfixed %}")
    assert shown(made) == "."


def test_one_within_another_is_part_of_it():
    inner = "{% fixed b=a %}{{ b }}{% varying %}{{ c }}{% endvarying %}{% endfixed %}"
    made = template(f"{{% fixed a=a %}}{{{{ a }}}}{inner}{{% endfixed %}}")
    assert [shown(made, a="1", c=c) for c in "xy"] == ["11x", "11y"]


def test_one_that_varies_within_another_keeps_its_own():
    inner = "{% fixed b=a %}{{ b }}{% varying %}{{ c }}{% endvarying %}{% endfixed %}"
    made = template(f"{{% fixed %}}-{{% varying %}}{inner}{{% endvarying %}}{{% endfixed %}}")
    assert [shown(made, a=a, c="x") for a in "121"] == ["-1x", "-2x", "-1x"]


def test_varying_outside_of_fixed_text_is_plain():
    assert shown(template("{% varying %}{{ a }}{% endvarying %}"), a="<") == "&lt;"


def test_no_more_is_kept_than_a_few(monkeypatch):
    monkeypatch.setattr(cronbell_fixed, "MOST_KEPT", 4)
    made = template("{% fixed nav=nav %}{{ nav }}{% endfixed %}")
    for number in range(20):
        assert shown(made, nav=str(number)) == str(number)
        assert len(node(made)._kept) <= 4


def test_only_names_with_values_are_taken():
    with pytest.raises(TemplateSyntaxError):
        template("{% fixed nav %}{% endfixed %}")


@pytest.mark.django_db(databases=["default", "runlog"])
def test_the_frame_of_one_viewer_is_not_shown_to_another(people):
    """Roles, themes, names and tokens of those who came before leave nothing behind."""
    names = ("administrator", "viewer", "user")
    for name in (*names, *names):
        for theme in ("dark", "light"):
            client = Client(enforce_csrf_checks=True)
            client.force_login(people[name])
            client.cookies["cronbell_theme"] = theme
            page = client.get("/admin/cron-logs?limit=7").content.decode()
            assert [other for other in names if f"<span>{other}</span>" in page] == [name]
            assert f'data-theme="{theme}"' in page
            assert ('id="while-loading"' in page) == (name == "administrator")
            assert ('class="main-nav"' in page) == (name != "user")
            tokens = set(TOKEN.findall(page))
            form = {"language": "en", "csrfmiddlewaretoken": tokens.pop()}
            assert not tokens
            assert client.post("/admin/language", form).status_code == 302
