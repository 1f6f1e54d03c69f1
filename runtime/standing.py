"""What every slot of a job shows, by slot: kept in memory between two looks, so that a look costs what changed.

Only the heads are kept: status, and the entry that made it so. A job may have 100,000 slots, of which a page shows a
few dozen; the values of those are read when they are shown.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from django.db.models import Max

from runtime.models import Cycle, Entry, Job

FOLDS_KEPT = 64
MOST_SLOTS = 200_000  # kept in all; some 50 MB
AT_ONCE = 50_000  # changes; a fold further behind is made anew


@dataclass(frozen=True, slots=True)
class Head:
    """What a slot shows: "fact", "contested" or "held"; `seq` is the entry that made it so."""

    subject: str
    status: str
    seq: int


@dataclass(slots=True)
class Fold:
    """What the slots of a job showed after entry `seq`, the last of `cycle`, whose digest names all before it."""

    cycle: int = 0
    seq: int = 0
    digest: str = ""
    keys: dict[str, dict[str, Head]] = field(default_factory=dict)
    size: int = 0

    def put(self, key: str, subject: str, status: str, seq: int) -> None:
        """The entry `seq` made the slot show this; "empty" takes it away."""
        slots = self.keys.setdefault(key, {})
        self.size -= subject in slots
        if status == "empty":
            slots.pop(subject, None)
        else:
            slots[subject] = Head(subject, status, seq)
            self.size += 1


class Place(NamedTuple):
    """The end of a cycle of some journal: `digest` names all that was written before."""

    cycle: int
    seq: int
    digest: str


def find_place(job_id: int, at_seq: int | None = None) -> Place | None:
    """Where a job's journal ends now, or the end of its last cycle up to `at_seq`; None before the first cycle."""
    if at_seq is None:
        row = Job.objects.filter(pk=job_id).values_list("cycle", "entries", "digest").first()
    else:
        cycles = Cycle.objects.filter(job_id=job_id, last_seq__lte=at_seq).order_by("-number")
        row = cycles.values_list("number", "last_seq", "digest").first()
    return Place(*row) if row is not None and row[0] else None


class Standing:
    """The folds of jobs: for each the latest one, and one of a moment before it. Safe to share between threads."""

    def __init__(self) -> None:
        self._folds: OrderedDict[tuple[int, bool], Fold] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, job_id: int, keys: Iterable[str], place: Place | None) -> dict[str, list[Head]]:
        """The heads of these keys as they were there, in no order."""
        if place is None:
            return {key: [] for key in keys}
        with self._lock:
            latest = self._folds.pop((job_id, True), None)
            before = self._folds.pop((job_id, False), None)
        # Whoever reads has both alone; a second reader at the same time makes its own.
        if latest is None or latest.cycle <= place.cycle:
            fold = latest = _fold_at(job_id, latest, place)
        else:
            fold = before = _fold_at(job_id, before, place)
        found = {key: list(fold.keys.get(key, {}).values()) for key in keys}
        self._keep((job_id, False), before)
        self._keep((job_id, True), latest)
        return found

    def _keep(self, name: tuple[int, bool], fold: Fold | None) -> None:
        if fold is None or fold.size > MOST_SLOTS:
            return
        with self._lock:
            self._folds[name] = fold
            while len(self._folds) > FOLDS_KEPT or sum(f.size for f in self._folds.values()) > MOST_SLOTS:
                self._folds.popitem(last=False)


def _fold_at(job_id: int, fold: Fold | None, place: Place) -> Fold:
    return fold if fold is not None and _advance(job_id, fold, place) else _make(job_id, place)


def _advance(job_id: int, fold: Fold, place: Place) -> bool:
    """Brings a fold up to a later place of the same journal; False if it is none, or too far away."""
    cycle, seq, digest = place
    if fold.cycle == cycle:
        return fold.digest == digest
    if fold.cycle > cycle or seq - fold.seq > AT_ONCE:
        return False
    # A job's number may have been given anew: only the digest tells whether this is the beginning of that journal.
    if Cycle.objects.filter(job_id=job_id, number=fold.cycle).values_list("digest", flat=True).first() != (
        fold.digest
    ):
        return False
    changes = Entry.objects.filter(job_id=job_id, seq__gt=fold.seq, seq__lte=seq).exclude(now="")
    for key, subject, now, at in changes.order_by("seq").values_list("key", "subject", "now", "seq"):
        fold.put(key, subject, now, at)
    fold.cycle, fold.seq, fold.digest = cycle, seq, digest
    return True


def _make(job_id: int, place: Place) -> Fold:
    cycle, seq, digest = place
    fold = Fold(cycle, seq, digest)
    changes = Entry.objects.filter(job_id=job_id, seq__lte=seq).exclude(now="")
    latest = changes.values("key", "subject").annotate(last=Max("seq")).order_by().values("last")
    found = Entry.objects.filter(job_id=job_id, seq__in=latest).exclude(now="empty")
    for key, subject, now, at in found.values_list("key", "subject", "now", "seq").iterator(5_000):
        fold.put(key, subject, now, at)
    return fold


standing_heads = Standing()
