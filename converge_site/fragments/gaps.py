"""Gaps and causes with the link that leads to each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from converge_site.fragments.context import slot_href

_ICONS = {
    "conflict": ("split", "amber"),
    "contested": ("split", "amber"),
    "hold": ("hold", "amber"),
    "held": ("hold", "amber"),
    "failed": ("failed", "red"),
    "failure": ("failed", "red"),
    "refused": ("ban", "red"),
    "provisional": ("half", "grey"),
    "incomplete": ("half", "grey"),
    "invariant": ("alert", "red"),
    "oscillation": ("wave", "red"),
    "oscillating": ("wave", "red"),
    "budget": ("gauge", "red"),
    "awaited": ("clock", "blue"),
    "gave_up": ("stop", "red"),
    "eligible": ("play", "blue"),
}


@dataclass(frozen=True, slots=True)
class GapLink:
    """One missing thing: a sentence, where to look ("" if nowhere), and the tool it is there for, if any."""

    text: str
    href: str
    icon: str
    tone: str
    tool: str = ""


def link_gaps(job_id: int, gaps: Iterable[dict[str, Any]]) -> list[GapLink]:
    """The gaps of a tier, an answer or a stop, each with its link."""
    return [link_gap(job_id, gap) for gap in gaps]


def link_gap(job_id: int, gap: dict[str, Any]) -> GapLink:
    """One gap: a slot leads to its history, an agent to its entries in the journal."""
    icon, tone = _ICONS.get(str(gap.get("what", "")), ("alert", "amber"))
    href = ""
    if gap.get("key") and gap.get("subject") is not None:
        href = slot_href(job_id, str(gap["key"]), str(gap["subject"]))
    elif gap.get("agent") or gap.get("key"):
        wanted = {name: str(gap[name]) for name in ("agent", "key") if gap.get(name)}
        href = f"{reverse('journal', args=[job_id])}?{urlencode(wanted)}"
    elif gap.get("what") == "tier" and gap.get("tier"):
        href = reverse("tier", args=[job_id, int(gap["tier"])])
    text = str(gap.get("text") or gap.get("what") or "")
    return GapLink(text, href, icon, tone, str(gap.get("tool") or ""))
