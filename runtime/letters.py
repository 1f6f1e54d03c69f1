"""A digest as a letter: what waits for a person, grouped by job, as plain text and as simple HTML.

Titles and subjects come from anybody: they are one printable line each before they are put anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from runtime.addresses import conflict_address, job_address, notices_address, site_address
from runtime.audience import still_so
from runtime.models import Conflict, Job, Notice
from runtime.notices import name_question

MOST_LINES = 50
MAX_TITLE = 60

# One, and several.
_COUNTED: Final = {
    "question": ("question waits", "questions wait"),
    "deadline": ("deadline near", "deadlines near"),
    "expired": ("deadline passed", "deadlines passed"),
    "tier_lost": ("tier lost", "tiers lost"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing, and where to go."""

    kind: str
    text: str
    url: str


@dataclass(slots=True)
class Section:
    """What is told of one job, by its `number`."""

    name: str
    number: int
    url: str
    lines: list[Line] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Digest:
    """All that is told in one letter, with what was cut off counted."""

    sections: Sequence[Section]
    counts: Mapping[str, int]
    more: int

    @property
    def sentence(self) -> str:
        """ "3 questions wait, 1 deadline near"."""
        told = ((self.counts.get(kind, 0), words) for kind, words in _COUNTED.items())
        return ", ".join(f"{n:,} {words[0] if n == 1 else words[1]}" for n, words in told if n)


def one_line(text: str, limit: int = 500) -> str:
    """`text` as one line of printable characters, shortened to `limit`: fit for a header."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return clean if len(clean) <= limit else f"{clean[: limit - 1]}…"


def make_digest(notices: Iterable[Notice], waiting: Mapping[int, Conflict]) -> Digest | None:
    """What is still so of `notices`, the newest first; None if nothing is. `waiting` are the open questions, by id.

    Notices come with their `job` and its `pack`. A question that several notices tell of is named once.
    """
    sections: dict[int, Section] = {}
    counts: Counter[str] = Counter()
    named: set[int] = set()
    total = 0
    for notice in notices:
        if not still_so(notice, waiting):
            continue
        for line in _lines_of(notice, waiting, named):
            counts[notice.kind] += 1
            total += 1
            if total <= MOST_LINES:
                job = notice.job
                sections.setdefault(job.pk, _section_of(job)).lines.append(line)
    return Digest(list(sections.values()), counts, max(0, total - MOST_LINES)) if total else None


def _lines_of(notice: Notice, waiting: Mapping[int, Conflict], named: set[int]) -> list[Line]:
    if notice.kind == "question":
        rows = [waiting[pk] for pk in notice.about if pk in waiting and pk not in named]
        named.update(row.pk for row in rows)
        return [Line("question", one_line(name_question(row)), conflict_address(row.pk)) for row in rows]
    url = job_address(notice.job_id) if notice.conflict_id is None else conflict_address(notice.conflict_id)
    return [Line(notice.kind, one_line(notice.text), url)]


def _section_of(job: Job) -> Section:
    return Section(one_line(job.title or str(job.pack), MAX_TITLE), job.pk, job_address(job.pk))


def make_letter(
    user: User, digest: Digest, every_minutes: int, mark: str, test: bool = False
) -> EmailMultiAlternatives:
    """The letter, to the person's own address. `mark` tells one digest from another, for mail servers that see one
    twice."""
    sections = digest.sections
    where = f" in {sections[0].name}" if len(sections) == 1 else ""
    host = urlsplit(site_address()).hostname or "localhost"
    context = {
        "name": one_line(user.get_short_name() or user.get_username(), MAX_TITLE),
        "digest": digest,
        "every_minutes": every_minutes,
        "notices": notices_address(),
        "site": site_address(),
        "test": test,
    }
    letter = EmailMultiAlternatives(
        f"{'Test: ' if test else ''}Converge: {digest.sentence}{where}",
        render_to_string("email/digest.txt", context),
        to=[user.email],
        headers={"Message-ID": f"<digest.{mark}@{host}>", "Auto-Submitted": "auto-generated"},
    )
    letter.attach_alternative(render_to_string("email/digest.html", context), "text/html")
    return letter
