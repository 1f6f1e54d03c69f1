"""Packs and their rules."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.widgets import (
    UnfoldAdminExpandableTextareaWidget,
    UnfoldAdminIntegerFieldWidget,
)

from converge_site.admin.base import NEXT_JOBS, ActingAdmin, ReasonedForm, shown_changes
from converge_site.admin.fields import NamesField, ObjectField
from converge_site.admin.site import site
from runtime.actions.configure import (
    BUDGET_CEILINGS,
    RULE_SETTINGS,
    add_rule,
    change_pack,
    change_rule,
    check_new_rule,
    check_pack_change,
    check_rule_change,
    delete_rule,
)
from runtime.actions.rule_checks import params_of
from runtime.engine.compiled import expression_names
from runtime.engine.spec import RULE_KINDS, Budget
from runtime.models import GovernanceRule, Pack

LIMITS = {
    "cycles": "Cycles until outside input",
    "lifetime_cycles": "Cycles in all",
    "facts": "Facts",
    "seconds": "Seconds of running",
    "calls": "Tool calls",
    "tokens": "Tokens",
    "recovery_seconds": "Seconds of recovering",
}


def _limit_field(name: str) -> forms.IntegerField:
    return forms.IntegerField(
        label=LIMITS[name],
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=f"1 to {BUDGET_CEILINGS[name]:,}",
    )


class PackForm(ReasonedForm):
    """A pack's switch, names and budget."""

    cycles = _limit_field("cycles")
    lifetime_cycles = _limit_field("lifetime_cycles")
    facts = _limit_field("facts")
    seconds = _limit_field("seconds")
    calls = _limit_field("calls")
    tokens = _limit_field("tokens")
    recovery_seconds = _limit_field("recovery_seconds")

    class Meta:
        model = Pack
        fields = ("enabled", "title", "description")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in LIMITS:
            self.fields[name].initial = int(self.instance.budget.get(name, getattr(Budget(), name)))

    def check_with_action(self, cleaned: dict[str, Any]) -> None:
        """Ask `change_pack`."""
        check_pack_change(self.by, Pack.objects.get(pk=self.instance.pk), self.changes())

    def changes(self) -> dict[str, Any]:
        """The limits are one setting, the budget."""
        found = super().changes()
        limits = {name: found.pop(name) for name in LIMITS if name in found}
        if limits:
            found["budget"] = {**self.instance.budget, **limits}
        return found


@admin.register(Pack, site=site)
class PackAdmin(ActingAdmin):
    """Packs come from code; here they are switched and limited."""

    form = PackForm
    list_display = ("name", "shown_title", "version", "enabled", "shown_changes", "synced_at")
    list_filter = ("enabled",)
    search_fields = ("name", "title")
    readonly_fields = ("name", "version", "shown_tiers", "shown_keys", "synced_at", "shown_changes")
    fieldsets = (
        (None, {"fields": ("name", "enabled", "title", "description", "why"), "description": NEXT_JOBS}),
        (
            "Limits of a run",
            {
                "fields": (
                    ("cycles", "lifetime_cycles"),
                    ("facts", "seconds"),
                    ("calls", "tokens"),
                    "recovery_seconds",
                )
            },
        ),
        ("From code", {"fields": ("version", "shown_tiers", "shown_keys", "synced_at", "shown_changes")}),
    )

    def act(self, request: HttpRequest, row: Any, form: Any, change: bool) -> Pack:
        """`change_pack`."""
        return change_pack(form.by, row.pk, form.changes(), form.cleaned_data["why"])

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        """Packs are written in code."""
        return False

    @admin.display(description="Title", ordering="title")
    def shown_title(self, pack: Pack) -> str:
        """Its title."""
        return pack.title

    @admin.display(description="Tiers")
    def shown_tiers(self, pack: Pack) -> str:
        """Names of the tiers, from the lowest."""
        return ", ".join(f"{at} {tier['name']}" for at, tier in enumerate(pack.tiers, 1))

    @admin.display(description="Keys")
    def shown_keys(self, pack: Pack) -> str:
        """Names of the keys."""
        return ", ".join(key["name"] for key in pack.keys)

    @admin.display(description="Set here")
    def shown_changes(self, pack: Pack) -> str:
        """What an admin set."""
        return shown_changes(pack)


def _params_help() -> str:
    told = []
    for kind in RULE_KINDS:
        params = "; ".join(f"{name} ({says})" for name, says in params_of(kind).items())
        told.append(f"{kind}: {params or 'none'}")
    return f"A JSON object. {'. '.join(told)}."


def _expression_help() -> str:
    kinds = ("constraint", "approval")
    told = [f"{kind}: {', '.join(expression_names(kind))}" for kind in kinds]
    return (
        "CEL. What a constraint or an invariant demands; for other kinds the condition under which the rule applies "
        f"(empty: always). Names: {'. '.join(told)}. Resolution rules: {', '.join(expression_names('confidence'))}. "
        'Constraints and invariants may look up fact("key", "subject") and facts("key").'
    )


class RuleForm(ReasonedForm):
    """A rule of governance."""

    keys = NamesField(
        required=False, help_text="Names of keys with commas between them; prefix.* covers several."
    )
    params = ObjectField(label="Parameters", required=False, help_text=_params_help())
    expression = forms.CharField(
        required=False, help_text=_expression_help(), widget=UnfoldAdminExpandableTextareaWidget
    )

    class Meta:
        model = GovernanceRule
        fields = ("pack", *RULE_SETTINGS)
        help_texts = {
            "priority": "Resolution rules are asked from the lowest number up.",
            "message": "What people read where the rule refuses or asks.",
        }

    def check_with_action(self, cleaned: dict[str, Any]) -> None:
        """Ask `add_rule` or `change_rule`."""
        if self.instance.pk is None:
            check_new_rule(self.by, cleaned["pack"], self.settings())
        else:
            check_rule_change(self.by, GovernanceRule.objects.get(pk=self.instance.pk), self.changes())

    def settings(self) -> dict[str, Any]:
        """All that the form says of a new rule."""
        return {name: self.cleaned_data[name] for name in RULE_SETTINGS}


@admin.register(GovernanceRule, site=site)
class RuleAdmin(ActingAdmin):
    """Rules come from code or from an admin, who may change both and delete the latter."""

    form = RuleForm
    list_display = ("name", "pack", "kind", "shown_keys", "priority", "enabled", "origin", "shown_changes")
    list_filter = ("pack", "kind", "enabled", "origin")
    list_select_related = ("pack",)
    search_fields = ("name", "message", "expression")
    fieldsets = (
        (
            None,
            {
                "fields": ("pack", "name", ("kind", "priority"), "keys", "params", "expression", "message"),
                "description": NEXT_JOBS,
            },
        ),
        (None, {"fields": ("enabled", "why")}),
    )

    def act(self, request: HttpRequest, row: Any, form: Any, change: bool) -> GovernanceRule:
        """`change_rule`, or `add_rule`."""
        why = form.cleaned_data["why"]
        if change:
            return change_rule(form.by, row.pk, form.changes(), why)
        return add_rule(form.by, form.cleaned_data["pack"].pk, form.settings(), why)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A rule stays in its pack, and one from code keeps its name."""
        if obj is None:
            return ()
        return ("pack", "name") if obj.origin == "code" else ("pack",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A rule from code would come back; it is disabled instead."""
        return obj is not None and obj.origin == "admin" and self.has_change_permission(request, obj)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """`delete_rule`."""
        delete_rule(request.user, obj.pk, "deleted in the admin")

    @admin.display(description="Keys")
    def shown_keys(self, rule: GovernanceRule) -> str:
        """The keys it is about."""
        return ", ".join(rule.keys)

    @admin.display(description="Set here")
    def shown_changes(self, rule: GovernanceRule) -> str:
        """What an admin set."""
        return shown_changes(rule)
