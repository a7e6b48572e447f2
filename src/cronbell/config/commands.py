"""A command of a crontab that calls a URL by curl or wget, read as that call.

Only what certainly means the same is taken: an option that is not known here may change what is
called, so its command is left to a person, with the reason.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cronbell.config.source import printable
from cronbell.config.urls import UrlError, parse_url
from cronbell.config.values import METHODS

AUTHORIZATION = "/etc/cronbell/authorization"  # a file with the header; what exports refer to
USER_AGENT = "vercel-cron/1.0"
OWN_HEADERS = ("x-vercel-cron-schedule",)  # what an export adds and Cronbell sends by itself
_LONGEST_COMMAND = 8_192
_MOST_RETRIES = 99
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,6}(?:\.[0-9]+)?)([smhd]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}

# What each option does; "drop" means nothing that a cron call would miss.
_CURL_FLAGS = {
    **dict.fromkeys("fsSvgiN46#", "drop"), "L": "follow", "k": "insecure", "I": "head",
    **dict.fromkeys(
        ("fail", "fail-with-body", "silent", "show-error", "verbose", "compressed", "no-buffer",
         "ipv4", "ipv6", "globoff", "include", "no-progress-meter", "progress-bar", "http1.1",
         "http2", "retry-connrefused", "retry-all-errors", "tlsv1.2", "tlsv1.3"), "drop"),
    "location": "follow", "insecure": "insecure", "head": "head",
}  # fmt: skip
_CURL_VALUES = {
    "X": "method", "m": "timeout", "H": "header", "u": "credentials", "d": "body", "F": "body",
    "T": "body", "b": "cookie", "o": "drop", "w": "drop", "A": "agent", "e": "referer",
    "request": "method", "max-time": "timeout", "header": "header", "user": "credentials",
    "data": "body", "data-raw": "body", "data-binary": "body", "data-urlencode": "body",
    "json": "body", "form": "body", "upload-file": "body", "cookie": "cookie", "output": "drop",
    "write-out": "drop", "user-agent": "agent", "referer": "referer", "url": "url",
    "connect-timeout": "drop", "retry": "retry", "retry-delay": "retry-delay",
    "retry-max-time": "drop", "max-redirs": "drop", "stderr": "drop", "oauth2-bearer": "bearer",
}  # fmt: skip
_WGET_FLAGS = {
    **dict.fromkeys("qvS46", "drop"), "nv": "drop", "nd": "drop",
    **dict.fromkeys(
        ("quiet", "verbose", "no-verbose", "server-response", "delete-after", "no-cache",
         "no-check-certificate", "spider", "inet4-only", "inet6-only", "no-hsts"), "drop"),
    "spider": "head", "no-check-certificate": "insecure",
}  # fmt: skip
_WGET_VALUES = {
    "O": "drop", "o": "drop", "a": "drop", "T": "timeout", "t": "tries", "U": "agent",
    "output-document": "drop", "output-file": "drop", "append-output": "drop",
    "timeout": "timeout", "tries": "tries", "method": "method", "header": "header",
    "post-data": "body", "post-file": "body", "body-data": "body", "body-file": "body",
    "user": "credentials", "password": "credentials", "user-agent": "agent", "waitretry": "drop",
    "connect-timeout": "drop", "read-timeout": "timeout", "dns-timeout": "drop",
}  # fmt: skip
_TOOLS = {"curl": (_CURL_FLAGS, _CURL_VALUES), "wget": (_WGET_FLAGS, _WGET_VALUES)}


class NotACallError(Exception):
    """A command that cannot become a job; the text says why."""


@dataclass(slots=True)
class Call:
    """What a command does.

    Attributes:
        url: the absolute URL.
        method: HTTP method.
        timeout: seconds, None where the command sets no limit.
        attempts: calls in all, the first included.
        backoff: seconds between them, None where the command does not say.
        notes: what of it a job does not do.
    """

    url: str = ""
    method: str = "GET"
    timeout: float | None = None
    attempts: int = 1
    backoff: float | None = None
    notes: list[str] = field(default_factory=list)


def read_command(command: str, variables: Mapping[str, str]) -> Call:
    """Read a shell command as one call.

    Args:
        command: as the shell would get it.
        variables: the crontab's environment, for ``$NAME`` in the command.

    Raises:
        NotACallError: it is none, or does something besides that a job would not do.
    """
    if len(command) > _LONGEST_COMMAND:
        raise NotACallError("the command is too long to be judged")
    call = Call()
    words = _unwrapped(_words(command), call)
    tool = words[0].rpartition("/")[2] if words else ""
    if tool not in _TOOLS:
        raise NotACallError("runs a command")
    urls = []
    for what, word in _options(tool, words[1:]):
        value = _expanded(word, variables)
        if what == "url":
            urls.append(value)
        else:
            _apply(call, what, value)
    if len(urls) != 1:
        raise NotACallError("calls several URLs" if urls else "calls no URL")
    call.url = _url(urls[0])
    return call


def _words(command: str) -> list[str]:
    """Split a command; what follows it and changes nothing for a job is left out.

    Raises:
        NotACallError: the shell does more than start one program.
    """
    if re.search(r"`|\$\(|[()\n]", command):
        raise NotACallError("runs a command (the shell computes part of it)")
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        lexer.commenters = ""
        words = list(lexer)
    except ValueError:
        raise NotACallError("its quotes do not match") from None
    result: list[str] = []
    position = 0
    while position < len(words):
        word = words[position]
        following = words[position + 1 : position + 2]
        if word == "||" and words[position + 1 :] in (["true"], [":"], ["exit", "0"]):
            break
        if (word == ";" and not following) or word.startswith("#"):
            break
        if word in {">", ">>", ">&", "&>", "&>>", "<"} and following:
            # The digit before a redirection is a word of its own to shlex.
            if result and result[-1] in {"1", "2"} and result[-1] + word in command:
                result.pop()
            position += 2
            continue
        if set(word) <= set("|&;<>"):
            raise NotACallError("runs a command (several, joined by the shell)")
        result.append(word)
        position += 1
    return result


def _unwrapped(words: list[str], call: Call) -> list[str]:
    """Take off what only limits how a program runs: timeout, flock -n, nice, chronic."""
    while words:
        tool = words[0].rpartition("/")[2]
        if tool == "timeout" and len(words) > 1 and (found := _DURATION.fullmatch(words[1])):
            call.timeout = float(found[1]) * _UNITS[found[2]]
            words = words[2:]
        elif tool == "flock" and len(words) > 2 and words[1] in {"-n", "--nonblock"}:  # noqa: PLR2004
            words = words[3:]  # a job never overlaps itself: that is the default
        elif tool == "nice" and len(words) > 2 and words[1] == "-n":  # noqa: PLR2004
            words = words[3:]
        elif tool in {"nice", "chronic", "exec"} and words[1:] and words[1][0] != "-":
            words = words[1:]
        else:
            break
    return words


def _options(tool: str, words: list[str]) -> Iterator[tuple[str, str]]:
    """Give (meaning, value) of each option and URL.

    Raises:
        NotACallError: an option is not known here.
    """
    flags, values = _TOOLS[tool]
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word == "-":
            yield "url", word
        elif word.startswith("--") or (len(word) > 2 and word[1:] in flags):  # noqa: PLR2004 - wget's -nv
            name, equals, value = word.lstrip("-").partition("=")
            if name in flags and not equals:
                yield flags[name], ""
            elif name in values:
                yield values[name], value if equals else _following(rest, word)
            else:
                raise NotACallError(f"`{printable(word)}` is an option that is not known here")
        else:
            yield from _short(word, rest, flags, values)


def _short(
    word: str, rest: Iterator[str], flags: Mapping[str, str], values: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Read ``-fsSX POST``: flags joined, the last of which may take a value."""
    for position, letter in enumerate(word[1:], start=1):
        if letter in flags:
            yield flags[letter], ""
        elif letter in values:
            yield values[letter], word[position + 1 :] or _following(rest, f"-{letter}")
            return
        else:
            raise NotACallError(f"`-{printable(letter)}` is an option that is not known here")


def _following(rest: Iterator[str], option: str) -> str:
    value = next(rest, None)
    if value is None:
        raise NotACallError(f"`{printable(option)}` lacks its value")
    return value


def _apply(call: Call, what: str, value: str) -> None:
    """Take one option over, or say that it is not."""
    if what in {"body", "credentials", "cookie"}:
        raise NotACallError(f"sends {'a body' if what == 'body' else what}, which a job cannot")
    if what == "method":
        if value.upper() not in METHODS:
            raise NotACallError(f"uses the method `{printable(value)}`")
        call.method = value.upper()
    elif what == "head":
        call.method = "HEAD"
    elif what == "timeout":
        call.timeout = _number(value, "a timeout")
    elif what in {"retry", "tries"}:
        retries = int(_number(value, "a number of retries")) - (what == "tries")
        call.attempts = min(max(retries, 0), _MOST_RETRIES) + 1
    elif what == "retry-delay":
        call.backoff = _number(value, "a delay")
    elif note := _note(what, value):
        call.notes.append(note)


_LOST = {
    "follow": "redirects are not followed",
    "insecure": "the server's certificate is checked",
    "bearer": "the token is not taken over: Cronbell sends CRON_SECRET",
    "referer": "no Referer is sent",
}


def _note(what: str, value: str) -> str:
    """Return what a job does not do that an option asks for; empty where nothing is lost."""
    if what == "header" and value != f"@{AUTHORIZATION}":
        name = value.partition(":")[0].strip().lower()
        if name == "authorization":
            return _LOST["bearer"]
        return "" if name in OWN_HEADERS else f"the header `{printable(name)}` is not sent"
    if what == "agent" and value != USER_AGENT:
        return f"the User-Agent is {USER_AGENT}"
    return _LOST.get(what, "")


def _number(value: str, what: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(?:\.[0-9]{1,6})?", value):
        raise NotACallError(f"`{printable(value)}` is not {what}")
    return float(value)


def _expanded(word: str, variables: Mapping[str, str]) -> str:
    """Put in the crontab's variables; the shell's own cannot be known."""
    return _VARIABLE.sub(lambda found: variables.get(found[1] or found[2], found[0]), word)


def _url(text: str) -> str:
    if "$" in text:
        raise NotACallError("its URL holds a variable that the crontab does not set")
    if "://" not in text:
        text = f"http://{text}"  # as curl and wget do
    try:
        return parse_url(text.partition("#")[0]).text
    except UrlError as error:
        raise NotACallError(f"its URL {error.message}") from None
