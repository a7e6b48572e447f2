"""What a page says every time: put together once for each language, with gaps for what varies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from django import template
from django.conf import settings
from django.template.base import FilterExpression, Node, NodeList, Parser, Token
from django.template.base import token_kwargs as keywords
from django.template.context import Context
from django.template.exceptions import TemplateSyntaxError
from django.urls import get_script_prefix
from django.utils.safestring import SafeString
from django.utils.translation import get_language

register = template.Library()

# Keys are what the code itself can say (roles, themes, pages), so far fewer than this.
MOST_KEPT = 256
_GAPS = "fixed gaps"  # no template can name it
_GAP = re.compile("\0([0-9]+)\0")
# Names that Django's own tags ask for wherever they stand.
_BUILT_IN = frozenset({"True", "False", "None", "forloop", _GAPS})


class _Given(dict[str, Any]):
    """The only names there are inside; remembers who asked for another."""

    def __init__(self, values: Mapping[str, Any], gaps: list[NodeList]) -> None:
        super().__init__(values)
        self[_GAPS] = gaps
        self.unknown: set[str] = set()

    def __contains__(self, name: object) -> bool:
        known = super().__contains__(name)
        if not known and name not in _BUILT_IN:
            self.unknown.add(str(name))
        return known


class FixedNode(Node):
    """Text that depends on the language and on the values of a few names, and on nothing else.

    Args:
        nodelist: what stands inside.
        given: the names it may use, and where their values come from.
    """

    def __init__(self, nodelist: NodeList, given: Mapping[str, FilterExpression]) -> None:
        self.nodelist = nodelist
        self.given = given
        self._kept: dict[tuple[object, ...], list[str | NodeList]] = {}
        self._found: dict[type[Node], list[Node]] = {}

    def render(self, context: Context) -> SafeString:
        """Return the text, each gap filled from this page's own context."""
        values = [value.resolve(context) for value in self.given.values()]
        if _GAPS in context:
            # Inside of another one, which is being put together.
            with context.push(**dict(zip(self.given, values, strict=True))):
                return self.nodelist.render(context)
        key = (get_language(), get_script_prefix(), settings.ROOT_URLCONF, *values)
        parts = self._kept.get(key)
        if parts is None:
            parts = list(self._put_together(context, dict(zip(self.given, values, strict=True))))
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[key] = parts
        return SafeString(
            "".join([part if isinstance(part, str) else part.render(context) for part in parts])
        )

    def _put_together(self, context: Context, values: dict[str, Any]) -> Iterator[str | NodeList]:
        gaps: list[NodeList] = []
        given = _Given(values, gaps)
        # As for an include with `only`: nothing of this page can get into what others are shown.
        text = self.nodelist.render(context.new(given))
        if given.unknown:
            names = ", ".join(sorted(given.unknown))
            raise TemplateSyntaxError(f"not given to 'fixed': {names}")
        for number, part in enumerate(_GAP.split(text)):
            yield gaps[int(part)] if number % 2 else part

    def get_nodes_by_type(self, nodetype: type[Node]) -> list[Node]:
        """Return nodes of a type; the blocks of a frame are looked for on every page."""
        found = self._found.get(nodetype)
        if found is None:
            found = self._found[nodetype] = super().get_nodes_by_type(nodetype)
        return found


class VaryingNode(Node):
    """A gap in fixed text."""

    def __init__(self, nodelist: NodeList) -> None:
        self.nodelist = nodelist

    def render(self, context: Context) -> SafeString:
        """Leave the gap while the text is put together."""
        gaps: list[NodeList] | None = context.get(_GAPS)
        if gaps is None:
            return self.nodelist.render(context)
        gaps.append(self.nodelist)
        return SafeString(f"\0{len(gaps) - 1}\0")


@register.tag
def fixed(parser: Parser, token: Token) -> FixedNode:
    """Put text together once for each language and each set of values, and keep it.

    ``{% fixed theme=shell.theme %}…{% varying %}{{ total }}{% endvarying %}…{% endfixed %}``: what
    stands inside sees only the names given, whose values must be few and never a viewer's own; what
    stands in ``varying`` is written anew for each page and sees all there is. Words, addresses and
    drawings take most of a page's nodes and are the same on each.
    """
    name, *bits = token.split_contents()
    given = keywords(bits, parser)
    if bits:
        raise TemplateSyntaxError(f"{name!r} takes names with values only")
    nodelist = parser.parse(("endfixed",))
    parser.delete_first_token()
    return FixedNode(nodelist, given)


@register.tag
def varying(parser: Parser, token: Token) -> VaryingNode:  # noqa: ARG001 - Django's signature
    """Leave a gap in fixed text, written anew for each page."""
    nodelist = parser.parse(("endvarying",))
    parser.delete_first_token()
    return VaryingNode(nodelist)
