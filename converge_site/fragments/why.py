"""«Why not converged?»: the job's causes, its open questions, and what else keeps it; each a link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from converge_site.fragments.context import slot_href
from converge_site.fragments.gaps import GapLink, link_gaps
from converge_site.fragments.slots import values_that_stood
from converge_site.fragments.values import brief_value
from converge_site.fragments.weather import is_of_tool
from runtime.engine import ENGINE_VERSION
from runtime.models import Answer, Conflict, Entry, Job

QUESTIONS = 5
SWINGING_SHOWN = 8
ENDS_SHOWN = 4  # values of one swinging slot


@dataclass(frozen=True, slots=True)
class Why:
    """The panel: a heading, one sentence, and the things behind it."""

    title: str
    lead: str
    items: list[GapLink]
    calm: bool = False
    lacks_tools: bool = False  # what that means at this moment is told by fragments/weather.py


def read_why(job: Job) -> Why:
    """Why a job is where it is."""
    if job.status == "converged":
        return Why(
            "Why it converged",
            "Nothing is left to run, nothing is open, and every tier is reached.",
            [],
            True,
        )
    if job.engine_version > ENGINE_VERSION and not job.is_ended:
        return Why("Why not converged?", _newer(job), _questions(job))
    if job.status == "queued":
        lead = (
            "It waits for a runtime to take it."
            if not job.cycle
            else "It has new input and waits for a runtime."
        )
        return Why("Why not converged?", lead, _questions(job))
    if job.status == "running":
        return Why("Why not converged?", _running(job), _questions(job), calm=True)
    if job.status == "oscillating":
        return _swinging(job)
    others = _other_causes(job)
    of_tools = [gap for gap in others if is_of_tool(gap)]
    items = _questions(job) + link_gaps(job.pk, [gap for gap in others if gap not in of_tools])
    return Why("Why not converged?", _lead(job), items, lacks_tools=bool(of_tools))


def _newer(job: Job) -> str:
    """While hosts are upgraded, some runtimes may be too old for a job that a newer one began."""
    return (
        f"It was begun by version {job.engine_version} of the engine, and here version {ENGINE_VERSION} runs. It waits "
        "for a runtime that is upgraded, and nothing of it is lost."
    )


def _swinging(job: Job) -> Why:
    """The slots that swing, each with the values it swings between, and what a person can do about it."""
    swing: dict[str, Any] = next((cause for cause in job.causes if cause.get("what") == "oscillation"), {})
    slots = [(str(slot["key"]), str(slot["subject"])) for slot in swing.get("slots") or ()]
    others = [cause for cause in _other_causes(job) if cause.get("what") != "oscillation"]
    items = [_swinging_slot(job, key, subject) for key, subject in slots[:SWINGING_SHOWN]]
    if len(slots) > SWINGING_SHOWN:
        items.append(
            GapLink(f"and {len(slots) - SWINGING_SHOWN} more slots swing with them", "", "wave", "red")
        )
    return Why("Why not converged?", _swing_words(swing), items + _questions(job) + link_gaps(job.pk, others))


def _swing_words(swing: dict[str, Any]) -> str:
    agents, period = [str(name) for name in swing.get("agents") or ()], swing.get("period", 1)
    who = " and ".join(filter(None, [", ".join(agents[:-1]), *agents[-1:]])) or "Its agents"
    does = "keeps changing what it said" if len(agents) == 1 else "keep changing what the others go by"
    every = "after every cycle" if period == 1 else f"after every {period} cycles"
    return (
        f"{who} {does}: {every} all is as it was before. Decide one of these slots, and the rest can settle."
    )


def _swinging_slot(job: Job, key: str, subject: str) -> GapLink:
    entries = Entry.objects.filter(job=job, key=key, subject=subject).exclude(now="")
    latest = list(entries.order_by("-seq")[: 8 * ENDS_SHOWN])
    ends = [brief_value(value, 40) for value in values_that_stood(latest[::-1], ENDS_SHOWN)]
    if any(entry.now != "fact" for entry in latest):
        ends.append("nothing")
    between = f" swings between {' and '.join(ends)}" if len(ends) > 1 else " swings"
    return GapLink(f"{key} / {subject}{between}: decide it", slot_href(job.pk, key, subject), "wave", "red")


def _lead(job: Job) -> str:
    """What the header's reason does not say already."""
    if job.status == "recovering":
        return "All that could be done without its tools is done; the rest goes on by itself when they answer again."
    waiting = job.conflicts_open + job.holds_open
    if job.status != "waiting" or not waiting:
        return job.reason or "The run stopped."
    asked = "one question is" if waiting == 1 else f"{waiting} questions are"
    return f"All that could be done without people is done; {asked} open."


def _other_causes(job: Job) -> list[dict[str, Any]]:
    """The causes and the answer's gaps that no open question stands for already."""
    newest = Answer.objects.filter(job=job).order_by("-version").only("gaps").first()
    gaps = [gap for gap in [*job.causes, *(newest.gaps if newest else [])] if isinstance(gap, dict)]
    asked = set(Conflict.objects.filter(job=job, status="open").values_list("key", "subject"))
    seen: set[str] = set()
    others = []
    for gap in gaps:
        text = str(gap.get("text", ""))
        if (gap.get("key"), gap.get("subject")) not in asked and text not in seen:
            seen.add(text)
            others.append(gap)
    return others


def _running(job: Job) -> str:
    if not job.cycle:
        return "Its first cycle is running."
    changed = job.activity[-1] if job.activity else 0
    return f"Still at work: cycle {job.cycle} changed {changed} thing{'' if changed == 1 else 's'}."


def _questions(job: Job) -> list[GapLink]:
    """The open conflicts and holds, most blocking first."""
    waiting = Conflict.objects.filter(job=job, status="open").order_by("-blocks", "id")
    shown = [
        GapLink(
            f"{'Approve' if c.kind == 'hold' else 'Decide'} {c.key} / {c.subject}"
            + (f" (an agent, {c.awaiting}, is about to rule)" if c.awaiting else ""),
            reverse("conflict", args=[c.pk]),
            "hold" if c.kind == "hold" else "split",
            "amber",
        )
        for c in waiting[:QUESTIONS]
    ]
    more = job.conflicts_open + job.holds_open - len(shown)
    if more > 0:
        shown.append(GapLink(f"and {more} more open", f"{reverse('inbox')}?job={job.pk}", "inbox", "amber"))
    return shown
