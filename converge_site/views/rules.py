"""Rules: all of them, one in full, and what people do with it in its life."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from converge_site.fragments.backtests import render_backtests
from converge_site.fragments.precedents import read_precedents
from converge_site.fragments.rule_page import read_page
from converge_site.fragments.rules import STATES, RuleFilter, read_board
from converge_site.people import allowed, for_people, person_of
from converge_site.views.refusals import render_refusal, status_of
from converge_site.whole_numbers import read_whole
from runtime.actions import Refused
from runtime.actions.permissions import require
from runtime.actions.rule_guards import may_change
from runtime.actions.rules import activate_rule, delete_draft, draft_from, retire_rule
from runtime.models import GovernanceRule, Pack


@for_people
def rules(request: HttpRequest) -> HttpResponse:
    """Every rule of every pack; drafts first, for they wait for somebody."""
    chosen, packs = RuleFilter.from_query(request.GET.dict()), Pack.objects.order_by("name")
    pack = next((pack.pk for pack in packs if pack.name == chosen.pack), None)
    is_open = chosen.state in ("", "draft") and not chosen.q and (pack is not None or not chosen.pack)
    context = {
        "section": "packs",
        "board": read_board(chosen),
        "packs": packs,
        "precedents": read_precedents(pack) if is_open else [],
        "states": STATES,
        "may_draft": allowed(request.user, "propose_rule"),
    }
    return render(request, "pages/rules.html", context)


@for_people
def rule(request: HttpRequest, rule_id: int) -> HttpResponse:
    """One rule: what it says, where it stands, every version, and what may be done with it."""
    return _show(request, rule_id)


def _show(request: HttpRequest, rule_id: int, act: str = "", refused: Refused | None = None) -> HttpResponse:
    rows = GovernanceRule.objects.select_related("pack", "replaces", "learned_from")
    found = get_object_or_404(rows, pk=rule_id)
    context: dict[str, Any] = {
        "section": "packs",
        "page": read_page(found),
        "rule": found,
        "act": act,
        "refused": refused,
        "typed": request.POST.get("reason", "") if refused is not None else "",
        "may_draft": allowed(request.user, "propose_rule"),
        "may_activate": allowed(request.user, "configure"),
        "may_change": may_change(person_of(request), found),
        "backtests_html": render_backtests(request, found),
    }
    return render(request, "pages/rule.html", context, status=status_of(refused) if refused else 200)


Act = Callable[[User, str, int], GovernanceRule | None]


def _act(
    request: HttpRequest, rule_id: int, act: str, needs: str, do: Act, done: Callable[[Any], str]
) -> HttpResponse:
    """Does what a form of the page asks for; what is refused comes back on the page with what was typed."""
    address = reverse("rule", args=[rule_id])
    try:
        require(person_of(request), needs)
        version = read_whole(request.POST.get("version", ""))
        if version is None:
            raise Refused("The form did not say which version it was about; here it is now.", code="stale")
        row = do(person_of(request), request.POST.get("reason", ""), version)
    except Refused as refused:
        if refused.code in ("forbidden", "gone"):
            back = address if refused.code == "forbidden" else reverse("rules")
            return render_refusal(request, refused, back=back)
        return _show(request, rule_id, act, refused)
    messages.success(request, done(row))
    return redirect("rule", row.pk) if row is not None else redirect("rules")


@for_people
@require_POST
def activate(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Puts a draft into force."""
    retires = read_whole(request.POST.get("retires", ""))

    def do(user: User, reason: str, version: int) -> GovernanceRule:
        return activate_rule(user, rule_id, reason, version=version, retires=retires)

    return _act(
        request,
        rule_id,
        "activate",
        "configure",
        do,
        lambda row: f"{row.name} is active: jobs submitted from now on are decided by it.",
    )


@for_people
@require_POST
def retire(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Takes a rule out of force."""

    def do(user: User, reason: str, version: int) -> GovernanceRule:
        return retire_rule(user, rule_id, reason, version=version)

    return _act(
        request,
        rule_id,
        "retire",
        "configure",
        do,
        lambda row: f"{row.name} is retired: jobs submitted from now on do without it.",
    )


@for_people
@require_POST
def delete(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Deletes a draft."""

    def do(user: User, reason: str, version: int) -> None:
        delete_draft(user, rule_id, reason, version=version)

    return _act(request, rule_id, "delete", "propose_rule", do, lambda row: "The draft is deleted.")


@for_people
@require_POST
def draft(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Makes a draft of a rule; the same one again for a form that is sent twice."""
    try:
        made = draft_from(person_of(request), rule_id)
    except Refused as refused:
        if refused.code in ("forbidden", "gone"):
            return render_refusal(request, refused, back=reverse("rules"))
        return _show(request, rule_id, "draft", refused)
    messages.success(request, f"{made.name} is a draft: change it, try it out, then have it activated.")
    return redirect("rule", made.pk)
