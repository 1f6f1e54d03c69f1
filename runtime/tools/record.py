"""The record of calls: begun before a request is sent, finished before its result is used (D5.5).

What has been finished once is used again and never sent again: after a crash, by a second runtime, in a replay.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import orjson

from runtime.engine.inputs import Failure
from runtime.tools.failures import ToolFailed

_HEADER_SAFE = re.compile(r"[0-9A-Za-z_.]{1,60}")


class CallName(NamedTuple):
    """Which call of a job this is: the `number`th (from 1) of one run of `agent` on `item` ("" for the whole).

    `digest` is that of what is asked, so that a result is only used again for the very same question.
    """

    cycle: int
    agent: str
    item: str
    number: int
    digest: str


class Recorded(NamedTuple):
    """How a call ended. `value` is the tool's answer as JSON, None if it failed.

    `attempts` counts the requests that were sent; `duration_ms` is that of the last one. `cost` is in the currency of
    the tool's prices.
    """

    value: Any = None
    failure: Failure | None = None
    attempts: int = 0
    http_status: int | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    duration_ms: float = 0.0


class Unrecorded(ToolFailed):
    """The record could not be read or written. What is not recorded is neither sent nor used."""

    def __init__(self, tool: str) -> None:
        super().__init__("agent_error", f"A call of {tool} could not be recorded.", tool=tool, transient=True)


class Recorder(Protocol):
    """Keeps calls. Its methods are called in one dedicated thread, one at a time, never on the event loop.

    If one raises, the call fails, and nothing that was not recorded is sent or used.
    """

    def find(self, name: CallName) -> Recorded | None:
        """The call's end, if it has been finished; None while it was only begun."""

    def attempt(self, name: CallName, tool: str, number_of_attempt: int) -> None:
        """Notes that a request is about to be sent. `number_of_attempt` is this process's, from 1: requests that an
        earlier one sent before it died are to be added."""

    def finish(self, name: CallName, tool: str, recorded: Recorded) -> Recorded:
        """Notes the end and returns what stands: the first end noted, with all requests ever sent in `attempts`."""


def ask_digest(tool: str, request: Mapping[str, Any]) -> str:
    """SHA-256 of what is asked, as hex. Raises TypeError if `request` is not JSON."""
    asked = {**request, "tool": tool}
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()


def idempotency_key(job: int | str, name: CallName) -> str:
    """The same on every attempt, and fit for a header whatever the agent and its item are called."""
    item = _header_safe(name.item) if name.item else "whole"
    return f"{job}-{name.cycle}-{_header_safe(name.agent)}-{item}-{name.number}-{name.digest[:12]}"


def _header_safe(text: str) -> str:
    if _HEADER_SAFE.fullmatch(text) and text != "whole":
        return text
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class MemoryRecorder:
    """A Recorder that forgets with its process: for rehearsals and tests."""

    def __init__(self) -> None:
        self.finished: dict[CallName, Recorded] = {}
        self.sent: dict[CallName, int] = {}
        self._lock = threading.Lock()

    def find(self, name: CallName) -> Recorded | None:
        with self._lock:
            return self.finished.get(name)

    def attempt(self, name: CallName, tool: str, number_of_attempt: int) -> None:
        with self._lock:
            self.sent[name] = self.sent.get(name, 0) + 1

    def finish(self, name: CallName, tool: str, recorded: Recorded) -> Recorded:
        with self._lock:
            return self.finished.setdefault(name, recorded._replace(attempts=self.sent.get(name, 0)))
