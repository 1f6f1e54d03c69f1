"""A new job: pick a pack, then fill its form or paste and upload; nothing is created before it reads well."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from converge_site.forms.new_job import NewJob, read_new_job, start_new_job
from converge_site.forms.receipts import new_receipt, read_receipt
from converge_site.forms.seed_form import change_rows
from converge_site.people import for_people, person_of
from converge_site.views.refusals import status_of
from runtime.actions import Refused, SeedsRefused, submit_job
from runtime.actions.permissions import may
from runtime.models import Pack


@for_people
def new_job(request: HttpRequest) -> HttpResponse:
    """GET: the form with the pack's sample. POST: another row, a preview, or the job."""
    verdict = may(person_of(request), "submit")
    if not verdict.allowed:
        raise PermissionDenied(verdict.why)
    packs = list(Pack.objects.filter(enabled=True).order_by("name"))
    draft = read_new_job(request, packs) if request.method == "POST" else start_new_job(request, packs)
    if request.method != "POST" or draft is None:
        return _show(request, packs, draft)
    act = request.POST.get("do", "create")
    if draft.form is not None and act.startswith(("add:", "remove:")):
        change_rows(draft.form, act)
        return _show(request, packs, draft)
    if act == "preview" or draft.problems or draft.refusal:
        return _show(request, packs, draft, 200 if act == "preview" else 422)
    return _create(request, packs, draft)


def _create(request: HttpRequest, packs: list[Pack], draft: NewJob) -> HttpResponse:
    """Submits; what is refused comes back beside its input."""
    key = read_receipt(request.POST.get("submit_key"))
    try:
        job = submit_job(person_of(request), draft.pack.name, draft.seeds, draft.title, key)
    except SeedsRefused as refused:
        draft.take_problems(refused.problems)
        return _show(request, packs, draft, 422)
    except Refused as refused:
        draft.refusal = refused.message
        return _show(request, packs, draft, status_of(refused))
    return redirect("job", job.pk)


def _show(request: HttpRequest, packs: list[Pack], draft: NewJob | None, status: int = 200) -> HttpResponse:
    receipt = read_receipt(request.POST.get("submit_key")) if request.method == "POST" else new_receipt()
    context: dict[str, Any] = {"section": "jobs", "packs": packs, "draft": draft, "submit_key": receipt}
    return render(request, "pages/new_job.html", context, status=status)
