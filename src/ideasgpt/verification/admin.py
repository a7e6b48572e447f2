"""The stock admin: records with their attachments, verdicts, and the review of what is in doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cronbell.clock import SYSTEM_CLOCK
from cronbell.drain import ledger
from ideasgpt.verification import standing
from ideasgpt.verification.jobs import verify_records
from ideasgpt.verification.models import Attachment, AuditEntry, Record, Standing, Verdict
from ideasgpt.verification.storage import UploadError, attach, check_size, path_of, type_of

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
    BaseInline = admin.TabularInline[Any, Any]
    RecordModelForm = forms.ModelForm[Record]
else:  # Django's own classes take no parameters
    Base = admin.ModelAdmin
    BaseInline = admin.TabularInline
    RecordModelForm = forms.ModelForm


class ReviewForm(ActionForm):
    """What an action asks for."""

    note = forms.CharField(max_length=2000, required=False, label=_("note"))


class RecordForm(RecordModelForm):
    """A record, and a document to add to it."""

    document = forms.FileField(required=False, label=_("add a document"))

    class Meta:
        model = Record
        fields = ("owner", "fields")

    def clean_document(self) -> Any:
        """Refuse what would not be taken."""
        file = self.cleaned_data.get("document")
        if file is not None:
            try:
                check_size(file.size)
                type_of(file.read(8192))
                file.seek(0)
            except UploadError as error:
                raise ValidationError(error.message) from error
        return file


class _Shown(BaseInline):
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never: the program writes these."""
        del request, obj
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never."""
        del request, obj
        return False


class AttachmentInline(_Shown):
    """The documents, to be downloaded."""

    model = Attachment
    fields = readonly_fields = ("file", "content_type", "size", "sha256", "created_at")

    @admin.display(description=_("name"))
    def file(self, one: Attachment) -> str:
        """Link to the file."""
        address = reverse("admin:verification_attachment_file", args=[one.pk])
        return format_html('<a href="{}">{}</a>', address, one.name)


class VerdictInline(_Shown):
    """What the verifier found."""

    model = Verdict
    fields = readonly_fields = (
        "version",
        "status",
        "reasons",
        "checks",
        "evidence",
        "model",
        "decided_at",
    )


class AuditInline(_Shown):
    """Who decided."""

    model = AuditEntry
    fields = readonly_fields = ("at", "actor", "from_status", "to_status", "note", "version")


@admin.register(Record)
class RecordAdmin(Base):
    """Records; a change of claims or documents has them verified anew."""

    form = RecordForm
    action_form = ReviewForm
    inlines = (AttachmentInline, VerdictInline, AuditInline)
    list_display = ("id", "owner", "verification_status", "awaits_review", "created_at")
    list_filter = ("verification_status", "awaits_review")
    list_select_related = ("owner",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("=id", "owner__username")
    autocomplete_fields = ("owner",)
    readonly_fields = ("verification_status", "submitted_at", "awaits_review", "drain_version")
    ordering = ("-id",)
    actions = ("approve", "reject", "again")

    def get_urls(self) -> list[URLPattern]:
        """Add the files."""
        view = self.admin_site.admin_view(self.file)
        name = "verification_attachment_file"
        return [path("file/<uuid:identity>", view, name=name), *super().get_urls()]

    def file(self, request: HttpRequest, identity: Any) -> HttpResponseBase:
        """Give a document as a download that no browser shows or runs."""
        del request
        one = Attachment.objects.filter(pk=identity).first()
        if one is None:
            raise Http404
        try:
            stored = path_of(one.pk).open("rb")
        except OSError as error:
            raise Http404 from error
        answer = FileResponse(
            stored, as_attachment=True, filename=one.name, content_type="application/octet-stream"
        )
        answer["Content-Security-Policy"] = "sandbox; default-src 'none'"
        return answer

    def save_model(self, request: HttpRequest, obj: Record, form: Any, change: bool) -> None:
        """Save, attach, and have the new version verified."""
        super().save_model(request, obj, form, change)
        file = form.cleaned_data.get("document")
        if file is not None:
            attach(obj, file.name, file.chunks())
        if change and form.changed_data:
            standing.changed(obj, actor=request.user.get_username(), now=SYSTEM_CLOCK.now())

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Never: a record is what its audit is about."""
        del request, obj
        return False

    @admin.action(description=_("Approve"))
    def approve(self, request: HttpRequest, records: QuerySet[Record]) -> None:
        """Decide for approval."""
        self._decide(request, records, Standing.APPROVED)

    @admin.action(description=_("Reject"))
    def reject(self, request: HttpRequest, records: QuerySet[Record]) -> None:
        """Decide against."""
        self._decide(request, records, Standing.REJECTED)

    @admin.action(description=_("Verify failed records again"))
    def again(self, request: HttpRequest, records: QuerySet[Record]) -> None:
        """Have failed ones tried again."""
        actor, now = request.user.get_username(), SYSTEM_CLOCK.now()
        ids = [str(one.pk) for one in records]
        count = ledger.try_again(verify_records.drain, ids, actor=actor, now=now)
        self.message_user(request, gettext("%(n)d records wait again.") % {"n": count})

    def _decide(self, request: HttpRequest, records: QuerySet[Record], to: Standing) -> None:
        for one in records:
            try:
                standing.review(
                    one,
                    version=one.drain_version,
                    seen=one.verification_status,
                    decision=to.value,
                    actor=request.user.get_username(),
                    note=request.POST.get("note", "")[:2000],
                    now=SYSTEM_CLOCK.now(),
                )
            except standing.ReviewError as error:
                self.message_user(request, f"{one.pk}: {error.message}", messages.ERROR)
