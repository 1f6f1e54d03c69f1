"""Tags for the parts of a fragment that differ from viewer to viewer."""

from __future__ import annotations

from django import template
from django.template import Context
from django.utils.safestring import SafeString

from converge_site.fragments.conflicts import Card
from converge_site.fragments.personal import render_action, render_decide
from runtime.models import Job

register = template.Library()


@register.simple_tag(takes_context=True)
def decide_form(context: Context, card: Card) -> SafeString:
    """The decision form of a card: for the person of the request, or empty in a push."""
    request = context.get("request") if context.get("personal") else None
    return render_decide(request, card, context.get("refused"), context.get("typed"))


@register.simple_tag(takes_context=True)
def job_action(context: Context, job: Job) -> SafeString:
    """The header's action: for the person of the request, or empty in a push."""
    return render_action(context.get("request") if context.get("personal") else None, job)
