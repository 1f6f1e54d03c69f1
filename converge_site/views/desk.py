"""What else people do with a question: decide its like along with it, put it off and bring it back, undo a decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from converge_site.forms.decide import read_choice, read_likes, safe_next
from converge_site.forms.defer import read_span
from converge_site.forms.receipts import read_receipt
from converge_site.fragments.alike import Alike, read_alike
from converge_site.fragments.answered import read_answered
from converge_site.fragments.conflicts import Card
from converge_site.fragments.personal import render_decide
from converge_site.fragments.undoing import may_undo, read_undoing
from converge_site.people import allowed, for_people, person_of
from converge_site.views.conflict import answer_refused, find_card, require_answering
from runtime.actions import Refused, undo_decision
from runtime.actions.deciding import check_decision
from runtime.actions.deferring import defer_conflict, resume_conflict


@for_people
def alike(request: HttpRequest, conflict_id: int) -> HttpResponse:
    """POST: what the choice of the form would mean on the other open questions of the same shape; nothing is sent.

    Within the form for htmx, else a page of its own whose form sends all of it."""
    if request.method != "POST":
        return redirect("conflict", conflict_id)
    user, posted = person_of(request), request.POST.dict()
    card = find_card(conflict_id)
    try:
        require_answering(user, card)
        choice = read_choice(card, posted)
        check_decision(user, conflict_id, posted.get("version", ""), choice)
        found = read_alike(user, card, choice, _ticked(request))
    except Refused as refused:
        if refused.code != "invalid" or "listed" not in posted or not request.headers.get("HX-Request"):
            answer = answer_refused(request, conflict_id, refused, posted)
            answer["HX-Retarget"], answer["HX-Reswap"] = f"#decide-{conflict_id}", "outerHTML"
            return answer
        # The list stands there and the choice is being changed: to another value, say, that is still to be typed.
        found = Alike(card, "", [], problem=refused.message)
    context = {
        "section": "inbox",
        "alike": found,
        "card": card,
        "typed": posted,
        "receipt": read_receipt(posted.get("receipt")),
        "next": safe_next(request, ""),
    }
    template = "fragments/_alike.html" if request.headers.get("HX-Request") else "pages/alike.html"
    return render(request, template, context)


def _ticked(request: HttpRequest) -> Sequence[int] | None:
    """Whose boxes are to be ticked: as they were, unless all or none are asked for; None for all that can be."""
    asked = request.POST.get("tick", "")
    if asked == "all" or (not asked and "listed" not in request.POST):
        return None
    return [] if asked == "none" else [pk for pk, _ in read_likes(request.POST.getlist("like"))]


@for_people
def answered(request: HttpRequest, batch: str) -> HttpResponse:
    """What became of each question that one form decided."""
    found = read_answered(request.session, batch)
    if found is None:
        raise Http404("No form with this receipt decided anything.")
    context = {"section": "inbox", "answered": found, "may_learn": allowed(request.user, "propose_rule")}
    return render(request, "pages/answered.html", context)


@for_people
@require_POST
def defer(request: HttpRequest, conflict_id: int) -> HttpResponse:
    """Puts a question off."""

    def act(posted: dict[str, str], receipt: str) -> str:
        version, reason = posted.get("version", ""), posted.get("reason", "").strip()
        defer_conflict(person_of(request), conflict_id, version, read_span(posted), reason, receipt)
        return "Put off. It comes back by itself."

    return _do(request, conflict_id, act)


@for_people
@require_POST
def resume(request: HttpRequest, conflict_id: int) -> HttpResponse:
    """Brings a question back before its time."""

    def act(posted: dict[str, str], receipt: str) -> str:
        reason = posted.get("reason", "").strip()
        resume_conflict(person_of(request), conflict_id, posted.get("version", ""), reason, receipt)
        return "It is back in the inbox."

    return _do(request, conflict_id, act)


@for_people
@require_POST
def undo(request: HttpRequest, conflict_id: int) -> HttpResponse:
    """Takes back what settled a question, as a new decision."""

    def act(posted: dict[str, str], receipt: str) -> str:
        card = find_card(conflict_id)
        conflict, version = card.conflict, posted.get("version", "")
        verdict = may_undo(person_of(request), card)
        if not verdict.allowed:
            raise Refused(verdict.why, code="forbidden")
        check_undoable(card, version, receipt)
        undo_decision(
            person_of(request),
            conflict.job_id,
            conflict.key,
            conflict.subject,
            posted.get("reason", "").strip(),
            receipt,
            version=version,
        )
        if conflict.kind == "hold":
            return "Sent. From the job's next cycle on it is asked again."
        return "Sent. What the voices say counts again from the job's next cycle on."

    return _do(request, conflict_id, act)


def check_undoable(card: Card, version: str, receipt: str) -> None:
    """Refuses to undo what was undone or decided anew meanwhile; the engine compares once more when it applies it."""
    undoing = read_undoing(card, receipt)
    if undoing.is_known:
        return
    if undoing.pending is not None:
        raise Refused(f"{undoing.pending.by_name} has undone or changed this already.", code="stale")
    if not undoing.is_in_force or version != undoing.version:
        raise Refused("This is not in force any more; nothing was done.", code="stale")


def _do(request: HttpRequest, conflict_id: int, act: Callable[[dict[str, str], str], str]) -> HttpResponse:
    """Does an act and shows the card again; what is refused comes back on it with what was typed."""
    posted = request.POST.dict()
    find_card(conflict_id)
    try:
        said = act(posted, read_receipt(posted.get("receipt")))
    except Refused as refused:
        return answer_refused(request, conflict_id, refused, posted)
    if request.headers.get("HX-Request"):
        return HttpResponse(render_decide(request, find_card(conflict_id)))
    messages.success(request, said)
    return redirect(safe_next(request, reverse("conflict", args=[conflict_id])))
