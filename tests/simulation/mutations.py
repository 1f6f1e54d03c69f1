"""The runtime broken on purpose, one protection at a time: each must be found, or the simulation proves nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import Any, NamedTuple
from unittest.mock import patch

from django.db import transaction

from converge_site.live import topics
from runtime import (
    backtesting,
    deadlines,
    lease,
    reconciler,
    recording,
    stopping,
    store,
    tool_calls,
    worker,
)
from runtime.actions import bulk, inbox
from runtime.models import Backtest, Conflict, Decision, Job
from runtime.tool_calls import DbRecorder
from tests.simulation import world

Patches = list[Any]


def _in_sql(place: Any, name: str, old: str, new: str) -> Patches:
    """Another word in the SQL that a function writes."""
    original = place.connection

    class Cursor:
        def __init__(self, cursor: Any) -> None:
            self._cursor = cursor

        def __enter__(self) -> Cursor:
            self._cursor.__enter__()
            return self

        def __exit__(self, *error: Any) -> None:
            self._cursor.__exit__(*error)

        def execute(self, sql: str, values: Any = None) -> Any:
            if name in sql:
                assert old in sql, f"{old} is not in {sql}"
                count = sql.split(old)[0].count("%s")
                sql, dropped = sql.replace(old, new), old.count("%s") - new.count("%s")
                values = [*values[:count], *values[count + dropped :]]
            return self._cursor.execute(sql, values)

        def __getattr__(self, attribute: str) -> Any:
            return getattr(self._cursor, attribute)

    class Connection:
        def cursor(self) -> Cursor:
            return Cursor(original.cursor())

        def __getattr__(self, attribute: str) -> Any:
            return getattr(original, attribute)

    return [patch.object(place, "connection", Connection())]


def _no_epoch_check() -> Patches:
    return _in_sql(recording, "UPDATE runtime_job SET cycle", "AND epoch = %s", "")


def _no_lease() -> Patches:
    return [patch.object(lease, "over_sql", lambda: "TRUE")]


def _epoch_not_raised() -> Patches:
    return _in_sql(lease, "SET epoch = epoch + 1", "epoch = epoch + 1", "epoch = epoch")


def _lease_for_the_stopped() -> Patches:
    return _in_sql(lease, "SET lease_until", "AND status = 'running'", "")


def _superseded_renews() -> Patches:
    return _in_sql(lease, "SET lease_until", "AND epoch = %s ", "")


def _superseded_hands_over() -> Patches:
    def hand_over(job_id: int, epoch: int) -> bool:
        return bool(Job.objects.filter(pk=job_id, status="running").update(status="queued", lease_until=None))

    names = ("hand_over", "hand_over_unfinished")
    return [
        *(patch.object(worker, name, hand_over) for name in names),
        patch.object(stopping, names[1], hand_over),
    ]


def _no_cursor_check() -> Patches:
    """A newcomer is sent what is new from now on, not what it lacks."""
    original = topics.JobTopic.catch_up
    return [
        patch.object(topics.JobTopic, "catch_up", lambda self, after: original(self, max(after, self.cursor)))
    ]


def _no_reconciler() -> Patches:
    return [patch.object(reconciler, "due_jobs", list)]


def _no_clock() -> Patches:
    return [patch.object(reconciler, "wake_due", lambda: 0)]


def _receipts_not_unique() -> Patches:
    numbers = itertools.count()
    original = inbox.add_row

    def add_row(user: Any, job: Any, act: str, receipt: str, *rest: Any, **row: Any) -> Decision:
        return original(user, job, act, f"{receipt}#{next(numbers)}", *rest, **row)

    from runtime.actions import deciding, facts, running

    return [patch.object(module, "add_row", add_row) for module in (deciding, facts, running)]


def _known_receipts_refused() -> Patches:
    return [patch.object(inbox, "_known_row", lambda *args: None)]


def _applied_twice() -> Patches:
    """A row that was applied in the last cycle is applied again after a takeover or a pause."""
    original = store.pending_rows

    def pending_rows(job_id: int) -> list[Any]:
        rows = original(job_id)
        if not rows:
            return rows
        last = Decision.objects.filter(job_id=job_id, status="applied").order_by("-id").first()
        if last is None:
            return rows
        Decision.objects.filter(pk=last.pk).update(status="pending")
        rows = original(job_id)
        Decision.objects.filter(pk=last.pk).update(status="applied")
        return rows

    return [patch.object(store, "pending_rows", pending_rows)]


def _merged_before_recorded() -> Patches:
    return [patch.object(DbRecorder, "_note_end", lambda self, name, tool, recorded: recorded)]


def _record_not_used() -> Patches:
    return [patch.object(DbRecorder, "find", lambda self, name: None)]


def _superseded_may_send() -> Patches:
    return _in_sql(tool_calls, "INSERT INTO runtime_toolcall", "AND epoch = %s", "")


def _wake_lost_while_parking() -> Patches:
    @wraps(worker.run_job)
    def run_job(job_id: int) -> str:
        epoch = lease.claim_job(int(job_id), worker.worker_name())
        if epoch is None:
            return ""
        try:
            return worker._run_recorded(int(job_id), epoch)
        except lease.Fenced:
            return ""

    return [patch.object(world, "run_job", run_job)]


def _mail_forgotten() -> Patches:
    return [patch.object(store, "has_mail", lambda job_id: False)]


class _Apart:
    """`django.db.transaction`, in which nothing is one transaction."""

    def __getattr__(self, name: str) -> Any:
        return getattr(transaction, name)

    @staticmethod
    def atomic() -> Any:
        return nullcontext()


def _cycle_in_two_transactions() -> Patches:
    """Entries and summary are not one transaction."""
    return [patch.object(recording, "transaction", _Apart())]


def _deadlines_never_due() -> Patches:
    return [patch.object(reconciler, "expire_due", lambda: 0)]


def _deadline_in_two_transactions() -> Patches:
    """That a deadline has passed is noted, and the clock's row written, one after the other."""
    return [patch.object(deadlines, "transaction", _Apart())]


def _told_after_commit() -> Patches:
    """People are told of questions once the cycle is committed, if its runtime lives on."""
    original = recording.write_notices
    return [
        patch.object(recording, "write_notices", lambda *said: transaction.on_commit(lambda: original(*said)))
    ]


def _told_again() -> Patches:
    """People are told of whatever question a cycle is about, also of one that they know of."""
    original = recording._project_questions

    def project(tenure: Any, core: Any, commit: Any, questions: Any, now: Any) -> list[Conflict]:
        original(tenure, core, commit, questions, now)
        rows = Conflict.objects.filter(job_id=tenure.job_id, status="open")
        return [row for row in rows if (row.kind, row.key, row.subject) in questions]

    return [patch.object(recording, "_project_questions", project)]


def _backtests_not_repaired() -> Patches:
    return [patch.object(reconciler, "repair_backtests", lambda: 0)]


def _slice_writes_though_taken_away() -> Patches:
    original = backtesting._write

    def write(taken: Backtest, *found: Any) -> str:
        taken.touched_at = Backtest.objects.values_list("touched_at", flat=True).get(pk=taken.pk)
        Backtest.objects.filter(pk=taken.pk).update(status="running")
        return original(taken, *found)

    return [patch.object(backtesting, "_write", write)]


def _flips_apart_from_figures() -> Patches:
    return [patch.object(backtesting, "transaction", _Apart())]


def _likes_have_new_receipts() -> Patches:
    """Of a form about several questions sent again, all but the first are answered anew."""
    numbers = itertools.count()
    return [patch.object(bulk, "receipt_of", lambda receipt, pk: f"{receipt}.{pk}.{next(numbers)}")]


class Mutation(NamedTuple):
    """What is broken, and a seed that was seen to notice; 0 where one of the first does."""

    patches: Callable[[], Patches]
    found_by: int = 0


MUTATIONS: dict[str, Mutation] = {
    "epoch check off": Mutation(_no_epoch_check, 23),
    "lease ignored": Mutation(_no_lease),
    "epoch not raised by a claim": Mutation(_epoch_not_raised, 23),
    "a late renewal gives a stopped job a lease": Mutation(_lease_for_the_stopped),
    "a superseded runtime renews": Mutation(_superseded_renews, 23),
    "a superseded runtime hands over": Mutation(_superseded_hands_over, 399),
    "cursor check off": Mutation(_no_cursor_check, 15),
    "reconciler off": Mutation(_no_reconciler),
    "retries never due": Mutation(_no_clock, 125),
    "receipt uniqueness off": Mutation(_receipts_not_unique),
    "a known receipt is refused": Mutation(_known_receipts_refused),
    "inbox row applied twice": Mutation(_applied_twice),
    "record before merge off": Mutation(_merged_before_recorded),
    "recorded answers not used": Mutation(_record_not_used),
    "a superseded runtime sends": Mutation(_superseded_may_send, 66),
    "wake lost while parking": Mutation(_wake_lost_while_parking, 198),
    "mail forgotten": Mutation(_mail_forgotten),
    "a cycle in two transactions": Mutation(_cycle_in_two_transactions),
    "deadlines never due": Mutation(_deadlines_never_due),
    "a deadline in two transactions": Mutation(_deadline_in_two_transactions, 175),
    "people told after the commit": Mutation(_told_after_commit, 64),
    "people told again": Mutation(_told_again, 16),
    "backtests not repaired": Mutation(_backtests_not_repaired, 12),
    "a slice writes though it was taken away": Mutation(_slice_writes_though_taken_away, 88),
    "flips apart from their figures": Mutation(_flips_apart_from_figures, 376),
    "like questions answered anew": Mutation(_likes_have_new_receipts, 592),
}


@contextmanager
def broken(name: str) -> Iterator[None]:
    """The runtime without one of its protections; "" leaves it whole. Raises KeyError for an unknown name."""
    patches = MUTATIONS[name].patches() if name else []
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in reversed(patches):
            one.stop()
