"""Packs whose agents call tools, run in memory against servers that the tests stand up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runtime.agents import Pack, functions_for
from runtime.engine import Failure
from runtime.engine.values import parse
from runtime.rehearsal import Rehearsal
from runtime.tools.gate import MemoryGate
from runtime.tools.record import MemoryRecorder
from runtime.tools.session import ToolSession

Seeds = Iterable[Mapping[str, Any]]
NEAR = {"allow": ("127.0.0.1",), "attempts": 1, "backoff": 0.01, "timeout": 5.0}  # a server of the test's own


def seed(key: str, subject: str, value: Any) -> dict[str, Any]:
    """A seed as a submission has it."""
    return {"key": key, "subject": subject, "value": value}


def rehearse(
    pack: Pack,
    seeds: Seeds = (),
    recorder: MemoryRecorder | None = None,
    calls: int = 1000,
    tokens: int = 1_000_000,
) -> Rehearsal:
    """The pack's job on `seeds`, run until it stops, with the tools that the pack declares."""
    tools = {name: tool.spec for name, tool in pack.tools.items()}
    kept = recorder or MemoryRecorder()

    def session_for(cycle: int) -> ToolSession:
        return ToolSession("7", cycle, tools, MemoryGate(), kept, calls, tokens)

    spec = pack.spec()
    job = Rehearsal(spec, seeds, {**functions_for(spec), **pack.functions}, session_for=session_for)
    job.run()
    return job


def entries(job: Rehearsal, *kinds: str) -> list[dict[str, Any]]:
    """The bodies of the job's journal of some kinds, in order."""
    bodies = [parse(entry.body) for commit in job.commits for entry in commit.entries]
    return [body for body in bodies if body["kind"] in kinds]


def failures(job: Rehearsal) -> list[Failure]:
    """How runs of the job failed, in order."""
    return [
        Failure(told["cls"], told["message"], told["transient"], told.get("tool", ""))
        for run in entries(job, "run")
        for told in run.get("failed", ())
    ]


def calls_of(job: Rehearsal) -> list[dict[str, Any]]:
    """The calls of tools that the journal tells of, in order."""
    return [call for run in entries(job, "run") for call in run.get("calls", ())]


def facts(job: Rehearsal, key: str) -> dict[str, Any]:
    """What stands under a key, by subject."""
    return {fact.subject: fact.value for fact in job.core.facts() if fact.key == key}
