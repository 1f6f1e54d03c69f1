"""What would come of a decision, as it is shown: where the job would end, and what would differ until then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from converge_site.fragments.context import slot_href
from converge_site.fragments.gaps import GapLink, link_gap
from converge_site.fragments.value_diff import FieldChange, diff_values
from converge_site.fragments.values import brief_value
from converge_site.fragments.words import Look, look_of_status
from runtime.engine import InboxRow, KeySpec, PackSpec
from runtime.forecast import Forecast, LeftOut
from runtime.models import Conflict
from runtime.preview import Preview
from runtime.snapshot import Change, Question

SHOWN = 60  # changed facts
CAUSES = 5

LOOKS = {
    "added": Look("plus-circle", "green", "added", "Nothing stands there now."),
    "withdrawn": Look("minus-circle", "red", "withdrawn", "Nothing would stand there."),
    "changed": Look("swap", "blue", "changed", "Another value would stand."),
    "surer": Look("up", "grey", "surer", "The same value, with more confidence."),
    "less sure": Look("down", "grey", "less sure", "The same value, with less confidence."),
    "provisional": Look("half", "grey", "provisional", "What it rests on would not stand any more."),
    "firm": Look("done", "green", "firm", "What it rests on would stand again."),
}

UNKNOWN = Look("question", "grey", "may differ", "It follows from what is not known.")


@dataclass(frozen=True, slots=True)
class Row:
    """One fact that would differ; `fields` are the parts of its value that do."""

    change: Change
    look: Look
    href: str
    fields: list[FieldChange]


@dataclass(frozen=True, slots=True)
class Group:
    """The facts of one key that would differ."""

    title: str
    subject_label: str
    in_answer: bool
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to people that would open or close."""

    kind: str
    key: str
    subject: str
    href: str


@dataclass(frozen=True, slots=True)
class PreviewView:
    """A preview as the fragment shows it. `stop_after` is None where it cannot be said."""

    conflict: Conflict
    words: str
    found: Preview
    top_tier: int
    stop_before: Look | None
    stop_after: Look | None
    causes: list[GapLink]
    opened: list[Asked]
    moved: list[Asked]
    closed: list[Asked]
    groups: list[Group]
    hidden: int
    unknown: list[LeftOut]
    unknown_titles: list[str]

    @property
    def forecast(self) -> Forecast:
        """What was found."""
        return self.found.forecast

    @property
    def is_tier_sure(self) -> bool:
        """Whether the tier rests on nothing unknown."""
        return self.forecast.tier_after <= self.forecast.sure_tier

    @property
    def is_nothing(self) -> bool:
        """Whether all would be as it is."""
        said = self.forecast
        same = (said.tier_before, said.stop_before) == (said.tier_after, said.stop_after)
        return same and not (self.groups or self.opened or self.moved or self.closed)


def read_preview(conflict: Conflict, row: InboxRow, found: Preview) -> PreviewView:
    """A preview of what `row` would do to the job of `conflict`."""
    said, job = found.forecast, conflict.job
    keys = {key.name: key for key in PackSpec.from_json(job.frozen_spec()).keys}
    # What the answer publishes is what people asked for; the sort keeps the pack's order within.
    changes = sorted(said.changes, key=lambda change: not change.in_answer)[:SHOWN]
    return PreviewView(
        conflict=conflict,
        words=words_of_row(row),
        found=found,
        top_tier=job.top_tier,
        stop_before=look_of_status(said.stop_before) if said.stop_before else None,
        stop_after=look_of_status(said.stop_after) if said.stop_after else None,
        causes=[link_gap(job.pk, dict(cause)) for cause in said.causes[:CAUSES]],
        opened=_asked(job.pk, said.opened),
        moved=_asked(job.pk, said.moved),
        closed=_asked(job.pk, said.closed),
        groups=[
            _group(job.pk, keys[name], list(of_key)) for name, of_key in groupby(changes, lambda c: c.key)
        ],
        hidden=len(said.changes) - len(changes),
        unknown=said.unknown,
        unknown_titles=[keys[name].title or name for name in keys if name in said.unknown_keys],
    )


def words_of_row(row: InboxRow) -> str:
    """The choice in words, as the end of a sentence that begins with "If you"."""
    if row.act == "decide":
        return "reject all" if row.none else f"keep {brief_value(row.value, 120)}"
    return row.act


def _asked(job_id: int, questions: Sequence[Question]) -> list[Asked]:
    return [Asked(q.kind, q.key, q.subject, slot_href(job_id, q.key, q.subject)) for q in questions]


def _group(job_id: int, key: KeySpec, changes: list[Change]) -> Group:
    rows = [
        Row(
            change,
            UNKNOWN if change.unknown else LOOKS[change.how],
            slot_href(job_id, change.key, change.subject),
            diff_values(change.before.value, change.after.value) if change.how == "changed" else [],
        )
        for change in changes
    ]
    return Group(key.title or key.name, key.subject_label or "Subject", changes[0].in_answer, rows)
