"""Whether a job's record holds, said on its page; and the record as a file, for whoever wants to know for himself."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from converge_site.downloads import send_file
from converge_site.fragments.verified import read_verified
from converge_site.people import for_people
from converge_site.views.job import find_job
from converge_site.views.refusals import render_error
from runtime.bundle import RecordBroken, write_bundle
from runtime.models import Job
from runtime.signing import KeyTrouble
from runtime.verdict import examine

# Up to here a bundle is written once for nothing, about half a second: a record that does not hold is then a sentence
# and not a download that breaks off.
CHECKED_FIRST = 50_000


@for_people
def verify(request: HttpRequest, job_id: int) -> HttpResponse:
    """The page with the button; POST verifies. Nothing is written by it, but it is work, which no link should start."""
    job = find_job(job_id)
    context = {"section": "jobs", "job": job, "verified": None}
    if request.method == "POST":
        context["verified"] = read_verified(job, examine(job))
    fragment = request.headers.get("HX-Request")
    return render(request, "fragments/_verify.html" if fragment else "pages/verify.html", context)


@for_people
def bundle(request: HttpRequest, job_id: int) -> HttpResponseBase:
    """The job's bundle as a file, in pieces."""
    job = find_job(job_id)
    try:
        if job.entries <= CHECKED_FIRST:
            for _ in write_bundle(job):
                pass
    except (RecordBroken, KeyTrouble) as error:
        cause = (
            "Nothing is signed that does not hold"
            if isinstance(error, RecordBroken)
            else "Nothing can be signed"
        )
        message = f"{cause}: {error}. `manage.py export {job_id} --unsigned` writes it without a signature."
        return render_error(request, 409, "There is no bundle of this record", message, f"/jobs/{job_id}/")
    except Job.DoesNotExist as error:
        raise Http404(str(error)) from error
    return send_file(request, bundle_name(job), "application/json", write_bundle(job))


def bundle_name(job: Job) -> str:
    """What the file is called: job and cycle, so that two of the same job do not get mixed up."""
    return f"converge-job-{job.pk}-cycle-{job.cycle}.json"
