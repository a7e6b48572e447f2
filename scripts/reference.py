"""``make docs``: write ``docs/reference`` from the code, so that it can't say what is not so.

Each page is a function in ``PAGES`` that returns Markdown. What the code has and nobody describes
stops the writing. ``--check`` writes nothing and ends with 1 where a page is not what it would be.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import pkgutil
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
NOTE = "<!-- Written by `make docs` from the code: change that, not this. -->"
PACKAGES = ("cronbell", "ideasgpt")
# Each stands for what a real one of its kind would be, in the sentences of reasons.
SAMPLE: dict[str, Any] = {
    "status": 404, "location": "/login", "message": "no mail server", "failed": 2, "total": 20,
    "seconds": 300, "after": 5, "host": "app.example", "error": "certificate has expired",
    "limit": 1_000_000, "run": 41, "by": "admin", "reason": "moving house", "sent": True,
    "from": "22:00", "to": "06:00", "timezone": "UTC", "days": ["sat"], "exit_status": 3,
}  # fmt: skip
ANY_FAILURE = 599  # a status with nothing of its own to say
# Keys of cronbell.toml that are no field of a job by themselves.
KEYS = {
    "target": "The application's address; jobs' paths belong to it.",
    "allowed_hosts": "Further hosts, as `host` or `host:port`, that jobs may call with the secret.",
    "defaults": "A table of values for all jobs.",
    "runner": "A table, below.",
    "retention": "A table, below.",
    "alerts": "Tables: who is told of what, by channel ([how to be told](../howto/alerts.md)).",
    "jobs": "A table for each job, by name.",
    "every": 'An interval in place of `schedule`, counted from midnight UTC: `30`, `"30s"`.',
    "concurrency": "Runs that go on at once at most, in all jobs together.",
    "newest": "So many of each job's newest runs are kept however old they are.",
    "from": "When it begins: a time of day, or a date, a local time or an instant.",
    "to": "When it ends, likewise, not part of it; a date is part of it as a whole.",
}


def main() -> int:
    """Write the pages, or check them; return 1 where one is not current."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as data:
        os.environ["CRONBELL_DATA"] = data
        os.environ.setdefault("DJANGO_SECRET_KEY", "documents-sign-nothing-with-this-key")
        os.environ["DJANGO_SETTINGS_MODULE"] = "ideasgpt.settings"
        os.environ["LANGUAGE_CODE"] = "en"
        import django  # noqa: PLC0415 - reads the variables above

        django.setup()
        wanted = {f"{name}.md": page() for name, page in PAGES.items()}
    changed = stale(wanted, FOLDER)
    if check:
        for name in changed:
            print(f"docs/reference/{name} is not as the code has it: make docs", file=sys.stderr)
        return int(bool(changed))
    FOLDER.mkdir(exist_ok=True)
    for name in changed:
        if name in wanted:
            (FOLDER / name).write_text(wanted[name], encoding="utf-8")
        else:
            (FOLDER / name).unlink()
    print(f"docs/reference: {len(wanted)} pages, {len(changed)} changed")
    return 0


def stale(wanted: Mapping[str, str], folder: Path) -> list[str]:
    """Return the names of pages that differ from what is wanted, are missing or left over."""
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    return sorted(
        name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name)
    )


def index() -> str:
    """List the pages."""
    rows = [
        (f"[{page().partition('# ')[2].partition(chr(10))[0]}]({name}.md)", _summary(page))
        for name, page in PAGES.items()
        if page is not index
    ]
    return _page("Reference", table(("page", "what it lists"), rows))


def commands() -> str:
    """Every command of `cronbell` with its arguments and options.

    `ideasgpt` takes the same.
    """
    import typer  # noqa: PLC0415 - only this page needs it

    from cronbell.cli import next_fires  # noqa: PLC0415
    from cronbell.cli.commands import app  # noqa: PLC0415

    root: Any = typer.main.get_command(app)
    codes = "0 fine, 1 the thing asked about is not fine, 2 wrong usage"
    parts = [f"Each takes `--help`. Exit codes: {codes}.\n"]
    for name, command in sorted(_flat(root)):
        if name == "next":
            parts.append(_argparse_command(name, next_fires.SUMMARY, next_fires.parser()))
        else:
            parts.append(_click_command(name, command))
    return _page("Commands", "\n".join(parts))


def _flat(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _flat(command, f"{before}{name} ")
        else:
            yield before + name, command


def _click_command(name: str, command: Any) -> str:
    text = " ".join(inspect.cleandoc(command.help or "").split("\n\n")[0].split())
    usage, rows = [f"cronbell {name}"], []
    for one in command.params:
        if one.param_type_name == "argument":
            word = (one.metavar or one.name.upper()).strip("[]")
            usage.append(word if one.required else f"[{word}]")
            rows.append((f"`{word}`", _described(one.help, f"{name} {word}"), ""))
            continue
        flags = ", ".join(f"`{flag}`" for flag in (*one.opts, *one.secondary_opts))
        allowed = " ".join(f"`{word}`" for word in _choices(one.type_descriptor.annotation))
        text_of = f"{_described(one.help, f'{name} {flags}')} {allowed}".rstrip()
        default = one.default if not one.is_flag and one.default not in (None, [], ()) else ""
        rows.append((flags, text_of, f"`{default}`" if default != "" else ""))
    return _command(name, text, " ".join([*usage, "[OPTIONS]"]), rows)


def _choices(annotation: Any) -> list[str]:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(one.value) for one in annotation]
    if get_origin(annotation) is Literal:
        return [str(one) for one in get_args(annotation)]
    return []


def _argparse_command(name: str, text: str, parser: argparse.ArgumentParser) -> str:
    usage, rows = [f"cronbell {name}"], []
    for action in parser._actions:  # noqa: SLF001 - argparse has no other list of them
        if "--help" in action.option_strings:
            continue
        word = str(action.metavar or action.dest)
        if not action.option_strings:
            usage.append(word)
        flags = ", ".join(f"`{flag}`" for flag in action.option_strings) or f"`{word}`"
        allowed = " ".join(f"`{choice}`" for choice in action.choices or ())
        about = _described(action.help, f"{name} {flags}").removesuffix(
            f" (default: {action.default})"
        )
        rows.append((flags, f"{about} {allowed}".rstrip(), _default(action.default)))
    return _command(name, text, " ".join([*usage, "[OPTIONS]"]), rows)


def _command(name: str, text: str, usage: str, rows: list[tuple[str, str, str]]) -> str:
    listed = table(("argument or option", "what it is", "default"), rows)
    return f"## {name}\n\n{text}\n\n```\n{usage}\n```\n\n{listed}"


def settings() -> str:
    """Every key of `cronbell.toml`: what it may hold, its default, what it does."""
    from cronbell.config import blackout, parameters, retention, toml, values  # noqa: PLC0415
    from cronbell.domain import Blackout, JobSpec, Parameter, RetryPolicy  # noqa: PLC0415

    job, retry = meanings(JobSpec), meanings(RetryPolicy)
    window, parameter = meanings(Blackout), meanings(Parameter)
    spec = {one.name: one.default for one in fields(JobSpec)}
    attempts = {one.name: one.default for one in fields(RetryPolicy)}
    kept = {
        key: float(age) if age != retention.FOREVER and key not in KEYS else age
        for key, age in retention.Retention().plain().items()
    }
    top = [(f"`{key}`", _described(KEYS.get(key), key)) for key in toml.TOP_KEYS]
    window_rows = [
        (f"`{key}`", window.get(key) or _described(KEYS.get(key), key)) for key in blackout.READERS
    ]
    parameter_rows = [(f"`{key}`", parameter[key]) for key in parameters.READERS]
    ages = {
        key: f'How long an ended run with the status `{key}` is kept; `"{retention.FOREVER}"` too.'
        for key in retention.RETENTION_KEYS
        if key not in KEYS
    }
    runner = {"concurrency": toml.DEFAULT_CONCURRENCY}
    pings = ", ".join(f"`{key}`" for key in sorted(values.HEARTBEAT_KEYS))
    parts = [
        "The file beside `vercel.json`. A key that is not listed here is refused, with its line.",
        "## At the top\n\n" + table(("key", "what it is"), top),
        "## [defaults] and [jobs.NAME]\n\nIn `[defaults]` for all jobs, under a job's name for it"
        " alone.\n\n" + _keys(values.SHARED_KEYS, job, spec),
        "## [jobs.NAME] alone\n\n" + _keys(values.JOB_KEYS, job, spec),
        f"A job with `heartbeat = true` takes only {pings}.",
        "## retry\n\nA table of a job or of `[defaults]`.\n\n"
        + _keys(values.RETRY_KEYS, retry, attempts),
        "## blackout\n\nA list of tables of a job or of `[defaults]`.\n\n"
        + table(("key", "what it is"), window_rows),
        "## parameters\n\nA list of tables of a job: what may be chosen when it is run now.\n\n"
        + table(("key", "what it is"), parameter_rows),
        *_alert_keys(),
        "## [runner]\n\n" + _keys(toml.RUNNER_KEYS, {}, runner),
        "## [retention]\n\n" + _keys(retention.RETENTION_KEYS, ages, kept),
        "## Words\n\nWhat each means: [policies](../policies.md).\n\n" + "\n".join(_word_lists()),
    ]
    return _page("Settings: cronbell.toml", "\n\n".join(part.rstrip() for part in parts) + "\n")


def _alert_keys() -> Iterator[str]:
    from cronbell.config import alert_keys as keys  # noqa: PLC0415
    from cronbell.config.alerts import Alerts, Channel, Rule  # noqa: PLC0415

    rule, channel = meanings(Rule), meanings(Channel)
    rules = {one.name: one.default for one in fields(Rule)}
    # What a channel is told of unless it says otherwise, everything, is too long for a cell.
    own = {one.name: one.default for one in fields(Channel)} | {"on": "", "from": ""}
    least = {"runner_down": Alerts().runner_down}
    yield "## [alerts]\n\n" + _keys(keys.TOP_KEYS, rule | meanings(Alerts), rules | least)
    yield "## [jobs.NAME.alerts]\n\nOr `alerts = false`: nobody is told of this job.\n\n" + _keys(
        keys.JOB_KEYS, rule, rules
    )
    quiet = f"`quiet` is a list of tables like those of [blackout](#blackout). {channel['quiet']}"
    listed = _keys(keys.CHANNEL_KEYS, channel, own)
    yield f"## [alerts.channels.NAME]\n\n{listed}\n{quiet}"
    for kind, table_keys in keys.OWN_KEYS.items():
        needed = ", ".join(f"`{key}`" for key in keys.REQUIRED_KEYS[kind])
        about = {**channel, "from": channel["sender"]}
        yield f'### type = "{kind}"\n\nIt needs {needed}.\n\n' + _keys(table_keys, about, own)


def _keys(known: Mapping[str, Any], about: Mapping[str, str], default: Mapping[str, Any]) -> str:
    rows = [
        (
            f"`{key}`",
            about.get(key) or _described(KEYS.get(key), key),
            _allowed(reader),
            _default(default.get(key, "")),
        )
        for key, reader in known.items()
    ]
    return table(("key", "what it is", "write", "default"), rows)


def _allowed(reader: Callable[[Any], Any]) -> str:
    """Return what a key may hold, in the words that refuse anything else."""
    from cronbell.config.values import RefusedError  # noqa: PLC0415

    for senseless in ({}, []):
        try:
            reader(senseless)
        except RefusedError as error:
            hint = error.hint.removeprefix("write ").removeprefix("choose from ")
            return hint.removeprefix("it in quotes: ")
    raise SystemExit(f"{reader} takes anything: give it a hint")


def _word_lists() -> Iterator[str]:
    from cronbell import domain  # noqa: PLC0415

    kinds = {
        "overlap": domain.Overlap, "catch_up": domain.CatchUp, "delivery": domain.Delivery,
        "dst_gap": domain.DstGap, "dst_repeat": domain.DstRepeat,
    }  # fmt: skip
    for key, kind in kinds.items():
        rows = [(f'`"{word}"`', text) for word, text in words(kind).items()]
        yield f"`{key}`:\n\n{table(('word', 'meaning'), rows)}"


def environment() -> str:
    """Every variable of the environment that Cronbell or the ideas service reads."""
    from cronbell.config.variables import VARIABLES  # noqa: PLC0415
    from ideasgpt.variables import VARIABLES as SERVICE  # noqa: PLC0415

    text = "One that begins with `CRONBELL_` and is not listed is warned of.\n"
    for title, some in (("\n", VARIABLES), ("\n## The ideas service\n\n", SERVICE)):
        rows = [(f"`{name}`", what) for name, what in some.items()]
        text += title + table(("variable", "what it is"), rows)
    return _page("Variables of the environment", text)


def errors() -> str:
    """Statuses, reasons, error codes: what the log, `--json` and the API's answers name."""
    from django.utils import translation  # noqa: PLC0415

    from cronbell.errors import CronbellError  # noqa: PLC0415
    from cronbell.runlog.reasons import explain, explain_status  # noqa: PLC0415
    from cronbell.states import FINAL, Kind, Reason, Status  # noqa: PLC0415

    _import_everything()
    codes = sorted({(one.code, _first_line(one)) for one in _below(CronbellError)})
    comments = words(Status)
    statuses = [
        (f"`{one}`", comments[one] or "", "yes" if one in FINAL else "no") for one in Status
    ]
    kinds = [(f"`{word}`", text) for word, text in words(Kind).items()]
    sentences = {}
    for language in ("en", "ko"):
        with translation.override(language):
            sentences[language] = [explain(reason.value, SAMPLE) for reason in Reason]
            sentences[f"{language} status"] = [explain_status(code) for code in range(600)]
    reasons = [
        (f"`{reason}`", english, korean)
        for reason, english, korean in zip(Reason, sentences["en"], sentences["ko"], strict=True)
    ]
    meant = [*zip(sentences["en status"], sentences["ko status"], strict=True)]
    http = [
        ("any other 5xx" if said == meant[ANY_FAILURE] else str(code), *said)
        for code, said in enumerate(meant)
        if said[0] and (said != meant[ANY_FAILURE] or code == ANY_FAILURE)
    ]
    parts = [
        "## Statuses of a run\n\n" + table(("status", "meaning", "final"), statuses),
        "## What made it\n\n" + table(("kind", "meaning"), kinds),
        "## Reasons\n\nAs the log shows them, with an example's values.\n\n"
        + table(("code", "in English", "in Korean"), reasons),
        "## HTTP statuses of an endpoint\n\n" + table(("status", "English", "Korean"), http),
        "## Errors\n\n`code` of what a command or the API refuses. The message names the place, the"
        " hint the remedy.\n\n"
        + table(("code", "when"), [(f"`{code}`", text) for code, text in codes]),
    ]
    return _page("Statuses, reasons, errors", "\n\n".join(part.rstrip() for part in parts) + "\n")


def metrics() -> str:
    """Every metric of `/metrics`: kind, labels, what it says."""
    from cronbell.dashboard.metric_names import METRICS  # noqa: PLC0415

    rows = [
        (f"`{one.name}`", one.kind, " ".join(map("`{}`".format, one.labels)), one.help)
        for one in METRICS.values()
    ]
    text = (
        "A histogram has the samples `NAME_bucket`, with the label `le`, `NAME_sum` and"
        " `NAME_count`. Who may read them: [watch Cronbell](../howto/watch-cronbell.md).\n\n"
    )
    return _page("Metrics", text + table(("metric", "kind", "labels", "what it says"), rows))


def headers() -> str:
    """HTTP headers: what a runner sends, what an endpoint answers, what every page carries."""
    from cronbell.dispatch.request import MEANINGS, AttemptCall, build_request  # noqa: PLC0415
    from cronbell.domain import JobSpec, fire_key  # noqa: PLC0415
    from cronbell.server.middleware import HEADERS as ALWAYS  # noqa: PLC0415

    due = datetime(2026, 11, 22, tzinfo=UTC)
    spec = JobSpec(
        name="digest",
        path="/api/cron/digest",
        url="https://app.example/api/cron/digest",
        schedule="0 0 * * *",
        method="POST",
    )
    key, trace = fire_key(spec.path, spec.schedule, due), f"00-{'ab' * 16}-{'cd' * 8}-01"
    call = AttemptCall(key, due, attempt=1, dry_run=True, traceparent=trace)
    sent = build_request(spec, call, secret="$CRON_SECRET").headers  # noqa: S106 - its name, not its value
    rows = [
        (f"`{name}`", f"`{value}`", _described(MEANINGS.get(name), name)) for name, value in sent
    ]
    answers = [
        (
            "`Retry-After`",
            "409, 429, 503",
            "Asked again then, up to the deadline, as the same attempt. Seconds or a date.",
        ),
        ("`Idempotency-Replayed`", "200", "`true`: the answer was given before; nothing ran."),
        ("`Allow`", "405", "The methods that are taken."),
    ]
    parts = [
        "## A runner sends\n\n" + table(("header", "for example", "what it is"), rows),
        "## An endpoint answers\n\n" + table(("header", "with", "what it does"), answers),
        "## Every page and answer of Cronbell's has\n\n"
        + table(
            ("header", "value"), [(f"`{name}`", f"`{value}`") for name, value in ALWAYS.items()]
        ),
    ]
    return _page("HTTP headers", "\n\n".join(part.rstrip() for part in parts) + "\n")


def meanings(record: type) -> dict[str, str]:
    """Return what the docstring of a record says of each attribute."""
    doc = inspect.cleandoc(record.__doc__ or "").partition("Attributes:\n")[2]
    found = re.findall(r"^    (\w+): (.*(?:\n      .*)*)", doc, re.MULTILINE)
    said = {name: " ".join(text.split()) for name, text in found}
    # Where an attribute refers to an enumeration, its words stand at the end of the page.
    return {
        name: "See [Words](#words)."
        if text.startswith("see ``")
        else _markdown(_capital(_ended(text)))
        for name, text in said.items()
    } | {"start": "", "end": ""}


def words(kind: type[StrEnum]) -> dict[str, str]:
    """Return an enumeration's words, each with the comment beside it in the source."""
    source = inspect.getsource(kind)
    comments = dict(re.findall(r'"(\w+)"(?:\s+# (.*))?$', source, re.MULTILINE))
    return {one.value: comments.get(one.value, "") for one in kind}


def _import_everything() -> None:
    for package in PACKAGES:
        root = importlib.import_module(package)
        for found in pkgutil.walk_packages(root.__path__, f"{package}."):
            if found.name.rpartition(".")[2] not in {"__main__", "wsgi", "web", "child"}:
                importlib.import_module(found.name)


def _below(kind: type) -> Iterator[Any]:
    yield kind
    for one in kind.__subclasses__():
        yield from _below(one)


def _described(text: str | None, what: str) -> str:
    if not text:
        raise SystemExit(
            f"nobody says what {what} is: in its docstring or help, or in scripts/reference.py"
        )
    return _markdown(_ended(" ".join(text.split())))


def _default(value: object) -> str:
    if value in {"", None, (), MISSING}:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{_duration(value)}`"
    if isinstance(value, str):
        return f'`"{value}"`' if not value.isdigit() else f"`{value}`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{one}"' for one in value) + "]`"
    return f"`{value}`"


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f'"{seconds / size:g}{unit}"'
    return f"{seconds:g}"


def _first_line(kind: type) -> str:
    return _markdown((kind.__doc__ or "").strip().splitlines()[0])


def _ended(text: str) -> str:
    return text if text.endswith((".", "…", "?")) else f"{text}."


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _markdown(text: str) -> str:
    return text.replace("``", "`")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    lines = [tuple(head)]
    lines.append(("---",) * len(lines[0]))
    lines += [tuple(cell.replace("|", r"\|").replace("\n", " ") for cell in row) for row in rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _summary(page: Callable[[], str]) -> str:
    return " ".join((page.__doc__ or "").split())


def _page(title: str, body: str) -> str:
    return f"{NOTE}\n\n# {title}\n\n{body}"


PAGES: dict[str, Callable[[], str]] = {
    "README": index,
    "commands": commands,
    "settings": settings,
    "environment": environment,
    "errors": errors,
    "metrics": metrics,
    "headers": headers,
}

if __name__ == "__main__":
    sys.exit(main())
