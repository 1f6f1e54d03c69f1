"""What all pages of the admin share: who may see them, and how a form reaches its action."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from runtime.actions import Refused, may
from runtime.actions.tool_checks import NotKept, check_no_key

MOST_SEARCHED = 200  # characters
NEXT_JOBS = "Changes are for jobs submitted from now on. Running jobs froze the pack as it was."


class ReasonedForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose values an action checks before it is called; `by` is the person, set for each request."""

    by: User
    why = forms.CharField(
        label="Why",
        max_length=500,
        help_text="Goes into the audit log with your name.",
        widget=UnfoldAdminTextInputWidget,
    )

    def clean(self) -> dict[str, Any]:
        """Show what the action would refuse beside the field at fault."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                self.check_with_action(cleaned)
            except Refused as refusal:
                at = refusal.field if refusal.field in self.fields else None
                self.add_error(at, refusal.message)
                if isinstance(refusal, NotKept) and at:
                    self.forget(at)
        return cleaned

    def forget(self, name: str) -> None:
        """Drop what was typed in a field, so that the page does not show it again."""
        sent: Any = self.data.copy()  # type: ignore[attr-defined]  # a QueryDict
        sent[self.add_prefix(name)] = ""
        self.data = sent

    def check_with_action(self, cleaned: dict[str, Any]) -> None:
        """Ask the action whether it would take these values. Raises Refused."""

    def changes(self) -> dict[str, Any]:
        """What was changed in the form, without the reason."""
        return {name: self.cleaned_data[name] for name in self.changed_data if name != "why"}


class GuardedForm(ReasonedForm):
    """A form into which people may paste a secret: it is taken out of what was sent before anything else sees it, so
    that no page, message or log shows it again."""

    def full_clean(self) -> None:
        """Drop what must not be kept, then look at the rest."""
        dropped = self._drop_secrets() if self.is_bound else {}
        super().full_clean()
        for name, message in dropped.items():
            self.errors.pop(name, None)
            self.add_error(name, message)

    def check_typed(self, name: str, typed: str) -> None:
        """Raises NotKept if `typed` must not be kept in the field `name`."""
        check_no_key(name, typed)

    def _drop_secrets(self) -> dict[str, str]:
        dropped: dict[str, str] = {}
        for name in self.fields:
            typed = self.data.get(self.add_prefix(name))
            try:
                self.check_typed(name, typed if isinstance(typed, str) else "")
            except NotKept as refusal:
                dropped[name] = refusal.message
                self.forget(name)
        return dropped


class ActingAdmin(ModelAdmin):
    """Saves by `act` only. Everything is for those who may configure."""

    compressed_fields = True
    list_fullwidth = True
    actions = None
    save_as_continue = False

    def act(self, request: HttpRequest, row: Any, form: Any, change: bool) -> Model:
        """Call the action that does what the form says, and return the row it wrote. Raises Refused."""
        raise NotImplementedError

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """The form's row takes over what the action wrote."""
        written = self.act(request, obj, form, change)
        obj.pk = written.pk
        obj.refresh_from_db()

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The action has written what hangs on the row, too."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """The rows that match; of a long text its beginning is searched for: SQLite refuses a pattern of 50 kB."""
        found: tuple[QuerySet[Any], bool] = super().get_search_results(
            request, queryset, search_term[:MOST_SEARCHED]
        )
        return found

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form's class knows who fills it in."""
        form = super().get_form(request, obj, change=change, **kwargs)
        form.by = request.user
        return form

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """What the action refuses at the last moment is said on the page it came from."""
        return saying_refusals(
            request,
            lambda: super(ActingAdmin, self).changeform_view(request, object_id, form_url, extra_context),
        )

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Only for those who may configure."""
        return bool(may(request.user, "configure"))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only for those who may configure."""
        return bool(may(request.user, "configure"))

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        """Only for those who may configure."""
        return bool(may(request.user, "configure"))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only for those who may configure."""
        return bool(may(request.user, "configure"))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is deleted unless a page says otherwise."""
        return False

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A refusal is said on the page."""
        return saying_refusals(
            request, lambda: super(ActingAdmin, self).delete_view(request, object_id, extra_context)
        )


class ReadingAdmin(ActingAdmin):
    """Rows that are only read here."""

    show_full_result_count = False  # counting a million entries takes longer than reading a page of them
    list_per_page = 50

    class Media:
        css = {"all": ("admin/said.css",)}

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


def saying_refusals(request: HttpRequest, work: Callable[[], HttpResponse]) -> HttpResponse:
    """Do `work`; if an action refuses, say so and show the page again."""
    try:
        return work()
    except Refused as refusal:
        messages.error(request, refusal.message)
        return HttpResponseRedirect(request.get_full_path())


def link_to(address: str, text: str) -> str:
    """A link that looks like one: the admin's style takes the underline from them."""
    return format_html('<a class="underline" href="{}">{}</a>', address, text)


def shown_text(text: str, tag: str = "pre") -> str:
    """Text from outside, escaped, with its line breaks, broken where the page ends."""
    return format_html('<{0} class="said">{1}</{0}>', tag, text)


def shown_changes(row: Any) -> str:
    """What an admin set of a row that may come from code."""
    if getattr(row, "origin", "code") == "admin":
        return "made here"
    return ", ".join(row.changed_fields) or "as in code"
