"""«Why not converged?»: the job's causes, its open questions, and what else keeps it; each a link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from converge_site.fragments.gaps import GapLink, link_gaps
from runtime.models import Answer, Conflict, Job

QUESTIONS = 5


@dataclass(frozen=True, slots=True)
class Why:
    """The panel: a heading, one sentence, and the things behind it."""

    title: str
    lead: str
    items: list[GapLink]
    calm: bool = False


def read_why(job: Job) -> Why:
    """Why a job is where it is."""
    if job.status == "converged":
        return Why(
            "Why it converged",
            "Nothing is left to run, nothing is open, and every tier is reached.",
            [],
            True,
        )
    if job.status == "queued":
        lead = (
            "It waits for a runtime to take it."
            if not job.cycle
            else "It has new input and waits for a runtime."
        )
        return Why("Why not converged?", lead, _questions(job))
    if job.status == "running":
        return Why("Why not converged?", _running(job), _questions(job), calm=True)
    items = _questions(job) + link_gaps(job.pk, _other_causes(job))
    return Why("Why not converged?", _lead(job), items)


def _lead(job: Job) -> str:
    """What the header's reason does not say already."""
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
