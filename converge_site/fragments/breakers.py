"""The breakers of tools as people see them: a state in a word, since when, and until when.

Redis holds them, so it is asked once for all tools of a page, and what it said is good for a second: a page names one
tool in several places, and many pages look at the same time. While Redis is out nobody waits for it a second time.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from converge_site.fragments.words import Look
from runtime.models import Tool
from runtime.tools.gate import BreakerState, shared_gate

GOOD_FOR = 1.0  # seconds
OUT_FOR = 5.0  # seconds that Redis is left alone after it did not answer

_LOOKS = {
    "closed": Look("done", "green", "Closed", "Calls go through."),
    "open": Look("failed", "red", "Open", "It failed too often: calls are refused until the next probe."),
    "half_open": Look("recover", "blue", "Half-open", "A probe finds out whether it answers again."),
    "tripped": Look("hold", "amber", "Tripped by hand", "Calls are refused until somebody resets it."),
    "paused": Look("pause", "grey", "Paused", "It asked all its callers to wait for a while."),
    "off": Look("ban", "grey", "Switched off", "An admin has switched it off; calls are refused."),
    "gone": Look("dash", "grey", "Not configured", "There is no such tool any more."),
    "unknown": Look("question", "grey", "Unknown", "Redis does not answer; calls go on without breakers."),
}
STATE_WORDS = {name: look.word for name, look in _LOOKS.items() if name != "gone"}


@dataclass(frozen=True, slots=True)
class Breaker:
    """A tool's breaker as shown; `state` is a key of `STATE_WORDS`, or "gone". Moments are in UTC."""

    tool: str
    state: str
    since: dt.datetime | None = None
    next_probe: dt.datetime | None = None
    paused_until: dt.datetime | None = None
    failures: int = 0
    in_flight: int | None = None
    tripped_by: str = ""

    @property
    def look(self) -> Look:
        """Word, icon and tone."""
        return _LOOKS[self.state]

    @property
    def stops_calls(self) -> bool:
        """Whether calls are refused for now."""
        return self.state in ("open", "tripped", "paused", "off", "gone")


def read_breakers(names: Iterable[str]) -> dict[str, Breaker]:
    """The breaker of each tool named. Waits at most about a second for Redis."""
    wanted = sorted(set(names))
    enabled = dict(Tool.objects.filter(name__in=wanted).values_list("name", "enabled")) if wanted else {}
    states = _memory.read([name for name in wanted if name in enabled])
    return {name: _breaker(name, enabled.get(name), states.get(name)) for name in wanted}


def _breaker(name: str, enabled: bool | None, state: BreakerState | None) -> Breaker:
    if enabled is None:
        return Breaker(name, "gone")
    if state is None:
        return Breaker(name, "unknown" if enabled else "off")
    return Breaker(
        name,
        _state_word(state) if enabled else "off",
        since=_moment(state.since),
        next_probe=_moment(state.next_probe),
        paused_until=_moment(state.paused_until),
        failures=state.failures,
        in_flight=state.in_flight,
        tripped_by=state.tripped_by,
    )


def _state_word(state: BreakerState) -> str:
    if state.tripped_by:
        return "tripped"
    if state.status == "closed" and state.paused_until and state.paused_until > time.time():
        return "paused"
    return state.status


def _moment(seconds: float | None) -> dt.datetime | None:
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)


class _Memory:
    """What Redis said a moment ago, for all pages of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, BreakerState]] = {}
        self._out_until = 0.0

    def read(self, names: list[str]) -> dict[str, BreakerState]:
        """The states as of the last second; a name is missing if Redis does not answer."""
        with self._lock:  # of pages that come at the same time, one asks and the others read its answer
            now = time.monotonic()
            known = {name: self._known[name] for name in names if name in self._known}
            fresh = {name: state for name, (at, state) in known.items() if now - at < GOOD_FOR}
            missing = [name for name in names if name not in fresh]
            if missing and now >= self._out_until:
                fresh |= self._ask(missing)
            return fresh

    def _ask(self, names: list[str]) -> dict[str, BreakerState]:
        # The gate calls every tool closed while Redis is out; on a page that would be a claim nobody can make.
        if not _redis_answers():
            self._out_until = time.monotonic() + OUT_FOR
            return {}
        asked = shared_gate().states(names)
        now = time.monotonic()
        self._known |= {name: (now, state) for name, state in asked.items()}
        return asked

    def forget(self) -> None:
        """Asks again at once: somebody here has just changed a breaker."""
        with self._lock:
            self._known.clear()
            self._out_until = 0.0


_memory = _Memory()
forget_breakers = _memory.forget


def _redis_answers() -> bool:
    try:
        return bool(_client(settings.CONVERGE_REDIS_URL).ping())
    except RedisError:
        return False


@lru_cache(maxsize=4)
def _client(url: str) -> Redis:
    """Gives up after half a second and tries once: a page waits for it."""
    return Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 0))
