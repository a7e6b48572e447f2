"""Jobs as Kubernetes CronJobs (``batch/v1``), each a curl container."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Sequence

from cronbell.config.export.curl import SAID_ONCE, curl_arguments
from cronbell.config.export.fields import plain_text
from cronbell.config.export.parts import Exported, Options, dst_loss, policy_losses
from cronbell.domain import CatchUp, DstGap, DstRepeat, JobSpec, Overlap

FILE = "cronjobs.yaml"
_LONGEST_NAME = 52  # Kubernetes adds eleven characters for each job it makes
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_LEAST_DEADLINE = 10  # below it the controller's own ten-second loop misses fires
_TEMPLATE = """\
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {name}
  annotations:
    cronbell/job: {job}
spec:
  schedule: {schedule}
  timeZone: {zone}
  suspend: {suspend}
  concurrencyPolicy: {overlap}
  startingDeadlineSeconds: {window}
  successfulJobsHistoryLimit: 3
  failedJobsHistoryLimit: 3
  jobTemplate:
    spec:
      backoffLimit: 0
      activeDeadlineSeconds: {deadline}
      template:
        spec:
          restartPolicy: Never
          automountServiceAccountToken: false
          containers:
            - name: call
              image: {image}
              command:
                - curl
              args:
{arguments}
              env:
                - name: CRON_SECRET
                  valueFrom:
                    secretKeyRef:
                      name: {secret}
                      key: CRON_SECRET
              securityContext:
                allowPrivilegeEscalation: false
                readOnlyRootFilesystem: true
                runAsNonRoot: true
                runAsUser: 65534
                capabilities:
                  drop: ["ALL"]
"""

_OVERLAPS = {Overlap.ALLOW: "Allow", Overlap.CANCEL_RUNNING: "Replace"}


def to_kubernetes(jobs: Sequence[JobSpec], options: Options) -> Exported:
    """Write one manifest with a CronJob for each job.

    Args:
        jobs: with absolute URLs that the cluster can reach.
        options: ``secret`` and ``image``.
    """
    result = Exported()
    documents = []
    names: dict[str, str] = {}
    for job in jobs:
        schedule = plain_text(job)
        if schedule is None:
            result.leave_out(job, f"Kubernetes has no `{job.schedule}`")
            continue
        for what, reason in _losses(job):
            result.lose(job, what, reason)
        name = _name(job.name, names)
        if name != job.name:
            result.lose(job, "name", f"it is called `{name}` there")
        documents.append(_document(job, name, schedule, options))
    header = [
        "# Written by `cronbell export kubernetes`.",
        *(f"# {line}" for line in SAID_ONCE),
        f"# The Secret {options.secret} has the key CRON_SECRET.",
    ]
    result.files[FILE] = "\n".join(header) + "\n" + "".join(f"---\n{text}" for text in documents)
    return result


def _losses(job: JobSpec) -> Iterator[tuple[str, str]]:
    yield from dst_loss(job, DstGap.SKIP, DstRepeat.BOTH, "Kubernetes")
    yield from policy_losses(job, window=True, jitter=False)
    if job.overlap in {Overlap.QUEUE_ONE, Overlap.QUEUE_ALL}:
        yield "overlap", "nothing waits there: a fire during a run is skipped (Forbid)"


def _name(name: str, taken: dict[str, str]) -> str:
    """Make an RFC 1123 label of a job's name; what differs in it stays different."""
    label = _NOT_IN_NAMES.sub("-", name.lower()).strip("-")
    if label != name or len(label) > _LONGEST_NAME or label in taken:
        digits = hashlib.sha256(name.encode()).hexdigest()[:6]
        label = f"{label[: _LONGEST_NAME - 7].rstrip('-')}-{digits}".lstrip("-")
    taken[label] = name
    return label


def _document(job: JobSpec, name: str, schedule: str, options: Options) -> str:
    # Kubernetes puts variables in for $(NAME), and writes $ for $$.
    header = "Authorization: Bearer $(CRON_SECRET)"
    arguments = [
        word if word == header else word.replace("$", "$$") for word in curl_arguments(job, header)
    ]
    return _TEMPLATE.format(
        name=yaml_text(name),
        job=yaml_text(job.name),
        schedule=yaml_text(schedule),
        zone=yaml_text("Etc/UTC" if job.timezone == "UTC" else job.timezone),
        overlap=_OVERLAPS.get(job.overlap, "Forbid"),
        suspend=str(not job.enabled).lower(),
        window=_window(job),
        deadline=math.ceil(job.deadline or job.timeout),
        image=yaml_text(options.image),
        secret=yaml_text(options.secret),
        arguments="\n".join(f"                - {yaml_text(word)}" for word in arguments),
    )


def _window(job: JobSpec) -> int:
    """Return how many seconds late a fire may still start; without a catch-up as few as may be."""
    window = 0.0 if job.catch_up is CatchUp.NONE else job.catch_up_window
    return max(_LEAST_DEADLINE, math.ceil(window))


def yaml_text(text: str) -> str:
    """Write a YAML string: JSON's escapes are YAML's, and nothing in quotes is a number or yes.

    But for one: JSON writes characters past U+FFFF as pairs, which YAML refuses.
    """
    parts = (f"\\U{ord(one):08X}" if one > "\uffff" else json.dumps(one)[1:-1] for one in text)
    return f'"{"".join(parts)}"'
