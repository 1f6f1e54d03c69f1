"""Calling the unreliable world: one gateway with timeouts, retries, a shared breaker, and a record of every call."""

from __future__ import annotations

from typing import Any

from runtime.tools.failures import ToolFailed

__all__ = ["ToolFailed", "call_tool"]


async def call_tool(tool: str, body: Any, path: str = "") -> Any:
    """POST `body` as JSON to a tool, from within an async agent; for agents written in packs.

    `path` goes behind the tool's address. Returns the JSON that the tool answered; raises ToolFailed, which an agent
    had better let out: it becomes the run's failure, with its class and its retries.
    """
    from runtime.tools.session import current  # here: whoever only reads a ToolSpec needs no HTTP client

    return await current().post(tool, body, path)
