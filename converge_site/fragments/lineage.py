"""Why a slot shows what it shows, and why nothing else, as a page shows it: the picture, the nested list, the links.

What is true is worked out in `runtime.lineage`; here it only gets addresses and looks.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from converge_site.fragments.lineage_boxes import boxes_of
from converge_site.fragments.lineage_picture import Picture, draw_boxes
from converge_site.whole_numbers import read_whole
from runtime.lineage import (
    DEEPEST,
    DEPTH,
    Line,
    Lineage,
    Node,
    WhyNot,
    explain_slot,
    lines_of,
    say_slot,
    say_step,
)
from runtime.models import Entry, Job

KEPT = 32
PATIENCE = 10  # how many times as long as it took a lineage is pushed again before it is worked out anew
DEEPER = 4  # levels that one more click adds
# An entry as the sentences of lineage name it. A text that only looks so leads to an entry, and does no harm.
_ENTRY = re.compile(r"(?<=\()#(\d{1,17})(?=[,)])")
_LOOKS = {
    "fallen": ("failed", "red"),
    "provisional": ("half", "amber"),
    "contested": ("split", "amber"),
    "held": ("hold", "amber"),
    "empty": ("dash", "grey"),
    "seed": ("seed", "green"),
    "decision": ("person", "amber"),
    "approval": ("person", "amber"),
    "rule": ("gauge", "blue"),
    "question": ("question", "amber"),
    "step": ("right", "grey"),
    "speaker": ("play", "grey"),
    "rest": ("plus", "grey"),
    "back": ("recover", "grey"),
    "seen": ("up", "grey"),
    "gone": ("alert", "red"),
    "cut": ("plus", "grey"),
}
_OUTCOMES = {
    "lost": ("down", "grey"),
    "overruled": ("person", "grey"),
    "refused": ("ban", "red"),
    "rejected": ("ban", "red"),
    "withdrawn": ("undo", "grey"),
    "replaced": ("swap", "blue"),
    "undone": ("undo", "amber"),
    "unanswered": ("inbox", "red"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a sentence; a link if `href` is set."""

    text: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class LineView:
    """One line of the nested list. `opens`: it begins a list within the item of the line before. `ends`: nothing lies
    below it, so its item ends, and with it `closes` lists with the items they lie in."""

    line: Line
    icon: str
    tone: str
    name: str
    href: str
    parts: list[Part]
    opens: bool
    ends: bool
    closes: range


@dataclass(frozen=True, slots=True)
class WhyNotView:
    """One candidate that does not stand."""

    row: WhyNot
    icon: str
    tone: str
    parts: list[Part]
    steps: list[str]


@dataclass(frozen=True, slots=True)
class LineagePanel:
    """Everything the two panels show. `deeper` is the address with more levels, "" if there are none."""

    lineage: Lineage
    title: str
    picture: Picture
    lines: list[LineView]
    why_not: list[WhyNotView] = field(default_factory=list)
    more_why_not: int = 0
    text_href: str = ""
    deeper: str = ""

    @property
    def top(self) -> Node:
        """The slot itself."""
        return self.lineage.top


_kept: dict[tuple[Any, ...], Lineage] = {}
_last: dict[tuple[Any, ...], tuple[float, Lineage]] = {}  # of a slot: until when it is good enough for a push
_lock = threading.Lock()


def read_lineage(
    job: Job, key: str, subject: str, depth: int, history: Sequence[Entry], *, patient: bool = False
) -> Lineage | None:
    """The lineage of a slot now. A journal of one digest has one lineage, so a page that is looked at again and again
    while nothing happens is worked out once.

    `patient` is for pushes: of a job at work they tell the lineage of a moment ago rather than keep the thread that
    feeds all viewers busy. It takes up a tenth of that thread at most, and the last push tells the last state.
    """
    slot = (job.pk, key, subject, depth)
    name = (*slot, job.digest)
    with _lock:
        found = _kept.get(name)
        until, older = _last.get(slot, (0.0, None))
    if found is None and patient and job.is_active and time.monotonic() < until:
        return older
    if found is None:
        began = time.monotonic()
        found = explain_slot(job, key, subject, None, depth, history)
        now = time.monotonic()
        if found is not None:
            with _lock:
                _keep(_kept, name, found)
                _keep(_last, slot, (now + PATIENCE * (now - began), found))
    return found


def _keep(kept: dict[Any, Any], name: tuple[Any, ...], value: object) -> None:
    """Puts a value in, and takes the oldest out. The caller holds the lock."""
    kept.pop(name, None)
    kept[name] = value
    while len(kept) > KEPT:
        kept.pop(next(iter(kept)))


def show_lineage(lineage: Lineage | None, at: int | None = None) -> LineagePanel | None:
    """The panels of a lineage; None if nothing was ever said. `at` is set where the page shows an earlier moment, and
    then in its links."""
    if lineage is None:
        return None
    top = lineage.top
    deeper = min(lineage.depth + DEEPER, DEEPEST)
    return LineagePanel(
        lineage=lineage,
        title="Why it stands" if top.status == "fact" else "Why nothing stands",
        picture=draw_boxes(
            boxes_of(lineage, Links(lineage.job_id, at)), f"Why {say_slot(*top.slot)} stands so"
        ),
        lines=show_lines(lineage, at),
        why_not=[_show_why_not(lineage.job_id, row) for row in lineage.why_not],
        more_why_not=lineage.more_why_not,
        text_href=why_href(lineage.job_id, *top.slot, depth=lineage.depth, at=at, text=True),
        deeper=why_href(lineage.job_id, *top.slot, depth=deeper, at=at)
        if lineage.is_cut and deeper > lineage.depth
        else "",
    )


def read_depth(text: str) -> int:
    """How many levels an address asks for."""
    asked = read_whole(text, DEEPEST)
    return asked if asked else DEPTH


def why_href(
    job_id: int, key: str, subject: str, depth: int = DEPTH, at: int | None = None, text: bool = False
) -> str:
    """The address of a slot's page with so many levels of why, as of an entry, or as plain text."""
    query: dict[str, Any] = {"key": key, "subject": subject}
    query |= {"depth": depth} if depth != DEPTH else {}
    query |= {"at": at} if at is not None else {}
    query |= {"as": "text"} if text else {}
    return f"{reverse('slot', args=[job_id])}?{urlencode(query)}"


@dataclass(frozen=True, slots=True)
class Links:
    """Where the parts of one lineage lead."""

    job_id: int
    at: int | None = None

    def slot(self, key: str, subject: str, at: int | None = None) -> str:
        """A slot's page, as of the moment that is looked at."""
        return why_href(self.job_id, key, subject, at=self.at if at is None else at)

    def entry(self, seq: int) -> str:
        """An entry's page."""
        return reverse("entry", args=[self.job_id, seq])

    def key(self, key: str) -> str:
        """All facts of a key."""
        return f"{reverse('context', args=[self.job_id])}?{urlencode({'key': key})}"


def link_entries(job_id: int, text: str) -> list[Part]:
    """A sentence, the entries that it names in brackets as links."""
    pieces = _ENTRY.split(text)
    return [
        Part(f"#{piece}", reverse("entry", args=[job_id, int(piece)])) if place % 2 else Part(piece)
        for place, piece in enumerate(pieces)
        if piece
    ]


def show_lines(lineage: Lineage, at: int | None = None) -> list[LineView]:
    """The lines of why, ready to be nested."""
    links, lines = Links(lineage.job_id, at), lines_of(lineage)
    depths = [line.depth for line in lines]
    return [
        _show_line(line, links, before, after)
        for line, before, after in zip(lines, [0, *depths], [*depths[1:], 0], strict=False)
    ]


def _show_line(line: Line, links: Links, before: int, after: int) -> LineView:
    """`before` and `after` are the depths of its neighbours."""
    icon, tone = _LOOKS.get(_look_of(line), ("done", "green"))
    name, href = _name_of(line, links)
    text = line.text.removeprefix(name)
    if line.kind == "link" and line.seq:
        text = f"{text} (#{line.seq})"
    return LineView(
        line=line,
        icon=icon,
        tone=tone,
        name=name,
        href=href,
        parts=link_entries(links.job_id, text),
        opens=line.depth > before,
        ends=after <= line.depth,
        closes=range(line.depth - after),
    )


def _look_of(line: Line) -> str:
    node = line.node
    if node is not None:
        if node.fallen or node.provisional:
            return "fallen" if node.fallen else "provisional"
        is_seed = all(speaker.agent == "@seed" for speaker in node.speakers) and node.speakers
        return "seed" if is_seed else node.status
    if line.link is not None:
        return line.link.kind
    return line.reason or line.kind


def _name_of(line: Line, links: Links) -> tuple[str, str]:
    """The words of a line that are a link, and where to."""
    if line.node is not None:
        return say_slot(*line.node.slot), links.slot(*line.node.slot)
    if line.link is not None and line.link.key:
        at = line.link.seq if line.link.kind == "back" else None
        return say_slot(line.link.key, line.link.subject), links.slot(line.link.key, line.link.subject, at)
    if line.rest is not None and line.rest.key:
        return line.text, links.key(line.rest.key)
    if line.kind in ("cut", "rest") and line.seq:
        return line.text, links.entry(line.seq)
    return "", ""


def _show_why_not(job_id: int, row: WhyNot) -> WhyNotView:
    icon, tone = _OUTCOMES.get(row.outcome, ("dash", "grey"))
    return WhyNotView(row, icon, tone, link_entries(job_id, row.text), [say_step(step) for step in row.trace])


def show_why_not(job_id: int, rows: Iterable[WhyNot]) -> list[WhyNotView]:
    """What does not stand, as shown."""
    return [_show_why_not(job_id, row) for row in rows]
