"""``functions.*.maxDuration`` of ``vercel.json``: how long the file behind a path may take.

Which file serves a path is decided from the form of the key alone, never from the files beside
``vercel.json``: a runner often has the two configuration files and nothing else, and the same
configuration must give the same timeouts in CI, on a laptop and there. The price is that a glob
may match a file that does not exist; a job's ``timeout`` in ``cronbell.toml`` settles it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cronbell.config.shapes import integer_problem, message, refuse, refuse_additional, refuse_twice
from cronbell.config.source import Place, Source, printable

LONGEST = 3_600  # seconds; what Vercel's CLI takes at most, and what "max" is read as
GRACE = 10.0  # seconds for the answer of an endpoint that used all its time
_MOST_KEYS = 50
_LONGEST_KEY = 256
_MOST_BRACES = 256
_MOST_DEEP = 2  # of ** in a pattern: more could keep a matcher busy for long
_JAVASCRIPT = ("ts", "js", "tsx", "jsx", "mjs")
_PAGES = ("ts", "js", "tsx", "jsx")
_API = ("ts", "js", "mjs", "cjs", "mts", "tsx", "jsx", "py", "go", "rb")
_ROUTE = re.compile(rf"(?:src/)?app/(?:(.*)/)?route\.(?:{'|'.join(_JAVASCRIPT)})")
_PAGE = re.compile(rf"(?:src/)?pages/(.*)\.(?:{'|'.join(_PAGES)})")
_FILE = re.compile(rf"(api(?:/.*)?/[^/]*)\.(?:{'|'.join(_API)})")
_ENTRYPOINT = re.compile(r"api/(?:app|index|server|main|wsgi|asgi)\.py")
_GROUP = re.compile(r"\([^/()]*\)/")
_DYNAMIC = re.compile(r"(?:^|/)\[{1,2}(?:\.\.\.)?[^/\[\]]+\]{1,2}(?:\.[a-z]+)?(?:/|$)")
_GLOB = re.compile(r"[*?\[{]")
_NOT_JUDGED = re.compile(r"^[!#]|[?*+@!]\(")


@dataclass(slots=True)
class Durations:
    """What ``functions`` says, by path.

    Attributes:
        paths: seconds by the path a key's file serves.
        globs: keys that are patterns, in the order of the file, with their seconds.
        application: seconds of the whole Python application, None where no key names it.
    """

    paths: dict[str, int] = field(default_factory=dict)
    globs: list[tuple[re.Pattern[str], int]] = field(default_factory=list)
    application: int | None = None

    def __bool__(self) -> bool:
        return bool(self.paths or self.globs or self.application)

    def of(self, target: str) -> int | None:
        """Return the seconds the file behind a request target may take; None if none is named.

        A key that names the file goes before patterns, these before the application. Of patterns
        the first that matches a file counts, as on Vercel; where several files could serve the
        path and differ, the longest time, since a call cut short is worse than a late verdict.
        """
        path = target.partition("?")[0].strip("/")
        if path in self.paths:
            return self.paths[path]
        found = [
            seconds
            for file in (_files(path) if self.globs else ())
            if (seconds := self._by_glob(file)) is not None
        ]
        return max(found) if found else self.application

    def _by_glob(self, file: str) -> int | None:
        return next((seconds for glob, seconds in self.globs if glob.fullmatch(file)), None)


def read_functions(source: Source, document: Mapping[str, Any]) -> Durations:
    """Read ``functions``; only ``maxDuration`` is judged, the rest is Vercel's affair."""
    durations = Durations()
    if "functions" not in document:
        return durations
    place: Place = ("functions",)
    functions = document["functions"]
    if not isinstance(functions, dict):
        refuse(source, place, "should be object.")
        return durations
    refuse_twice(source, place, functions)
    if not functions:
        refuse(source, place, "should NOT have fewer than 1 properties.", "remove it")
    if len(functions) > _MOST_KEYS:
        refuse(
            source,
            place,
            f"should NOT have more than {_MOST_KEYS} properties.",
            "use patterns such as api/**/*.ts",
        )
    if "builds" in document:
        source.error(
            place,
            "The `functions` property cannot be used in conjunction with the `builds` property. "
            "Please remove one of them.",
            "remove `builds`",
        )
    for key, value in functions.items():
        seconds = _max_duration(source, key, value)
        if seconds is not None:
            _add(source, durations, key, seconds)
    return durations


def _max_duration(source: Source, key: str, value: Any) -> int | None:
    place: Place = ("functions", key)
    if not 0 < len(key) <= _LONGEST_KEY:
        hint = f"a key has 1 to {_LONGEST_KEY} characters"
        refuse_additional(source, ("functions",), key, hint)
        return None
    if not isinstance(value, dict):
        refuse(source, place, "should be object.")
        return None
    refuse_twice(source, place, value)
    if "maxDuration" not in value:
        return None
    duration = value["maxDuration"]
    if duration == "max":
        return LONGEST
    problem = integer_problem(duration, 1, LONGEST)
    if problem:
        at = (*place, "maxDuration")
        source.error(at, message(at, problem), f'write seconds, 1 to {LONGEST}, or "max"')
        return None
    return int(duration)


def _add(source: Source, durations: Durations, key: str, seconds: int) -> None:
    file = key.removeprefix("./").removeprefix("/")
    if _DYNAMIC.search(file):
        return
    if not _GLOB.search(file) and not _NOT_JUDGED.search(file):
        served = _served(file)
        if served is not None:
            durations.paths.setdefault(served, seconds)
        if _is_application(file):
            durations.application = max(seconds, durations.application or 0)
        return
    glob = None if _NOT_JUDGED.search(file) else _compile_glob(file)
    if glob is None:
        source.warn(
            ("functions", key),
            f"the pattern `{printable(key)}` cannot be judged here, so its `maxDuration` sets "
            "no timeout",
            "use *, **, ?, […] and {a,b}, or set timeout in cronbell.toml",
        )
    else:
        durations.globs.append((glob, seconds))


def _is_application(file: str) -> bool:
    """Say whether a key names the Python application as a whole.

    Files below ``api/`` are functions of their own unless they bear one of the names Vercel takes
    for an entrypoint; any other Python file that may be a key is the entrypoint.
    """
    if not file.endswith(".py"):
        return False
    return not file.startswith("api/") or _ENTRYPOINT.fullmatch(file) is not None


def _served(file: str) -> str | None:
    """Return the path a file serves, without slashes at its ends; None if it serves none."""
    plain = _GROUP.sub("", file)
    if match := _ROUTE.fullmatch(plain):
        return match[1] or ""
    if match := _PAGE.fullmatch(file) or _FILE.fullmatch(file):
        return match[1].removesuffix("/index") if match[1] != "index" else ""
    return None


def _files(path: str) -> Iterator[str]:
    """Name the files that could serve a path."""
    folder = f"{path}/" if path else ""
    for base in ("", "src/"):
        for ending in _JAVASCRIPT:
            yield f"{base}app/{folder}route.{ending}"
        for ending in _PAGES:
            yield f"{base}pages/{folder}index.{ending}"
            if path:
                yield f"{base}pages/{path}.{ending}"
    if path == "api" or path.startswith("api/"):
        for ending in _API:
            yield f"{folder}index.{ending}"
            yield f"{path}.{ending}"


def _compile_glob(glob: str) -> re.Pattern[str] | None:
    """Compile a pattern as minimatch reads it; None for one that is not judged."""
    alternatives = _braces(re.sub(r"(?:\*\*/){2,}", "**/", glob))
    if alternatives is None or glob.count("**") > _MOST_DEEP:
        return None
    try:
        return re.compile("|".join(map(_segments, alternatives)))
    except re.error:
        return None


def _braces(glob: str) -> list[str] | None:
    """Write ``a{b,c}`` out as ``ab`` and ``ac``; None if that gets too long."""
    done: list[str] = []
    open_globs = [glob]
    while open_globs:
        if len(done) + len(open_globs) > _MOST_BRACES:
            return None
        text = open_globs.pop()
        match = re.search(r"\{([^{}]*,[^{}]*)\}", text)
        if match is None:
            done.append(text)
        else:
            choices = match[1].split(",")
            open_globs += [text[: match.start()] + one + text[match.end() :] for one in choices]
    return done


def _segments(glob: str) -> str:
    parts = glob.split("/")
    pattern = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            # Whole folders, or anything at the end; names with a dot in front are not matched.
            pattern += r"(?!\.)[^/]+(?:/(?!\.)[^/]+)*" if last else r"(?:(?!\.)[^/]+/)*"
        else:
            pattern += _segment(part) + ("" if last else "/")
    return pattern


def _segment(part: str) -> str:
    """Compile one segment.

    The first place where what stands between two stars fits is as good as any later one, so that
    nothing is tried twice (atomic groups) however many stars there are.
    """
    pieces = _pieces(part)
    pattern = r"(?!\.)" if part[:1] in {"*", "?", "["} else ""
    pattern += pieces[0]
    pattern += "".join(f"(?>[^/]*?{piece})" for piece in pieces[1:-1] if piece)
    return pattern + (f"[^/]*{pieces[-1]}" if len(pieces) > 1 else "")


def _pieces(part: str) -> list[str]:
    """Split a segment at its stars and compile what stands between them."""
    pieces, position = [""], 0
    while position < len(part):
        character = part[position]
        position += 1
        end = part.find("]", position + 1)
        if character == "*":
            pieces.append("")
        elif character == "?":
            pieces[-1] += "[^/]"
        elif character == "[" and end > 0:
            inside = part[position:end].replace("\\", r"\\").replace("[", r"\[")
            pieces[-1] += f"[{'^' + inside[1:] if inside[0] in '!^' else inside}]"
            position = end + 1
        else:
            pieces[-1] += re.escape(character)
    return pieces
