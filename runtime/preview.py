"""What would come of a decision, before it is made: the job is forked in memory from its journal and run to its end.

Nothing is written and nothing outside is called. The pack's own code runs, which may be slow or worse; so it runs in a
thread of its own, for a bounded time.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from django.db.models import QuerySet

from runtime import store
from runtime.actions.audit import Person
from runtime.actions.inbox import name_in_job
from runtime.actions.pack_specs import tool_spec_from_row
from runtime.actions.permissions import groups_of
from runtime.actions.refusals import Refused
from runtime.agents import functions_for, run_all
from runtime.agents.functions import Function
from runtime.agents.watch import Expired
from runtime.engine import Core, Effect, InboxRow, PackError, PackSpec, Run, Seed
from runtime.engine.replay import RecordedCycle, ReplayError, replay
from runtime.forecast import Forecast, forecast
from runtime.models import Conflict, Job, Tool, ToolCall
from runtime.tool_calls import recorded_from_row
from runtime.tools.record import CallName
from runtime.tools.recorded import PastCall, RecordedCalls, RecordedSession, sealed
from runtime.tools.spec import ToolSpec

SECONDS = 2.0  # for the runs of one preview
GRACE = 1.0  # until a thread that does not come back is interrupted, and then until it is left behind
AT_ONCE = 4  # previews under way in one process
MOST_ENTRIES = 50_000  # that can be merged again in about a second
READINGS = 5  # of a job that goes on while it is read

_places = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a row would do. `waiting` counts the rows of the inbox that would be applied before it; `recalled` are the
    agents that were answered from the record of calls, so it is assumed that their tools would answer the same."""

    forecast: Forecast
    waiting: int
    recalled: tuple[str, ...]
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Case:
    """A job as read from the database: all that a preview needs, and nothing that reaches back."""

    job_id: int
    pack: PackSpec
    engine_version: int
    cycles: Sequence[RecordedCycle]
    waiting: Sequence[Seed | InboxRow]
    tools: Mapping[str, ToolSpec]
    calls: Sequence[PastCall]
    calls_left: int
    tokens_left: int

    def restore(self) -> Core:
        """The job's engine as of its last cycle."""
        return replay(self.pack, self.cycles, self.engine_version)


def preview(job: Job, row: InboxRow, seconds: float = SECONDS) -> Preview:
    """What would come of `row`, after whatever waits in the job's inbox.

    Raises Refused for a job that has ended or cannot be merged again, where other previews take all places, or where
    the pack's code does not come back in time.
    """
    began = time.perf_counter()
    if job.is_ended:
        raise Refused(f"Job {job.pk} has ended; nothing comes of a decision any more.", code="gone")
    if job.entries > MOST_ENTRIES:
        raise Refused(f"A job of {job.entries:,} entries is too long to look ahead.", code="invalid")
    case = read_case(job)
    functions = functions_for(case.pack)
    try:
        found, calls = _bounded(partial(foresee, case, row, functions, seconds), seconds)
    except (ReplayError, PackError) as error:
        raise Refused(f"The job cannot be merged again: {error}"[:300], code="invalid") from error
    recalled = tuple(dict.fromkeys(agent for agent, _ in calls.used))
    return Preview(found, len(case.waiting), recalled, (time.perf_counter() - began) * 1000)


def row_for(
    user: Person, conflict: Conflict, version: str, choice: Mapping[str, Any], reason: str = ""
) -> InboxRow:
    """The inbox row that a decision of `user` on a conflict or hold would be; `choice` as for `decide_conflict`, or
    {"approve": bool}. Its id is 0, which no row of the database has."""
    act = "decide"
    if conflict.kind == "hold":
        act = "approve" if choice["approve"] else "refuse"
    return InboxRow(
        id=0,
        act=act,
        by=name_in_job(user, conflict.job),
        key=conflict.key,
        subject=conflict.subject,
        value=choice.get("value"),
        none=bool(choice.get("none")),
        version=version,
        reason=reason,
        groups=tuple(groups_of(user)),
    )


def read_case(job: Job) -> Case:
    """Reads a job for a preview. Raises Refused if it went on through every reading."""
    for _ in range(READINGS):
        job.refresh_from_db(fields=["cycle", "tokens", "engine_version"])
        cycles = list(store.read_cycles(job.pk))
        waiting: list[Seed | InboxRow] = [*store.pending_rows(job.pk)]
        # What was committed in between is in one of the two, in neither or in both.
        if len(cycles) == job.cycle == Job.objects.values_list("cycle", flat=True).get(pk=job.pk):
            break
    else:
        raise Refused("The job is moving too fast to look ahead; try again in a moment.", code="invalid")
    pack = store.pack_of(job)
    if not cycles:
        waiting = [*store.seeds_of(job), *waiting]
    calls = [_past_call(row) for row in _ended_calls(job)]
    # As the runtime counts: a call that came to nothing and may be tried again costs nothing of the budget.
    spent = sum(c.ended.attempts for c in calls if c.ended.failure is None or not c.ended.failure.transient)
    return Case(
        job_id=job.pk,
        pack=pack,
        engine_version=job.engine_version,
        cycles=cycles,
        waiting=waiting,
        tools={row.name: tool_spec_from_row(row) for row in Tool.objects.all()},
        calls=calls,
        calls_left=max(0, pack.budget.calls - spent),
        tokens_left=max(0, pack.budget.tokens - job.tokens),
    )


def _ended_calls(job: Job) -> QuerySet[ToolCall]:
    return ToolCall.objects.filter(job=job).exclude(status="started").order_by("id")


def _past_call(row: ToolCall) -> PastCall:
    return PastCall(CallName(row.cycle, row.agent, row.item, row.number, row.digest), recorded_from_row(row))


def foresee(
    case: Case, row: InboxRow, functions: Mapping[str, Function], seconds: float
) -> tuple[Forecast, RecordedCalls]:
    """The forecast for a case, and which recorded calls it used. Touches nothing but its arguments."""
    calls = RecordedCalls(case.calls)
    deadline = time.monotonic() + seconds
    make = partial(RecordedRuns, case, functions, calls, deadline)
    return forecast(case.restore, case.waiting, row, make), calls


class RecordedRuns:
    """Runs agents with their own code, their tools answered from the record, until `deadline` (monotonic seconds)."""

    def __init__(
        self,
        case: Case,
        functions: Mapping[str, Function],
        calls: RecordedCalls,
        deadline: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.case, self.functions, self.calls = case, functions, calls
        self.deadline, self.clock = deadline, clock
        self.calls_left, self.tokens_left = case.calls_left, case.tokens_left
        self.out_of_time = False

    def run(self, runs: Sequence[Run], cycle: int) -> list[Effect | None]:
        """An effect for each run; None for one whose answers are not on record, or for which no time is left."""
        effects: dict[int, Effect | None] = {}
        asking: list[int] = []
        for at, run in enumerate(runs):
            function = self.functions.get(run.agent.name)
            if function is not None and function.is_async:
                asking.append(at)
            else:
                effects[at] = self._run_plain(run)
        if asking:
            together = self._run_async([runs[at] for at in asking], cycle)
            effects.update(zip(asking, together, strict=True))
        return [effects[at] for at in range(len(runs))]

    def _run_plain(self, run: Run) -> Effect | None:
        reached_out: list[bool] = []
        hurried = self._hurry(run)
        if hurried is None:
            return None
        with sealed(lambda: reached_out.append(True)):
            effect = run_all([hurried], self.functions, self.clock)[0]
        return None if reached_out else self._in_time(effect)

    def _run_async(self, runs: Sequence[Run], cycle: int) -> list[Effect | None]:
        hurried = [run for run in map(self._hurry, runs) if run is not None]
        if len(hurried) < len(runs):
            return [None] * len(runs)
        session = RecordedSession(
            self.case.job_id, cycle, self.case.tools, self.calls, self.calls_left, self.tokens_left
        )
        self.calls.unknown.clear()  # a voice that could not be asked before may ask something else now
        with sealed(session.note_current):
            effects = run_all(hurried, self.functions, self.clock, session)
        for effect in effects:
            self.calls_left = max(0, self.calls_left - sum(call.attempts for call in effect.calls))
            self.tokens_left -= sum(call.tokens_in + call.tokens_out for call in effect.calls)
        return [
            None if (effect.agent, effect.item or "") in self.calls.unknown else self._in_time(effect)
            for effect in effects
        ]

    def _hurry(self, run: Run) -> Run | None:
        """The run with no more time than is left; None if none is."""
        left = self.deadline - self.clock()
        if left <= 0:
            self.out_of_time = True
            return None
        if run.agent.timeout <= left:
            return run
        return run._replace(agent=replace(run.agent, timeout=left))

    def _in_time(self, effect: Effect) -> Effect | None:
        """A run that failed because the preview's time was over says nothing."""
        if effect.failure is not None and effect.failure.cls == "timeout" and self.clock() >= self.deadline:
            self.out_of_time = True
            return None
        return effect


def _bounded(
    work: Callable[[], tuple[Forecast, RecordedCalls]], seconds: float
) -> tuple[Forecast, RecordedCalls]:
    """What `work` gives, from a thread of its own that is left behind if it does not come back."""
    if not _places.acquire(timeout=seconds):
        raise Refused("Other previews are still at work; try again in a moment.", code="invalid")
    done: list[tuple[Forecast, RecordedCalls]] = []
    failed: list[BaseException] = []

    def make() -> None:
        try:
            done.append(work())
        except BaseException as error:  # handed to whoever waits
            failed.append(error)
        finally:
            _places.release()

    thread = threading.Thread(target=make, name="preview", daemon=True)
    thread.start()
    thread.join(seconds + GRACE)
    if thread.is_alive() and thread.ident is not None:
        # Agents are interrupted by a signal where there is one; no other thread than the main one gets any.
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Expired))
        thread.join(GRACE)
    if done:
        return done[0]
    if failed and not isinstance(failed[0], Expired):
        raise failed[0]
    raise Refused("The pack's agents take too long to look ahead.", code="invalid")
