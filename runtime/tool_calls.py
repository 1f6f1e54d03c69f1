"""What a job asks of tools: a session a cycle, and every call written down before it is sent and before its result is
merged (D5.5)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import orjson
from django.db import DataError, InterfaceError, OperationalError, connection, transaction
from django.db.models import Q, Sum
from django.utils import timezone

from runtime.actions.pack_specs import tool_spec_from_row
from runtime.agents.functions import Function
from runtime.engine import Effect, Failure, PackSpec
from runtime.failpoints import failpoint
from runtime.models import Job, Tool, ToolCall
from runtime.recovery import wake_waiting
from runtime.tools.failures import TRANSIENT
from runtime.tools.gate import shared_gate
from runtime.tools.record import CallName, Recorded
from runtime.tools.session import ToolSession

T = TypeVar("T")
log = logging.getLogger(__name__)

TOOL_KINDS = ("http", "llm", "mcp")
MAX_MESSAGE = 500


# Both are asked for every request, so each is one statement: the models take three times as long.
_NOTE_ATTEMPT = """
    INSERT INTO runtime_toolcall (
        job_id, cycle, agent, item, number, digest, tool, worker, started_at, status, attempts, cls, message, transient,
        tokens_in, tokens_out, cost, result, duration_ms)
    SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s, 'started', 1, '', '', FALSE, 0, 0, 0, '', 0
    WHERE EXISTS (SELECT 1 FROM runtime_job WHERE id = %s AND epoch = %s)
    ON CONFLICT (job_id, cycle, agent, item, number, digest)
    DO UPDATE SET attempts = runtime_toolcall.attempts + 1 WHERE runtime_toolcall.status = 'started'
    RETURNING id
"""
_NOTE_END = """
    UPDATE runtime_toolcall SET {sets}
    WHERE job_id = %s AND cycle = %s AND agent = %s AND item = %s AND number = %s AND digest = %s AND status = 'started'
      AND (%s OR EXISTS (SELECT 1 FROM runtime_job WHERE id = %s AND epoch = %s))
    RETURNING attempts
"""


class Superseded(Exception):
    """Another runtime has the job, or has had this call answered: nothing more may be sent for it."""


class DbRecorder:
    """The calls of one job as rows, for the runtime that claimed it under `epoch`.

    Its methods block on the database, so they run in a thread of their own, whose connection nobody else looks after:
    one that was cut since the last call is made anew.
    """

    def __init__(self, job_id: int, epoch: int, worker: str = "") -> None:
        self.job_id = job_id
        self.epoch = epoch
        self.worker = worker
        self._cycle, self._was_begun = 0, True

    def find(self, name: CallName) -> Recorded | None:
        """What the very same call came to before, None if it never finished."""
        if self._cycle != name.cycle:
            # Mostly nobody was at this cycle before, and then nothing can be found in it.
            was_begun = _connected(
                lambda: ToolCall.objects.filter(job_id=self.job_id, cycle=name.cycle).exists()
            )
            self._cycle, self._was_begun = name.cycle, was_begun
        if not self._was_begun:
            return None
        row = _connected(lambda: self._rows(name).exclude(status="started").first())
        return None if row is None else recorded_from_row(row)

    def attempt(self, name: CallName, tool: str, number_of_attempt: int) -> None:
        """Notes that a request is about to be sent; those that an earlier runtime sent before it died count too.

        Raises Superseded: a runtime that was thought dead must not send what another has had answered (D7.1).
        """
        _connected(lambda: self._note_attempt(name, tool))
        failpoint("call.before_send")

    def _note_attempt(self, name: CallName, tool: str) -> None:
        with connection.cursor() as cursor:
            values: list[Any] = [
                self.job_id,
                *name,
                tool,
                self.worker,
                timezone.now(),
                self.job_id,
                self.epoch,
            ]
            cursor.execute(_NOTE_ATTEMPT, values)
            if cursor.fetchone() is None:
                raise Superseded(
                    f"job {self.job_id}: epoch {self.epoch} is superseded, or the call was answered"
                )

    def finish(self, name: CallName, tool: str, recorded: Recorded) -> Recorded:
        """Writes down what the call came to; gives what stands in the record, which another may have written first.

        An answer is taken from whoever brings it: it was paid for. A failure only from who holds the job, or a runtime
        that stood still past its lease would end a call that the rightful one is waiting for; that raises Superseded.
        """
        failpoint("call.before_record")
        try:
            stands = _connected(lambda: self._note_end(name, tool, recorded))
        except DataError:
            # Whatever the database cannot hold is no answer, and must not be asked for again and again.
            log.exception("job %s: what %s answered cannot be stored", self.job_id, tool)
            unfit = Failure("bad_output", f"{tool} answered what cannot be stored.", False, tool)
            stands = _connected(
                lambda: self._note_end(name, tool, recorded._replace(value=None, failure=unfit))
            )
        failpoint("call.after_record")
        return stands

    def _note_end(self, name: CallName, tool: str, recorded: Recorded) -> Recorded:
        fields = _fields_of(recorded) | {"finished_at": timezone.now()}
        sets = ", ".join(f"{field} = %s" for field in fields)
        held = [recorded.failure is None, self.job_id, self.epoch]
        with connection.cursor() as cursor:
            cursor.execute(_NOTE_END.format(sets=sets), [*fields.values(), self.job_id, *name, *held])
            row = cursor.fetchone()
        if row is not None:
            return recorded._replace(attempts=row[0])
        return self._note_unsent(name, {**fields, "tool": tool}, must_hold=recorded.failure is not None)

    def _note_unsent(self, name: CallName, fields: dict[str, Any], must_hold: bool) -> Recorded:
        """Nothing was begun under this name (an open breaker refused it), or somebody was first."""
        with transaction.atomic():
            mine = Job.objects.select_for_update().filter(pk=self.job_id, epoch=self.epoch)
            if must_hold and not mine.values_list("pk").first():
                raise Superseded(f"job {self.job_id}: epoch {self.epoch} is superseded")
            stands, _ = ToolCall.objects.get_or_create(
                job_id=self.job_id,
                **name._asdict(),
                defaults={**fields, "worker": self.worker, "started_at": fields["finished_at"]},
            )
        return recorded_from_row(stands)

    def _rows(self, name: CallName) -> Any:
        return ToolCall.objects.filter(job_id=self.job_id, **name._asdict())


def _fields_of(recorded: Recorded) -> dict[str, Any]:
    failure = recorded.failure
    fields: dict[str, Any] = {
        "status": "done" if failure is None else "failed",
        "http_status": recorded.http_status,
        "tokens_in": recorded.tokens_in,
        "tokens_out": recorded.tokens_out,
        "cost": recorded.cost,
        "duration_ms": recorded.duration_ms,
    }
    if failure is None:
        return fields | {"result": orjson.dumps(recorded.value).decode()}
    return fields | {
        "cls": failure.cls,
        "message": failure.message[:MAX_MESSAGE],
        "transient": failure.transient,
    }


def _connected(act: Callable[[], T]) -> T:
    """Does it, once more on a new connection if the old one turns out to be gone."""
    try:
        return act()
    except (OperationalError, InterfaceError) as error:
        if connection.in_atomic_block:
            raise  # a transaction that is not ours cannot be begun again
        log.warning("the record of calls lost its connection (%s); it is made anew", error)
        connection.close()
        return act()


def recorded_from_row(row: ToolCall) -> Recorded:
    """How a finished call ended."""
    failure = Failure(row.cls, row.message, row.transient, row.tool) if row.status == "failed" else None
    return Recorded(
        value=orjson.loads(row.result) if row.status == "done" else None,
        failure=failure,
        attempts=row.attempts,
        http_status=row.http_status,
        tokens_in=row.tokens_in,
        tokens_out=row.tokens_out,
        cost=row.cost,
        duration_ms=row.duration_ms,
    )


class JobTools:
    """One job's use of tools while a runtime has it. `calls`, `tokens` and `cost` are over the job's whole life.

    Against the budget of calls counts what was answered. Requests to a tool that is out are bounded by its breaker and
    the job's own patience; a day of them must not use up what the job may ask once the tool is back (D5.4).
    """

    def __init__(self, job: Job, pack: PackSpec, epoch: int, worker: str) -> None:
        self.job_id = job.pk
        self.pack = pack
        self.calls = job.calls
        self.tokens = job.tokens
        self.cost = job.cost
        self.recorder = DbRecorder(job.pk, epoch, worker)
        in_vain = Q(status="started") | Q(status="failed", transient=True)
        merged = ToolCall.objects.filter(job_id=job.pk, cycle__lte=job.cycle).exclude(in_vain)
        self.answered: int = merged.aggregate(n=Sum("attempts"))["n"] or 0

    def session(self, cycle: int, should_stop: Callable[[], bool]) -> ToolSession:
        """The session of one cycle, with the tools as they are configured now: what an admin mends helps at once."""
        budget = self.pack.budget
        return ToolSession(
            self.job_id,
            cycle,
            {row.name: tool_spec_from_row(row) for row in Tool.objects.all()},
            shared_gate(),
            self.recorder,
            max(0, budget.calls - self.answered),
            max(0, budget.tokens - self.tokens),
            on_closed=wake_waiting,
            should_stop=should_stop,
        )

    def count(self, effects: Iterable[Effect]) -> None:
        """Adds up what a cycle used."""
        for effect in effects:
            for call in effect.calls:
                self.calls += call.attempts
                self.answered += 0 if call.cls in TRANSIENT else call.attempts
                self.tokens += call.tokens_in + call.tokens_out
                self.cost += call.cost


def uses_tools(pack: PackSpec, functions: Mapping[str, Function]) -> bool:
    """Whether any agent may call a tool: those of the tool kinds, and async code, which may call any by name."""
    return any(
        agent.kind in TOOL_KINDS or ((found := functions.get(agent.name)) is not None and found.is_async)
        for agent in pack.agents
    )
