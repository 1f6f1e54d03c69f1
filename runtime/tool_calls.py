"""What a job asks of tools: a session a cycle, and every call written down before it is sent and before its result is
merged (D5.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from runtime.actions.pack_specs import tool_spec_from_row
from runtime.agents.functions import Function
from runtime.engine import Effect, Failure, PackSpec
from runtime.models import Tool, ToolCall
from runtime.recovery import wake_waiting
from runtime.tools.gate import shared_gate
from runtime.tools.record import CallName, Recorded
from runtime.tools.session import ToolSession

TOOL_KINDS = ("http", "llm", "mcp")
MAX_MESSAGE = 500


class DbRecorder:
    """The calls of one job as rows. Its methods block on the database, so they run in a thread of their own."""

    def __init__(self, job_id: int, worker: str = "") -> None:
        self.job_id = job_id
        self.worker = worker

    def find(self, name: CallName) -> Recorded | None:
        """What the very same call came to before, None if it never finished."""
        row = self._rows(name).exclude(status="started").first()
        return None if row is None else _recorded(row)

    def attempt(self, name: CallName, tool: str, number_of_attempt: int) -> None:
        """Notes that a request is about to be sent; those that an earlier runtime sent before it died count too."""
        if self._rows(name).update(attempts=F("attempts") + 1):
            return
        try:
            with transaction.atomic():
                ToolCall.objects.create(
                    job_id=self.job_id,
                    **name._asdict(),
                    tool=tool,
                    attempts=1,
                    worker=self.worker,
                    started_at=timezone.now(),
                )
        except IntegrityError:  # a runtime that was thought dead asks the same at this moment
            self._rows(name).update(attempts=F("attempts") + 1)

    def finish(self, name: CallName, tool: str, recorded: Recorded) -> Recorded:
        """Writes down what the call came to; gives what stands in the record, which another may have written first."""
        failure = recorded.failure
        now = timezone.now()
        fields: dict[str, Any] = {
            "status": "done" if failure is None else "failed",
            "http_status": recorded.http_status,
            "tokens_in": recorded.tokens_in,
            "tokens_out": recorded.tokens_out,
            "cost": recorded.cost,
            "duration_ms": recorded.duration_ms,
            "finished_at": now,
        }
        if failure is None:
            fields["result"] = orjson.dumps(recorded.value).decode()
        else:
            fields |= {
                "cls": failure.cls,
                "message": failure.message[:MAX_MESSAGE],
                "transient": failure.transient,
            }
        if not self._rows(name).filter(status="started").update(**fields):
            # Refused before anything was sent (an open breaker, a spent budget), or somebody was first.
            row, _ = ToolCall.objects.get_or_create(
                job_id=self.job_id,
                **name._asdict(),
                defaults={**fields, "tool": tool, "worker": self.worker, "started_at": now},
            )
        else:
            row = self._rows(name).get()
        return _recorded(row)

    def _rows(self, name: CallName) -> Any:
        return ToolCall.objects.filter(job_id=self.job_id, **name._asdict())


def _recorded(row: ToolCall) -> Recorded:
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
    """One job's use of tools while a runtime has it. `calls`, `tokens` and `cost` are over the job's whole life."""

    def __init__(
        self, job_id: int, pack: PackSpec, calls: int, tokens: int, cost: float, worker: str
    ) -> None:
        self.job_id = job_id
        self.pack = pack
        self.calls = calls
        self.tokens = tokens
        self.cost = cost
        self.recorder = DbRecorder(job_id, worker)

    def session(self, cycle: int) -> ToolSession:
        """The session of one cycle, with the tools as they are configured now: what an admin mends helps at once."""
        budget = self.pack.budget
        return ToolSession(
            self.job_id,
            cycle,
            {row.name: tool_spec_from_row(row) for row in Tool.objects.all()},
            shared_gate(),
            self.recorder,
            max(0, budget.calls - self.calls),
            max(0, budget.tokens - self.tokens),
            on_closed=wake_waiting,
        )

    def count(self, effects: Iterable[Effect]) -> None:
        """Adds up what a cycle used."""
        for effect in effects:
            for call in effect.calls:
                self.calls += call.attempts
                self.tokens += call.tokens_in + call.tokens_out
                self.cost += call.cost


def uses_tools(pack: PackSpec, functions: Mapping[str, Function]) -> bool:
    """Whether any agent may call a tool: those of the tool kinds, and async code, which may call any by name."""
    return any(
        agent.kind in TOOL_KINDS or ((found := functions.get(agent.name)) is not None and found.is_async)
        for agent in pack.agents
    )
