"""Making a decision a rule: the form, prefilled, and the draft that comes of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from converge_site.forms.learn import is_of_subject, make_learn_form, read_learn_form
from converge_site.fragments.precedents import PrecedentView, read_precedents
from converge_site.fragments.rule_words import rule_views
from converge_site.people import for_people, person_of
from converge_site.views.conflict import find_card
from converge_site.views.refusals import render_refusal, status_of
from runtime.actions import Refused
from runtime.actions.learning import learn_rule, read_learned, rules_about
from runtime.actions.permissions import require
from runtime.models import Decision

SHOWN = 20  # decisions that a precedent rests on


@for_people
def learn(request: HttpRequest, conflict_id: int) -> HttpResponse:
    """GET: the form. POST: drafts the rule, which a person has yet to activate, and tries it on past jobs."""
    find_card(conflict_id)
    try:
        require(person_of(request), "propose_rule")
        if request.method != "POST":
            return _show(request, conflict_id, request.GET.dict())
        asked = asdict(read_learn_form(request.POST.dict()))
        rule = learn_rule(person_of(request), conflict_id, **asked)
    except Refused as refused:
        return _refuse(request, conflict_id, refused)
    messages.success(request, f"Drafted: “{rule.name}”. It is in force nowhere until an admin activates it.")
    return redirect("rule", rule.pk)


def _refuse(request: HttpRequest, conflict_id: int, refused: Refused) -> HttpResponse:
    """On the form with what was typed; on a page of its own where there can be no form."""
    if refused.code == "invalid" and request.method == "POST":
        try:
            return _show(request, conflict_id, request.POST.dict(), refused)
        except Refused as why:
            refused = why
    return render_refusal(request, refused, back=reverse("conflict", args=[conflict_id]))


def _show(
    request: HttpRequest, conflict_id: int, typed: dict[str, str], refused: Refused | None = None
) -> HttpResponse:
    learned = read_learned(conflict_id, only_subject=is_of_subject(typed))
    proposals = read_precedents(shape=learned.conflict.shape) if learned.conflict.shape else []
    proposal = proposals[0] if proposals else None
    context: dict[str, Any] = {
        "section": "inbox",
        "card": find_card(conflict_id),
        "learned": learned,
        "form": make_learn_form(learned, _reason(proposal, learned.decision), typed),
        "proposal": proposal,
        "rests_on": _rests_on(proposal),
        "about": rule_views(rules_about(learned.conflict)),
        "refused": refused,
    }
    return render(request, "pages/learn.html", context, status=status_of(refused) if refused else 200)


def _reason(proposal: PrecedentView | None, decision: Decision) -> str:
    if proposal is None:
        return decision.reason
    times, questions = proposal.precedent.times, proposal.precedent.questions
    said = f"Decided the same way {times} time{'s' if times != 1 else ''} by {proposal.people}"
    return (f"{said}, {questions} questions in all." if questions > times else f"{said}.")[:500]


def _rests_on(proposal: PrecedentView | None) -> list[Decision]:
    if proposal is None:
        return []
    rows = Decision.objects.filter(pk__in=proposal.precedent.decisions[:SHOWN]).order_by("-id")
    return list(rows.select_related("job", "job__pack"))
