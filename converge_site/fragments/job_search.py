"""Finds one page of the Jobs list among a hundred thousand jobs, at a cost that does not follow their number.

One filter, or none, is an index of its own: its newest jobs are read from the end, and counted up to MOST_COUNTED.
Several filters at once are looked up in an index that holds all their columns. A text is looked for in WINDOW jobs at a
time, from the newest on or from where the page before ended; the page says so and leads further.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db.models import Max, QuerySet

from converge_site.fragments.job_filter import JobFilter
from runtime.models import Job

PAGE = 40
MOST_COUNTED = 10_000
WINDOW = 20_000  # numbers of jobs that one page looks through for a text


@dataclass(frozen=True, slots=True)
class Tally:
    """How many there are; with `is_more` at least so many."""

    number: int
    is_more: bool = False

    def __bool__(self) -> bool:
        return self.number > 0

    def __str__(self) -> str:
        return f"{self.number:,}+" if self.is_more else f"{self.number:,}"


NONE = Tally(0)


@dataclass(frozen=True, slots=True)
class Found:
    """The ids of a page, newest first; `older` and `newer` are where the next pages begin, 0 for none.

    `since` is the oldest job that was looked at for a text, 0 if all were; then `tally` counts from there on.
    """

    ids: list[int] = field(default_factory=list)
    tally: Tally = NONE
    older: int = 0
    newer: int = 0
    since: int = 0


def count_up_to(jobs: QuerySet[Job], most: int | None = None) -> Tally:
    """Counts no further than `most`; MOST_COUNTED if it is not given."""
    most = MOST_COUNTED if most is None else most
    number = jobs.order_by().values("pk")[: most + 1].count()
    return Tally(min(number, most), number > most)


def find_page(chosen: JobFilter) -> Found:
    """The page of jobs that the filter asks for: at most PAGE."""
    if chosen.q:
        return _find_text(chosen)
    if len(chosen.fields) > 1:
        known = list(chosen.scan().values_list("pk", flat=True)[: MOST_COUNTED + 1])
        if len(known) <= MOST_COUNTED:
            return _cut(sorted(known, reverse=True), chosen)
        return _read_page(chosen, Tally(MOST_COUNTED, is_more=True))
    return _read_page(chosen, count_up_to(chosen.apply_fields(Job.objects.all())))


def find_ids(chosen: JobFilter, statuses: Sequence[str], most: int) -> tuple[list[int], Tally]:
    """The newest jobs that match and are in one of `statuses`, at most `most`; and how many there are."""
    jobs = chosen.apply_fields(Job.objects.filter(status__in=statuses))
    if chosen.q:
        low, _ = _window(chosen)
        jobs = jobs.filter(chosen.text, pk__gte=low)
    newest = _newest_of([jobs.filter(status=status) for status in statuses], most)
    return newest, count_up_to(jobs)


def _read_page(chosen: JobFilter, tally: Tally) -> Found:
    """Reads from the end of an index; `tally` is how many match."""
    jobs = chosen.apply_fields(Job.objects.all())
    parts = [jobs.filter(status=status) for status in chosen.statuses] or [jobs]
    if chosen.after:
        upward = _oldest_of([part.filter(pk__gt=chosen.after) for part in parts], PAGE + 1)
        ids = list(reversed(upward[:PAGE]))
        newer = ids[0] if len(upward) > PAGE else 0
        return Found(ids, tally, older=ids[-1] if ids else chosen.after + 1, newer=newer)
    if chosen.before:
        parts = [part.filter(pk__lt=chosen.before) for part in parts]
    downward = _newest_of(parts, PAGE + 1)
    ids = downward[:PAGE]
    newer = (ids[0] if ids else chosen.before - 1) if chosen.before else 0
    return Found(ids, tally, older=ids[-1] if len(downward) > PAGE else 0, newer=newer)


def _newest_of(parts: Iterable[QuerySet[Job]], most: int) -> list[int]:
    """The newest of several sets, each read in the order of its index: all at once would be sorted first."""
    read = [pk for part in parts for pk in part.order_by("-pk").values_list("pk", flat=True)[:most]]
    return sorted(read, reverse=True)[:most]


def _oldest_of(parts: Iterable[QuerySet[Job]], most: int) -> list[int]:
    read = [pk for part in parts for pk in part.order_by("pk").values_list("pk", flat=True)[:most]]
    return sorted(read)[:most]


def _cut(known: list[int], chosen: JobFilter) -> Found:
    """The page out of all ids that match, newest first."""
    tally = Tally(len(known))
    if chosen.after:
        above = [pk for pk in known if pk > chosen.after]
        ids = above[-PAGE:]
        older = (ids[-1] if ids else chosen.after + 1) if len(above) < len(known) else 0
        return Found(ids, tally, older=older, newer=ids[0] if len(above) > PAGE else 0)
    below = [pk for pk in known if pk < chosen.before] if chosen.before else known
    ids = below[:PAGE]
    newer = (ids[0] if ids else chosen.before - 1) if len(below) < len(known) else 0
    return Found(ids, tally, older=ids[-1] if len(below) > PAGE else 0, newer=newer)


def _window(chosen: JobFilter) -> tuple[int, int]:
    """The first and the last job number to look through."""
    newest = Job.objects.aggregate(newest=Max("pk"))["newest"] or 0
    if chosen.after:
        return chosen.after + 1, min(chosen.after + WINDOW, newest)
    last = min(chosen.before - 1, newest) if chosen.before else newest
    return max(1, last - WINDOW + 1), last


def _find_text(chosen: JobFilter) -> Found:
    low, high = _window(chosen)
    jobs = chosen.apply_fields(Job.objects.all())
    seen = jobs.filter(chosen.text, pk__gte=low, pk__lte=high).order_by("pk" if chosen.after else "-pk")
    known = list(seen.values_list("pk", flat=True)[: max(MOST_COUNTED, PAGE) + 1])
    tally = Tally(min(len(known), MOST_COUNTED), len(known) > MOST_COUNTED)
    ids = known[:PAGE]
    more = len(known) > PAGE  # in the window itself
    if chosen.after:
        newer = ids[-1] if more else high if Job.objects.filter(pk__gt=high).exists() else 0
        ids.reverse()
        return Found(ids, tally, older=ids[-1] if ids else low, newer=newer, since=low)
    is_all = not Job.objects.filter(pk__lt=low).exists()
    older = ids[-1] if more else 0 if is_all else low
    newer = (ids[0] if ids else high) if chosen.before else 0
    if (number := chosen.number) is not None and not chosen.before and number < low:
        # A job's own number is found wherever it lies.
        numbered = list(jobs.filter(pk=number).values_list("pk", flat=True))
        ids, tally = ids + numbered, Tally(tally.number + len(numbered), tally.is_more)
    return Found(ids, tally, older=older, newer=newer, since=0 if is_all and not chosen.before else low)
