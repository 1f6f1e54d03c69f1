"""The one action that fits a job's state: decide, cancel, retry, clone."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from converge_site.forms.receipts import read_receipt
from converge_site.fragments.personal import render_action
from converge_site.people import for_people, person_of
from converge_site.views.refusals import render_refusal
from runtime.actions import Refused, cancel_job, retry_job
from runtime.models import Job


@for_people
def job_action(request: HttpRequest, job_id: int) -> HttpResponse:
    """The action alone, for a page whose job has changed its state."""
    job = get_object_or_404(Job, pk=job_id)
    return HttpResponse(render_action(request, job))


@for_people
@require_POST
def cancel(request: HttpRequest, job_id: int) -> HttpResponse:
    """Cancels a job for good."""
    try:
        cancel_job(
            person_of(request),
            job_id,
            request.POST.get("reason", ""),
            read_receipt(request.POST.get("receipt")),
        )
    except Refused as refused:
        return render_refusal(request, refused, back=f"/jobs/{job_id}/")
    messages.success(request, f"Job #{job_id} is told to stop.")
    return redirect("job", job_id)


@for_people
@require_POST
def retry(request: HttpRequest, job_id: int) -> HttpResponse:
    """Lets a job try again now."""
    try:
        retry_job(person_of(request), job_id, read_receipt(request.POST.get("receipt")))
    except Refused as refused:
        return render_refusal(request, refused, back=f"/jobs/{job_id}/")
    messages.success(request, f"Job #{job_id} tries again.")
    return redirect("job", job_id)
