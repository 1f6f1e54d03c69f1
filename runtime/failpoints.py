"""Failpoints: named places at which a process can be made to die, stop, stumble or wait, for tests of what is promised.

Off unless CONVERGE_FAILPOINTS is set when a process starts, e.g.

    CONVERGE_FAILPOINTS="cycle.before_commit=kill@3;worker.after_claim=delay:0.5@p=0.2,seed=7"

| part | meaning |
|---|---|
| `kill` | the process is gone, as by `kill -9` |
| `stop` | the process stands still until somebody sends SIGCONT |
| `raise`, `raise:Class` | FailpointReached, or one of the classes in RAISES |
| `delay:seconds` | the thread waits so long |
| `@n` | at the n-th time the process gets there; without it, each time |
| `@p=0.1`, `@p=0.1,seed=7` | each time with this chance, drawn from the seed |

Pure Python, for the settings read it.
"""

from __future__ import annotations

import logging
import math
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module

log = logging.getLogger(__name__)

# Every place there is, in the order a job meets them; tests hold the list against the code. Spell new ones
# `part.moment`, and place them with one call of `failpoint`.
NAMES: Mapping[str, str] = {
    "submit.before_commit": "a job's rows are written, and not committed",
    "submit.after_commit": "a job is committed, and nobody was told",
    "decision.before_commit": "a person's row is in the inbox, and not committed",
    "decision.after_commit": "a person's row is committed, and nobody was told",
    "bulk.between": "some of several like questions are answered, and the others are not",
    "queue.before_enqueue": "something is due, and the queue does not know",
    "queue.after_dequeue": "a worker has taken a message off the queue, and claimed nothing",
    "worker.after_claim": "a worker holds the job, and has done nothing yet",
    "call.before_send": "a request to a tool is noted, and not sent",
    "call.before_record": "a tool has answered, and nothing of it is written down",
    "call.after_record": "a tool's answer is written down, and not merged",
    "lease.before_renew": "the lease is about to be extended",
    "cycle.in_transaction": "a cycle's entries are written, and its projections are not",
    "cycle.before_commit": "a cycle is written, and not committed",
    "cycle.after_commit": "a cycle is committed, and no page was told",
    "event.before_send": "a hint to the pages is about to go out",
    "worker.parked": "a job has stopped and holds no lease, and its worker has not let go of it",
    "queue.before_finish": "a job is done, and the queue still calls it running",
    "deadline.before_commit": "nobody answered in time, and the clock's row is written and not committed",
    "deadline.after_commit": "the clock's row is committed, and nobody was told",
    "backtest.after_claim": "a slice of a backtest is taken up, and nothing was looked at",
    "backtest.before_commit": "what a slice found is written, and not committed",
    "reconcile.before_enqueue": "the scheduler has found what is due, and told nobody",
    "tail.before_read": "a viewer's process is about to read what is new",
    "tail.before_send": "it has read and rendered it, and sent nothing",
}

# What `raise:` may name. A closed set: the variable is no way to run code.
RAISES: Mapping[str, str] = {
    "FailpointReached": "runtime.failpoints",
    "OperationalError": "django.db",
    "InterfaceError": "django.db",
    "ConnectionError": "redis.exceptions",
    "OSError": "builtins",
}

_PLAN = re.compile(r"(?P<act>[a-z]+)(?::(?P<detail>[^@]*))?(?:@(?P<when>.*))?")
_CHANCE = re.compile(r"p=(?P<p>[0-9.]+)(?:,seed=(?P<seed>[0-9]{1,18}))?")


class FailpointReached(Exception):
    """What `raise` raises."""


@dataclass
class Failpoint:
    """What happens at one place. `at` is the only hit that counts, 0 for each; `chance` of each hit that counts."""

    name: str
    act: str
    detail: str = ""
    at: int = 0
    chance: float = 1.0
    seed: int = 0
    plan: str = ""
    draws: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.draws = random.Random(f"{self.seed} {self.name}")

    def strikes(self, hit: int) -> bool:
        """Whether the hit of this number is one that counts."""
        if self.at:
            return hit == self.at
        return self.chance >= 1 or self.draws.random() < self.chance

    def strike(self) -> None:
        """Does what it is there for."""
        log.warning("failpoint %s: %s", self.name, self.act)
        if self.act == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.act == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self.act == "delay":
            time.sleep(float(self.detail))
        else:
            raise getattr(import_module(RAISES[self.detail]), self.detail)(f"failpoint {self.name}")


_armed: dict[str, Failpoint] = {}
_hits: Counter[str] = Counter()
_lock = threading.Lock()


def failpoint(name: str) -> None:
    """The place `name`. Does nothing unless the process was started with CONVERGE_FAILPOINTS."""
    if _armed:
        _hit(name)


def _hit(name: str) -> None:
    with _lock:
        _hits[name] += 1
        point = _armed.get(name)
        strikes = point is not None and point.strikes(_hits[name])
    if point is not None and strikes:
        point.strike()


def hits() -> Mapping[str, int]:
    """How often each place was reached since the failpoints were armed; those without a plan are counted too."""
    with _lock:
        return dict(_hits)


def arm(points: Mapping[str, Failpoint]) -> None:
    """Puts failpoints in place of those there were; none switches all off. Called once, by the settings."""
    with _lock:
        _hits.clear()
        _armed.clear()
        _armed.update(points)


def warn_if_armed() -> None:
    """Says in the log that this process is not to be trusted."""
    for point in _armed.values():
        log.warning(
            "FAILPOINT ON: %s=%s. Unset CONVERGE_FAILPOINTS to run as normal.", point.name, point.plan
        )


def read_failpoints(text: str) -> dict[str, Failpoint]:
    """Reads what CONVERGE_FAILPOINTS says. Raises ValueError with a message for whoever set it."""
    points: dict[str, Failpoint] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, _, plan = (piece.strip() for piece in part.partition("="))
        if name not in NAMES:
            raise ValueError(f"{name[:60]!r} is no failpoint; there are {', '.join(NAMES)}")
        if name in points:
            raise ValueError(f"{name} is given twice")
        points[name] = replace(_read_plan(name, plan), plan=plan)
    return points


def _read_plan(name: str, plan: str) -> Failpoint:
    found = _PLAN.fullmatch(plan)
    if found is None:
        raise ValueError(f"{name}: {plan[:60]!r} is not an action such as kill@3, stop, raise or delay:0.5")
    act, detail, when = found["act"], found["detail"], found["when"]
    point = Failpoint(name, act, _read_detail(name, act, detail))
    if when is None:
        return point
    if re.fullmatch(r"[1-9][0-9]{0,8}", when):
        point.at = int(when)
        return point
    drawn = _CHANCE.fullmatch(when)
    chance = _read_number(drawn["p"]) if drawn else None
    if drawn is None or chance is None or not 0 < chance <= 1:
        raise ValueError(
            f"{name}: {when[:60]!r} is neither a number of a hit nor a chance such as p=0.1,seed=7"
        )
    return Failpoint(name, act, point.detail, 0, chance, int(drawn["seed"] or 0))


def _read_detail(name: str, act: str, detail: str | None) -> str:
    if act in ("kill", "stop") and detail is None:
        return ""
    if act == "raise" and (detail is None or detail in RAISES):
        return detail or "FailpointReached"
    if act == "raise":
        raise ValueError(f"{name}: raise knows {', '.join(RAISES)}, not {(detail or '')[:60]!r}")
    if act == "delay" and detail and (seconds := _read_number(detail)) is not None and 0 < seconds <= 3600:
        return detail
    raise ValueError(f"{name}: the actions are kill, stop, raise, raise:Class and delay:seconds")


def _read_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
