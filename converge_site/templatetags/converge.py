"""Tags and filters of the pages. All data goes through autoescape; nothing here marks data as safe."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from converge_site.fragments.amounts import cost_words, ms_words
from converge_site.fragments.context import slot_href
from converge_site.fragments.decision_words import words_of_decision
from converge_site.fragments.job_rows import JobRow
from converge_site.fragments.small_drawings import draw_ladder, draw_spark
from converge_site.fragments.values import (
    brief_value,
    cell_value,
    confidence_words,
    field_pairs,
    is_shortened,
    long_cell_value,
    pretty_value,
)
from converge_site.fragments.words import Look, look_of_kind, look_of_slot, look_of_status
from runtime.models import Decision, Job

register = template.Library()

_SLUG = re.compile(r"[-a-zA-Z0-9_]+")
_NO_MARK = SafeString("")

register.filter("brief", brief_value)
register.filter("cell", cell_value)
register.filter("long_cell", long_cell_value)
register.filter("pretty", pretty_value)
register.filter("pairs", field_pairs)
register.filter("is_shortened", is_shortened)
register.filter("confidence", confidence_words)
register.filter("kind_look", look_of_kind)
register.filter("slot_look", look_of_slot)
register.filter("status_look", look_of_status)
register.filter("cost", cost_words)
register.filter("ms", ms_words)


@register.simple_tag
def icon(name: str, small: bool = False) -> SafeString:
    """An icon of the page's own sprite, for the eye only: a word always stands beside it."""
    size = "icon icon-s" if small else "icon"
    return format_html('<svg class="{}" aria-hidden="true"><use href="#i-{}"/></svg>', size, name)


@register.simple_tag
def look(look: Look, pill: bool = False) -> SafeString:
    """A status: icon, word and tone."""
    return format_html(
        '<span class="status tone-{}{}{}"{}>{}{}</span>',
        look.tone,
        " pill" if pill else "",
        " is-moving" if look.icon == "running" else "",
        format_html(' title="{}"', look.meaning) if look.meaning else "",
        icon(look.icon),
        look.word,
    )


@register.simple_tag
def when(moment: dt.datetime | None, empty: str = "–") -> SafeString | str:
    """A moment in UTC, exact on hover; the page's script makes it relative, and the exact one the viewer's own."""
    if moment is None:
        return empty
    exact = moment.astimezone(dt.UTC)
    return _time(exact, exact.strftime("%Y-%m-%d %H:%M UTC"))


@register.simple_tag
def clock(moment: dt.datetime | None, empty: str = "–") -> SafeString | str:
    """A time of day, in UTC; the page's script gives it in the viewer's zone. With seconds if it is near."""
    if moment is None:
        return empty
    exact, now = moment.astimezone(dt.UTC), dt.datetime.now(dt.UTC)
    near = abs(exact - now) < dt.timedelta(minutes=2)
    shape = "%H:%M:%S UTC" if near else "%H:%M UTC" if exact.date() == now.date() else "%Y-%m-%d %H:%M UTC"
    return _time(exact, exact.strftime(shape), SafeString(" data-clock"))


def _time(exact: dt.datetime, text: str, mark: SafeString = _NO_MARK) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}"{}>{}</time>',
        exact.isoformat(timespec="seconds"),
        exact.strftime("%Y-%m-%d %H:%M:%S UTC"),
        mark,
        text,
    )


@register.filter
def moment(seconds: float | None) -> dt.datetime | None:
    """Seconds since 1970 as a moment."""
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)


@register.simple_tag
def tool_link(name: str) -> str:
    """The address of a tool's page; that of all tools for a name that can be no tool's."""
    return reverse("tool", args=[name]) if _SLUG.fullmatch(name) else reverse("tools")


@register.simple_tag
def conf_bar(confidence: float | None) -> SafeString | str:
    """A confidence as a small bar and a figure."""
    if confidence is None:
        return ""
    return format_html(
        '<span class="conf"><svg viewBox="0 0 34 5" aria-hidden="true"><rect class="track" width="34" height="5"/>'
        '<rect class="fill" width="{}" height="5"/></svg>{}</span>',
        f"{34 * min(max(confidence, 0.0), 1.0):.1f}",
        confidence_words(confidence),
    )


@register.filter
def tone_of_message(level_tag: str) -> str:
    """The notice class of a message's level."""
    return {"error": "bad", "warning": "warn", "success": "good"}.get(level_tag, "info")


@register.filter
def get(mapping: Any, name: Any) -> Any:
    """`mapping[name]`, or None."""
    return mapping.get(name) if hasattr(mapping, "get") else None


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds in words: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


@register.simple_tag
def slot_link(job_id: int, key: str, subject: str) -> str:
    """The address of a slot's history."""
    return slot_href(job_id, key, subject)


@register.filter
def job_name(job: Job) -> str:
    """A job's title, or that of its pack; its number is shown beside it."""
    return job.title or str(job.pack)


@register.filter
def decision_words(decision: Decision) -> str:
    """What a decision says, in words."""
    return words_of_decision(decision)


@register.inclusion_tag("fragments/_ladder_mini.html")
def ladder_mini(job: Job | JobRow) -> dict[str, Any]:
    """The tier ladder of a row: one rung a tier, filled where reached."""
    return {"tier": job.tier, "top": job.top_tier, "steps": draw_ladder(job.tier, job.top_tier)}


@register.inclusion_tag("fragments/_spark.html")
def spark(activity: Sequence[Any] | None) -> dict[str, Any]:
    """The changes of the latest cycles as small bars."""
    return draw_spark(activity or [])
