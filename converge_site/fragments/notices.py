"""What a person is told beside the page they look at: the bell, the toasts, and the list of notices."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth.models import User
from django.db.models import Count, Min, Q, QuerySet, Sum
from django.urls import reverse

from converge_site.fragments.words import Look
from converge_site.whole_numbers import read_whole
from runtime.audience import (
    IN_QUESTION,
    count_unseen,
    kinds_for,
    newest_notice,
    notices_for,
    open_questions,
    setting_of,
    still_so,
)
from runtime.models import Conflict, Notice

PAGE = 50
MOST_COUNTED = 100
MOST_TOASTS = 3

LOOKS: Final = {
    "question": Look("question", "amber", "Question", "People are asked to decide, or to approve."),
    "deadline": Look("clock", "amber", "Deadline near", "The time to answer is short."),
    "expired": Look("hold", "red", "Deadline passed", "Nobody answered in time."),
    "tier_lost": Look("flag", "red", "Tier lost", "A tier that was reached is not reached any more."),
}
# One, several; of one kind in a burst.
_SUMMED: Final = {
    "deadline": ("deadline comes near", "deadlines come near"),
    "question": ("question opened", "questions opened"),
    "expired": ("deadline has passed", "deadlines have passed"),
    "tier_lost": ("tier is lost", "tiers are lost"),
}
_HERE = re.compile(r"/(jobs|conflicts)/(\d{1,18})/")


@dataclass(frozen=True, slots=True)
class Bell:
    """How much a person has not seen, counted up to MOST_COUNTED, and the newest notice there is for anybody."""

    count: int
    newest: int

    @property
    def words(self) -> str:
        """The count as it is shown."""
        return f"{MOST_COUNTED - 1}+" if self.count >= MOST_COUNTED else str(self.count)


@dataclass(frozen=True, slots=True)
class Toast:
    """One thing said on a page of something else: a notice by its `id`, and `where` it is; or several, with id 0."""

    look: Look
    text: str
    url: str
    where: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True)
class News:
    """What a page is told when something happened: the bell, the toasts, and up to which notice this is."""

    bell: Bell
    toasts: Sequence[Toast]


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """A notice in the list. `left` are the questions in it that still wait, `is_over` whether nothing is left of it."""

    notice: Notice
    look: Look
    url: str
    is_new: bool
    left: int
    is_over: bool


@dataclass(frozen=True, slots=True)
class NoticeList:
    """A page of the list: the newest first, from below `before`. `any` tells "none" from "none of this kind"."""

    rows: Sequence[NoticeRow]
    kind: str
    before: int | None
    older: int | None
    newest: int
    kinds: Sequence[tuple[str, Look]]
    any: bool


def read_bell(user: Any) -> Bell:
    """The bell of whoever is signed in."""
    newest = newest_notice()  # first: what comes in between is told next time
    return Bell(count_unseen(user, MOST_COUNTED), newest)


def url_of(notice: Notice) -> str:
    """Where a notice leads: to its question, to the questions of its job, or to its job."""
    if notice.conflict_id is not None:
        return reverse("conflict", args=[notice.conflict_id])
    if notice.kind == "question":
        return f"{reverse('inbox')}?job={notice.job_id}"
    return reverse("job", args=[notice.job_id])


def read_news(user: User, after: int, path: str) -> News:
    """What is new since the notice `after`, for a page at `path`: it is not told what it shows itself."""
    bell = read_bell(user)
    if not setting_of(user).toasts or path.startswith(reverse("notices")):
        return News(bell, [])
    found = _elsewhere(notices_for(user, after).filter(id__lte=bell.newest), path)
    if found.order_by()[: MOST_TOASTS + 1].count() > MOST_TOASTS:
        return News(bell, _sum_up(found))
    rows = found.exclude(kind__in=IN_QUESTION, conflict__status="closed").select_related("job", "job__pack")
    return News(bell, [_toast(row) for row in reversed(rows)])


def _elsewhere(found: QuerySet[Notice], path: str) -> QuerySet[Notice]:
    """Without what the page at `path` shows by itself."""
    if path == reverse("inbox"):
        return found.exclude(kind="question")
    here = _HERE.match(path)
    if here is None:
        return found
    number = int(here[2])
    return found.exclude(job_id=number) if here[1] == "jobs" else found.exclude(conflict_id=number)


def _toast(notice: Notice) -> Toast:
    job = notice.job
    return Toast(
        LOOKS[notice.kind], notice.text, url_of(notice), f"{job.title or job.pack} #{job.pk}", notice.pk
    )


def _sum_up(found: QuerySet[Notice]) -> list[Toast]:
    """A burst: one toast a kind, or one for all."""
    counted = (
        found.order_by()
        .values("kind")
        .annotate(told=Count("id"), things=Sum("count"), jobs=Count("job", distinct=True), job=Min("job"))
    )
    by_kind = {row["kind"]: row for row in counted}
    if len(by_kind) > MOST_TOASTS:
        total = sum(row["told"] for row in by_kind.values())
        return [Toast(LOOKS["question"], f"{total:,} notices", reverse("notices"))]
    return [_summed(kind, by_kind[kind]) for kind in _SUMMED if kind in by_kind]


def _summed(kind: str, row: Mapping[str, Any]) -> Toast:
    things, jobs = row["things"], row["jobs"]
    words = _SUMMED[kind][things != 1]
    text = f"{things:,} {words} in {jobs:,} job{'s' if jobs != 1 else ''}"
    if jobs == 1:
        url = (
            f"{reverse('inbox')}?job={row['job']}"
            if kind in IN_QUESTION
            else reverse("job", args=[row["job"]])
        )
    else:
        url = reverse("inbox") if kind in IN_QUESTION else reverse("notices")
    return Toast(LOOKS[kind], text, url)


def read_notices(user: User, query: Mapping[str, str]) -> NoticeList:
    """The page of the list that `query` asks for: `kind`, and `before` for those older than a notice."""
    kinds = [(kind, LOOKS[kind]) for kind in LOOKS if kind in kinds_for(user)]
    kind = query.get("kind", "") if query.get("kind", "") in dict(kinds) else ""
    before = read_whole(query.get("before", ""))
    newest, seen = newest_notice(), setting_of(user).seen
    found = notices_for(user)
    shown = found.filter(Q(kind=kind) if kind else Q())
    if before is not None:
        shown = shown.filter(id__lt=before)
    notices = list(shown.select_related("job", "job__pack")[: PAGE + 1])
    older = notices[PAGE - 1].pk if len(notices) > PAGE else None
    waiting = open_questions(notices[:PAGE])
    return NoticeList(
        rows=[_row(notice, waiting, seen, user) for notice in notices[:PAGE]],
        kind=kind,
        before=before,
        older=older,
        newest=newest,
        kinds=kinds,
        any=bool(notices) or found.exists(),
    )


def _row(notice: Notice, waiting: Mapping[int, Conflict], seen: int, user: User) -> NoticeRow:
    return NoticeRow(
        notice=notice,
        look=LOOKS[notice.kind],
        url=url_of(notice),
        is_new=notice.pk > seen and notice.at >= user.date_joined,
        left=sum(pk in waiting for pk in notice.about) if notice.kind == "question" else 0,
        is_over=not still_so(notice, waiting),
    )
