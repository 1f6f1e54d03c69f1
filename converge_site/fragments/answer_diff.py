"""Two published answers side by side: facts that came, went or changed, and gaps that closed or opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from converge_site.fragments.context import slot_href
from converge_site.fragments.discount import Discounts
from converge_site.fragments.gaps import GapLink, link_gap
from converge_site.fragments.value_diff import FieldChange, diff_values
from converge_site.fragments.words import Look
from runtime.engine.values import canonical
from runtime.models import Answer, Job
from runtime.store import answer_facts

SHOWN = 500  # changed facts

Slot = tuple[str, str]
Fact = Mapping[str, Any]

ADDED = Look("plus-circle", "green", "added", "Only the later answer holds it.")
REMOVED = Look("minus-circle", "red", "removed", "Only the earlier answer holds it.")
CHANGED = Look("swap", "blue", "changed", "Both hold it, with another value.")
SURER = Look("up", "grey", "surer", "The same value, with more confidence.")
LESS_SURE = Look("down", "grey", "less sure", "The same value, with less confidence.")
REMARKED = Look("half", "grey", "other marks", "The same value and confidence, with other marks.")


@dataclass(frozen=True, slots=True)
class FactChange:
    """One fact that differs. `old` and `new` are facts as answers hold them, None where there is none; `fields` are
    the parts of the value that differ; `why_old` and `why_new` tell what was taken off the confidences."""

    subject: str
    href: str
    look: Look
    old: Fact | None
    new: Fact | None
    fields: list[FieldChange]
    why_old: str
    why_new: str


@dataclass(frozen=True, slots=True)
class KeyChanges:
    """The changed facts of one key."""

    title: str
    subject_label: str
    rows: list[FactChange]


@dataclass(frozen=True, slots=True)
class AnswerDiff:
    """What changed from `old` to `new`; `counts` names how many facts changed in which way."""

    old: Answer
    new: Answer
    groups: list[KeyChanges] = field(default_factory=list)
    counts: list[tuple[Look, int]] = field(default_factory=list)
    unchanged: int = 0
    hidden: int = 0
    gaps_gone: list[GapLink] = field(default_factory=list)
    gaps_new: list[GapLink] = field(default_factory=list)
    gaps_kept: list[GapLink] = field(default_factory=list)

    @property
    def pair(self) -> tuple[Answer, Answer]:
        """Both answers, the earlier first."""
        return self.old, self.new

    @property
    def changed(self) -> int:
        """How many facts differ."""
        return sum(count for _, count in self.counts)


def read_diff(job: Job, old: Answer, new: Answer) -> AnswerDiff:
    """What changed from one answer of a job to another."""
    pack = job.frozen_spec()
    before, after = _by_slot(answer_facts(job, old)), _by_slot(answer_facts(job, new))
    why_old, why_new = Discounts(job, old, pack), Discounts(job, new, pack)
    keys = {key["name"]: key for key in reversed(pack["keys"])}
    order = {key: place for place, key in enumerate(list(reversed(pack["answer"])) or keys)}
    slots = sorted({**before, **after}, key=lambda slot: (order.get(slot[0], len(order)), slot))
    changes: list[tuple[str, FactChange]] = []
    counts: dict[Look, int] = {}
    for slot in slots:
        look = _look(before.get(slot), after.get(slot))
        if look is None:
            continue
        counts[look] = counts.get(look, 0) + 1
        if len(changes) < SHOWN:
            changes.append(
                (slot[0], _change(job.pk, slot, look, before.get(slot), after.get(slot), why_old, why_new))
            )
    changed = sum(counts.values())
    return AnswerDiff(
        old,
        new,
        groups=[
            _group(keys.get(key, {"name": key}), [change for _, change in of_key])
            for key, of_key in groupby(changes, key=lambda pair: pair[0])
        ],
        counts=[(look, counts[look]) for look in _LOOKS if look in counts],
        unchanged=len(slots) - changed,
        hidden=changed - len(changes),
        gaps_gone=_gaps_only_in(job.pk, old.gaps, new.gaps),
        gaps_new=_gaps_only_in(job.pk, new.gaps, old.gaps),
        gaps_kept=[link_gap(job.pk, gap) for gap in new.gaps if canonical(gap) in _forms(old.gaps)],
    )


_LOOKS = (ADDED, REMOVED, CHANGED, SURER, LESS_SURE, REMARKED)


def _by_slot(facts: Iterable[Fact]) -> dict[Slot, Fact]:
    return {(fact["key"], fact["subject"]): fact for fact in facts}


def _look(old: Fact | None, new: Fact | None) -> Look | None:
    """In which way a fact changed; None if it did not."""
    if old is None or new is None:
        return ADDED if old is None else REMOVED
    if canonical(old["value"]) != canonical(new["value"]):
        return CHANGED
    if old["confidence"] != new["confidence"]:
        return SURER if new["confidence"] > old["confidence"] else LESS_SURE
    return None if _marks(old) == _marks(new) else REMARKED


def _marks(fact: Fact) -> tuple[bool, str]:
    return bool(fact.get("provisional")), str(fact.get("incomplete") or "")


def _change(
    job_id: int,
    slot: Slot,
    look: Look,
    old: Fact | None,
    new: Fact | None,
    why_old: Discounts,
    why_new: Discounts,
) -> FactChange:
    fields = diff_values(old["value"], new["value"]) if old and new and look is CHANGED else []
    return FactChange(
        subject=slot[1],
        href=slot_href(job_id, *slot),
        look=look,
        old=old,
        new=new,
        fields=fields,
        why_old=why_old.words_of(old) if old else "",
        why_new=why_new.words_of(new) if new else "",
    )


def _group(key: Mapping[str, Any], rows: list[FactChange]) -> KeyChanges:
    return KeyChanges(key.get("title") or key["name"], key.get("subject_label") or "Subject", rows)


def _forms(gaps: Iterable[Mapping[str, Any]]) -> set[bytes]:
    return {canonical(gap) for gap in gaps}


def _gaps_only_in(
    job_id: int, gaps: Iterable[Mapping[str, Any]], others: Iterable[Mapping[str, Any]]
) -> list[GapLink]:
    known = _forms(others)
    return [link_gap(job_id, dict(gap)) for gap in gaps if canonical(gap) not in known]
