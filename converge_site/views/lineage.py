"""Why, on pages of its own: a slot's as of an earlier entry or as plain text, and a tier's."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from converge_site.fragments.journal import row_of
from converge_site.fragments.lineage import show_lineage
from converge_site.fragments.lineage_tiers import show_tier
from converge_site.people import for_people
from converge_site.views.job import find_job
from runtime.lineage import explain_slot, explain_tier, text_of, text_of_tier
from runtime.models import Entry, Job

NOTHING_SAID = "Nothing was ever said in this slot."
PLAIN = "text/plain; charset=utf-8"


def show_why(
    request: HttpRequest, job: Job, key: str, subject: str, depth: int, at: int | None
) -> HttpResponse:
    """Why a slot shows what it shows, or showed after entry `at`; as plain text if `as=text` asks for it."""
    lineage = explain_slot(job, key, subject, at, depth)
    if lineage is None:
        raise Http404(NOTHING_SAID)
    if request.GET.get("as") == "text":
        return HttpResponse(text_of(job, lineage), content_type=PLAIN)
    entry = Entry.objects.filter(job=job, seq=lineage.at).first()
    context = {
        "section": "jobs",
        "job": job,
        "panel": show_lineage(lineage, lineage.at),
        "top": lineage.top,
        "at": row_of(entry) if entry else None,
    }
    return render(request, "pages/slot_then.html", context)


@for_people
def tier(request: HttpRequest, job_id: int, tier: int) -> HttpResponse:
    """Why a tier is not reached, or what proves it; as plain text if `as=text` asks for it."""
    job = find_job(job_id)
    why = explain_tier(job, tier)
    if why is None:
        raise Http404("The job's pack has no such tier.")
    if request.GET.get("as") == "text":
        return HttpResponse(text_of_tier(job, why), content_type=PLAIN)
    return render(request, "pages/tier.html", {"section": "jobs", "job": job, "page": show_tier(job, why)})
