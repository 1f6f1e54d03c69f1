"""Tools for a run that must not call any: questions asked before are answered from the record, all others not at all.

For previews. Nothing is sent and nothing is written down, whatever an agent does with what it is told.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, NamedTuple, NoReturn

from runtime.engine.inputs import Failure
from runtime.tools.failures import ToolFailed
from runtime.tools.gate import BreakerState, Ticket, Verdict
from runtime.tools.record import CallName, Recorded
from runtime.tools.session import CURRENT, RunCalls, ToolSession
from runtime.tools.spec import ToolSpec

NOT_ON_RECORD = Failure(
    "unreachable", "This was not asked before, and nothing is called here.", transient=True
)
_OUTSIDE = frozenset(
    (
        *("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg"),
        *("subprocess.Popen", "os.system", "os.posix_spawn", "os.fork", "os.exec", "sqlite3.connect"),
    )
)

Voice = tuple[str, str]  # agent, item or ""


class PastCall(NamedTuple):
    """A call of this job that ended: which, and how."""

    name: CallName
    ended: Recorded


class RecordedCalls:
    """A Recorder that only finds: the same question of the same agent about the same item, whatever the cycle.

    `unknown` are the voices that asked something else; `used` the cycles whose answers were used, by voice. An answer
    to the call of the same number comes before one of another number, then the latest. A failure that trying again
    might mend is no answer.
    """

    def __init__(self, calls: Iterable[PastCall]) -> None:
        self.unknown: dict[Voice, None] = {}
        self.used: dict[Voice, int] = {}
        self._found: dict[tuple[str, str, str], list[PastCall]] = {}
        for call in calls:
            failure = call.ended.failure
            if failure is None or not failure.transient:
                question = (call.name.agent, call.name.item, call.name.digest)
                self._found.setdefault(question, []).append(call)

    def find(self, name: CallName) -> Recorded:
        """What was answered before; a failure, and a note of the voice, if nothing was. Never None: that would send."""
        past = self._found.get((name.agent, name.item, name.digest))
        if not past:
            self.unknown[name.agent, name.item] = None
            return Recorded(failure=NOT_ON_RECORD)
        best = max(past, key=lambda call: (call.name.number == name.number, call.name.cycle))
        self.used[name.agent, name.item] = best.name.cycle
        return best.ended

    def attempt(self, name: CallName, tool: str, number_of_attempt: int) -> NoReturn:
        """Nothing is sent, so nothing is noted. Always raises."""
        raise RuntimeError("a preview sends nothing")

    def finish(self, name: CallName, tool: str, recorded: Recorded) -> NoReturn:
        """Nothing is written. Always raises."""
        raise RuntimeError("a preview writes nothing")


class ClosedGate:
    """A Gate that lets nobody through and knows nothing."""

    def enter(self, tool: ToolSpec) -> Ticket:
        """Always raises."""
        raise ToolFailed("refused", "Nothing is called here.", tool=tool.name)

    def leave(self, ticket: Ticket, verdict: Verdict, pause: float = 0.0) -> bool:
        """Nothing was entered."""
        return False

    def state(self, name: str) -> BreakerState:
        """Closed, as far as is known here."""
        return BreakerState()

    def states(self, names: Sequence[str]) -> dict[str, BreakerState]:
        """The same of each."""
        return {name: BreakerState() for name in names}

    def trip(self, name: str, by: str) -> None:
        """Does nothing."""

    def reset(self, name: str) -> None:
        """Does nothing."""


class RecordedSession(ToolSession):
    """The tools of one cycle, answered from the record."""

    recorder: RecordedCalls

    def __init__(
        self,
        job_id: int,
        cycle: int,
        tools: Mapping[str, ToolSpec],
        calls: RecordedCalls,
        calls_left: int,
        tokens_left: int,
    ) -> None:
        super().__init__(job_id, cycle, tools, ClosedGate(), calls, calls_left, tokens_left)
        self._voices: dict[RunCalls, Voice] = {}

    def for_run(self, agent: str, item: str | None, seconds: float) -> RunCalls:
        """The calls of one run."""
        calls = super().for_run(agent, item, seconds)
        self._voices[calls] = (agent, item or "")
        return calls

    def note_current(self) -> bool:
        """Notes that the async run under way cannot be made; False if none is."""
        voice = self._voices.get(calls) if (calls := CURRENT.get()) is not None else None
        if voice is not None:
            self.recorder.unknown[voice] = None
        return voice is not None


# What to tell of whoever reaches outside while previews are under way in this context.
_told: ContextVar[Callable[[], Any] | None] = ContextVar("converge_sealed", default=None)


@contextmanager
def sealed(told: Callable[[], Any]) -> Any:
    """Within, code of this context that opens connections or starts processes by itself is stopped, and `told`.

    A seatbelt against agents that go around their tools, not a sandbox: code in threads of its own is not seen.
    """
    _install()
    token = _told.set(told)
    try:
        yield
    finally:
        _told.reset(token)


@cache
def _install() -> None:
    sys.addaudithook(_look)


def _look(event: str, args: Any) -> None:
    if event in _OUTSIDE and (told := _told.get()) is not None:
        told()
        raise PermissionError("nothing outside is called in a preview")
