from __future__ import annotations

import pytest

from cronbell.clock import SYSTEM_CLOCK
from ideasgpt.sample import load_sample_if_empty
from ideasgpt.sample.records import SAMPLES
from ideasgpt.verification import standing
from ideasgpt.verification.models import Attachment, Record, Standing
from ideasgpt.verification.storage import folder
from ideasgpt.verification.verifying import verify

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("read_here")]
HONEST = (0, 1, 2, 7)  # the places of those that a model may approve


@pytest.fixture(autouse=True)
def _sample(settings):
    settings.SAMPLE_IF_EMPTY = True


def decided():
    records = list(standing.waiting().order_by("pk"))
    assert len(records) == len(SAMPLES)
    return [(verdict.status, verdict.reasons) for verdict in map(verified, records)]


def verified(record):
    return verify(record, SYSTEM_CLOCK)


def test_without_a_model_the_sample_shows_every_reason_for_a_person():
    assert load_sample_if_empty()
    assert decided() == [
        (Standing.NEEDS_REVIEW, ["no_model"]),
        (Standing.NEEDS_REVIEW, ["no_model"]),
        (Standing.NEEDS_REVIEW, ["no_model"]),
        (Standing.NEEDS_REVIEW, ["missing:total"]),
        (Standing.NEEDS_REVIEW, ["missing:이름"]),
        (Standing.REJECTED, ["impossible:issued"]),
        (Standing.NEEDS_REVIEW, ["suspicious_instructions:d1"]),
        (Standing.NEEDS_REVIEW, ["no_model"]),
    ]


def test_with_a_model_the_honest_ones_are_approved(obeying):
    assert load_sample_if_empty()
    approved = [place for place, (status, _) in enumerate(decided()) if status == Standing.APPROVED]
    assert approved == list(HONEST)


def test_a_load_that_breaks_leaves_no_file(monkeypatch):
    real = Attachment.objects.create

    def breaks(**fields):
        if fields["name"] == "자격증.txt":
            raise KeyboardInterrupt
        return real(**fields)

    with monkeypatch.context() as patch:
        patch.setattr(Attachment.objects, "create", breaks)
        with pytest.raises(KeyboardInterrupt):
            load_sample_if_empty()
    assert list(folder().iterdir()) == []
    assert not Record.objects.exists()
