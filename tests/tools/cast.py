"""Who takes part in the tests of tools: a tool at a server, a session, and one call."""

from __future__ import annotations

from typing import Any

from runtime.tools.gate import Gate, MemoryGate
from runtime.tools.record import MemoryRecorder, Recorder
from runtime.tools.session import RunCalls, ToolSession
from runtime.tools.spec import ToolSpec

PATIENT = 30.0  # seconds that a run has


def tool_at(url: str, **settings: Any) -> ToolSpec:
    """A tool on this machine that is quick to fail."""
    quick: dict[str, Any] = {"timeout": 5.0, "attempts": 1, "backoff": 0.01, "allow": ("127.0.0.1", "::1")}
    return ToolSpec(**{"name": "search", "url": url, **quick, **settings})


def session_of(
    *tools: ToolSpec,
    gate: Gate | None = None,
    recorder: Recorder | None = None,
    job: int | str = 7,
    cycle: int = 1,
    calls: int = 1000,
    tokens: int = 1_000_000,
    **rest: Any,
) -> ToolSession:
    return ToolSession(
        job,
        cycle,
        {tool.name: tool for tool in tools},
        gate or MemoryGate(),
        recorder or MemoryRecorder(),
        calls,
        tokens,
        **rest,
    )


def run_of(*tools: ToolSpec, seconds: float = PATIENT, item: str | None = None, **rest: Any) -> RunCalls:
    """A run of the agent `searcher` that may call `tools`."""
    return session_of(*tools, **rest).for_run("searcher", item, seconds)
