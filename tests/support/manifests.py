"""Reads the manifests that we write, strictly, and holds them against the published API.

A reader of the few YAML forms that Kubernetes' own documents use, written from the text of YAML 1.2
and not from our writer: block mappings, block and flow lists, double-quoted and plain scalars.
Whatever else it meets is a fault, so that what it accepts means the same to every reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

ESCAPES = {"0": "\0", "a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}
ESCAPES |= {"e": "\x1b", '"': '"', "/": "/", "\\": "\\", "N": "\x85", "L": "\u2028", "P": "\u2029"}
ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
PLAIN = re.compile(r"[A-Za-z][\w./-]*(?: [\w./-]+)*")
KEY = re.compile(r"([A-Za-z][\w./-]*):(?: (.+))?")
# What YAML 1.1 readers take for something else than text.
NOT_TEXT = re.compile(r"(?i)y|n|yes|no|on|off|null|~")
MOST_INDENTED = 60

# https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/cron-job-v1/ and the pod's
# page: of every object the fields that exist and their kinds, as far as we write any.
REFERENCE = {"name": str, "key": str, "optional": bool}
SECURITY = {
    "allowPrivilegeEscalation": bool,
    "readOnlyRootFilesystem": bool,
    "runAsNonRoot": bool,
    "runAsUser": int,
    "runAsGroup": int,
    "capabilities": {"add": [str], "drop": [str]},
}
CONTAINER = {
    "name": str,
    "image": str,
    "command": [str],
    "args": [str],
    "env": [{"name": str, "value": str, "valueFrom": {"secretKeyRef": REFERENCE}}],
    "securityContext": SECURITY,
}
POD = {
    "restartPolicy": {"OnFailure", "Never"},  # a Job's pod may not be restarted always
    "automountServiceAccountToken": bool,
    "containers": [CONTAINER],
}
JOB = {
    "backoffLimit": int,
    "activeDeadlineSeconds": int,
    "ttlSecondsAfterFinished": int,
    "template": {"spec": POD},
}
CRON_JOB = {
    "apiVersion": {"batch/v1"},
    "kind": {"CronJob"},
    "metadata": {"name": str, "annotations": {"cronbell/job": str}},
    "spec": {
        "schedule": str,
        "timeZone": str,
        "suspend": bool,
        "concurrencyPolicy": {"Allow", "Forbid", "Replace"},
        "startingDeadlineSeconds": int,
        "successfulJobsHistoryLimit": int,
        "failedJobsHistoryLimit": int,
        "jobTemplate": {"spec": JOB},
    },
}
# Without these the API refuses the document, wherever the shape has them.
NEEDED = {"apiVersion", "kind", "metadata", "name", "spec", "schedule", "jobTemplate", "template"}
NEEDED |= {"containers", "restartPolicy", "image", "key"}


def documents(text: str) -> list[Any]:
    """Return the documents of a file; a ``ValueError`` names the line that is not understood."""
    found: list[list[str]] = []
    for line in text.splitlines():
        if line == "---":
            found.append([])
        elif line.strip() and not line.startswith("#"):
            if not found:
                raise ValueError(f"before the first document: {line}")
            found[-1].append(line)
    return [_whole(lines) for lines in found]


def misfits(value: Any, shape: Any, where: str = "") -> Iterator[str]:
    """Yield what in a document the API would refuse or drop."""
    if isinstance(shape, dict) and isinstance(value, dict):
        yield from (f"{where}.{key}: no such field" for key in value.keys() - shape.keys())
        for key, inner in shape.items():
            if key in value:
                yield from misfits(value[key], inner, f"{where}.{key}")
            elif key in NEEDED:
                yield f"{where}.{key}: missing"
    elif isinstance(shape, list) and isinstance(value, list):
        for number, one in enumerate(value):
            yield from misfits(one, shape[0], f"{where}[{number}]")
    elif isinstance(shape, set):
        if value not in shape:
            yield f"{where}: {value!r} is none of {sorted(shape)}"
    elif not isinstance(shape, type) or type(value) is not shape:
        kind = shape.__name__ if isinstance(shape, type) else type(shape).__name__
        yield f"{where}: {value!r} is not {kind}"


def _whole(lines: list[str]) -> Any:
    value, rest = _block(lines, 0)
    if rest:
        raise ValueError(f"indented like nothing before it: {rest[0]}")
    return value


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _block(lines: list[str], depth: int) -> tuple[Any, list[str]]:
    """Read the mapping or list that starts in the first line; return the lines after it, too."""
    if lines[0][depth:].startswith("- "):
        return _sequence(lines, depth)
    result: dict[str, Any] = {}
    while lines and _indent(lines[0]) == depth and not lines[0][depth:].startswith("- "):
        match = KEY.fullmatch(lines[0], depth)
        if not match or match[1] in result:
            raise ValueError(f"not a key, or given twice: {lines[0]}")
        lines = lines[1:]
        if match[2]:
            result[match[1]] = _scalar(match[2])
        elif lines and depth < _indent(lines[0]) <= MOST_INDENTED:
            result[match[1]], lines = _block(lines, _indent(lines[0]))
        else:
            raise ValueError(f"{match[1]} has no value")
    return result, lines


def _sequence(lines: list[str], depth: int) -> tuple[list[Any], list[str]]:
    result = []
    while lines and _indent(lines[0]) == depth and lines[0][depth:].startswith("- "):
        entry = lines[0][depth + 2 :]
        if KEY.fullmatch(entry):
            value, lines = _block([" " * (depth + 2) + entry, *lines[1:]], depth + 2)
        else:
            value, lines = _scalar(entry), lines[1:]
        result.append(value)
    return result, lines


def _scalar(text: str) -> Any:
    if text.startswith("[") and text.endswith("]"):
        return [_scalar(one.strip()) for one in text[1:-1].split(",")]
    if QUOTED.fullmatch(text):
        return ESCAPE.sub(_unescaped, text[1:-1])
    if re.fullmatch(r"0|-?[1-9][0-9]*", text):
        return int(text)
    if text in {"true", "false"}:
        return text == "true"
    if not PLAIN.fullmatch(text) or NOT_TEXT.fullmatch(text):
        raise ValueError(f"may be read as something else: {text}")
    return text


def _unescaped(match: re.Match[str]) -> str:
    digits = match[1] or match[2] or match[3]
    if not digits:
        if match[4] not in ESCAPES:
            raise ValueError(f"no such escape: {match[0]}")
        return ESCAPES[match[4]]
    character = chr(int(digits, 16))
    if "\ud800" <= character <= "\udfff":
        raise ValueError(f"half a character, which YAML has no pairs for: {match[0]}")
    return character
