"""Why a tier is not reached, as its page shows it: every missing thing with its link, one step down; or the proof."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.urls import reverse

from converge_site.fragments.gaps import GapLink, link_gap
from converge_site.fragments.lineage import (
    LineView,
    Links,
    Part,
    WhyNotView,
    link_entries,
    show_lines,
    show_why_not,
)
from converge_site.fragments.lineage_boxes import Boxes
from converge_site.fragments.lineage_picture import Box, Picture, draw_boxes
from converge_site.fragments.words import look_of_status
from runtime.lineage import Missing, TierStory, TierWhy
from runtime.models import Conflict, Job

WHY_NOT = 5
DRAWN = 16  # missing things of one tier that are drawn


@dataclass(frozen=True, slots=True)
class MissingView:
    """One missing thing. `question` is the address of the open question on its slot, "" if there is none."""

    gap: GapLink
    notes: list[list[Part]]
    keys: list[tuple[str, str]]
    lines: list[LineView]
    why_not: list[WhyNotView]
    question: str = ""


@dataclass(frozen=True, slots=True)
class TierView:
    """One tier with what it misses, or what proves it."""

    story: TierStory
    icon: str
    tone: str
    word: str
    text: list[Part]
    missing: list[MissingView]
    proof: list[tuple[str, str, list[Part]]]  # agent, its entries, its newest run


@dataclass(frozen=True, slots=True)
class TierPage:
    """The page of one tier. `tiers` begin with the one asked about, then go down."""

    why: TierWhy
    tiers: list[TierView]
    stopped: list[MissingView]
    picture: Picture
    steps: list[tuple[int, str, bool]]  # every tier of the pack: number, name, whether it is reached
    look: object = None
    text_href: str = ""
    lead: str = ""
    lacking: int = field(default=0)


_STATES = {
    "reached": ("done", "green", "reached"),
    "missing": ("failed", "red", "not reached"),
    "below": ("down", "grey", "held back from below"),
    "stale": ("running", "blue", "at work again"),
    "unjudged": ("clock", "grey", "not judged"),
}


def show_tier(job: Job, why: TierWhy) -> TierPage:
    """The page of a tier."""
    waiting = Conflict.objects.filter(job=job, status="open").values_list("key", "subject", "pk")
    questions = {(key, subject): pk for key, subject, pk in waiting}
    tiers = [_show_story(job, story, questions) for story in reversed(why.tiers)]
    return TierPage(
        why=why,
        tiers=tiers,
        stopped=[_show_missing(job.pk, one, questions) for one in why.stopped],
        picture=_draw(why),
        steps=[
            (number, tier["name"], number <= job.tier)
            for number, tier in enumerate(job.frozen_spec()["tiers"], 1)
        ],
        look=look_of_status(job.status),
        text_href=f"{reverse('tier', args=[job.pk, why.upto])}?{urlencode({'as': 'text'})}",
        lacking=sum(len(tier.missing) for tier in tiers),
    )


def _show_story(job: Job, story: TierStory, questions: dict[tuple[str, str], int]) -> TierView:
    icon, tone, word = _STATES[story.state]
    return TierView(
        story=story,
        icon=icon,
        tone=tone,
        word=word,
        text=link_entries(job.pk, story.text),
        missing=[_show_missing(job.pk, one, questions) for one in story.missing],
        proof=[
            (proof.agent, _agent_href(job.pk, proof.agent), link_entries(job.pk, proof.text))
            for proof in story.proof
        ],
    )


def _agent_href(job_id: int, agent: str) -> str:
    return f"{reverse('journal', args=[job_id])}?{urlencode({'agent': agent})}"


def _show_missing(job_id: int, one: Missing, questions: dict[tuple[str, str], int]) -> MissingView:
    links = Links(job_id)
    question = questions.get((one.key, one.subject))
    lineage = one.lineage
    return MissingView(
        gap=link_gap(job_id, _as_gap(one)),
        notes=[link_entries(job_id, note) for note in one.notes],
        keys=[(key, links.key(key)) for key in one.keys],
        lines=show_lines(lineage) if lineage else [],
        why_not=show_why_not(job_id, lineage.why_not[:WHY_NOT]) if lineage else [],
        question=reverse("conflict", args=[question]) if question else "",
    )


def _as_gap(one: Missing) -> dict[str, object]:
    """The gap as `link_gap` reads it."""
    named = {"key": one.key, "agent": one.agent, "tool": one.tool, "tier": one.tier}
    return {"what": one.what, "text": one.text, **{n: v for n, v in named.items() if v}} | (
        {"subject": one.subject} if one.subject else {}
    )


def _draw(why: TierWhy) -> Picture:
    """The tier, what it misses (lower tiers among it), and below each slot what it rests on."""
    boxes: list[Box] = []
    links = Links(why.job_id)
    place: int | None = None
    for story in reversed(why.tiers):
        _, _, word = _STATES[story.state]
        classes = "fact" if story.is_reached else "open"
        name = f"Tier {story.number}: {story.name}"
        href = reverse("tier", args=[why.job_id, story.number])
        boxes.append(Box((name, word, _count(story)), classes, f"{name}. {story.text}", href, place))
        place = len(boxes) - 1
        if story.is_reached:
            break
        for one in story.missing[:DRAWN]:
            _draw_missing(boxes, one, place, links)
        if len(story.missing) > DRAWN:
            more = f"and {len(story.missing) - DRAWN} more"
            boxes.append(Box((more,), "more", more, "", place))
    return draw_boxes(boxes, f"Why tier {why.upto} is {'reached' if why.is_reached else 'not reached'}")


def _count(story: TierStory) -> str:
    if story.is_reached:
        return f"since cycle {story.cycle}"
    count = len(story.missing)
    return f"{count} missing thing{'' if count == 1 else 's'}" if count else ""


def _draw_missing(boxes: list[Box], one: Missing, parent: int, links: Links) -> None:
    href = links.slot(one.key, one.subject) if one.subject else _agent_href(links.job_id, one.agent)
    if one.lineage is not None:
        Boxes(one.lineage, links, boxes).add_step(one.lineage.top, parent)
        return
    classes = "fallen" if one.what in ("failed", "rejected", "invariant", "budget") else "open"
    name = one.agent or one.rule or one.key or one.what
    boxes.append(Box((name, one.what.replace("_", " "), one.text), classes, one.text, href, parent))
