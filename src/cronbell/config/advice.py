"""What loads here, but would differ on Vercel: warnings, never errors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cronbell.config.entries import Entry
from cronbell.config.source import Place, Source, key_text, printable
from cronbell.domain import Dialect
from cronbell.errors import ScheduleError
from cronbell.schedule.grammar import Cron, parse

PLANS = ("hobby", "pro", "enterprise")
MOST_ON_VERCEL = 100
_MOST_REDIRECTS = 2_048  # Vercel's own limit
_LONGEST_SOURCE = 4_096
_MOST_UNBOUNDED = 2
_TOKEN = re.compile(
    r":(?P<name>[A-Za-z_]\w*)(?:\((?P<rule>(?:\\.|[^\\()])*)\))?(?P<modifier>[*+?]?)"
    r"|\((?P<group>(?:\\.|[^\\()])*)\)(?P<repeat>[*+?]?)"
    r"|\\(?P<escaped>.)|(?P<odd>[{}*+?])|(?P<plain>[^:(\\{}*+?]+|.)",
    re.ASCII | re.DOTALL,
)
# Rules inside a source that cannot keep a matcher busy: one repeated atom, or plain words.
_HARMLESS = re.compile(
    r"(?:\.|\\[dwsDWS]|\[\^?(?:\\.|[^\\\[\]])+\])(?:[*+?]|\{[0-9]{1,3}(?:,[0-9]{0,3})?\})?"
    r"|[\w./-]*(?:\|[\w./-]*)*",
    re.ASCII,
)


def advise(
    source: Source, document: Mapping[str, Any], entries: Sequence[Entry], *, plan: str
) -> None:
    """Warn of each entry that Vercel would treat otherwise.

    Args:
        source: the file, which takes the warnings.
        document: the whole of ``vercel.json``.
        entries: its jobs, faulty ones included.
        plan: one of ``PLANS``, or empty.
    """
    crons = document.get("crons")
    if isinstance(crons, list) and len(crons) > MOST_ON_VERCEL:
        source.warn(
            ("crons", MOST_ON_VERCEL),
            f"`crons` has {len(crons)} entries; Vercel takes {MOST_ON_VERCEL} for a project",
            "nothing to do if only Cronbell runs them",
        )
    redirects = _redirects(document.get("redirects"))
    for entry in entries:
        if not entry.good:
            continue
        _slash(source, document.get("trailingSlash"), entry)
        # The limits bound the work; Vercel itself takes no more of either.
        if redirects and len(entries) <= MOST_ON_VERCEL:
            _redirected(source, redirects, entry)
        if plan == "hobby" and entry.place[0] == "crons":
            _hobby(source, entry)


def _hobby(source: Source, entry: Entry) -> None:
    try:
        parsed = parse(entry.schedule, Dialect.VERCEL)
    except ScheduleError:
        return
    if isinstance(parsed, Cron) and parsed.minutes.bit_count() * parsed.hours.bit_count() > 1:
        source.warn(
            (*entry.place, "schedule"),
            "Hobby accounts are limited to daily cron jobs. This cron expression "
            f"(`{entry.schedule}`) would run more than once per day.",
            "deploy it on Vercel's Pro plan, or let only Cronbell run it",
        )


def _slash(source: Source, trailing_slash: Any, entry: Entry) -> None:
    path = entry.path.partition("?")[0]
    last = path.rpartition("/")[2]
    place: Place = (*entry.place, "path")
    if trailing_slash is True and last and "." not in last and not path.startswith("/.well-known"):
        wrong, right = "`trailingSlash` is true", f"{path}/"
    elif trailing_slash is False and path.endswith("/") and path != "/":
        wrong, right = "`trailingSlash` is false", path.rstrip("/") or "/"
    else:
        return
    source.warn(
        place,
        f"{wrong}, so Vercel redirects `{printable(path)}` and the job never gets there: "
        "a cron call does not follow redirects",
        f"write {printable(right)}",
    )


def _redirects(value: Any) -> list[tuple[int, str, re.Pattern[str], bool]]:
    """Return the redirects that can be judged: position, source, pattern, and whether certain."""
    result = []
    for index, item in enumerate(value[:_MOST_REDIRECTS] if isinstance(value, list) else ()):
        origin = item.get("source") if isinstance(item, dict) else None
        pattern = compile_source(origin) if isinstance(origin, str) else None
        if pattern is not None:
            certain = not (item.get("has") or item.get("missing"))
            result.append((index, str(origin), pattern, certain))
    return result


def _redirected(
    source: Source, redirects: list[tuple[int, str, re.Pattern[str], bool]], entry: Entry
) -> None:
    path = entry.path.partition("?")[0]
    for index, origin, pattern, certain in redirects:
        if pattern.fullmatch(path):
            verb = "redirects" if certain else "under its conditions redirects"
            source.warn(
                (*entry.place, "path"),
                f"`redirects[{index}]` (`{printable(origin)}`) {verb} the path of "
                f"`{key_text(entry.place)}`, and a cron call does not follow redirects",
                "write the path it leads to, or leave this one out of the redirect",
            )
            return


def compile_source(source: str) -> re.Pattern[str] | None:
    r"""Compile a redirect's ``source`` (path-to-regexp 6: ``:name``, ``(\\d+)``, ``:rest*``).

    Returns:
        None for what is not understood, and for what could keep a matcher busy for long.
    """
    if len(source) > _LONGEST_SOURCE or not source.startswith("/"):
        return None
    pattern, unbounded = "", 0
    for token in _TOKEN.finditer(source):
        rule = token["rule"] if token["name"] else token["group"]
        if token["odd"] or (token["plain"] in {":", "("}):
            return None
        if token["name"] is None and rule is None:
            pattern += re.escape(token["escaped"] or token["plain"])
            continue
        if rule is not None and not _HARMLESS.fullmatch(rule):
            return None
        unbounded += 1
        one = rule if rule is not None else "[^/]+?"
        modifier = token["modifier"] or token["repeat"] or ""
        if modifier in {"*", "+"} and rule is not None:
            return None
        pattern = _with_parameter(pattern, one, modifier)
    try:
        return re.compile(pattern) if unbounded <= _MOST_UNBOUNDED else None
    except re.error:
        return None


def _with_parameter(pattern: str, one: str, modifier: str) -> str:
    """Append a parameter; a slash before one that may be absent is absent with it."""
    if not modifier:
        return f"{pattern}(?:{one})"
    before = pattern.removesuffix("/")
    slash = "/" if before != pattern else ""
    if modifier == "?":
        return f"{before}(?:{slash}(?:{one}))?"
    # Several segments: anything that begins and ends within one.
    many = f"(?:{slash}[^/].*)" if slash else "(?:.+)"
    return f"{before}{many}" + ("?" if modifier == "*" else "")
