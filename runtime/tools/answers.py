"""What one request to a tool brings back, and what a session is told to do with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from runtime.tools.spec import ToolSpec


class Answer(NamedTuple):
    """JSON, and the HTTP status it came with."""

    value: Any
    status: int | None = None


# One request: the tool, and the idempotency key to send with it. Raises ToolFailed.
Send = Callable[[ToolSpec, str], Awaitable[Answer]]
# Tokens read and written, from an answer's value.
Usage = Callable[[Any], tuple[int, int]]
# Raises ToolFailed("bad_output", ...) for an answer that is not what was asked for.
Check = Callable[[Any], None]
