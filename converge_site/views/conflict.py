"""Conflicts and holds: the page, the inbox, and the decision form on both."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from converge_site.forms.decide import choice_made, read_choice, read_likes, safe_next
from converge_site.forms.receipts import read_receipt
from converge_site.fragments.answered import remember_refusals
from converge_site.fragments.conflicts import Card, read_card
from converge_site.fragments.decision_words import words_of_decision
from converge_site.fragments.personal import render_decide
from converge_site.fragments.precedents import PrecedentView, read_precedents
from converge_site.fragments.previews import PreviewView
from converge_site.people import for_people, person_of
from converge_site.views.refusals import render_refusal, status_of
from runtime.actions import Refused
from runtime.actions.bulk import decide_alike
from runtime.actions.permissions import may
from runtime.models import Conflict


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
    """GET: the decision form alone, for whoever asks. POST: sends a decision to the job's inbox; and those on the like
    questions that are ticked, if the form's button for that was pressed."""
    card = find_card(conflict_id)
    if request.method != "POST":
        return HttpResponse(render_decide(request, card))
    try:
        several = _send(person_of(request), card, request)
    except Refused as refused:
        return answer_refused(request, conflict_id, refused, request.POST.dict())
    if several:
        return _go_to(request, reverse("answered", args=[several]))
    if request.headers.get("HX-Request"):
        return HttpResponse(render_decide(request, find_card(conflict_id)))
    messages.success(request, "Sent. It is applied at the start of the job's next cycle.")
    return redirect(safe_next(request, reverse("conflict", args=[conflict_id])))


def _send(user: User, card: Card, request: HttpRequest) -> str:
    """Sends what the form asks for. Gives its receipt if it was about several questions, else ""."""
    require_answering(user, card)
    posted = request.POST.dict()
    receipt = read_receipt(posted.get("receipt"))
    # A form sent again says what it said, whatever is asked by now.
    choice = choice_made(user, card.conflict, receipt) or read_choice(card, posted)
    version, reason = posted.get("version", ""), posted.get("reason", "").strip()
    others = read_likes(request.POST.getlist("like")) if "along" in posted else []
    said = decide_alike(user, card.conflict.pk, version, choice, others, reason, receipt)
    if len(said) == 1:
        return ""
    remember_refusals(request.session, receipt, said)
    return receipt


def _go_to(request: HttpRequest, address: str) -> HttpResponse:
    """Another page: what is told there outlives the card, which is pushed anew when the decision is applied."""
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": address})
    return redirect(address)


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
        refused = _saying_what(refused, card)
        typed.pop("choice", None)  # it was an answer to what is another question now
    if request.headers.get("HX-Request"):
        return HttpResponse(render_decide(request, card, refused, typed), status=status_of(refused))
    return render_conflict(request, card, refused, typed)


def _saying_what(refused: Refused, card: Card) -> Refused:
    """Whoever comes second is told who decided, and what."""
    first = card.answer
    if first is None or refused.message != f"{first.by_name} has decided this already.":
        return refused
    message = f"{first.by_name} has decided this already: {words_of_decision(first)}."
    return Refused(message, field=refused.field, code=refused.code)


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
        "precedents": _precedents(card),
    }
    return render(request, "pages/conflict.html", context, status=status_of(refused) if refused else 200)


def _precedents(card: Card) -> list[PrecedentView]:
    """What is proposed about questions like this one, once it is decided."""
    if card.answer is None or not card.conflict.shape:
        return []
    return read_precedents(shape=card.conflict.shape)
