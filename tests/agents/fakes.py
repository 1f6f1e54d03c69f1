"""Runs and views small enough to read, for tests that need no engine."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from runtime.agents.functions import Function, read_function
from runtime.engine import Run
from runtime.engine.spec import AgentSpec, Shape


def told(key: str, subject: str, value: Any = None, confidence: float = 1.0) -> Any:
    """A look-alike of a fact."""
    return SimpleNamespace(key=key, subject=subject, value=value, confidence=confidence)


def run_of(
    name: str, shape: Shape = "whole", item: str | None = None, timeout: float = 5.0, shown: Any = None
) -> Run:
    """A run of the agent `name` whose view shows `shown` as its item, group or sides."""
    over = "" if shape == "whole" else "pet"
    spec = AgentSpec(name, shape, writes=("pet",), over=over, timeout=timeout)
    view = SimpleNamespace(item=shown, group=shown, sides=shown)
    return Run(spec, item, view, None, None, None)  # type: ignore[arg-type]


def functions(*calls: Callable[..., Any], shape: Shape = "whole") -> dict[str, Function]:
    """Functions by their own names."""
    return {call.__name__: read_function(call, shape, call.__name__) for call in calls}
