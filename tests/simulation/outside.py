"""The world that agents ask: one tool, which answers, or is down, or takes its time; and the gate before it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

from runtime.tools.answers import Answer
from runtime.tools.failures import ToolFailed
from runtime.tools.gate import BreakerState, Ticket, Verdict, circuit_open
from runtime.tools.spec import ToolSpec
from tests.simulation.turns import Turns

THRESHOLD = 3  # failures in a row that open the breaker
OPEN_SECONDS = 8.0
PROBE_SECONDS = 10.0  # after which a probe's holder is taken for dead


class Oracle:
    """The tool. What it answers differs from one request to the next, so that an answer asked for twice would show."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.is_down = False
        self.seconds = 0.2
        self.sent: Counter[str] = Counter()  # requests, by idempotency key
        self.answered: Counter[str] = Counter()
        self._said = 0

    async def send(self, tool: ToolSpec, key: str) -> Answer:
        """One request."""
        self.sent[key] += 1
        await asyncio.sleep(self.seconds)
        if self.is_down:
            raise ToolFailed("unreachable", f"{tool.name} broke the connection off.", tool=tool.name)
        self._said += 1
        self.answered[key] += 1
        return Answer({"said": self._said}, 200)


class SimulatedGate:
    """A breaker under our clock: opens after some failures in a row, lets one probe through when its time has come."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.failures: Counter[str] = Counter()
        self.opened: dict[str, float] = {}
        self.probes: dict[str, float] = {}  # since when a probe is under way

    def enter(self, tool: ToolSpec) -> Ticket:
        status = self.state(tool.name).status
        if status == "closed":
            return Ticket(tool, "call")
        if status == "open" or tool.name in self.probes:
            raise circuit_open(tool.name, by_hand=False)
        self.probes[tool.name] = self._turns.now
        return Ticket(tool, "call", "probe")

    def leave(self, ticket: Ticket, verdict: Verdict, pause: float = 0.0) -> bool:
        name = ticket.tool.name
        if ticket.probe:
            self.probes.pop(name, None)
        if verdict == "failed":
            self.failures[name] += 1
            if self.failures[name] >= THRESHOLD or ticket.probe:
                self.opened[name] = self._turns.now
        elif verdict == "ok":
            self.failures[name] = 0
            if ticket.probe:
                return self.opened.pop(name, None) is not None
        return False

    def state(self, name: str) -> BreakerState:
        opened = self.opened.get(name)
        if opened is None:
            return BreakerState("closed")
        probe = self.probes.get(name)
        if probe is not None and self._turns.now - probe > PROBE_SECONDS:
            del self.probes[name]
        next_probe = opened + OPEN_SECONDS
        status: Any = "open" if self._turns.now < next_probe else "half_open"
        return BreakerState(status, opened, next_probe, self.failures[name], int(name in self.probes))

    def states(self, names: Sequence[str]) -> dict[str, BreakerState]:
        return {name: self.state(name) for name in names}
