"""Packs: what kinds of decision there are, and what each is made of."""

from __future__ import annotations

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from converge_site.fragments.graph import draw_graph
from converge_site.fragments.lint import lint_panel
from converge_site.fragments.rule_page import in_force_first, resolution_orders
from converge_site.fragments.rule_words import rule_views
from converge_site.people import allowed, for_people
from runtime.models import Pack


@for_people
def packs(request: HttpRequest) -> HttpResponse:
    """Every pack with its tiers and what it holds."""
    found = Pack.objects.annotate(
        agent_count=Count("agents", filter=Q(agents__enabled=True), distinct=True),
        rule_count=Count("rules", filter=Q(rules__state="active"), distinct=True),
        job_count=Count("jobs", distinct=True),
    )
    context = {
        "section": "packs",
        "packs": found.order_by("name"),
        "may_submit": allowed(request.user, "submit"),
    }
    return render(request, "pages/packs.html", context)


@for_people
def pack(request: HttpRequest, name: str) -> HttpResponse:
    """One pack: what lint says of it, the graph of its keys and agents, its tiers, agents and rules in words."""
    found = get_object_or_404(Pack, name=name)
    agents = list(found.agents.order_by("position"))
    lint = lint_panel(found)
    orders, shadowed = resolution_orders(found)
    context = {
        "section": "packs",
        "pack": found,
        "agents": agents,
        "rules": rule_views(in_force_first(found)),
        "orders": orders,
        "shadowed": shadowed,
        "graph": draw_graph(found, agents, lint.warned),
        "lint": lint,
        "may_submit": allowed(request.user, "submit"),
    }
    return render(request, "pages/pack.html", context)
