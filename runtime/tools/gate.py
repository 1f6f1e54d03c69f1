"""Who may call a tool now: circuit breaker and concurrency limit, shared by all runtimes through Redis.

Ours, as no library has it: pybreaker 1.4 and purgatory 3.0 can keep their state in Redis, but they count failures in a
row and not within a window, and half open they let every caller of every process through; neither limits calls under
way. Here each act is one script that Redis runs alone, by Redis' own clock.

The breaker's rules are those of ToolSpec. Beyond them:

- From the first failure in the window on, failures and calls under way together never exceed the threshold. So a dead
  tool gets at most max(failure_threshold, concurrency) requests from all runtimes together before it is left alone.
- Half open, no more than `probes` calls are let through until they ended; others are told to ask again.
- Only calls begun while the breaker was closed open it, and only probes close it or open it again.
- A place whose holder died is free again after `timeout` + SLOT_GRACE seconds.
- A tool's Retry-After holds back all runtimes, for at most `open_max` seconds.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import RedisError
from redis.retry import Retry

from runtime.tools.failures import ToolFailed
from runtime.tools.gate_scripts import ENTER, LEAVE, RESET, STATE, TRIP
from runtime.tools.spec import ToolSpec

Verdict = Literal["ok", "failed", "neutral"]
Status = Literal["closed", "open", "half_open"]
T = TypeVar("T")
log = logging.getLogger(__name__)

SLOT_GRACE = 5.0
OUT_FOR = 2.0  # seconds for which Redis is not asked again after it did not answer


class Busy(Exception):
    """Every place is taken; ask again, say in `retry_in` seconds."""

    def __init__(self, retry_in: float = 0.05) -> None:
        super().__init__("every place is taken")
        self.retry_in = retry_in


class Ticket(NamedTuple):
    """Leave to send one request. `probe` tells which opening of the breaker it probes, "" for none."""

    tool: ToolSpec
    id: str = ""
    probe: str = ""


class BreakerState(NamedTuple):
    """A breaker as all runtimes see it; times are Unix seconds by Redis' clock.

    `since` is when it opened and has not closed again; `next_probe` when the next call is let through, None for never
    by itself. Half open means that the next call is a probe, or that probes are under way. `failures` are those within
    the window, `in_flight` the places taken, `paused_until` the end of what the tool asked for by Retry-After,
    `tripped_by` who opened it by hand.
    """

    status: Status = "closed"
    since: float | None = None
    next_probe: float | None = None
    failures: int = 0
    in_flight: int = 0
    paused_until: float | None = None
    tripped_by: str = ""


class Gate(Protocol):
    """What a session asks before and after each request. Called in threads, never on the event loop."""

    def enter(self, tool: ToolSpec) -> Ticket:
        """Takes a place. Raises Busy if there is none at the moment, ToolFailed("circuit_open") if the breaker is
        open, ToolFailed("rate_limited") with `retry_after` while the tool asked to be left alone."""

    def leave(self, ticket: Ticket, verdict: Verdict, pause: float = 0.0) -> bool:
        """Gives the place back, once; `pause` seconds of rest for all callers. Returns True if that closed the
        breaker."""

    def state(self, name: str) -> BreakerState: ...

    def states(self, names: Sequence[str]) -> dict[str, BreakerState]: ...

    def trip(self, name: str, by: str) -> None:
        """Opens the breaker until it is reset."""

    def reset(self, name: str) -> None:
        """Closes the breaker and forgets failures and pauses."""


class RedisGate:
    """The gate of a running installation.

    If Redis is out, calls go on without breaker and limit: every call still has its own timeout and number of
    attempts, and the jobs that could not run are the greater harm. Nothing here raises because of Redis, or waits for
    it for more than a second or two.
    """

    def __init__(self, url: str) -> None:
        """`url` is that of Redis or Valkey."""
        self._client = _client(url)
        self._out_until = 0.0
        self._enter, self._leave = self._client.register_script(ENTER), self._client.register_script(LEAVE)
        self._state = self._client.register_script(STATE)
        self._trip, self._reset = self._client.register_script(TRIP), self._client.register_script(RESET)

    def enter(self, tool: ToolSpec) -> Ticket:
        ticket = uuid.uuid4().hex
        settings = [
            tool.failure_threshold,
            tool.window,
            max(1, tool.probes),
            max(1, tool.concurrency),
            tool.timeout + SLOT_GRACE,
        ]
        said = self._unless_silent(
            lambda: self._enter(keys=_keys(tool.name), args=[ticket, *settings]), [b"in", b""]
        )
        word, detail = said[0].decode(), said[1].decode()
        if word == "in":
            return Ticket(tool, ticket, detail)
        if word == "busy":
            raise Busy
        if word == "paused":
            raise paused(tool.name, float(detail))
        raise circuit_open(tool.name, by_hand=word == "tripped")

    def leave(self, ticket: Ticket, verdict: Verdict, pause: float = 0.0) -> bool:
        tool = ticket.tool
        args: list[str | float] = [
            ticket.id,
            ticket.probe,
            verdict,
            round(1000 * min(max(pause, 0.0), tool.open_max)),
            tool.failure_threshold,
            tool.window,
            tool.open_seconds,
            tool.open_max,
            max(1, tool.probes),
        ]
        return bool(self._unless_silent(lambda: self._leave(keys=_keys(tool.name), args=args), 0))

    def _unless_silent(self, ask: Callable[[], Any], otherwise: T) -> T:
        """For what stands between an agent and its tool: a Redis that is out is not waited for at every step."""
        if time.monotonic() < self._out_until:
            return otherwise
        try:
            return ask()  # type: ignore[no-any-return]
        except RedisError as error:
            self._out_until = time.monotonic() + OUT_FOR
            log.warning("Tools are called without breaker and limit, as Redis does not answer: %s", error)
            return otherwise

    def state(self, name: str) -> BreakerState:
        return _unless_out(lambda: _read_state(self._state(keys=_keys(name))), BreakerState())

    def states(self, names: Sequence[str]) -> dict[str, BreakerState]:
        """The states of several tools, in one round trip; all closed if Redis is out."""

        def read() -> list[BreakerState]:
            with self._client.pipeline(transaction=False) as pipeline:
                for name in names:
                    self._state(keys=_keys(name), client=pipeline)
                return [_read_state(said) for said in pipeline.execute()]

        return dict(zip(names, _unless_out(read, [BreakerState()] * len(names)), strict=True))

    def trip(self, name: str, by: str) -> None:
        _unless_out(lambda: self._trip(keys=_keys(name), args=[by or "somebody"]), None)

    def reset(self, name: str) -> None:
        _unless_out(lambda: self._reset(keys=_keys(name)), None)


class MemoryGate:
    """Lets everything through: for rehearsals, where nothing real is called."""

    def enter(self, tool: ToolSpec) -> Ticket:
        return Ticket(tool)

    def leave(self, ticket: Ticket, verdict: Verdict, pause: float = 0.0) -> bool:
        return False

    def state(self, name: str) -> BreakerState:
        return BreakerState()

    def states(self, names: Sequence[str]) -> dict[str, BreakerState]:
        return dict.fromkeys(names, BreakerState())

    def trip(self, name: str, by: str) -> None: ...

    def reset(self, name: str) -> None: ...


def circuit_open(tool: str, by_hand: bool) -> ToolFailed:
    if by_hand:
        return ToolFailed("circuit_open", f"{tool} was switched off by hand.", tool=tool)
    return ToolFailed("circuit_open", f"{tool} failed too often and is left alone for a while.", tool=tool)


def paused(tool: str, seconds: float) -> ToolFailed:
    return ToolFailed(
        "rate_limited", f"{tool} asked to be left alone for a while.", tool=tool, retry_after=seconds
    )


def shared_gate() -> RedisGate:
    """The gate of this installation, shared by all its processes."""
    from django.conf import settings  # here: the rest of the gateway needs no Django

    return _gate_at(settings.CONVERGE_REDIS_URL)


@lru_cache(maxsize=4)
def _gate_at(url: str) -> RedisGate:
    return RedisGate(url)


@lru_cache(maxsize=4)
def _client(url: str) -> Redis:
    # One retry, at once: a connection that went stale since the last call is no sign that Redis is out. The scripts
    # may run twice for one call.
    once_more = Retry(NoBackoff(), 1, supported_errors=(LostConnection,))
    return Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=once_more)


def _keys(name: str) -> list[str]:
    # The braces keep a tool's keys together where Redis is a cluster.
    base = f"converge:tool:{{{name}}}"
    return [base, f"{base}:failures", f"{base}:slots", f"{base}:probes", f"{base}:pause"]


def _unless_out(ask: Callable[[], Any], otherwise: T) -> T:
    try:
        return ask()  # type: ignore[no-any-return]
    except RedisError as error:
        log.warning("The breakers of tools cannot be read or set, as Redis does not answer: %s", error)
        return otherwise


def _read_state(said: list[bytes]) -> BreakerState:
    status, since, next_probe, failures, in_flight, paused_until, tripped_by = (
        part.decode() for part in said
    )
    return BreakerState(
        status="closed" if status not in ("open", "half_open") else status,  # type: ignore[arg-type]
        since=float(since) if since else None,
        next_probe=float(next_probe) if next_probe else None,
        failures=int(failures),
        in_flight=int(in_flight),
        paused_until=float(paused_until) if paused_until else None,
        tripped_by=tripped_by,
    )
