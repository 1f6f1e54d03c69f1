"""Cancelling and retrying many jobs: what a form would do before it is sent, and what became of it afterwards."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.contrib.sessions.backends.base import SessionBase

from converge_site.fragments import job_search
from converge_site.fragments.job_filter import JobFilter
from converge_site.fragments.job_rows import JobRow, read_rows
from converge_site.fragments.job_search import Tally, find_ids
from converge_site.fragments.words import Look, look_of_status
from runtime.actions.bulk import rows_of_form
from runtime.actions.bulk_jobs import FITTING, MOST_JOBS, Asked
from runtime.models import STATUS_WORDS, Decision, Job

SAMPLE = 12
SHOWN = 200  # of those that were asked
KEPT = 3  # forms whose refusals are remembered in a session
NAME = "refused_jobs"

VERBS = {"cancel": "Cancel", "retry": "Try again"}
_SEEN = re.compile(r"([0-9]{1,17}):([a-z]{1,20})", re.ASCII)

Counted = list[tuple[Look, int]]


@dataclass(frozen=True, slots=True)
class BulkPlan:
    """What a form would do to `seen`, (id, status); `left` are ticked ones that it would leave alone.

    `found` fit in all, of which only the newest MOST_JOBS are taken. `filter` is None for jobs that were ticked.
    """

    act: str
    seen: list[tuple[int, str]]
    sample: list[JobRow]
    counts: Counted
    found: Tally
    left: list[JobRow] = field(default_factory=list)
    filter: JobFilter | None = None

    @property
    def verb(self) -> str:
        """What is done, as a button says it."""
        return VERBS[self.act]

    @property
    def number(self) -> str:
        """How many are taken, with separators."""
        return f"{len(self.seen):,}"

    @property
    def text(self) -> str:
        """The jobs and the status each was seen in, as the form brings them back."""
        return " ".join(f"{pk}:{status}" for pk, status in self.seen)

    @property
    def is_cut(self) -> bool:
        """Whether more fit than are taken at a time."""
        return self.found.is_more or self.found.number > len(self.seen)

    @property
    def rest(self) -> int:
        """How many are taken besides the sample."""
        return len(self.seen) - len(self.sample)

    @property
    def window(self) -> str:
        """How many jobs are looked through for a text, if the filter holds one."""
        return f"{job_search.WINDOW:,}" if self.filter is not None and self.filter.q else ""

    @property
    def fitting(self) -> str:
        """In which states the act makes sense, in words."""
        words = [STATUS_WORDS[status].lower() for status in FITTING[self.act]]
        return f"{', '.join(words[:-1])} or {words[-1]}"

    @property
    def most(self) -> str:
        """The most that are done at a time."""
        return f"{MOST_JOBS:,}"


def plan_ticked(act: str, ids: Sequence[int]) -> BulkPlan:
    """What would be done to the jobs that were ticked."""
    statuses = dict(Job.objects.filter(pk__in=ids[:MOST_JOBS]).values_list("pk", "status"))
    seen = [(pk, status) for pk, status in sorted(statuses.items(), reverse=True) if status in FITTING[act]]
    others = sorted(set(statuses) - {pk for pk, _ in seen}, reverse=True)
    return _plan(act, seen, Tally(len(seen)), left=read_rows(others[:SHOWN]))


def plan_matching(act: str, chosen: JobFilter) -> BulkPlan:
    """What would be done to all jobs that match; the newest MOST_JOBS of those that it makes sense for."""
    fitting = [status for status in FITTING[act] if not chosen.statuses or status in chosen.statuses]
    ids, found = find_ids(chosen.at(), fitting, MOST_JOBS) if fitting else ([], Tally(0))
    statuses = dict(Job.objects.filter(pk__in=ids).values_list("pk", "status"))
    seen = [(pk, statuses[pk]) for pk in ids if statuses.get(pk) in FITTING[act]]
    return _plan(act, seen, found, chosen=chosen)


def _plan(
    act: str,
    seen: list[tuple[int, str]],
    found: Tally,
    left: Sequence[JobRow] = (),
    chosen: JobFilter | None = None,
) -> BulkPlan:
    counts = Counter(status for _, status in seen)
    sample = read_rows([pk for pk, _ in seen[:SAMPLE]])
    looks = [(look_of_status(status), number) for status, number in counts.most_common()]
    return BulkPlan(act, seen, sample, looks, found, list(left), chosen)


def read_seen(text: str) -> list[tuple[int, str]]:
    """The jobs that a form brought back; what is none of ours is left out, and one past the most is kept to be told."""
    found = (_SEEN.fullmatch(word) for word in text[: 40 * (MOST_JOBS + 1)].split())
    return [(int(match[1]), match[2]) for match in found if match][: MOST_JOBS + 1]


# -- afterwards --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refusals:
    """Jobs that were refused for one reason."""

    why: str
    rows: list[JobRow]
    number: int


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of a form: `rows` are in the inboxes of their jobs, the first SHOWN of `done`."""

    act: str
    rows: list[Decision]
    done: int
    by: str
    refused: list[Refusals]

    @property
    def left(self) -> int:
        """How many were refused."""
        return sum(one.number for one in self.refused)

    @property
    def rest(self) -> int:
        """How many were done and are not shown."""
        return self.done - len(self.rows)


def remember_asked(session: SessionBase, batch: str, act: str, asked: Sequence[Asked]) -> None:
    """Keeps what was refused for the page that tells of it: what was done has rows, refusals have none."""
    by_reason: dict[str, list[int]] = {}
    for one in asked:
        if one.refused is not None:
            by_reason.setdefault(one.refused.message, []).append(one.job_id)
    others = {name: said for name, said in session.get(NAME, {}).items() if name != batch}
    session[NAME] = dict([*others.items(), (batch, [act, list(by_reason.items())])][-KEPT:])


def read_result(session: Mapping[str, object] | SessionBase, batch: str) -> BulkResult | None:
    """What became of the form with this receipt; None if there is no such form."""
    rows = rows_of_form(batch).filter(act__in=tuple(FITTING)).select_related("job__pack")
    first, done = rows.first(), rows.count()
    known = session.get(NAME) or {}
    kept = known.get(batch) if isinstance(known, dict) else None
    if first is None and kept is None:
        return None
    act, refused = kept or (first.act if first else "", [])
    told = [Refusals(why, read_rows(ids[:SAMPLE]), len(ids)) for why, ids in refused]
    return BulkResult(act, list(rows[:SHOWN]), done, first.by_name if first else "", told)
