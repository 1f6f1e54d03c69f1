"""Packs."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from converge_site.admin.base import NEXT_JOBS, ActingAdmin, ReasonedForm, shown_changes
from converge_site.admin.site import site
from runtime.actions.configure import BUDGET_CEILINGS, change_pack, check_pack_change
from runtime.engine.spec import Budget
from runtime.models import Pack

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
