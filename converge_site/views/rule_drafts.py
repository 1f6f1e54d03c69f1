"""The page on which a draft is written or changed."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from converge_site.forms.rule_draft import DraftForm
from converge_site.people import for_people, person_of
from converge_site.views.refusals import render_refusal, status_of
from runtime.actions import Refused
from runtime.actions.permissions import require
from runtime.actions.rule_checks import params_of
from runtime.actions.rules import check_draft_change
from runtime.engine.spec import RULE_KINDS
from runtime.models import GovernanceRule, Pack


@for_people
def new_rule(request: HttpRequest) -> HttpResponse:
    """GET: an empty form, of the pack that the URL names. POST: drafts the rule."""
    try:
        require(person_of(request), "propose_rule")
    except Refused as refused:
        return render_refusal(request, refused, back=reverse("rules"))
    pack = Pack.objects.filter(name=request.GET.get("pack", "")).first()
    initial = {"pack": pack, "kind": "confidence", "priority": 50}
    if request.method != "POST":
        return _show(request, DraftForm(person_of(request), initial=initial), None)
    return _save(request, DraftForm(person_of(request), request.POST), None)


@for_people
def edit_rule(request: HttpRequest, rule_id: int) -> HttpResponse:
    """GET: the form of a draft. POST: changes it."""
    row = get_object_or_404(GovernanceRule.objects.select_related("pack"), pk=rule_id)
    try:
        check_draft_change(person_of(request), row, {})
    except Refused as refused:
        return render_refusal(request, refused, back=reverse("rule", args=[rule_id]))
    if request.method != "POST":
        return _show(request, DraftForm(person_of(request), instance=row), row)
    return _save(request, DraftForm(person_of(request), request.POST, instance=row), row)


def _save(request: HttpRequest, form: DraftForm, row: GovernanceRule | None) -> HttpResponse:
    if not form.is_valid():
        return _show(request, form, row, status=409 if form.is_stale else 422)
    try:
        saved = form.save_draft()
    except Refused as refused:
        if refused.code in ("forbidden", "gone"):
            return render_refusal(request, refused, back=reverse("rules"))
        form.add_error(refused.field if refused.field in form.fields else None, refused.message)
        return _show(request, form, row, status=status_of(refused))
    messages.success(request, f"The draft {saved.name} is kept; it is in force nowhere yet.")
    return redirect("rule", saved.pk)


def _show(
    request: HttpRequest, form: DraftForm, row: GovernanceRule | None, status: int = 200
) -> HttpResponse:
    kinds = [(kind, params_of(kind)) for kind in RULE_KINDS]
    context: dict[str, Any] = {"section": "packs", "form": form, "rule": row, "kinds": kinds}
    return render(request, "pages/rule_form.html", context, status=status)
