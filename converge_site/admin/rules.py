"""Rules: drafts to write and change; active and retired ones to read. Their lives are on the site's own pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from converge_site.admin.base import ActingAdmin, ReasonedForm, link_to, saying_refusals, shown_changes
from converge_site.admin.fields import NamesField, ObjectField
from converge_site.admin.site import site
from converge_site.forms.cel_editor import CelEditor
from runtime.actions import Refused
from runtime.actions.cel_faults import find_fault
from runtime.actions.pack_specs import pack_spec_from_rows
from runtime.actions.rule_checks import params_of
from runtime.actions.rule_versions import was_ever_active
from runtime.actions.rules import (
    DRAFT_SETTINGS,
    RULE_SETTINGS,
    change_draft,
    check_draft_change,
    check_new_draft,
    delete_draft,
    draft_rule,
)
from runtime.engine.spec import RULE_KINDS
from runtime.models import GovernanceRule, Pack, RuleState

ON_ITS_PAGE = (
    "A draft is in force nowhere: try it on the test bench and on past jobs, then activate it on its page."
)
TEXT_CLASSES = (
    "vLargeTextField cel-text border border-base-200 bg-white font-medium px-3 py-2 rounded-default shadow-xs "
    "text-font-default-light text-sm w-full max-w-4xl dark:bg-base-900 dark:border-base-700 "
    "dark:text-font-default-dark"
)


def _params_help() -> str:
    said = [
        (kind, "; ".join(f"{name} ({says})" for name, says in params_of(kind).items()) or "none")
        for kind in RULE_KINDS
    ]
    return format_html("A JSON object.{}", format_html_join("", "<br><b>{}</b>: {}.", said))


class RuleForm(ReasonedForm):
    """A draft. `version` is the one that the page was opened on."""

    keys = NamesField(
        required=False, help_text="Names of keys with commas between them; prefix.* covers several."
    )
    params = ObjectField(label="Parameters", required=False, help_text=_params_help())
    expression = forms.CharField(required=False, widget=CelEditor(attrs={"class": TEXT_CLASSES}))
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    is_stale = False  # whether somebody else changed it since the page was opened

    class Meta:
        model = GovernanceRule
        fields = ("pack", *DRAFT_SETTINGS)
        help_texts = {
            "priority": "Resolution rules are asked from the lowest number up.",
            "message": "What people read where the rule refuses or asks.",
            "expires_at": "Jobs submitted after this moment do not freeze it any more. Empty: it does not expire.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "version" in self.fields:
            self.fields["version"].initial = self.instance.version if self.instance.pk else None
        if "expression" in self.fields:
            self._tell_editor(self.instance.pack if self.instance.pk else None)

    def _tell_editor(self, pack: Pack | None) -> None:
        editor: Any = self.fields["expression"].widget
        shown = pack or Pack.objects.filter(enabled=True).order_by("name").first()
        editor.kind = str(self["kind"].value() or "") if "kind" in self.fields else self.instance.kind
        editor.pack = pack.pk if pack is not None else None
        editor.key = shown.keys[0]["name"] if shown is not None and shown.keys else ""

    def clean(self) -> dict[str, Any]:
        """What is wrong with an expression is pointed at."""
        cleaned = super().clean()
        if "expression" in self.errors and "expression" in self.fields:
            pack = self.instance.pack if self.instance.pk else cleaned.get("pack")
            if pack is not None:
                editor: Any = self.fields["expression"].widget
                typed = str(self["expression"].value() or "")
                editor.fault = find_fault(str(cleaned.get("kind", "")), typed, pack_spec_from_rows(pack))
        return cleaned

    def check_with_action(self, cleaned: dict[str, Any]) -> None:
        """Ask `draft_rule` or `change_draft`."""
        if self.instance.pk is None:
            check_new_draft(
                self.by, cleaned["pack"], {**self.settings(), "expires_at": cleaned["expires_at"]}
            )
        else:
            row = GovernanceRule.objects.get(pk=self.instance.pk)
            try:
                check_draft_change(self.by, row, self.changes(), cleaned.get("version"))
            except Refused as refused:
                self.is_stale = refused.code == "stale"
                raise

    def settings(self) -> dict[str, Any]:
        """All that the form says of a new rule, but for when it expires."""
        return {name: self.cleaned_data[name] for name in RULE_SETTINGS}

    def changes(self) -> dict[str, Any]:
        """What was changed of the rule."""
        return {name: value for name, value in super().changes().items() if name != "version"}


@admin.register(GovernanceRule, site=site)
class RuleAdmin(ActingAdmin):
    """Rules come from code or from people; what is active or retired is only read here."""

    form = RuleForm
    list_display = (
        *("name", "pack", "kind", "shown_keys", "priority", "shown_state", "version"),
        *("expires_at", "origin", "shown_changes", "page"),
    )
    list_filter = ("pack", "kind", "state", "origin")
    list_select_related = ("pack",)
    search_fields = ("name", "message", "expression")

    def act(self, request: HttpRequest, row: Any, form: Any, change: bool) -> GovernanceRule:
        """`change_draft`, or `draft_rule`."""
        said, why = form.cleaned_data, form.cleaned_data["why"]
        if change:
            return change_draft(form.by, row.pk, form.changes(), why, version=said.get("version"))
        return draft_rule(form.by, said["pack"].pk, form.settings(), why, expires_at=said["expires_at"])

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Whoever sends a form for what is no draft any more is told why not, and what to do instead."""
        row = self.get_object(request, object_id) if object_id is not None else None
        if request.method == "POST" and row is not None and row.state != RuleState.DRAFT:
            by: Any = request.user
            return saying_refusals(request, lambda: check_draft_change(by, row, {}))  # type: ignore[arg-type,return-value]
        return super().changeform_view(request, object_id, form_url, extra_context)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """What can be set, and where its life goes on."""
        fields: tuple[Any, ...] = (
            *("pack", "name", ("kind", "priority"), "keys", "params"),
            *("expression", "message", "expires_at"),
        )
        if obj is None:
            return ((None, {"fields": (*fields, "why"), "description": ON_ITS_PAGE}),)
        shown = ("page", "shown_state", "shown_changes")
        if obj.state != RuleState.DRAFT:
            return ((None, {"fields": (*shown, *fields)}),)
        return ((None, {"fields": ("page", *fields, "why", "version"), "description": ON_ITS_PAGE}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A rule stays in its pack, and one from code keeps its name."""
        shown = ("page", "shown_state", "shown_changes")
        if obj is None:
            return shown
        return (*shown, "pack", "name") if obj.origin == "code" else (*shown, "pack")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only drafts are changed."""
        return super().has_change_permission(request, obj) and (obj is None or obj.state == RuleState.DRAFT)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only a draft that no job can have frozen is deleted, and that the code would not bring back."""
        if obj is None or obj.origin == "code" or not self.has_change_permission(request, obj):
            return False
        return not was_ever_active(obj)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """`delete_draft`."""
        delete_draft(request.user, obj.pk, "deleted in the admin")

    @admin.display(description="Keys")
    def shown_keys(self, rule: GovernanceRule) -> str:
        """The keys it is about."""
        return ", ".join(rule.keys)

    @admin.display(description="State", ordering="state")
    def shown_state(self, rule: GovernanceRule) -> str:
        """Its state; whether an active one has expired."""
        if rule.is_active and rule.expires_at is not None and rule.expires_at <= timezone.now():
            return "active, expired"
        return str(rule.get_state_display()).lower()

    @admin.display(description="Page")
    def page(self, rule: GovernanceRule) -> str:
        """A link to where it is tried, activated and retired."""
        if rule._state.adding:
            return ""
        return link_to(reverse("rule", args=[rule.pk]), "open")

    @admin.display(description="Set here")
    def shown_changes(self, rule: GovernanceRule) -> str:
        """What an admin set."""
        return shown_changes(rule)
