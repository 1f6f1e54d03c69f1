"""What all pages of the admin share: who may see them, and how a form reaches its action."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from runtime.actions import Refused, may

MOST_SEARCHED = 200  # characters


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
        return cleaned

    def check_with_action(self, cleaned: dict[str, Any]) -> None:
        """Ask the action whether it would take these values. Raises Refused."""

    def changes(self) -> dict[str, Any]:
        """What was changed in the form, without the reason."""
        return {name: self.cleaned_data[name] for name in self.changed_data if name != "why"}


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


class ReadingAdmin(ActingAdmin):
    """Rows that are only read here."""

    show_full_result_count = False  # counting a million entries takes longer than reading a page of them
    list_per_page = 50

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
