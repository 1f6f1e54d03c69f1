"""What would come of a choice, shown before anybody decides. A POST, since it takes the decision form along and runs
code; but nothing is written."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from converge_site.forms.decide import read_choice
from converge_site.fragments.previews import read_preview
from converge_site.people import for_people, person_of
from converge_site.views.conflict import answer_refused, find_card, render_conflict, require_answering
from runtime.actions import Refused
from runtime.actions.deciding import check_decision
from runtime.preview import preview as look_ahead
from runtime.preview import row_for


@for_people
def preview(request: HttpRequest, conflict_id: int) -> HttpResponse:
    """POST: the difference that one choice of the form would make; a fragment for htmx, else the question's page."""
    if request.method != "POST":
        return redirect("conflict", conflict_id)
    user, posted = person_of(request), request.POST.dict()
    posted["choice"] = posted.get("preview") or posted.get("choice", "")
    card = find_card(conflict_id)
    try:
        require_answering(user, card)
        version, reason = posted.get("version", ""), posted.get("reason", "").strip()
        conflict, choice = check_decision(user, conflict_id, version, read_choice(card, posted))
        row = row_for(user, conflict, version, choice, reason)
        foreseen = read_preview(conflict, row, look_ahead(conflict.job, row))
    except Refused as refused:
        answer = answer_refused(request, conflict_id, refused, posted)
        answer["HX-Retarget"], answer["HX-Reswap"] = f"#decide-{conflict_id}", "outerHTML"
        return answer
    if request.headers.get("HX-Request"):
        return render(request, "fragments/_preview.html", {"preview": foreseen, "alone": True})
    return render_conflict(request, card, typed=posted, foreseen=foreseen)
