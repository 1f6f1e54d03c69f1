"""One published answer, as a page and as JSON, and two beside each other: permanent addresses."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render

from converge_site.fragments.answer_diff import read_diff
from converge_site.fragments.answers import read_answer
from converge_site.people import for_people
from converge_site.views.job import find_job
from runtime.models import Answer
from runtime.store import answer_facts

FACTS_SHOWN = 1000


@for_people
def answer(request: HttpRequest, job_id: int, version: int) -> HttpResponse:
    """One version of a job's answer with all its facts and stated gaps."""
    job = find_job(job_id)
    found = get_object_or_404(Answer, job=job, version=version)
    context = {
        "section": "jobs",
        "job": job,
        "view": read_answer(job, found, FACTS_SHOWN),
        "previous": version - 1,
        "is_current": version == job.answer_version,
        "digest": job.cycles.values_list("digest", flat=True).get(number=found.cycle),
        "address": request.build_absolute_uri(request.path),
        "versions": Answer.objects.filter(job=job)
        .order_by("-version")
        .only("version", "tier", "facts", "cycle")[:50],
    }
    return render(request, "pages/answer.html", context)


@for_people
def compare(request: HttpRequest, job_id: int, old: int, new: int) -> HttpResponse:
    """What changed from one version to a later one."""
    job = find_job(job_id)
    if old > new:
        return redirect("compare_answers", job_id, new, old)
    if old == new:
        return redirect("answer", job_id, new)
    before, after = (get_object_or_404(Answer, job=job, version=version) for version in (old, new))
    versions = Answer.objects.filter(job=job).order_by("-version").values_list("version", flat=True)[:50]
    context = {"section": "jobs", "job": job, "diff": read_diff(job, before, after), "versions": versions}
    return render(request, "pages/compare_answers.html", context)


@for_people
def answer_json(request: HttpRequest, job_id: int, version: int) -> HttpResponse:
    """One version of a job's answer for machines; `?download=1` saves it as a file."""
    job = find_job(job_id)
    found = get_object_or_404(Answer, job=job, version=version)
    body = {
        "job": job.pk,
        "version": found.version,
        "tier": found.tier,
        "top_tier": job.top_tier,
        "cycle": found.cycle,
        "seq": found.seq,
        "created_at": found.created_at.isoformat(),
        "facts": answer_facts(job, found),
        "gaps": found.gaps,
    }
    response = JsonResponse(body, json_dumps_params={"indent": 2, "ensure_ascii": False})
    if request.GET.get("download"):
        response["Content-Disposition"] = f'attachment; filename="answer-{job.pk}-{found.version}.json"'
    return response
