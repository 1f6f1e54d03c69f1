"""Backtests at work: in slices of about a second, each a message in the queue that jobs wait in too. So a backtest of
hundreds of jobs keeps no job waiting, and a worker that dies loses one slice.

A slice claims the backtest by a conditional update, and writes what it found only while it still has it. Whatever else
happens (a doubled message, a lost one, a killed worker, a cancel) is harmless, or repaired by the reconciler.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from django.db import DatabaseError, connection, transaction
from django.db.models import Exists, OuterRef
from django.db.models.expressions import RawSQL
from django.utils import timezone

from runtime import store
from runtime.backtest import CannotCompare, Flip, RuleChange, Scope, compare, compile_changed, scope_of
from runtime.engine import PackError, PackSpec
from runtime.engine.replay import ReplayError
from runtime.failpoints import failpoint
from runtime.lease import clock_sql
from runtime.models import Backtest, BacktestFlip, Conflict, Entry, Job
from runtime.queue import enqueue_backtest, read_queued_backtests, stop_requested

log = logging.getLogger(__name__)

SLICE_SECONDS = 1.0
JOB_SECONDS = 6.0  # for one job; well under the silence after which another worker takes the slice up
SILENCE_SECONDS = 15.0
MOST_TRIES = 5
MOST_ENTRIES = 50_000  # of a job that is merged again, which takes about a second
MOST_KEPT = 5_000  # flips
AT_ONCE = 50  # jobs that are looked up together
UNDER_WAY = ("queued", "running")


@dataclass
class Slice:
    """What one slice found."""

    done: list[int] = field(default_factory=list)
    flips: list[tuple[int, Flip]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def flipped(self) -> int:
        """How many jobs would have been different."""
        return len({job_id for job_id, _ in self.flips})


def run_slice(backtest_id: int) -> str:
    """Goes on with a backtest for about a second, if nobody else is at it. Returns its status then, "" for nothing to
    do. Raises DatabaseError; the slice is then taken up again after a while."""
    taken = _claim(int(backtest_id))
    if taken is None:
        return ""
    if taken.tries > MOST_TRIES:
        last = f"job #{taken.cursor}" if taken.cursor else "it had begun"
        text = f"{MOST_TRIES} workers died of it after {last}. What was found until then is shown."
        _write(taken, Slice(), "failed", 0.0, text)
        return "failed"
    failpoint("backtest.after_claim")
    began = time.perf_counter()
    found = work(taken, began + SLICE_SECONDS)
    is_done = taken.jobs_done + len(found.done) >= taken.jobs_total
    return _write(taken, found, "done" if is_done else "queued", time.perf_counter() - began)


def repair_backtests() -> int:
    """Enqueues backtests that nobody has been at for a while and that are not in the queue. Returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM runtime_backtest WHERE status IN ('queued', 'running') "
            f"AND touched_at < {clock_sql()} - %s ORDER BY id",
            [SILENCE_SECONDS],
        )
        silent = [int(row[0]) for row in cursor.fetchall()]
    queued = read_queued_backtests() if silent else None
    return 0 if queued is None else sum(enqueue_backtest(at) for at in silent if at not in queued)


def _claim(backtest_id: int) -> Backtest | None:
    """The backtest, with this slice as its holder; None if somebody else is at it, or it has ended."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE runtime_backtest SET status = 'running', touched_at = {clock_sql()}, tries = tries + 1 "
            f"WHERE id = %s AND (status = 'queued' OR (status = 'running' AND touched_at < {clock_sql()} - %s)) "
            "RETURNING id",
            [backtest_id, SILENCE_SECONDS],
        )
        row = cursor.fetchone()
    return Backtest.objects.get(pk=backtest_id) if row else None


def work(backtest: Backtest, until: float) -> Slice:
    """Goes through the jobs that are left, from the newest, until that time (`perf_counter`); at least through one."""
    change = RuleChange.from_json(backtest.change)
    found, packs = Slice(), _Packs(change)
    for job in _jobs_left(backtest, packs):
        if isinstance(job, int):
            found.reasons["it is not there any more"] += 1
            found.done.append(job)
        else:
            _try(job, change, packs, found)
        if time.perf_counter() >= until or stop_requested():
            break
    return found


class _Packs:
    """The frozen packs of jobs, each read once: most jobs of a pack froze the same."""

    def __init__(self, change: RuleChange) -> None:
        self.change = change
        self._known: dict[str, tuple[PackSpec, Scope, str]] = {}

    def of(self, job: Job) -> tuple[PackSpec, Scope, str]:
        """The pack, what the change touches in it, and why it cannot be compared, "" if it can."""
        text = job.spec
        if text not in self._known:
            pack, why = store.pack_of(job), ""
            try:
                compile_changed(pack, self.change)
            except CannotCompare as cannot:
                why = str(cannot)
            self._known[text] = (pack, scope_of(pack, self.change), why)
        return self._known[text]


def _jobs_left(backtest: Backtest, packs: _Packs) -> Iterator[Job | int]:
    """The jobs not gone through yet, newest first; the id of one that is gone. One about whose keys nothing was said is
    marked by `entries` 0: it need not be merged."""
    left = [at for at in backtest.jobs if backtest.cursor is None or at < backtest.cursor]
    for start in range(0, len(left), AT_ONCE):
        ids = left[start : start + AT_ONCE]
        rows = Job.objects.filter(pk__in=ids).select_related("input")
        jobs = {job.pk: job for job in rows.only("engine_version", "entries", "input__spec")}
        concerned = _concerned(list(jobs.values()), packs)
        for at in ids:
            job = jobs.get(at)
            if job is not None and at not in concerned:
                job.entries = 0
            yield at if job is None else job


def _concerned(jobs: Sequence[Job], packs: _Packs) -> set[int]:
    """The jobs in whose record the change can be felt: one query for each set of keys."""
    found: set[int] = set()
    asked: dict[Scope, list[int]] = {}
    for job in jobs:
        asked.setdefault(packs.of(job)[1], []).append(job.pk)
    for scope, ids in asked.items():
        if scope.everywhere:
            found.update(ids)
        elif scope.keys:
            entries = Entry.objects.filter(job_id=OuterRef("pk"), key__in=sorted(scope.keys))
            if scope.shown:
                entries = entries.exclude(now="")
            if scope.kinds:
                entries = entries.filter(kind__in=sorted(scope.kinds))
            found.update(Job.objects.filter(Exists(entries), pk__in=ids).values_list("pk", flat=True))
    return found


def _try(job: Job, change: RuleChange, packs: _Packs, found: Slice) -> None:
    """Compares one job, or counts why it cannot be."""
    late = time.perf_counter() + JOB_SECONDS
    try:
        pack, _, why = packs.of(job)
        if why:
            raise CannotCompare(why)
        if job.entries > MOST_ENTRIES:
            raise CannotCompare(f"it has more than {MOST_ENTRIES:,} entries")
        if job.entries:
            cycles = list(store.read_cycles(job.pk))
            flips = compare(pack, cycles, change, job.engine_version, lambda: time.perf_counter() > late)
            found.flips += [(job.pk, flip) for flip in flips]
    except CannotCompare as cannot:
        found.reasons[str(cannot)[:300]] += 1
    except DatabaseError:
        raise
    except (ReplayError, PackError):
        found.reasons["its record cannot be merged again"] += 1
    except Exception:
        log.exception("job %s cannot be compared", job.pk)
        found.reasons["its record cannot be merged again"] += 1
    found.done.append(job.pk)


def _write(taken: Backtest, found: Slice, status: str, seconds: float, message: str = "") -> str:
    """Writes down what a slice found, and what is next, in one transaction; nothing if the slice was taken away."""
    counts = Counter(taken.counts) + Counter(f"{flip.kind}.{flip.turn}" for _, flip in found.flips)
    reasons = Counter(taken.reasons) + found.reasons
    with transaction.atomic():
        mine = Backtest.objects.filter(pk=taken.pk, status="running", touched_at=taken.touched_at)
        written = mine.update(
            status=status,
            message=message,
            cursor=found.done[-1] if found.done else taken.cursor,
            jobs_done=taken.jobs_done + len(found.done),
            jobs_flipped=taken.jobs_flipped + found.flipped,
            skipped=taken.skipped + found.reasons.total(),
            reasons=dict(reasons.most_common()),
            flips=taken.flips + len(found.flips),
            lasting=taken.lasting + sum(flip.lasting for _, flip in found.flips),
            counts=dict(counts),
            seconds=taken.seconds + seconds,
            tries=0 if found.done else taken.tries,
            touched_at=RawSQL(clock_sql(), ()),
            finished_at=None if status == "queued" else timezone.now(),
        )
        if not written:
            return ""
        BacktestFlip.objects.bulk_create(_rows(taken, found.flips), batch_size=500)
        if status == "queued":
            transaction.on_commit(partial(_enqueue_next, taken.pk))
        failpoint("backtest.before_commit")
    return status


def _enqueue_next(backtest_id: int) -> None:
    """The next slice, unless a doubled message asks for it already: or each would be followed by one of its own."""
    queued = read_queued_backtests()
    if queued is not None and backtest_id not in queued:
        enqueue_backtest(backtest_id)


def _rows(taken: Backtest, flips: Sequence[tuple[int, Flip]]) -> list[BacktestFlip]:
    """Rows of the flips that are kept: the first so many of a backtest."""
    kept = flips[: max(0, MOST_KEPT - taken.flips)]
    asked = _Questions({job_id for job_id, flip in kept if flip.question})
    return [
        BacktestFlip(
            backtest=taken,
            job_id=job_id,
            kind=flip.kind,
            turn=flip.turn,
            key=flip.key,
            subject=flip.subject,
            cycle=flip.cycle,
            before=flip.before,
            after=flip.after,
            lasting=flip.lasting,
            conflict_id=asked.find(job_id, flip),
        )
        for job_id, flip in kept
    ]


class _Questions:
    """The questions of some jobs, found by what was asked when."""

    def __init__(self, jobs: set[int]) -> None:
        self._rows: dict[tuple[int, str, str, str], list[tuple[int, int | None, int]]] = {}
        names = ("job_id", "kind", "key", "subject", "opened_cycle", "closed_cycle", "pk")
        rows = (
            Conflict.objects.filter(job_id__in=jobs).order_by("-opened_cycle")
            if jobs
            else Conflict.objects.none()
        )
        for job_id, kind, key, subject, opened, closed, pk in rows.values_list(*names):
            self._rows.setdefault((job_id, kind, key, subject), []).append((opened, closed, pk))

    def find(self, job_id: int, flip: Flip) -> int | None:
        """The id of the question that was open about the flip's slot in the cycle it names."""
        for opened, closed, pk in self._rows.get((job_id, flip.question, flip.key, flip.subject), ()):
            if opened <= flip.asked_cycle and (closed is None or closed > flip.asked_cycle):
                return pk
        return None
