"""Figures ─► the text that Prometheus reads (exposition format 0.0.4). Pure.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]


@dataclass(slots=True)
class Family:
    """One metric: its name, what it says, and its samples.

    Attributes:
        name: without the endings of a histogram's samples.
        kind: ``counter``, ``gauge`` or ``histogram``.
        help: one sentence.
        labels: names of the labels of each sample; None: any.
        samples: ending of the name, labels and value.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] | None = None
    samples: list[tuple[str, Labels, float]] = field(default_factory=list)

    def add(self, value: float, /, **labels: str) -> None:
        """Add a sample.

        Raises:
            ValueError: it has other labels than the metric.
        """
        self._check(labels)
        self.samples.append(("", labels, value))

    def add_histogram(
        self, buckets: Sequence[tuple[str, int]], total: int, added_up: float, /, **labels: str
    ) -> None:
        """Add a histogram.

        Args:
            buckets: upper bound and how many are not above it, smallest first, without ``+Inf``.
            total: how many there are.
            added_up: what they add up to.
            labels: of every sample.

        Raises:
            ValueError: it has other labels than the metric.
        """
        self._check(labels)
        for bound, count in buckets:
            self.samples.append(("_bucket", {**labels, "le": bound}, count))
        self.samples.append(("_bucket", {**labels, "le": "+Inf"}, total))
        self.samples.append(("_sum", labels, added_up))
        self.samples.append(("_count", labels, total))

    def _check(self, labels: Labels) -> None:
        if self.labels is not None and tuple(labels) != self.labels:
            raise ValueError(f"{self.name} has the labels {self.labels}, not {tuple(labels)}")


def text_of(families: Sequence[Family]) -> str:
    """Return the page; families without samples are left out."""
    return "".join(line for family in families if family.samples for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    words = family.help.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {family.name} {words}\n# TYPE {family.name} {family.kind}\n"
    for ending, labels, value in family.samples:
        inside = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
        yield f"{family.name}{ending}{f'{{{inside}}}' if inside else ''} {_number(value)}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
