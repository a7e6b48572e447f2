"""Every variable of the environment that a person may set, and what one that is none is taken for.

``docs/reference/environment.md`` is written from here; a test finds each variable that the code
reads and nobody describes, and each that is described and not read.
"""

from __future__ import annotations

from collections.abc import Mapping

from cronbell.config.source import printable, similar
from cronbell.domain import Fault

OURS = "CRONBELL_"

VARIABLES: Mapping[str, str] = {
    "CRON_SECRET": "Sent to endpoints, asked of callers; at least 16 printable ASCII characters."
    " Made in the data folder unless set.",
    "CRON_SECRET_PREVIOUS": "Still taken from callers while `CRON_SECRET` is exchanged.",
    "CRON_SECRET_NEXT": "The one that `cronbell rotate-secret probe` asks endpoints about, where"
    " secrets do not come from the data folder.",
    "DATABASE_URL": "`postgresql://user:password@host:5432/name`; unless set, two SQLite files in"
    " the data folder.",
    "CRONBELL_DATA": "The data folder; `.cronbell` in the current one unless set.",
    "CRONBELL_TARGET": "The application to call, like `--target` of `cronbell up`.",
    "CRONBELL_HOSTS": "Public names to answer to, with commas; the loopback's and Vercel's are"
    " always among them.",
    "CRONBELL_HTTPS": "`1` where TLS ends in front: cookies are for HTTPS only and"
    " `X-Forwarded-Proto` is believed; `0` where not. On Vercel `1` unless set.",
    "CRONBELL_ORIGINS": "Origins like `https://cron.example.com`, with commas, where a proxy"
    " changes the `Host`.",
    "CRONBELL_PROXIES": "Addresses or networks of the servers in front, with commas, whose"
    " `X-Forwarded-For` is believed; nobody's unless set.",
    "CRONBELL_PING_SECRET": "Derives the addresses that watched jobs ping; the same on every"
    " machine. Made in the data folder unless set.",
    "CRONBELL_METRICS_TOKEN": "Who sends it as a bearer token may read `/metrics`; at least 16"
    " printable ASCII characters. Administrators only unless set.",
    "CRONBELL_LOG_LEVEL": "The least that is logged: `DEBUG`, `INFO` (unless set), `WARNING`,"
    " `ERROR` or `CRITICAL`.",
    "CRONBELL_LOG_FORMAT": "`text` (unless set) or `json`, one object a line.",
    "CRONBELL_LOG_CALLS": "Which calls and jobs are logged when they end: `failed` (unless set),"
    " `all` or `none`.",
    "CRONBELL_TRACES": "`1`: traces by OpenTelemetry, with the extra `cronbell[otel]`; where to is"
    " said by OpenTelemetry's own variables, such as `OTEL_EXPORTER_OTLP_ENDPOINT`.",
    "OTEL_SERVICE_NAME": "The name in traces in place of Cronbell's own.",
    "DJANGO_SECRET_KEY": "Signs sessions; the same on every web process. Made in the data folder"
    " unless set.",
    "DJANGO_SETTINGS_MODULE": "Settings of an application that Cronbell is part of;"
    " `cronbell.server.settings` unless set.",
    "LANGUAGE_CODE": "`en` (unless set) or `ko`: the language of messages in the log, and of pages"
    " for browsers that ask for neither.",
}
# What `cronbell up` tells its own processes.
OWN = frozenset({"CRONBELL_OWN_URL", "CRONBELL_SECRETS", "CRONBELL_SUPERVISED"})
# What this project's tests tell theirs.
TESTS = ("CRONBELL_TEST_", "CRONBELL_FAULTS_")


def variable_faults(env: Mapping[str, str]) -> list[Fault]:
    """Return a warning for each variable that looks like one of Cronbell's and does nothing.

    Args:
        env: the environment.
    """
    return [
        Fault(
            file="the environment",
            line=0,
            key=printable(name),
            message=f"nothing reads the variable {printable(name)}",
            hint=_meant(name) or "`docs/reference/environment.md` lists those that do something",
        )
        for name in sorted(env)
        if name.startswith(OURS) and not (name in VARIABLES or name in OWN)
        if not name.startswith(TESTS)
    ]


def _meant(name: str) -> str:
    """Ask for the variable that may have been meant, without what all begin with."""
    ends = [known.removeprefix(OURS) for known in VARIABLES if known.startswith(OURS)]
    return similar(name.removeprefix(OURS), ends).replace("`", f"`{OURS}", 1)
