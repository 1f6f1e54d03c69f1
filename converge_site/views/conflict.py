"""Conflicts and holds: the page, the inbox, and the decision form on both."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from converge_site.forms.decide import read_choice, safe_next
from converge_site.forms.receipts import read_receipt
from converge_site.fragments.conflicts import Card, read_card
from converge_site.fragments.personal import render_decide
from converge_site.fragments.previews import PreviewView
from converge_site.people import for_people, person_of
from converge_site.views.refusals import render_refusal, status_of
from runtime.actions import Refused, answer_hold, decide_conflict
from runtime.actions.permissions import may
from runtime.models import Conflict, Decision


def find_card(conflict_id: int) -> Card:
    """The card of a conflict; 404 if there is none."""
    rows = Conflict.objects.select_related("job", "job__pack", "job__submitter")
    return read_card(get_object_or_404(rows, pk=conflict_id))


@for_people
def conflict(request: HttpRequest, conflict_id: int) -> HttpResponse:
    """One open question, or how it was settled."""
    card = find_card(conflict_id)
    return render_conflict(request, card)


@for_people
def decide(request: HttpRequest, conflict_id: int) -> HttpResponse:
    """GET: the decision form alone, for whoever asks. POST: sends a decision to the job's inbox."""
    card = find_card(conflict_id)
    if request.method != "POST":
        return HttpResponse(render_decide(request, card))
    try:
        _send(person_of(request), card, request)
    except Refused as refused:
        return answer_refused(request, conflict_id, refused, request.POST.dict())
    if request.headers.get("HX-Request"):
        return HttpResponse(render_decide(request, find_card(conflict_id)))
    messages.success(request, "Sent. It is applied at the start of the job's next cycle.")
    return redirect(safe_next(request, reverse("conflict", args=[conflict_id])))


def _send(user: User, card: Card, request: HttpRequest) -> Decision:
    """Calls the action that fits the kind of question."""
    require_answering(user, card)
    posted = request.POST.dict()
    choice = read_choice(card, posted)
    version, reason = posted.get("version", ""), posted.get("reason", "").strip()
    receipt = read_receipt(posted.get("receipt"))
    if card.conflict.kind == "hold":
        return answer_hold(user, card.conflict.pk, version, choice["approve"], reason, receipt)
    return decide_conflict(user, card.conflict.pk, version, choice, reason, receipt)


def require_answering(user: User, card: Card) -> None:
    """Raises Refused(code="forbidden") unless this person may answer the question."""
    kind = "approve" if card.conflict.kind == "hold" else "decide"
    verdict = may(user, kind, conflict=card.conflict)
    if not verdict.allowed:
        raise Refused(verdict.why, code="forbidden")


def answer_refused(
    request: HttpRequest, conflict_id: int, refused: Refused, typed: dict[str, str]
) -> HttpResponse:
    """The question as it is now, with the message and what was typed."""
    if refused.code == "forbidden" and not request.headers.get("HX-Request"):
        return render_refusal(request, refused, back=reverse("conflict", args=[conflict_id]))
    card = find_card(conflict_id)
    if refused.code == "stale":
        typed.pop("choice", None)  # a side is named by its place, and the places may be others now
    if request.headers.get("HX-Request"):
        return HttpResponse(render_decide(request, card, refused, typed), status=status_of(refused))
    return render_conflict(request, card, refused, typed)


def render_conflict(
    request: HttpRequest,
    card: Card,
    refused: Refused | None = None,
    typed: dict[str, str] | None = None,
    foreseen: PreviewView | None = None,
) -> HttpResponse:
    """The page of one question; after a refusal with the message, the fresh state and what was typed; `foreseen` is
    what would come of the choice that was typed."""
    context: dict[str, Any] = {
        "section": "inbox",
        "card": card,
        "sent": card.conflict.decisions.order_by("-id"),
        "personal": True,
        "refused": refused,
        "typed": typed,
        "preview": foreseen,
    }
    return render(request, "pages/conflict.html", context, status=status_of(refused) if refused else 200)
