"""«Why not converged?»: what the job waits for, who has work left and what else keeps it; each thing a link."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.urls import reverse

from converge_site.fragments.asked import asked_then
from converge_site.fragments.at_work import read_at_work
from converge_site.fragments.context import slot_href
from converge_site.fragments.gaps import GapLink, link_gaps
from converge_site.fragments.moment import Moment
from converge_site.fragments.slots import values_that_stood
from converge_site.fragments.then import questions_then
from converge_site.fragments.values import brief_value
from converge_site.fragments.weather import is_of_tool
from runtime.engine import ENGINE_VERSION
from runtime.models import Answer, Conflict, Decision, Entry, Job

QUESTIONS = 5
OF_A_KIND = 6  # lines of one group
SWINGING_SHOWN = 8
ENDS_SHOWN = 4  # values of one swinging slot

NOT_YET = "Why not converged?"
ASKED, FALLS_SHORT, AT_WORK = "Waits for people", "Agents that fell short", "Agents with work left"
SHAKY, SWINGS, ELSE = "Provisional facts", "Slots that swing", "What else it lacks"
_GROUP_OF = {
    "failed": FALLS_SHORT,
    "awaited": FALLS_SHORT,
    "rejected": FALLS_SHORT,
    "nothing_to_read": FALLS_SHORT,
    "gave_up": FALLS_SHORT,
    "eligible": AT_WORK,
    "provisional": SHAKY,
}
_ORDER = (ASKED, SWINGS, FALLS_SHORT, AT_WORK, SHAKY, ELSE)


@dataclass(frozen=True, slots=True)
class Group:
    """Things of one kind that keep the job, and how many more there are."""

    title: str
    items: list[GapLink]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Why:
    """The panel: a heading, one sentence, and the things behind it."""

    title: str
    lead: str
    groups: list[Group] = field(default_factory=list)
    calm: bool = False
    lacks_tools: bool = False  # what that means now is told by fragments/weather.py
    tools_then: list[GapLink] = field(default_factory=list)  # at a moment of the past


def read_why(job: Job, moment: Moment | None = None) -> Why:
    """Why a job is where it is; of a `moment`, `job` is the row as it was then."""
    if job.status == "converged":
        lead = "Nothing is left to run, nothing is open, and every tier is reached."
        return Why("Why it converged", lead, calm=True)
    found: dict[str, list[GapLink]] = {ASKED: _questions(job, moment)}
    if job.engine_version > ENGINE_VERSION and not job.is_ended:
        return Why(NOT_YET, _newer(job), _grouped(found))
    if job.is_active:
        lead = _queued(job) if job.status == "queued" else _running(job)
        _add_work(found, job, moment)
        return Why(NOT_YET, lead, _grouped(found), calm=job.status == "running")
    others = _other_causes(job, moment)
    lead = _lead(job)
    if job.status == "oscillating":
        swing: dict[str, Any] = next((c for c in job.causes if c.get("what") == "oscillation"), {})
        others = [cause for cause in others if cause.get("what") != "oscillation"]
        lead, found[SWINGS] = _swing_words(swing), _swinging(job, swing, moment)
    of_tools = [gap for gap in others if is_of_tool(gap)]
    for gap in others:
        if gap not in of_tools:
            found.setdefault(_GROUP_OF.get(str(gap.get("what", "")), ELSE), []).extend(
                link_gaps(job.pk, [gap])
            )
    # How the tools were is in no journal; that they failed is.
    then = link_gaps(job.pk, of_tools) if moment is not None else []
    return Why(NOT_YET, lead, _grouped(found), lacks_tools=bool(of_tools), tools_then=then)


def _newer(job: Job) -> str:
    """While hosts are upgraded, some runtimes may be too old for a job that a newer one began."""
    return (
        f"It was begun by version {job.engine_version} of the engine, and here version {ENGINE_VERSION} runs. It waits "
        "for a runtime that is upgraded, and nothing of it is lost."
    )


def _grouped(found: dict[str, list[GapLink]]) -> list[Group]:
    groups = []
    for title in _ORDER:
        items = found.get(title) or []
        # The questions say themselves how many more there are, and where.
        most = len(items) if title in (ASKED, SWINGS) else OF_A_KIND
        if items:
            groups.append(Group(title, items[:most], len(items) - len(items[:most])))
    return groups


def _add_work(found: dict[str, list[GapLink]], job: Job, moment: Moment | None) -> None:
    """What keeps a job that is at work: who has something to look at, who failed, what stands on nothing."""
    if not job.cycle:
        return
    work = read_at_work(job, moment)
    found[FALLS_SHORT] = [
        GapLink(
            f"{name} failed: {what}" if what else f"{name} failed", _runs_href(job, name), "failed", "red"
        )
        for name, what in work.failed
    ]
    found[AT_WORK] = [
        GapLink(f"{name} has something new to look at", _runs_href(job, name), "play", "blue")
        for name in work.eligible
    ]
    newest = _answers(job, moment).order_by("-version").only("marks").first()
    found[SHAKY] = [
        GapLink(
            f"{mark['key']} / {mark['subject']} was provisional when it settled last",
            slot_href(job.pk, mark["key"], mark["subject"]),
            "half",
            "grey",
        )
        for mark in (newest.marks if newest else [])
        if mark.get("provisional")
    ]


def _runs_href(job: Job, agent: str) -> str:
    return f"{reverse('journal', args=[job.pk])}?{urlencode({'kind': 'run', 'agent': agent})}"


def _swinging(job: Job, swing: dict[str, Any], moment: Moment | None) -> list[GapLink]:
    """The slots that swing, each with the values it swings between."""
    slots = [(str(slot["key"]), str(slot["subject"])) for slot in swing.get("slots") or ()]
    items = [_swinging_slot(job, key, subject, moment) for key, subject in slots[:SWINGING_SHOWN]]
    if len(slots) > SWINGING_SHOWN:
        more = len(slots) - SWINGING_SHOWN
        items.append(GapLink(f"and {more} more slots swing with them", "", "wave", "red"))
    return items


def _swing_words(swing: dict[str, Any]) -> str:
    agents, period = [str(name) for name in swing.get("agents") or ()], swing.get("period", 1)
    who = " and ".join(filter(None, [", ".join(agents[:-1]), *agents[-1:]])) or "Its agents"
    does = "keeps changing what it said" if len(agents) == 1 else "keep changing what the others go by"
    every = "after every cycle" if period == 1 else f"after every {period} cycles"
    return (
        f"{who} {does}: {every} all is as it was before. Decide one of these slots, and the rest can settle."
    )


def _swinging_slot(job: Job, key: str, subject: str, moment: Moment | None) -> GapLink:
    entries = Entry.objects.filter(job=job, key=key, subject=subject).exclude(now="")
    if moment is not None:
        entries = entries.filter(seq__lte=moment.seq)
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


def _other_causes(job: Job, moment: Moment | None) -> list[dict[str, Any]]:
    """The causes and the answer's gaps that no open question stands for already."""
    newest = _answers(job, moment).order_by("-version").only("gaps").first()
    gaps = [gap for gap in [*job.causes, *(newest.gaps if newest else [])] if isinstance(gap, dict)]
    asked = set(_open(job, moment).values_list("key", "subject"))
    return list(_distinct(gap for gap in gaps if (gap.get("key"), gap.get("subject")) not in asked))


def _distinct(gaps: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Each sentence once, where it came first."""
    found: dict[str, dict[str, Any]] = {}
    for gap in gaps:
        found.setdefault(str(gap.get("text", "")), gap)
    return found.values()


def _answers(job: Job, moment: Moment | None) -> QuerySet[Answer]:
    published = Answer.objects.filter(job=job)
    return published if moment is None else published.filter(seq__lte=moment.seq)


def _open(job: Job, moment: Moment | None) -> QuerySet[Conflict]:
    return Conflict.objects.filter(job=job, status="open") if moment is None else questions_then(job, moment)


def _running(job: Job) -> str:
    if not job.cycle:
        return "Its first cycle is running."
    changed = job.activity[-1] if job.activity else 0
    return f"Still at work: cycle {job.cycle} changed {changed} thing{'' if changed == 1 else 's'}."


def _queued(job: Job) -> str:
    """Only of the present: the journal knows no job that waits for a runtime."""
    sent = Decision.objects.filter(job=job, status="pending").count()
    if not job.cycle:
        return "It waits for a runtime to take it."
    if not sent:
        return "It has new input and waits for a runtime."
    what = "One thing was sent to it" if sent == 1 else f"{sent} things were sent to it"
    return f"{what}, and it waits for a runtime to apply {'it' if sent == 1 else 'them'}."


def _questions(job: Job, moment: Moment | None) -> list[GapLink]:
    """The open conflicts and holds, most blocking first."""
    waiting = _open(job, moment).order_by("-blocks", "id")[:QUESTIONS]
    shown = [_question(c) for c in (waiting if moment is None else asked_then(job, moment, list(waiting)))]
    more = job.conflicts_open + job.holds_open - len(shown)
    if more > 0:
        shown.append(GapLink(f"and {more} more open", f"{reverse('inbox')}?job={job.pk}", "inbox", "amber"))
    return shown


def _question(asked: Conflict) -> GapLink:
    act = "Approve" if asked.kind == "hold" else "Decide"
    ruling = f" (an agent, {asked.awaiting}, is about to rule)" if asked.awaiting else ""
    return GapLink(
        f"{act} {asked.key} / {asked.subject}{ruling}",
        reverse("conflict", args=[asked.pk]),
        "hold" if asked.kind == "hold" else "split",
        "amber",
    )
