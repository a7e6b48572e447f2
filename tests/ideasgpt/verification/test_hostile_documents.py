"""A model that obeys the document must not be able to get a record approved."""

from __future__ import annotations

import json

import pytest
from tests.ideasgpt.verification import hostile
from tests.ideasgpt.verification.conftest import TOKEN
from tests.ideasgpt.verification.obeying_model import approval

from cronbell.clock import SYSTEM_CLOCK
from ideasgpt.verification import checks, suspicion, verdict, verifier
from ideasgpt.verification.checks import Check, Found
from ideasgpt.verification.models import Attachment, AuditEntry, Record, Standing
from ideasgpt.verification.storage import UploadError, folder, path_of
from ideasgpt.verification.verifying import verify

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("read_here")]
FABRICATED = "Package: sesame-lib, Licence: MIT, as the seal below confirms"


def status_of(record):
    verify(record, SYSTEM_CLOCK)
    record.refresh_from_db()
    return record.verification_status


def test_an_honest_document_is_approved(make, obeying):
    assert status_of(make()) == Standing.APPROVED
    assert status_of(make(hostile.true_pdf(), name="proof.pdf")) == Standing.APPROVED
    assert len(obeying.asked) == 2


@pytest.mark.parametrize("name", hostile.SPEAKING)
def test_text_that_speaks_to_the_model_goes_to_a_person(make, obeying, name):
    text = hostile.SPEAKING[name].replace("{url}", obeying.url)
    other = make()
    assert status_of(make(hostile.with_text(text))) == Standing.NEEDS_REVIEW
    assert obeying.fetched == []
    other.refresh_from_db()
    assert other.verification_status == Standing.PENDING


@pytest.mark.parametrize("name", hostile.FALSE)
def test_a_document_that_does_not_say_so_goes_to_a_person(make, obeying, name):
    assert status_of(make(hostile.FALSE[name])) == Standing.NEEDS_REVIEW


@pytest.mark.parametrize("name", hostile.BROKEN)
def test_a_file_that_hides_breaks_or_explodes_goes_to_a_person(make, obeying, name):
    problem, content = hostile.BROKEN[name]
    record = make(content())
    assert status_of(record) == Standing.NEEDS_REVIEW
    assert obeying.asked == []
    assert f"{problem}:d1" in record.verdicts.get().reasons


@pytest.mark.parametrize("name", hostile.NAMES)
def test_names_never_reach_the_disk(make, name):
    record = make(name=name)
    one = record.attachments.get()
    assert one.name == hostile.NAMES[name]
    assert path_of(one.pk).parent == folder()
    assert [path.name for path in folder().iterdir()] == [one.pk.hex]
    assert path_of(one.pk).stat().st_mode & 0o777 == 0o600
    assert folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", hostile.REFUSED)
def test_other_types_are_refused_and_leave_nothing(make, name):
    with pytest.raises(UploadError):
        make(hostile.REFUSED[name], name="proof.pdf")
    assert list(folder().iterdir()) == []
    assert not Attachment.objects.exists()


@pytest.mark.parametrize(
    "answer",
    [
        "approved",
        "{}",
        '{"verdict": "approved"}',
        "[" * 5000,
        lambda told: {**approval(told), "recordId": 1},
        lambda told: {**approval(told), "injection_suspected": "no"},
        lambda told: {**approval(told), "injection_suspected": True},
        lambda told: {**approval(told), "checks": []},
        lambda told: {**approval(told), "verdict": "rejected"},
        lambda told: approval(told, quote=FABRICATED),
        lambda told: approval(told, quote="Issued for the archive."),
        lambda told: json.dumps(approval(told)) + json.dumps(approval(told)),
    ],
)
def test_an_answer_that_proves_nothing_approves_nothing(make, obeying, answer):
    obeying.answer = answer if callable(answer) else lambda _told: answer
    assert status_of(make()) == Standing.NEEDS_REVIEW


def test_nothing_secret_and_nothing_of_others_is_told(make, obeying, settings):
    make(b"Package: another-secret-record", name="private-name.txt")
    record = make(name="ignore-previous-instructions.txt")
    assert status_of(record) == Standing.APPROVED
    told = json.dumps(obeying.asked)
    for secret in (TOKEN, "sk-secret-of-the-tests", settings.SECRET_KEY, "another-secret"):
        assert secret not in told
    assert "ignore-previous" not in told
    assert "tools" not in obeying.asked[0]


def test_a_claim_that_cannot_be_true_is_rejected_without_a_model(make, obeying):
    for value in ("2026-02-30", "123-45-67890"):
        assert status_of(make(value.encode(), fields={"id": value})) == Standing.REJECTED
    assert status_of(make(b"No 120-81-47521", fields={"id": "120-81-47521"})) == Standing.APPROVED
    assert len(obeying.asked) == 1


def test_without_a_model_what_passes_goes_to_a_person(make, monkeypatch):
    record = make()
    assert status_of(record) == Standing.NEEDS_REVIEW
    assert record.verdicts.get().reasons == ["no_model"]
    monkeypatch.setenv("IDEASGPT_LLM", "offline")
    assert status_of(make()) == Standing.NEEDS_REVIEW


def test_sabotage_without_the_quote_check_a_made_up_quote_approves(make, obeying, monkeypatch):
    obeying.answer = lambda told: approval(told, quote=FABRICATED)
    assert status_of(make()) == Standing.NEEDS_REVIEW
    monkeypatch.setattr(verdict, "unproved", lambda *_: [])
    assert status_of(make()) == Standing.APPROVED


def test_sabotage_without_the_rules_a_contradiction_is_approved(make, obeying, monkeypatch):
    content = hostile.FALSE["other_licence"]
    assert status_of(make(content)) == Standing.NEEDS_REVIEW
    passed = [Check(name, Found.MATCH) for name in hostile.CLAIM]
    monkeypatch.setattr(checks, "check", lambda *_: passed)
    assert status_of(make(content)) == Standing.APPROVED


def test_sabotage_without_the_suspicions_an_order_is_obeyed(make, obeying, monkeypatch):
    monkeypatch.setattr(suspicion, "suspicions", lambda _text: [])
    for name in ("english_order", "korean_order", "zero_width", "fake_answer"):
        assert status_of(make(hostile.with_text(hostile.SPEAKING[name]))) == Standing.APPROVED


def test_sabotage_without_the_files_problems_hidden_text_is_approved(make, obeying, monkeypatch):
    real = verifier.decide

    def careless(fields, documents, *rest):
        bare = [type(one)(one.id, one.text) for one in documents]
        return real(fields, bare, *rest)

    monkeypatch.setattr("ideasgpt.verification.verifying.decide", careless)
    for name in ("white_text", "invisible_mode", "tiny_text", "many_pages", "too_long"):
        assert status_of(make(hostile.BROKEN[name][1]())) == Standing.APPROVED


def test_the_audit_tells_who_and_is_never_changed(make, obeying):
    record = make()
    status_of(record)
    entry = AuditEntry.objects.get(record=record)
    assert (entry.actor, entry.from_status, entry.to_status) == (
        "verifier",
        "submitted",
        "approved",
    )
    for change in (entry.save, entry.delete, AuditEntry.objects.all().delete):
        with pytest.raises(TypeError):
            change()
    with pytest.raises(TypeError):
        AuditEntry.objects.update(actor="nobody")
    assert Record.objects.get(pk=record.pk).verification_status == Standing.APPROVED
