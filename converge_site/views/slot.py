"""A slot's page and what people do on it; and the page on which a fact is added to a job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from converge_site.forms.receipts import read_receipt
from converge_site.forms.slot import (
    check_current,
    check_own_voice,
    make_say_form,
    read_confidence,
    read_slot_choice,
)
from converge_site.forms.typed_values import read_typed_value, words_of_schema
from converge_site.fragments.context import slot_href
from converge_site.fragments.lineage import read_depth
from converge_site.fragments.personal import render_slot_forms
from converge_site.fragments.slots import SlotView, read_slot
from converge_site.people import for_people, person_of
from converge_site.views.job import find_job, moment_of
from converge_site.views.lineage import NOTHING_SAID, show_why
from converge_site.views.refusals import render_refusal, status_of
from converge_site.whole_numbers import read_whole
from runtime.actions import Refused, add_fact, decide_slot, undo_decision, withdraw_fact
from runtime.actions.permissions import may, require
from runtime.lineage import DEPTH
from runtime.models import Job

SENT = "Sent. It is applied at the start of the job's next cycle."


@for_people
def slot(request: HttpRequest, job_id: int) -> HttpResponse:
    """Why a fact stands, why others do not, and everything said in its slot; `?cycle=N` or `?at=entry`: as it was."""
    key, subject = request.GET.get("key", ""), request.GET.get("subject", "")
    depth = read_depth(request.GET.get("depth", ""))
    at = read_whole(request.GET.get("at", ""))
    if at is None and (moment := moment_of(request, find_job(job_id))):
        at = moment.seq
    if at is not None or request.GET.get("as") == "text":
        return show_why(request, find_job(job_id), key, subject, depth, at)
    return _show(request, find_slot(job_id, key, subject, depth))


@for_people
def forms(request: HttpRequest, job_id: int) -> HttpResponse:
    """The forms alone, for a page whose slot has changed."""
    view = find_slot(job_id, request.GET.get("key", ""), request.GET.get("subject", ""), why=False)
    return HttpResponse(render_slot_forms(request, view))


def find_slot(job_id: int, key: str, subject: str, depth: int = DEPTH, *, why: bool = True) -> SlotView:
    """The slot's page; 404 if nothing was ever said in it."""
    view = read_slot(find_job(job_id), key, subject, depth, why=why)
    if view is None:
        raise Http404(NOTHING_SAID)
    return view


def _show(
    request: HttpRequest, view: SlotView, act: str = "", refused: Refused | None = None
) -> HttpResponse:
    context: dict[str, Any] = {
        "section": "jobs",
        "job": view.job,
        "slot": view,
        "personal": True,
        "slot_forms_html": render_slot_forms(request, view, act, refused),
    }
    return render(request, "pages/slot.html", context, status=status_of(refused) if refused else 200)


Send = Callable[[HttpRequest, SlotView, str], object]


def _send_from_slot(request: HttpRequest, job_id: int, act: str, send: Send) -> HttpResponse:
    """Does what a form of the page asks for; what is refused comes back on the page with what was typed."""
    view = find_slot(job_id, request.POST.get("key", ""), request.POST.get("subject", ""), why=False)
    try:
        require(person_of(request), "add_fact" if act in ("say", "withdraw") else "decide", view.job)
        send(request, view, read_receipt(request.POST.get("receipt")))
    except Refused as refused:
        if refused.code in ("forbidden", "gone"):
            return render_refusal(request, refused, back=view.href)
        fresh = find_slot(job_id, view.key, view.subject)
        return _show(request, fresh, act, refused)
    messages.success(request, SENT)
    return redirect(view.href)


@for_people
@require_POST
def decide(request: HttpRequest, job_id: int) -> HttpResponse:
    """Decides a slot, contested or not."""
    return _send_from_slot(request, job_id, "decide", _decide)


def _decide(request: HttpRequest, view: SlotView, receipt: str) -> None:
    posted = request.POST.dict()
    check_current(view, posted)
    choice = read_slot_choice(view, posted)
    reason = posted.get("reason", "").strip()
    decide_slot(
        person_of(request), view.job.pk, view.key, view.subject, view.version, choice, reason, receipt
    )


@for_people
@require_POST
def undo(request: HttpRequest, job_id: int) -> HttpResponse:
    """Takes an operator's decision on a slot back."""
    return _send_from_slot(request, job_id, "undo", _undo)


def _undo(request: HttpRequest, view: SlotView, receipt: str) -> None:
    posted = request.POST.dict()
    check_current(view, posted)
    reason = posted.get("reason", "").strip()
    undo_decision(
        person_of(request), view.job.pk, view.key, view.subject, reason, receipt, version=view.version
    )


@for_people
@require_POST
def say(request: HttpRequest, job_id: int) -> HttpResponse:
    """Lets a person speak in a slot, as one voice among the others."""
    return _send_from_slot(request, job_id, "say", _say)


def _say(request: HttpRequest, view: SlotView, receipt: str) -> None:
    _add(request, view.job, view.key, view.subject, receipt)


def _add(request: HttpRequest, job: Job, key: str, subject: str, receipt: str) -> None:
    posted = request.POST
    value = read_typed_value(job, key, posted.get("value", ""))
    confidence = read_confidence(posted.get("confidence", ""))
    reason = posted.get("reason", "").strip()
    add_fact(person_of(request), job.pk, key, subject, value, confidence, reason, receipt)


@for_people
@require_POST
def withdraw(request: HttpRequest, job_id: int) -> HttpResponse:
    """Takes back what the signed-in person said in a slot."""
    return _send_from_slot(request, job_id, "withdraw", _withdraw)


def _withdraw(request: HttpRequest, view: SlotView, receipt: str) -> None:
    check_own_voice(person_of(request), view, receipt)
    reason = request.POST.get("reason", "").strip()
    withdraw_fact(person_of(request), view.job.pk, view.key, view.subject, reason, receipt)


@for_people
def new_fact(request: HttpRequest, job_id: int) -> HttpResponse:
    """GET: the form for a fact in any slot of a job. POST: adds it."""
    job = find_job(job_id)
    verdict = may(person_of(request), "add_fact", job)
    if not verdict.allowed:
        raise PermissionDenied(verdict.why)
    if request.method != "POST":
        return _show_new_fact(request, job, request.GET.dict())
    posted = request.POST.dict()
    key, subject = posted.get("key", ""), posted.get("subject", "").strip()
    try:
        if not subject:
            raise Refused("Say what the fact is about.", field="subject")
        _add(request, job, key, subject, read_receipt(posted.get("receipt")))
    except Refused as refused:
        if refused.code == "gone":
            return render_refusal(request, refused, back=reverse("job", args=[job_id]))
        return _show_new_fact(request, job, posted, refused)
    messages.success(request, SENT)
    return redirect(slot_href(job_id, key, subject))


def _show_new_fact(
    request: HttpRequest, job: Job, typed: dict[str, str], refused: Refused | None = None
) -> HttpResponse:
    keys = [
        {"name": spec["name"], "title": spec.get("title") or spec["name"], "takes": takes}
        for spec in job.frozen_spec()["keys"]
        for takes in [words_of_schema(spec.get("schema") or {})]
    ]
    form = make_say_form(job, typed.get("key", ""), typed.get("subject", ""), typed, refused)
    context = {"section": "jobs", "job": job, "form": form, "keys": keys}
    return render(request, "pages/new_fact.html", context, status=status_of(refused) if refused else 200)
