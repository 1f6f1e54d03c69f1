"""Backtests: one in full, starting one from a rule's page, and breaking one off."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from converge_site.forms.receipts import read_receipt
from converge_site.fragments.backtests import FlipFilter, find_backtest, read_backtest
from converge_site.people import allowed, for_people, person_of
from converge_site.views.refusals import render_refusal
from converge_site.whole_numbers import read_whole
from runtime.actions import Refused
from runtime.actions.backtests import JOBS, cancel_backtest, start_backtest
from runtime.models import Backtest


def _found(backtest_id: int) -> Backtest:
    backtest = find_backtest(backtest_id)
    if backtest is None:
        raise Http404("There is no such backtest.")
    return backtest


@for_people
def backtest(request: HttpRequest, backtest_id: int) -> HttpResponse:
    """What a rule would have made different in past jobs, as far as it is known by now."""
    view = read_backtest(_found(backtest_id), FlipFilter.from_query(request.GET.dict()))
    context = {
        "section": "packs",
        "view": view,
        "personal": True,
        "may_cancel": allowed(request.user, "backtest"),
    }
    return render(request, "pages/backtest.html", context)


@for_people
def cancel(request: HttpRequest, backtest_id: int) -> HttpResponse:
    """GET: the button alone, for a page whose backtest has changed its state. POST: breaks it off."""
    if request.method != "POST":
        context = {
            "backtest": _found(backtest_id),
            "personal": True,
            "may_cancel": allowed(request.user, "backtest"),
        }
        return render(request, "fragments/_backtest_cancel.html", context)
    address = reverse("backtest", args=[backtest_id])
    try:
        cancel_backtest(person_of(request), backtest_id)
    except Refused as refused:
        return render_refusal(request, refused, back=address)
    messages.success(request, "It is broken off. What it found so far stays.")
    return redirect(address)


@for_people
@require_POST
def start(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Tries a rule on past jobs, and shows how that goes."""
    text = request.POST.get("jobs", "").strip()
    try:
        number = read_whole(text) if text else JOBS
        if number is None:
            raise Refused(f"“{text[:20]}” is no number of jobs; give one such as {JOBS}.", field="jobs")
        receipt = read_receipt(request.POST.get("receipt"))
        begun = start_backtest(person_of(request), rule_id, number, receipt)
    except Refused as refused:
        return render_refusal(request, refused, back=reverse("rule", args=[rule_id]))
    return redirect("backtest", begun.pk)
