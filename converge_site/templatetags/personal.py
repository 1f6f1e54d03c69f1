"""Tags for the parts of a fragment that differ from viewer to viewer."""

from __future__ import annotations

from django import template
from django.template import Context
from django.utils.safestring import SafeString

from converge_site.fragments.conflicts import Card
from converge_site.fragments.personal import (
    render_action,
    render_decide,
    render_recovering,
    render_slot_forms,
    render_weather,
)
from converge_site.fragments.slots import SlotView
from runtime.models import Job

register = template.Library()


@register.simple_tag(takes_context=True)
def decide_form(context: Context, card: Card) -> SafeString:
    """The decision form of a card: for the person of the request, or empty in a push."""
    request = context.get("request") if context.get("personal") else None
    return render_decide(request, card, context.get("refused"), context.get("typed"))


@register.simple_tag(takes_context=True)
def slot_forms(context: Context, slot: SlotView) -> SafeString:
    """The forms of a slot: as the view made them, or empty in a push."""
    made: SafeString | None = context.get("slot_forms_html")
    return render_slot_forms(None, slot) if made is None else made


@register.simple_tag(takes_context=True)
def job_action(context: Context, job: Job) -> SafeString:
    """The header's action: for the person of the request, or empty in a push."""
    return render_action(context.get("request") if context.get("personal") else None, job)


@register.simple_tag(takes_context=True)
def recovering_words(context: Context, job: Job) -> SafeString:
    """What a recovering job waits for: read for a page, or empty in a push."""
    return render_recovering(context.get("request") if context.get("personal") else None, job)


@register.simple_tag(takes_context=True)
def weather_words(context: Context, job: Job) -> SafeString:
    """What a job lacks because of its tools: read for a page, or empty in a push."""
    return render_weather(context.get("request") if context.get("personal") else None, job)
